# SPDX-License-Identifier: Apache-2.0
"""What is set after a plan was made counts before each of its moves."""

from __future__ import annotations

import pytest

from aacloud.core import groups as core_groups
from aacloud.core import rules
from aacloud.groups import surroundings as around
from tests.unit.groups.stage import Mode
from tests.unit.groups.stage import State

Command = core_groups.PlanCommand

OTHER = "cron:0 3 * * *;duration=2h;tz=UTC"
#: The stage's clock begins at noon, UTC.
NOON = "cron:0 12 * * *;duration=1h;tz=UTC"


def crowded(name):
    return {f"{name}{number}": "dc1-r1-h1" for number in (1, 2)}


@pytest.mark.parametrize("who", ["a", "b"])
@pytest.mark.parametrize("change", [
    lambda stage, group, who: stage.store.delete(group, by="ann"),
    lambda stage, group, who: stage.store.remove_members(
        group, [f"{who}2"], by="ann"),
    lambda stage, group, who: stage.store.update(
        group, by="ann", mode=Mode.REPORT),
    lambda stage, group, who: stage.store.update(
        group, by="ann", window=OTHER),
], ids=["deleted", "mended", "report", "window"])
def test_one_group_of_a_plan_needs_it_no_more(make_stage, who, change):
    """The other one is mended all the same."""
    stage = make_stage(repair_approval=True, parallel_total=1)
    ids = {
        name: stage.group("spread:host", members=crowded(name), name=name)
        for name in ("a", "b")}
    stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    assert len(stage.steps()) == 2
    stage.order(Command.APPROVE)
    stage.run(stage.plan_is(State.APPROVED, State.RUNNING))
    assert not stage.cloud.live
    plan = stage.plan()
    change(stage, ids[who], who)
    stage.run(
        lambda: stage.plans.get(plan.id).state in core_groups.CLOSED_PLANS)
    moved = [server for server, *_ in stage.cloud.live]
    assert [server[0] for server in moved] == [{"a": "b", "b": "a"}[who]]


@pytest.mark.parametrize("changes", [
    {"mode": Mode.REPORT}, {"mode": Mode.OFF}, {"window": OTHER}])
def test_approved_after_its_owner_said_no(make_stage, changes):
    stage = make_stage(repair_approval=True)
    group = stage.group(
        "spread:host", members=crowded("a"), name="a", window=NOON)
    stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    plan = stage.plan()
    stage.store.update(group, by="ann", **changes)
    stage.order(Command.APPROVE)
    stage.run(
        lambda: stage.plans.get(plan.id).state in core_groups.CLOSED_PLANS)
    stage.run_for(60.0)
    assert not stage.cloud.live


def test_a_host_held_dead_is_no_domain_to_fill(stage):
    """Nova alone may take one for down that is back in a moment."""
    engine = stage.engine()
    watcher = around.Watcher(
        engine.watcher._cloud, lambda: {"dc2-r2-h2", "not-in-nova"},
        every_s=5.0, topology_every_s=30.0, clock=stage.time.clock())
    watcher.look()
    here = watcher.known()
    assert here.closed == {"dc2-r2-h2"}
    assert not here.dead_dcs
    eligible = here.domains().eligible(rules.Level.HOST)
    assert "dc2-r2-h2" not in eligible
    assert "dc2-r2-h1" in eligible
