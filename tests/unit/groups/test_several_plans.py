# SPDX-License-Identifier: Apache-2.0
"""A plan that waits is in nobody's way, and plans share what is limited."""

from __future__ import annotations

import dataclasses

import pytest

from aacloud.core import groups as core_groups
from aacloud.rpc import groups as rpc_groups
from aacloud.rpc import groups_server
from tests.unit.groups.stage import Mode
from tests.unit.groups.stage import State

Command = core_groups.PlanCommand

#: The stage's clock begins at noon, UTC.
CLOSED = "cron:0 3 * * *;duration=2h;tz=UTC"
LATER = "cron:0 5 * * *;duration=2h;tz=UTC"


def crowd(name, host, count=2):
    return {f"{name}{number}": host for number in range(count)}


def by_groups(stage):
    """Group -> its plans, the oldest first."""
    found: dict[str, list] = {}
    for plan in stage.all_plans():
        for group in plan.groups:
            found.setdefault(group, []).append(plan)
    return found


def order(stage, plan, command):
    stage.plans.order(plan.id, command, by="ann", reason="she knows")


def approve_all(stage):
    for plan in stage.all_plans():
        if plan.state is State.AWAITING_APPROVAL and not plan.orders:
            order(stage, plan, Command.APPROVE)


def most_in_flight(stage):
    """Begin to count the moves in flight."""
    counts = [0]
    take = stage.cloud._take_live

    def counted(uuid, host):
        request = take(uuid, host)
        counts.append(sum(row.unfinished for row in stage.cloud.rows))
        return request

    stage.cloud._take_live = counted
    return counts


@pytest.mark.parametrize("told", [True, False], ids=["approved", "waiting"])
def test_a_plan_for_a_window_that_is_closed(make_stage, told):
    stage = make_stage(repair_approval=True)
    late = stage.group("spread:host", members=crowd("a", "dc1-r1-h1"),
                       name="a", window=CLOSED)
    stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    if told:
        approve_all(stage)
        stage.run(stage.plan_is(State.APPROVED))
    soon = stage.group("spread:host", members=crowd("b", "dc1-r1-h1"),
                       name="b")
    stage.run(lambda: soon in by_groups(stage))
    order(stage, by_groups(stage)[soon][0], Command.APPROVE)
    stage.run(stage.is_(soon, "compliant"))
    assert stage.state(late) == "violating"
    (plan,) = by_groups(stage)[late]
    assert plan.state is (
        State.APPROVED if told else State.AWAITING_APPROVAL)
    assert {server[0] for server, *_ in stage.cloud.live} == {"b"}


def test_a_paused_plan(make_stage):
    stage = make_stage(parallel_total=1)
    stage.group("spread:host", members=crowd("a", "dc1-r1-h1", 4), name="a")
    stage.engine().lead()
    stage.run(lambda: stage.cloud.live)
    stage.order(Command.PAUSE)
    stage.run(stage.plan_is(State.PAUSED))
    paused = stage.plan()
    other = stage.group(
        "spread:host", members=crowd("b", "dc2-r1-h1"), name="b")
    stage.run(stage.is_(other, "compliant"))
    assert stage.plans.get(paused.id).state is State.PAUSED
    order(stage, paused, Command.RESUME)
    stage.run(lambda: not stage.plans.live())
    servers = [server for server, *_ in stage.cloud.live]
    assert len(servers) == len(set(servers)) == 4
    assert len(stage.all_plans()) == 2


def test_a_window_of_which_nothing_can_be_mended(stage):
    """The one that closes first has the first turn, not the only one."""
    stuck = stage.group(
        "fence:host:domains=dc1-r1-h2", name="a",
        members={"a0": "dc1-r1-h1"},
        window="cron:0 12 * * *;duration=1h;tz=UTC")
    stage.cloud.room["dc1-r1-h2"] = 0
    other = stage.group(
        "spread:host", members=crowd("b", "dc2-r1-h1"), name="b")
    stage.engine().lead()
    stage.run(stage.is_(other, "compliant"))
    assert stage.state(stuck) != "compliant"


def test_a_group_that_may_not_be_planned_again(make_stage):
    """It has used up its plans; the others have not."""
    stage = make_stage(max_replans=0)
    stuck = stage.group(
        "spread:host", members=crowd("a", "dc1-r1-h1"), name="a")
    stage.cloud.fails.update(("a0", "a1"))
    stage.engine().lead()
    stage.run(stage.plan_is(State.DONE))
    other = stage.group(
        "spread:host", members=crowd("b", "dc2-r1-h1"), name="b")
    stage.run(stage.is_(other, "compliant"))
    stage.run_for(60.0)
    assert len(by_groups(stage)[stuck]) == 1


