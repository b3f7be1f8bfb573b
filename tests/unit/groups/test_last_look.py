# SPDX-License-Identifier: Apache-2.0
"""What is said while a step is checked counts before Nova is asked."""

from __future__ import annotations

import pytest

from aacloud.core import groups as core_groups
from aacloud.db import errors as db_errors
from tests.unit.groups.stage import State
from tests.unit.groups.stage import Step

Command = core_groups.PlanCommand

CROWDED = {"s1": "dc1-r1-h1", "s2": "dc1-r1-h1"}
#: The stage's clock begins at noon, UTC.
OPEN = "cron:0 12 * * *;duration=1h;tz=UTC"


def while_checked(stage, happens):
    """Let something happen during the check right before the request.

    The first check is that of the executor, the second one the mover's.
    """
    checks = stage.engines[0].executor._checks
    check = checks.check
    seen = []

    def checked(*args):
        found = check(*args)
        seen.append(found)
        if len(seen) == 2:
            happens()
        return found

    checks.check = checked
    return seen


@pytest.mark.parametrize(("command", "state"), [
    (Command.STOP, State.STOPPED), (Command.PAUSE, State.PAUSED)])
def test_an_order(make_stage, command, state):
    stage = make_stage(max_replans=0)
    stage.group("spread:host", members=CROWDED)
    stage.engine().lead()
    seen = while_checked(stage, lambda: stage.order(command))
    stage.run(stage.plan_is(state))
    stage.run_for(60.0)
    assert len(seen) >= 2
    assert not stage.cloud.live
    assert stage.cloud.count("live_migrate") == 0


def test_limits_do_not_count_a_move_against_itself(make_stage, monkeypatch):
    """The next turn comes while the mover still checks the only move."""
    stage = make_stage(parallel_per_host=1)
    stage.group("spread:host", members={**CROWDED, "s3": "dc1-r1-h1"})
    executor = stage.engine().lead().executor
    told = []

    def another_turn():
        def round_(plan, steps, given, *, blocked):
            told.append(blocked)
            return 1.0

        with monkeypatch.context() as patched:
            patched.setattr(executor, "_round", round_)
            executor.look()

    while_checked(stage, another_turn)
    stage.run(stage.plan_is(State.DONE))
    assert told == [None]
    assert "tried again" not in "".join(stage.story())
    assert len(stage.cloud.live) == 2


@pytest.mark.parametrize("left", [9.0, -1.0])
def test_the_window_is_over(stage, left):
    """A move needs ten seconds and a bit."""
    stage.group("spread:host", members=CROWDED, window=OPEN)
    stage.engine().lead()
    begun = stage.time.now
    seen = while_checked(
        stage, lambda: stage.time.go_to(begun + 3600.0 - left))
    stage.run(lambda: len(seen) >= 2)
    stage.run_for(30.0)
    assert not stage.cloud.live
    assert stage.steps()[0].state is Step.RETRY


def test_a_host_is_being_recovered(stage):
    stage.group("spread:host", members=CROWDED)
    engine = stage.engine().lead()
    while_checked(stage, lambda: engine.held.append("host h9 is recovered"))
    stage.run(lambda: stage.all_plans() and "h9" in (
        stage.plan().waiting or ""))
    assert not stage.cloud.live
    engine.held.clear()
    stage.run(stage.plan_is(State.DONE))
    assert len(stage.cloud.live) == 1


def test_the_database_is_away(stage):
    """Without it nobody knows whether the plan was stopped."""
    stage.group("spread:host", members=CROWDED)
    engine = stage.engine().lead()
    get = engine.plans.get

    def away(plan_id):
        engine.plans.get = get
        raise db_errors.JournalUnavailable("plan", "gone", unknown=False)

    def happens():
        assert not stage.cloud.live
        engine.plans.get = away

    seen = while_checked(stage, happens)
    stage.run(stage.plan_is(State.DONE))
    assert len(seen) > 2
    assert len(stage.cloud.live) == 1
