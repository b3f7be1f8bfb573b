# SPDX-License-Identifier: Apache-2.0
"""A repair of all groups together, whose windows are not the same."""

from __future__ import annotations

import pytest

from aacloud.rpc import groups as rpc_groups
from aacloud.rpc import groups_server
from tests.unit.groups.stage import State

#: The stage's clock begins at noon, UTC.
CLOSED = "cron:0 3 * * *;duration=2h;tz=UTC"
LATER = "cron:0 5 * * *;duration=2h;tz=UTC"


def crowd(name, host, count=2):
    return {f"{name}{number}": host for number in range(count)}


def ask(engine, dry_run=False, group=None):
    return engine.answers.repair(
        groups_server.RepairQuestion(group, dry_run, "ann", "p"), 20.0)


@pytest.fixture
def stage(make_stage):
    return make_stage(repair_approval=True)


@pytest.fixture
def groups(stage):
    """Group -> its window; that of two of them is closed for long."""
    found = {
        stage.group("spread:host", members=crowd(name, host), name=name,
                    window=window): window
        for name, host, window in (
            ("a", "dc1-r1-h1", None), ("b", "dc1-r2-h1", CLOSED),
            ("c", "dc2-r1-h1", CLOSED), ("d", "dc2-r2-h1", LATER))}
    # More groups than in any other window, but none is broken.
    for number in range(4):
        stage.group("spread:host", members={f"x{number}": "dc1-r1-h2"},
                    name=f"x{number}", window=LATER)
    return found


def names(plan):
    return sorted(step.server[0] for step in plan.steps)


def test_a_dry_run_is_free_of_windows(stage, groups):
    engine = stage.engine().lead()
    engine.held.append("a host is being recovered")
    plan = ask(engine, dry_run=True)
    assert names(plan) == ["a", "b", "c", "d"]
    assert (plan.excess_after, plan.left) == (0, ())
    # It can only be looked at.
    assert plan.id is None
    assert not stage.all_plans()


def test_a_dry_run_of_one_window_is_a_draft(stage):
    stage.group("spread:host", members=crowd("a", "dc1-r1-h1"), name="a",
                window=CLOSED)
    stage.group("spread:host", members=crowd("b", "dc1-r2-h1"), name="b",
                window=CLOSED)
    plan = ask(stage.engine().lead(), dry_run=True)
    assert stage.plans.get(plan.id).state is State.DRAFT
    assert stage.plans.get(plan.id).window == CLOSED


def test_a_plan_for_each_window_most_broken_groups_first(stage, groups):
    engine = stage.engine().lead()
    a, b, c, d = groups
    first = ask(engine)
    assert set(stage.plans.get(first.id).groups) == {b, c}
    assert stage.plans.get(first.id).window == CLOSED
    assert names(first) == ["b", "c"]
    assert {left.group_id for left in first.left} == {a, d}
    assert all(left.rule == "spread:host:max=1" for left in first.left)
    assert "another window" in first.left[0].reason
    others = [ask(engine), ask(engine)]
    assert sorted(names(plan) for plan in others) == [["a"], ["d"]]
    for plan in (first, *others):
        stored = stage.plans.get(plan.id)
        assert stored.state is State.AWAITING_APPROVAL
        assert {groups.get(one, LATER) for one in stored.groups} == {
            stored.window}
    # Nothing of it counts as left, or it would be planned anew for that.
    assert not stage.plans.get(first.id).summary["left"]
    with pytest.raises(rpc_groups.EngineRefused, match="live repair plan"):
        ask(engine)


def test_a_window_of_which_nothing_can_be_mended_is_passed_over(stage):
    for name in "ab":
        stage.group("fence:host:domains=dc1-r1-h2", name=name,
                    members={f"{name}0": "dc1-r1-h1"}, window=CLOSED)
    stage.cloud.room["dc1-r1-h2"] = 0
    other = stage.group(
        "spread:host", members=crowd("c", "dc2-r1-h1"), name="c")
    plan = ask(stage.engine().lead())
    assert stage.plans.get(plan.id).groups == (other,)
    assert {left.rule for left in plan.left} == {
        "fence:host:domains=dc1-r1-h2"}


def test_what_nobody_approved_of_that_window_gives_way(stage, groups):
    engine = stage.engine().lead()
    stage.run(lambda: len(stage.all_plans()) == 3)
    own = {plan.window: plan.id for plan in stage.all_plans()}
    asked = ask(engine)
    assert stage.plans.get(asked.id).window == CLOSED
    assert stage.plans.get(own[CLOSED]).state is State.EXPIRED
    for window in (None, LATER):
        assert stage.plans.get(
            own[window]).state is State.AWAITING_APPROVAL


def test_there_is_no_group(stage):
    plan = ask(stage.engine().lead())
    assert plan.steps == ()
    assert stage.plans.get(plan.id).state is State.DRAFT
