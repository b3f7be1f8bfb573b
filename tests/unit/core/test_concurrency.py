# SPDX-License-Identifier: Apache-2.0
"""How many moves at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import pytest

from aacloud.core.concurrency import Concurrency
from aacloud.core.concurrency import may_start
from aacloud.core.concurrency import on_result


def run(start, results):
    for now, (latency, ok) in enumerate(results):
        start = on_result(start, latency, ok, now * 10.0)
    return start


def test_good_results_raise_the_limit_by_one_a_round():
    learned = run(Concurrency(limit=4), [(1.0, True)] * 4)
    assert 4.7 < learned.limit <= 5.0
    assert learned.slots == 4


def test_it_grows_up_to_the_ceiling_and_no_further():
    learned = run(Concurrency(limit=8, ceiling=24), [(1.0, True)] * 2000)
    assert learned.limit == 24.0


def test_an_error_halves_it_down_to_the_floor():
    assert run(Concurrency(limit=16), [(0.0, False)]).limit == 8.0
    assert run(Concurrency(limit=16), [(0.0, False)] * 20).limit == 1.0
    assert run(Concurrency(limit=16, floor=3),
               [(0.0, False)] * 20).limit == 3.0


def test_errors_of_one_moment_count_once():
    learned = Concurrency(limit=16, cooldown_s=5.0)
    for _ in range(10):
        learned = on_result(learned, 0.0, False, 100.0)
    assert learned.limit == 8.0
    assert on_result(learned, 0.0, False, 104.9).limit == 8.0
    assert on_result(learned, 0.0, False, 105.0).limit == 4.0


def test_slow_moves_hold_and_very_slow_ones_lower_it():
    learned = run(Concurrency(limit=8, slow_s=60.0, stretch=4.0),
                  [(1.0, True)])
    held = on_result(learned, 5.0, True, 100.0)
    assert held.limit == learned.limit
    lower = on_result(learned, 61.0, True, 200.0)
    assert lower.limit == learned.limit * 0.75


def test_it_recovers_after_trouble():
    learned = run(Concurrency(limit=16), [(0.0, False)] * 6)
    assert run(learned, [(1.0, True)] * 50).limit > 8.0


def test_may_start_counts_all_and_those_of_the_destination():
    two = Concurrency(limit=2.9, per_destination=4)
    assert may_start(two, 1, {}, "a")
    assert not may_start(two, 2, {}, "a")
    many = Concurrency(limit=24, per_destination=4)
    assert may_start(many, 9, {"a": 3, "b": 6}, "a")
    assert not may_start(many, 9, {"a": 4}, "a")
    assert may_start(many, 9, {"a": 4}, "b")


@pytest.mark.parametrize("bad", [
    {"floor": 0}, {"floor": 5, "ceiling": 4}])
def test_impossible_limits_are_refused(bad):
    with pytest.raises(ValueError, match="1 <= floor <= ceiling"):
        Concurrency(**bad)


def test_a_start_outside_the_limits_is_brought_inside():
    assert Concurrency(limit=99, ceiling=24).limit == 24.0
    assert Concurrency(limit=0, floor=2).limit == 2.0


@given(st.lists(st.tuples(st.floats(0.0, 500.0), st.booleans())))
def test_always_within_its_limits_and_always_able_to_go_on(results):
    learned = Concurrency(limit=8, floor=1, ceiling=24)
    for now, (latency, ok) in enumerate(results):
        after = on_result(learned, latency, ok, now * 3.0)
        assert 1.0 <= after.limit <= 24.0
        if not ok:
            assert after.limit <= learned.limit
        elif latency <= learned.slow_s:
            assert after.limit >= learned.limit
        learned = after
    assert may_start(learned, 0, {}, "anywhere")
