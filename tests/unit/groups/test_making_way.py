# SPDX-License-Identifier: Apache-2.0
"""Who makes way for the servers of a group that is mended."""

from __future__ import annotations

import pytest

from aacloud.core import groups as core_groups
from tests.unit.groups.stage import Mode
from tests.unit.groups.stage import State
from tests.unit.groups.stage import Step

Command = core_groups.PlanCommand

HERE = "dc1-r1-h1"
THERE = "dc1-r1-h2"
#: The stage's clock begins at noon, UTC.
CLOSED = "cron:0 3 * * *;duration=2h;tz=UTC"
OPEN = "cron:0 11 * * *;duration=12h;tz=UTC"


@pytest.fixture
def stage(make_stage):
    """The only right host is full of a server called x."""
    stage = make_stage()
    stage.cloud.room[THERE] = 1
    stage.cloud.born("x", THERE)
    return stage


def broken(stage, window=None):
    return stage.group(
        f"fence:host:domains={THERE}", members={"a0": HERE}, window=window)


def moved(stage):
    return {server for server, *_ in stage.cloud.live}


def neighbour(stage, mode, window=None, name="other"):
    """A group that is kept wherever x is."""
    return stage.group("spread:dc:max=5", members={"x": THERE}, name=name,
                       mode=mode, window=window)


@pytest.mark.parametrize("window", [None, CLOSED])
@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.REPORT, Mode.OFF])
def test_members_of_groups_that_are_not_repaired_stay(stage, mode, window):
    neighbour(stage, mode, window)
    group = broken(stage)
    stage.engine().lead()
    stage.run(stage.is_(group, "violating"))
    stage.run_for(20.0)
    assert not stage.cloud.live


@pytest.mark.parametrize(("own", "window"), [
    (None, CLOSED), (None, OPEN), (OPEN, CLOSED)])
def test_members_of_groups_with_another_window_stay(stage, own, window):
    neighbour(stage, Mode.REPAIR, window)
    group = broken(stage, own)
    stage.engine().lead()
    stage.run(stage.is_(group, "violating"))
    stage.run_for(20.0)
    assert not stage.cloud.live


@pytest.mark.parametrize(("own", "window"), [
    (None, None), (OPEN, OPEN), (OPEN, None)])
def test_others_that_are_repaired_in_that_window_make_way(
    stage, own, window
):
    neighbour(stage, Mode.REPAIR, window)
    group = broken(stage, own)
    stage.engine().lead()
    stage.run(stage.is_(group, "compliant"))
    assert moved(stage) == {"a0", "x"}


def test_one_group_that_is_not_repaired_is_enough_to_stay(stage):
    neighbour(stage, Mode.REPAIR)
    neighbour(stage, Mode.ENFORCE, name="third")
    group = broken(stage)
    stage.engine().lead()
    stage.run(stage.is_(group, "violating"))
    stage.run_for(20.0)
    assert not stage.cloud.live


def test_members_of_the_mended_group_are_moved_all_the_same(stage):
    stage.cloud.room[THERE] = 8
    group = broken(stage)
    stage.group("spread:dc:max=5", members={"a0": HERE}, name="other",
                mode=Mode.REPORT, window=CLOSED)
    stage.engine().lead()
    stage.run(stage.is_(group, "compliant"))


def test_servers_of_no_group_make_way(stage):
    group = broken(stage)
    stage.engine().lead()
    stage.run(stage.is_(group, "compliant"))
    assert moved(stage) == {"a0", "x"}


def test_a_group_that_is_not_repaired_any_more(make_stage):
    stage = make_stage(repair_approval=True)
    stage.cloud.room[THERE] = 1
    stage.cloud.born("x", THERE)
    other = neighbour(stage, Mode.REPAIR)
    broken(stage)
    engine = stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    assert {step.server for step in stage.steps()} == {"a0", "x"}
    stage.store.update(other, by="ann", mode=Mode.ENFORCE)
    stage.order(Command.APPROVE)
    engine.keeper._not_before = float("inf")
    stage.run(lambda: any(
        step.server == "x" and step.state is Step.SKIPPED
        and "not repaired" in step.reason for step in stage.steps()))
    assert not stage.cloud.live
