# SPDX-License-Identifier: Apache-2.0
"""The rules or members of a group are changed after its plan was made."""

from __future__ import annotations

import pytest

from aacloud.core import groups as core_groups
from aacloud.core import rules
from tests.unit.groups.stage import State

Command = core_groups.PlanCommand

HERE, BESIDE = "dc1-r1-h1", "dc1-r1-h2"


def crowd(name, count=2, host=HERE):
    return {f"{name}{number}": host for number in range(count)}


def ruled(stage, group, *texts):
    stage.store.update(
        group, by="ann", rules=[rules.parse_rule(text) for text in texts])


@pytest.mark.parametrize("new", [
    "fence:dc:domains=dc2", "spread:dc:max=1", "spread:rack"])
def test_an_approved_move_that_helps_no_more(make_stage, new):
    """It would go from one host of a rack to another."""
    stage = make_stage(repair_approval=True)
    group = stage.group(
        "spread:host", "fence:rack:domains=dc1-r1", members=crowd("a"))
    engine = stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    plan = stage.plan()
    assert [step.destination for step in stage.steps()] == [BESIDE]
    stage.order(Command.APPROVE)
    engine.held.append("a host is being recovered")
    stage.run(stage.plan_is(State.APPROVED))
    ruled(stage, group, new)
    engine.held.clear()
    stage.run(
        lambda: stage.plans.get(plan.id).state in core_groups.CLOSED_PLANS)
    assert not stage.cloud.live
    assert ["no group needs it" in step.reason
            for step in stage.plans.steps(plan.id)] == [True]


def test_what_makes_way_for_a_move_that_helps_is_done(make_stage):
    """Its own rules say nothing of it."""
    stage = make_stage()
    for host in stage.topology.hosts:
        stage.cloud.room[host] = 3
    stage.cloud.born("x", BESIDE)
    stage.cloud.room[BESIDE] = 1
    group = stage.group(
        f"fence:host:domains={BESIDE}", members={"a0": HERE})
    stage.engine().lead()
    stage.run(stage.is_(group, "compliant"))
    assert [server for server, *_ in stage.cloud.live] == ["x", "a0"]


def unapproved(stage, *texts, members):
    """A group whose plan waits for its approval."""
    group = stage.group(*texts, members=members)
    stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    return group, stage.plan()


def join(stage, group, *places):
    names = [f"b{number}" for number in range(len(places))]
    for name, host in zip(names, places, strict=True):
        stage.cloud.born(name, host)
    stage.store.add_members(group, dict.fromkeys(names, "p"), by="ann")


@pytest.mark.parametrize(("new", "goes"), [
    # The planned move helps nothing, or is not enough, of what is wanted now.
    (["fence:dc:domains=dc2"], "dc2"),
    (["spread:host", "fence:dc:domains=dc2"], "dc2"),
])
def test_a_plan_for_other_rules_is_made_anew(make_stage, new, goes):
    stage = make_stage(repair_approval=True)
    group, first = unapproved(
        stage, "spread:host", "fence:rack:domains=dc1-r1",
        members=crowd("a"))
    ruled(stage, group, *new)
    stage.run(lambda: len(stage.all_plans()) == 2)
    assert stage.plans.get(first.id).state is State.EXPIRED
    steps = stage.steps()
    assert sorted(step.server for step in steps) == ["a0", "a1"]
    assert {step.destination[:3] for step in steps} == {goes}


def test_a_plan_for_other_members_is_made_anew(make_stage):
    """There are more of them now where it would take one away."""
    stage = make_stage(repair_approval=True)
    there = "dc2-r1-h1"
    group, first = unapproved(
        stage, "together:host", members={**crowd("a"), "c": there})
    assert [step.server for step in stage.steps()] == ["c"]
    join(stage, group, there, there, there)
    stage.run(lambda: len(stage.all_plans()) == 2)
    assert stage.plans.get(first.id).state is State.EXPIRED
    assert sorted(step.server for step in stage.steps()) == ["a0", "a1"]


def test_changes_that_touch_nothing_of_a_plan(make_stage):
    stage = make_stage(repair_approval=True)
    group, first = unapproved(stage, "spread:host", members=crowd("a"))
    stage.store.update(group, by="ann", name="other")
    join(stage, group, "dc2-r1-h1")
    ruled(stage, group, "spread:host", "spread:dc:max=4")
    stage.run_for(120.0)
    assert [plan.id for plan in stage.all_plans()] == [first.id]
    stage.order(Command.APPROVE)
    stage.run(stage.is_(group, "compliant"))


def test_what_a_plan_left_is_no_reason_to_plan_anew(make_stage):
    """Nor is it planned again and again what cannot be mended."""
    stage = make_stage(repair_approval=True)
    stage.cloud.born("c", HERE, locked=True)
    group, first = unapproved(
        stage, "spread:host", "fence:dc:domains=dc2",
        members={**crowd("a"), "c": HERE})
    assert stage.plan().summary["left"]
    stage.store.update(group, by="ann", name="other")
    stage.run_for(120.0)
    assert [plan.id for plan in stage.all_plans()] == [first.id]
    ruled(stage, group, "spread:host", "fence:dc:domains=dc2",
          "fence:rack:domains=dc2-r1,dc2-r2")
    stage.run_for(300.0)
    assert len(stage.all_plans()) == 2
