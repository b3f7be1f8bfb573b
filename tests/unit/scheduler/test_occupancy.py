# SPDX-License-Identifier: Apache-2.0
"""Which moves of a server are under way."""

import pytest

from aacloud.scheduler.nova import occupancy

EVACUATION = occupancy.Moving("evacuation", "h1", None)
RESIZE = occupancy.Moving("resize", "h1", "h2")
LIVE = occupancy.Moving("live-migration", "h1", "h2")


@pytest.mark.parametrize(
    "task", ["rebuilding", "rebuild_block_device_mapping",
             "rebuild_spawning"])
def test_an_evacuation_that_nova_works_on(task: str) -> None:
    assert occupancy.under_way((EVACUATION,), task) == (EVACUATION,)
    found = occupancy.Sighting("h1", busy=True, moves=(EVACUATION,))
    assert found.evacuated


@pytest.mark.parametrize(
    "task", [None, "", "migrating", "resize_prep", "unshelving"])
def test_one_that_was_left_behind(task: str | None) -> None:
    assert occupancy.under_way((EVACUATION,), task) == ()
    assert occupancy.under_way((EVACUATION, LIVE), task) == (LIVE,)


def test_the_last_move_counts() -> None:
    later = occupancy.Moving("evacuation", "h2", None)
    assert occupancy.under_way(
        (EVACUATION, RESIZE, later), "rebuilding") == (RESIZE, later)
    assert occupancy.under_way((EVACUATION, RESIZE), "rebuilding") == (
        RESIZE,)


def test_a_resize_waits_for_its_confirmation_as_long_as_it_likes() -> None:
    assert occupancy.under_way((RESIZE,), None) == (RESIZE,)
