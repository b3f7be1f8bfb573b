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
