# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st
import pytest

from aacloud.rpc import replay

OLD = replay.make_boot_id(1000)
NEW = replay.make_boot_id(2000)
Seen = replay.Seen


def test_a_number_is_taken_once() -> None:
    table = replay.ReplayTable(10)
    assert table.see("h", OLD, 5) is Seen.NEW
    assert table.see("h", OLD, 5) is Seen.REPLAYED
    assert table.see("h", OLD, 6) is Seen.NEW
    assert table.see("h", OLD, 5) is Seen.REPLAYED
    assert table.see("other", OLD, 5) is Seen.NEW


def test_late_numbers_are_taken_inside_the_window_only() -> None:
    table = replay.ReplayTable(10, window=4)
    assert table.see("h", OLD, 10) is Seen.NEW
    assert table.see("h", OLD, 7) is Seen.NEW
    assert table.see("h", OLD, 7) is Seen.REPLAYED
    assert table.see("h", OLD, 6) is Seen.REPLAYED
    assert table.see("h", OLD, 1000) is Seen.NEW
    assert table.see("h", OLD, 10) is Seen.REPLAYED
    assert table.see("h", OLD, 998) is Seen.NEW


def test_an_earlier_life_is_refused_for_ever() -> None:
    table = replay.ReplayTable(10)
    assert table.see("h", OLD, 1) is Seen.NEW
    assert table.see("h", NEW, 1) is Seen.NEW
    assert table.see("h", OLD, 2) is Seen.STALE_BOOT
    assert table.see("h", NEW, 2) is Seen.NEW
    same_moment = replay.make_boot_id(2000)
    assert table.see("h", same_moment, 3) is Seen.STALE_BOOT
    assert table.boot_of("h") == NEW


def test_a_seeded_life_refuses_earlier_ones_and_starts_anew() -> None:
    table = replay.ReplayTable(10, window=1)
    table.seed("h", NEW)
    table.seed("h", OLD)
    table.seed("broken", "nonsense")
    assert table.see("h", OLD, 7) is Seen.STALE_BOOT
    assert table.see("h", NEW, 0) is Seen.NEW
    assert table.see("h", NEW, 0) is Seen.REPLAYED
    assert table.boot_of("broken") is None


@pytest.mark.parametrize(
    "boot",
    [
        "",
        "x",
        "1" * 12,
        "0000000007D0-0123456789abcdef",
        "0000000007d0-0123456789abcdef0",
        "0000000007d0-0123456789abcdef\n",
        "-" * 29,
    ],
)
def test_what_is_no_boot_id_is_refused(boot: str) -> None:
    table = replay.ReplayTable(10)
    assert table.see("h", boot, 1) is Seen.BAD_BOOT
    assert len(table) == 0


def test_the_sender_not_heard_for_longest_is_forgotten() -> None:
    table = replay.ReplayTable(2)
    for name in ("a", "b", "a", "c"):
        table.see(name, OLD, 1)
    assert len(table) == 2
    assert table.boot_of("b") is None
    assert table.boot_of("a") == OLD


def test_boot_ids_grow_with_their_stamp() -> None:
    ids = [replay.make_boot_id(stamp) for stamp in (1, 99, 10**12, 2**47)]
    assert ids == sorted(ids)
    assert [replay.boot_stamp(i) for i in ids] == [1, 99, 10**12, 2**47]


@given(st.lists(st.integers(0, 200), max_size=200))
def test_no_number_is_ever_taken_twice(numbers: list[int]) -> None:
    table = replay.ReplayTable(10, window=16)
    taken = [n for n in numbers if table.see("h", OLD, n) is Seen.NEW]
    assert len(taken) == len(set(taken))


@given(st.permutations(range(12)))
def test_reordering_inside_the_window_loses_nothing(
    numbers: list[int],
) -> None:
    table = replay.ReplayTable(10, window=16)
    assert all(table.see("h", OLD, n) is Seen.NEW for n in numbers)
