# SPDX-License-Identifier: Apache-2.0
"""Dry runs are free for who asks; they leave no heap behind."""

from __future__ import annotations

from concurrent import futures
import datetime
import threading

import pytest

from aacloud.core import groups as core_groups
from aacloud.rpc import groups as rpc_groups
from aacloud.rpc import groups_server
from tests.unit.groups.stage import Mode
from tests.unit.groups.stage import State

Command = core_groups.PlanCommand

PAIR = {"s1": "dc1-r1-h1", "s2": "dc1-r1-h1"}


def ask(engine, group, by="ann", project="p", dry_run=True):
    return engine.answers.repair(
        groups_server.RepairQuestion(group, dry_run, by, project), 20.0)


def test_a_new_one_takes_the_place_of_the_older(stage):
    engine = stage.engine().lead()
    group = stage.group("spread:host", members=PAIR, mode=Mode.REPORT)
    ids = [ask(engine, group).id for _ in range(3)]
    assert [plan.id for plan in stage.all_plans()] == ids[-1:]
    other = ask(engine, group, by="joe").id
    assert {plan.id for plan in stage.all_plans()} == {ids[-1], other}
    stage.plans.order(ids[-1], Command.APPROVE, by="ann", reason="")
    ask(engine, group)
    stage.run(lambda: stage.plans.get(ids[-1]).state is State.DONE)
    assert len(stage.cloud.live) == 1


def test_one_at_a_time_for_a_project(stage):
    engine = stage.engine().lead()
    group = stage.group("spread:host", members=PAIR, mode=Mode.REPORT)
    begun, go_on = threading.Event(), threading.Event()
    solve = engine.repairer.solve

    def slow(*args):
        begun.set()
        assert go_on.wait(20.0)
        return solve(*args)

    engine.repairer.solve = slow
    with futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, engine, group)
        try:
            assert begun.wait(20.0)
            engine.repairer.solve = solve
            with pytest.raises(rpc_groups.EngineRefused, match="dry run"):
                ask(engine, group, by="joe")
            # Another project, and who wants it done, need not wait.
            assert ask(engine, group, project="q").id
            assert ask(engine, group, by="eve", dry_run=False).id
        finally:
            go_on.set()
        assert first.result().id
    assert ask(engine, group).id


def test_one_that_failed_is_over(stage):
    engine = stage.engine().lead()
    group = stage.group("spread:host", members=PAIR, mode=Mode.REPORT)
    whole = engine.reader.whole
    engine.reader.whole = None
    with pytest.raises(TypeError):
        ask(engine, group)
    engine.reader.whole = whole
    assert ask(engine, group).id


def test_old_plans_are_thrown_away_by_the_leader(make_stage):
    stage = make_stage(plan_retention=172800.0)
    group = stage.group("spread:host", members=PAIR)
    stage.engine().lead()
    stage.run(stage.is_(group, "compliant"))
    stage.run(stage.plan_is(State.DONE))
    stage.run_for(10.0)
    (plan,) = stage.all_plans()
    stage.time.go_by(172800.0 - 60.0)
    stage.run_for(10.0)
    assert stage.all_plans() == [plan]
    stage.time.go_by(3700.0)
    stage.run(lambda: not stage.all_plans())
    assert stage.plans.steps(plan.id) == ()
    assert plan.closed_at < stage.time.utcnow() - datetime.timedelta(days=2)
