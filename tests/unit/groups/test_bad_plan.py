# SPDX-License-Identifier: Apache-2.0
"""What is wrong with one plan keeps no other one from its turn."""

from __future__ import annotations

import pytest

from aacloud.clouds import errors as cloud_errors
from aacloud.core import groups as core_groups
from aacloud.db import errors as db_errors
from tests.unit.groups.stage import State
from tests.unit.groups.test_several_plans import approve_all
from tests.unit.groups.test_several_plans import by_groups
from tests.unit.groups.test_several_plans import crowd
from tests.unit.groups.test_several_plans import order

Command = core_groups.PlanCommand


@pytest.fixture
def two(make_stage):
    """A stage with two plans, of which the older one goes wrong."""
    stage = make_stage(repair_approval=True, max_replans=0)
    stage.engine().lead()
    groups = []
    for name, host in (("a", "dc1-r1-h1"), ("b", "dc2-r1-h1")):
        groups.append(stage.group(
            "spread:host", members=crowd(name, host), name=name))
        stage.run(lambda: groups[-1] in by_groups(stage))
    return stage, stage.all_plans(), groups


def break_turns_of(stage, plan, error):
    """Let each turn of this plan fail; count them."""
    executor = stage.engines[0].executor
    view = executor._gates.view
    tried = []

    def fails(one, elsewhere):
        if one.id == plan.id:
            tried.append(stage.time.now)
            raise error
        return view(one, elsewhere)

    executor._gates.view = fails
    return tried


@pytest.mark.parametrize("error", [
    RuntimeError("what nobody thought of"),
    cloud_errors.CloudUnknown("Nova is silent"),
    db_errors.StaleJournal("step 1", "it was changed", deposed=False),
    db_errors.NotFound("plan", "x"),
], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("command", [Command.APPROVE, Command.STOP])
def test_its_turn_fails(two, error, command):
    stage, (bad, good), _ = two
    tried = break_turns_of(stage, bad, error)
    order(stage, bad, Command.APPROVE)
    order(stage, good, command)
    wanted = {
        Command.APPROVE: State.DONE, Command.STOP: State.STOPPED}[command]
    stage.run(lambda: stage.plans.get(good.id).state is wanted)
    assert stage.plans.get(bad.id).state is State.AWAITING_APPROVAL
    # It is tried less and less often, and says why it does not go on.
    begun = len(tried)
    stage.run_for(120.0)
    assert begun < len(tried) < begun + 14
    assert "could not go on" in stage.plans.get(bad.id).waiting


def test_it_goes_on_when_all_is_well_again(two):
    stage, (bad, good), groups = two
    executor = stage.engines[0].executor
    view = executor._gates.view
    break_turns_of(stage, bad, RuntimeError("x"))
    approve_all(stage)
    stage.run(lambda: stage.plans.get(good.id).state is State.DONE)
    executor._gates.view = view
    for group in groups:
        stage.run(stage.is_(group, "compliant"))
    assert stage.plans.get(bad.id).state is State.DONE


def test_a_deposed_leader_does_nothing_more(two):
    stage, (bad, good), _ = two
    break_turns_of(stage, bad, db_errors.StaleJournal(
        "leadership", "another one leads", deposed=True))
    approve_all(stage)
    stage.run_for(60.0)
    assert not stage.cloud.live
    assert stage.plans.get(good.id).state is State.AWAITING_APPROVAL


def test_a_plan_with_an_unreadable_window_can_be_stopped(stage):
    group = stage.group("spread:host", members=crowd("a", "dc1-r1-h1"))
    stage.conf.set_override("default_window", "nonsense", "aacloud_groups")
    engine = stage.engine().lead()
    engine.keeper._not_before = float("inf")
    engine.plans.create(
        group, [core_groups.PlanStep(
            plan_id="", number=1, server="a0", name="a0", project_id="p",
            source="dc1-r1-h1", destination="dc2-r1-h1")],
        state=State.APPROVED, revision=1, created_by="ann",
        expires_at=stage.plans._now().replace(year=2099), groups=[group],
        window="nonsense", event_text="x")
    stage.run(lambda: "nonsense" in (stage.plan().waiting or ""))
    stage.order(Command.STOP)
    stage.run(stage.plan_is(State.STOPPED))