def two_plans(stage, *counts, room=None):
    """Approve two plans at once; begin to count their moves."""
    groups = []
    stage.engine().lead()
    stage.cloud.room.update(room or {})
    for name, host, count in zip(
        "ab", ("dc1-r1-h1", "dc2-r2-h1"), counts, strict=True
    ):
        groups.append(stage.group(
            "spread:host", members=crowd(name, host, count), name=name))
        stage.run(lambda: groups[-1] in by_groups(stage))
    assert len(stage.all_plans()) == 2
    found = most_in_flight(stage)
    approve_all(stage)
    return groups, found


@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_limit_of_moves_in_flight_is_one_for_all(make_stage, total):
    stage = make_stage(
        repair_approval=True, parallel_total=total, parallel_per_host=3,
        parallel_per_rack=9, parallel_inter_dc=9)
    groups, found = two_plans(stage, 4, 4)
    stage.run(lambda: not stage.plans.live())
    for group in groups:
        stage.run(stage.is_(group, "compliant"))
    assert max(found) == total
    first = [server[0] for server, *_ in stage.cloud.live]
    assert set(first) == {"a", "b"}


def test_the_cap_of_a_window_is_one_for_all(make_stage):
    stage = make_stage(repair_approval=True, max_moves_per_window=3)
    two_plans(stage, 4, 4)
    stage.run(lambda: len(stage.cloud.live) == 3)
    stage.run_for(300.0)
    assert len(stage.cloud.live) == 3


def test_room_that_two_plans_want_is_given_once(make_stage):
    """Each plan was made when the host was free; it has room for one."""
    stage = make_stage(
        repair_approval=True, parallel_per_host=4, parallel_per_rack=9,
        parallel_inter_dc=9, max_replans=9)
    room = dict.fromkeys(stage.topology.hosts, 0)
    groups, _ = two_plans(stage, 2, 2, room={**room, "dc1-r2-h2": 1})
    assert {
        step.destination for plan in stage.all_plans()
        for step in stage.plans.steps(plan.id)} == {"dc1-r2-h2"}
    stage.run(lambda: not any(
        plan.state is State.APPROVED for plan in stage.all_plans()))
    stage.run_for(60.0)
    assert len(stage.cloud.live) == 1
    assert stage.cloud.count("live_migrate") == 1
    assert sorted(stage.state(group) for group in groups) == [
        "compliant", "violating"]


def test_a_rule_that_two_plans_touch_is_not_made_worse(make_stage):
    """A group over both of theirs lets one server into each rack."""
    stage = make_stage(
        repair_approval=True, parallel_per_host=4, parallel_per_rack=9,
        parallel_inter_dc=9)
    room = dict.fromkeys(stage.topology.hosts, 0)
    both = stage.group(
        "spread:rack:max=1", mode=Mode.ENFORCE, name="both",
        members={"a1": "dc1-r1-h1", "b1": "dc2-r2-h1"})
    stage.cloud.born("a0", "dc1-r1-h1", locked=True)
    stage.cloud.born("b0", "dc2-r2-h1", locked=True)
    two_plans(stage, 2, 2, room={
        **room, "dc1-r2-h1": 1, "dc1-r2-h2": 1})
    stage.run(lambda: stage.cloud.live)
    stage.run_for(120.0)
    assert stage.state(both) == "compliant"
    assert len(stage.cloud.live) == 1


@pytest.mark.parametrize(("rooms", "rule", "says"), [
    ((1, 0), "spread:host", "no room"),
    ((2, 0), "spread:rack:max=1", "worse"),
])
def test_what_nova_does_not_show_yet_of_another_plan(
    make_stage, rooms, rule, says
):
    stage = make_stage(repair_approval=True)
    stage.group(rule, mode=Mode.ENFORCE, name="both", members={
        "a1": "dc1-r1-h1", "b1": "dc2-r2-h1"})
    for name, host in (("a0", "dc1-r1-h1"), ("b0", "dc2-r2-h1")):
        stage.cloud.born(name, host, locked=True)
    two_plans(stage, 2, 2, room={
        **dict.fromkeys(stage.topology.hosts, 0),
        "dc1-r2-h1": rooms[0], "dc1-r2-h2": rooms[1]})
    one, other = stage.all_plans()
    (step,), (claimed,) = stage.plans.steps(one.id), stage.plans.steps(
        other.id)
    sent = dataclasses.replace(
        claimed, state=core_groups.StepState.REQUESTED)
    check = stage.engines[0].executor._checks.check
    assert check(one, [step], [step], []).right == (step,)
    found = check(one, [step], [step], [sent])
    assert not found.right
    assert not found.refused
    assert says in found.not_yet[1]


