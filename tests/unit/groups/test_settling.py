# SPDX-License-Identifier: Apache-2.0
"""No plan is made for a group while somebody is changing it."""

from __future__ import annotations

import pytest

from aacloud.groups import settling
from aacloud.rpc import groups_server

HERE = "dc1-r1-h1"
SETTLE_S = 10.0


@pytest.fixture
def stage(make_stage):
    stage = make_stage(
        settle_time=SETTLE_S, inspect_interval=60.0, reconcile_interval=300.0,
        repair_approval=True)
    stage.engine().lead()
    stage.run_for(5.0)
    return stage


def add(stage, group, *servers):
    for server in servers:
        stage.cloud.born(server, HERE)
    stage.store.add_members(group, dict.fromkeys(servers, "p"), by="ann")


def test_several_joins_lead_to_one_plan(stage):
    group = stage.group("spread:host", members={"s1": HERE})
    begun = stage.time.now
    for server in ("s2", "s3", "s4"):
        add(stage, group, server)
        stage.engines[0].inspector.recheck([group])
        stage.run_for(SETTLE_S - 2.0)
        assert stage.all_plans() == []
    # Soon after it is at rest, not at the next inspection of all.
    stage.run(stage.all_plans, SETTLE_S)
    assert stage.time.now < begun + 60.0
    (plan,) = stage.all_plans()
    assert len(stage.steps()) == 3
    stage.run_for(120.0)
    assert [one.id for one in stage.all_plans()] == [plan.id]


def test_others_are_not_kept_waiting(stage):
    stage.group("spread:host", members={"a1": HERE, "a2": HERE}, name="a")
    stage.run_for(SETTLE_S - 1.0)
    restless = stage.group("spread:host", members={"b1": HERE}, name="b")
    add(stage, restless, "b2")
    stage.engines[0].keeper.take_over()
    stage.run(stage.all_plans, SETTLE_S - 1.0)
    assert restless not in stage.plan().groups


def test_who_asks_is_answered_at_once(stage):
    group = stage.group("spread:host", members={"s1": HERE, "s2": HERE})
    stage.engines[0].answers.repair(
        groups_server.RepairQuestion(group, False, "ann", "p"), 20.0)
    assert len(stage.steps()) == 1


def test_a_group_that_never_rests(stage):
    group = stage.group("spread:host", members={"s1": HERE, "s2": HERE})
    for number in range(settling.MOST_TIMES):
        stage.run_for(SETTLE_S - 2.0)
        stage.store.update(group, by="ann", name=f"web-{number}")
    assert stage.all_plans() == []
    stage.run(stage.all_plans, 3 * SETTLE_S + 60.0)


def test_what_was_changed_before_it_began_is_at_rest(make_stage):
    stage = make_stage(settle_time=600.0)
    stage.group("spread:host", members={"s1": HERE, "s2": HERE})
    stage.engine().lead()
    stage.run(stage.all_plans, 30.0)


def test_no_time_to_settle(make_stage):
    stage = make_stage(settle_time=0.0)
    stage.engine().lead()
    stage.run_for(5.0)
    stage.group("spread:host", members={"s1": HERE, "s2": HERE})
    stage.run(stage.all_plans, 8.0)


def test_a_deleted_group_is_forgotten(stage):
    group = stage.group("spread:host", members={"s1": HERE, "s2": HERE})
    stage.run_for(3.0)
    follower = stage.engines[0].keeper._settling
    assert follower.restless([group, "x"]) == {group}
    stage.store.delete(group, by="ann")
    stage.run_for(2.0)
    assert not follower.restless([group])
