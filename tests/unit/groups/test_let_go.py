# SPDX-License-Identifier: Apache-2.0
"""A plan that may not move a server any more leaves it to others."""

from __future__ import annotations

import pytest

from aacloud.core import groups as core_groups
from tests.unit.groups.stage import Mode
from tests.unit.groups.stage import State

Command = core_groups.PlanCommand

HERE, BESIDE, AWAY = "dc1-r1-h1", "dc1-r1-h2", "dc1-r2-h1"

#: The stage's clock begins at noon, UTC.
CLOSED = "cron:0 3 * * *;duration=2h;tz=UTC"
OPEN = "cron:0 11 * * *;duration=12h;tz=UTC"


def approved(stage, *groups):
    """Approve the plan of groups whose window is closed."""
    stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    assert set(stage.plan().groups) == set(groups)
    stage.order(Command.APPROVE)
    stage.run(stage.plan_is(State.APPROVED))
    stage.conf.set_override("repair_approval", False, "aacloud_groups")
    return stage.plan()


def fenced(stage, name, host, window=None):
    return stage.group(
        f"fence:host:domains={host}", members={f"{name}0": HERE}, name=name,
        window=window)


def test_its_group_has_another_window(make_stage):
    stage = make_stage(repair_approval=True)
    group = fenced(stage, "a", BESIDE, CLOSED)
    plan = approved(stage, group)
    stage.store.update(group, by="ann", window=OPEN)
    stage.run(stage.is_(group, "compliant"))
    assert stage.plans.get(plan.id).state is State.EXPIRED
    assert "mode or window" in "".join(stage.story())


def test_its_group_is_deleted(make_stage):
    stage = make_stage(repair_approval=True)
    group = fenced(stage, "a", BESIDE, CLOSED)
    plan = approved(stage, group)
    stage.store.delete(group, by="ann")
    other = stage.group(f"fence:host:domains={AWAY}", members={"a0": HERE})
    stage.run(stage.is_(other, "compliant"))
    assert stage.plans.get(plan.id).state is State.EXPIRED
    assert stage.cloud.live == [("a0", HERE, AWAY)]


@pytest.mark.parametrize("change", [{"window": CLOSED}, {"mode": Mode.OFF}])
def test_a_paused_plan(make_stage, change):
    stage = make_stage(parallel_total=1)
    group = stage.group(
        f"fence:host:domains={BESIDE}", name="a",
        members={f"a{number}": HERE for number in range(3)})
    stage.engine().lead()
    stage.run(lambda: stage.cloud.live)
    stage.order(Command.PAUSE)
    stage.run(stage.plan_is(State.PAUSED))
    plan = stage.plan()
    ((moved, *_),) = stage.cloud.live
    stage.store.update(group, by="ann", **change)
    stage.run(lambda: stage.plans.get(plan.id).state is State.EXPIRED)
    assert stage.cloud.servers[moved].host == BESIDE
    states = [step.state.value for step in stage.plans.steps(plan.id)]
    assert sorted(states) == ["skipped", "skipped", "verified"]


def test_one_of_its_groups(make_stage):
    """The plan goes on for the other one."""
    stage = make_stage(repair_approval=True)
    lost = fenced(stage, "a", BESIDE, CLOSED)
    kept = fenced(stage, "b", BESIDE, CLOSED)
    plan = approved(stage, lost, kept)
    stage.store.update(lost, by="ann", mode=Mode.REPORT)
    other = stage.group(
        f"fence:host:domains={AWAY}", members={"a0": HERE}, name="other")
    stage.run(stage.is_(other, "compliant"))
    assert stage.plans.get(plan.id).state is State.APPROVED
    # What it is still to move is left to it.
    third = stage.group(
        f"fence:host:domains={AWAY}", members={"b0": HERE}, name="third")
    stage.run(stage.is_(third, "violating"))
    stage.run_for(60.0)
    assert [server for server, *_ in stage.cloud.live] == ["a0"]


def test_switched_to_and_fro(make_stage):
    """A group that comes back is planned for anew."""
    stage = make_stage(repair_approval=True)
    group = fenced(stage, "a", BESIDE, CLOSED)
    plan = approved(stage, group)
    stage.store.update(group, by="ann", mode=Mode.OFF)
    stage.run(lambda: stage.plans.get(plan.id).state is State.EXPIRED)
    stage.conf.set_override("repair_approval", True, "aacloud_groups")
    stage.store.update(group, by="ann", mode=Mode.REPAIR)
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    assert stage.plan().id != plan.id
