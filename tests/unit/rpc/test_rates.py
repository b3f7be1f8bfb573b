# SPDX-License-Identifier: Apache-2.0
from aacloud.rpc import rates


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate() -> None:
    allowance = rates.Allowance(rate=2.0, burst=3.0, size=10)
    assert [allowance.take("a", 0.0) for _ in range(4)] == [
        True,
        True,
        True,
        False,
    ]
    assert not allowance.take("a", 0.4)
    assert allowance.take("a", 0.6)
    assert allowance.take("b", 0.6)
    assert [allowance.take("a", 60.0) for _ in range(4)] == [
        True,
        True,
        True,
        False,
    ]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    allowance = rates.Allowance(rate=1.0, burst=1.0, size=10)
    assert allowance.take("a", 10.0)
    assert not allowance.take("a", 5.0)


def test_only_so_many_senders_are_remembered() -> None:
    allowance = rates.Allowance(rate=0.1, burst=1.0, size=2)
    assert allowance.take("a", 0.0)
    assert allowance.take("b", 0.0)
    assert not allowance.take("b", 0.0)
    assert allowance.take("c", 0.0)
    assert allowance.take("a", 0.0)


def test_a_kind_of_line_is_logged_once_an_interval() -> None:
    clock = Clock()
    pace = rates.LogPace(interval=60.0, clock=clock)
    assert pace.due("x") == 0
    assert pace.due("x") is None
    assert pace.due("x") is None
    assert pace.due("y") == 0
    clock.now += 61
    assert pace.due("x") == 2
    assert "2 more" in pace.text(2)
    assert pace.text(0) == ""


def test_kinds_that_somebody_else_makes_up_do_not_fill_the_memory() -> None:
    clock = Clock()
    pace = rates.LogPace(interval=60.0, size=2, clock=clock)
    assert pace.due("a") == 0
    assert pace.due("b") == 0
    assert pace.due("c") == 0
    assert pace.due("d") is None
    assert pace.due("e") is None