def test_what_a_plan_is_to_move_is_left_to_it(make_stage):
    """b0 is to go by the plan for later; the other group moves b1."""
    stage = make_stage(repair_approval=True)
    stage.cloud.born("x", "dc1-r1-h1", locked=True)
    late = stage.group("spread:host", name="late", window=CLOSED,
                       members={"x": "dc1-r1-h1", "b0": "dc1-r1-h1"})
    stage.engine().lead()
    stage.run(lambda: late in by_groups(stage))
    assert [step.server for step in stage.steps()] == ["b0"]
    soon = stage.group("spread:host", members=crowd("b", "dc1-r1-h1"),
                       name="soon")
    stage.run(lambda: soon in by_groups(stage))
    assert [step.server for step in stage.steps()] == ["b1"]


def question(group, dry_run=False):
    return groups_server.RepairQuestion(group, dry_run, "ann", "p")


class TestAsked:
    @pytest.fixture
    def waiting(self, make_stage):
        """A stage with an engine's plan for two groups, unapproved."""
        stage = make_stage(repair_approval=True)
        self.groups = [
            stage.group("spread:host", members=crowd(name, host), name=name)
            for name, host in (("a", "dc1-r1-h1"), ("b", "dc2-r1-h1"))]
        self.engine = stage.engine().lead()
        stage.run(stage.plan_is(State.AWAITING_APPROVAL))
        return stage

    def test_what_nobody_approved_gives_way(self, waiting):
        first = waiting.plan()
        one, other = self.groups
        asked = self.engine.answers.repair(question(one), 20.0)
        assert waiting.plans.get(first.id).state is State.EXPIRED
        assert waiting.plans.get(asked.id).groups == (one,)
        waiting.run(lambda: len(by_groups(waiting)[other]) == 2)
        assert by_groups(waiting)[other][-1].groups == (other,)

    def test_what_was_approved_does_not(self, waiting):
        first = waiting.plan()
        self.engine.held.append("a host is being recovered")
        approve_all(waiting)
        waiting.run(waiting.plan_is(State.APPROVED))
        for group in (self.groups[0], None):
            with pytest.raises(rpc_groups.EngineRefused, match=first.id):
                self.engine.answers.repair(question(group), 20.0)
        third = waiting.group(
            "spread:host", members=crowd("c", "dc1-r2-h1"), name="c")
        asked = self.engine.answers.repair(question(None), 20.0)
        assert waiting.plans.get(asked.id).groups == (third,)

    def test_a_draft_of_the_same_group_waits(self, waiting):
        draft = self.engine.answers.repair(
            question(self.groups[0], dry_run=True), 20.0)
        first = waiting.all_plans()[0]
        assert first.state is State.AWAITING_APPROVAL
        self.engine.held.append("a host is being recovered")
        order(waiting, first, Command.APPROVE)
        order(waiting, waiting.plans.get(draft.id), Command.APPROVE)
        waiting.run(lambda: waiting.plans.get(draft.id).waiting)
        assert first.id in waiting.plans.get(draft.id).waiting
        assert waiting.plans.get(draft.id).state is State.DRAFT


def test_another_window_is_another_plan(make_stage):
    """The plan for the old window leaves the group alone from now on."""
    stage = make_stage(repair_approval=True)
    group = stage.group("spread:host", members=crowd("a", "dc1-r1-h1"),
                        name="a", window=CLOSED)
    stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    approve_all(stage)
    stage.run(stage.plan_is(State.APPROVED))
    stage.store.update(group, by="ann", window=LATER)
    stage.run(lambda: len(stage.all_plans()) == 2)
    assert stage.plan().window == LATER


def test_a_plan_whose_window_was_changed_is_made_anew(make_stage):
    stage = make_stage(repair_approval=True)
    group = stage.group("spread:host", members=crowd("a", "dc1-r1-h1"),
                        name="a", window=CLOSED)
    stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    first = stage.plan()
    stage.store.update(group, by="ann", window=LATER)
    stage.run(lambda: len(stage.all_plans()) == 2)
    assert stage.plans.get(first.id).state is State.EXPIRED
