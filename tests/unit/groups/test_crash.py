# SPDX-License-Identifier: Apache-2.0
"""The engine dies at any moment; another one goes on from the journal.

Whatever the moment: the groups are mended, no server is moved twice, and
nothing is left under way.
"""

from __future__ import annotations

import itertools

import pytest

from aacloud.core import groups as core_groups
from aacloud.db import errors as db_errors
from tests.unit.groups import scripted_cloud
from tests.unit.groups.stage import Killed
from tests.unit.groups.stage import State
from tests.unit.groups.stage import Step

#: Every such write has a run of its own; the runs are dealt out to tests.
STEP = 4
#: A whole repair has at least so many writes to the journal.
WRITES = 8

MEMBERS = {
    "s1": "dc1-r1-h1", "s2": "dc1-r1-h1", "s3": "dc1-r1-h1"}


class Relay:
    """Engines that come one after the other, as each is killed."""

    def __init__(self, stage):
        self.stage = stage
        self.names = (f"engine-{number}" for number in itertools.count())
        self.on_start = lambda engine: None
        self.killed = 0

    def start(self):
        self.stage.engines.clear()
        engine = self.stage.engine(next(self.names)).lead()
        self.on_start(engine)

    def run(self, until):
        while True:
            try:
                self.stage.run(until)
                return
            except Killed:
                self.killed += 1
                # Nothing of it is left; the next one starts, and sees.
                self.stage.time.go_by(1.0)
                self.start()


def live(stage, relay):
    """From a broken group to one that is kept."""
    group = stage.group("spread:host", members=MEMBERS)
    relay.start()
    relay.run(lambda: (
        stage.is_(group, "compliant")() and not stage.plans.live()))
    moved = [server for server, _from, _to in stage.cloud.live]
    assert len(moved) == len(set(moved)) == 2, stage.story()
    assert not any(row.unfinished for row in stage.cloud.rows)
    for plan in stage.all_plans():
        assert plan.state in core_groups.CLOSED_PLANS
        numbers = [event.id for event in stage.plans.events(plan.id)]
        assert numbers == list(range(1, len(numbers) + 1))
    done = [
        step for plan in stage.all_plans()
        for step in stage.plans.steps(plan.id)
        if step.state is Step.VERIFIED]
    assert len(done) == 2, stage.story()


def die(*_):
    raise Killed


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("first", range(STEP))
def test_killed_at_a_write(first, moment, new_stage):
    for nth in itertools.count(first, STEP):
        with new_stage() as stage:
            relay = Relay(stage)

            def at(number, relay=relay, nth=nth):
                if not relay.killed and number == nth:
                    die()

            relay.on_start = lambda engine, at=at: setattr(
                engine.plans, moment, at)
            live(stage, relay)
            if not relay.killed:
                assert nth >= WRITES
                return


@pytest.mark.parametrize("first", range(2))
def test_killed_at_a_call_to_nova_that_was_taken(first, new_stage):
    """It dies with the answer on its way; so it never learned of it."""
    for nth in itertools.count(first, 2):
        with new_stage() as stage:
            relay = Relay(stage)
            taken = itertools.count()
            order = stage.cloud._take_live

            def take(
                uuid, host, *, order=order, relay=relay, nth=nth, taken=taken
            ):
                request = order(uuid, host)
                if not relay.killed and next(taken) == nth:
                    die()
                return request

            stage.cloud._take_live = take
            live(stage, relay)
            if not relay.killed:
                assert nth >= 2
                return


def test_killed_again_and_again(new_stage):
    """Each engine lives for three writes."""
    with new_stage(plan_lifetime=3600.0) as stage:
        relay = Relay(stage)

        def on_start(engine):
            def after(number):
                if number >= 2 and relay.killed < 20:
                    die()

            engine.plans.after = after

        relay.on_start = on_start
        live(stage, relay)
        assert relay.killed > 3


def test_a_replaced_leader_moves_nothing(new_stage):
    """Its lease still says yes; the epoch does not."""
    with new_stage() as stage:
        group = stage.group("spread:host", members=MEMBERS)
        old = stage.engine("old").lead()
        stage.run(stage.plan_is(State.RUNNING))
        stage.engine("new").lead()
        # As after a pause: it does not know yet.
        old.lease.leads, old.term.epoch = True, 1
        stage.run(stage.is_(group, "compliant"))
        moved = [server for server, _from, _to in stage.cloud.live]
        assert len(moved) == len(set(moved)) == 2
        with pytest.raises(db_errors.StaleJournal):
            old.plans.advance(
                stage.plan(), State.RUNNING, event_text="no", waiting="x")


@pytest.mark.parametrize("fault", list(scripted_cloud.Fault))
@pytest.mark.parametrize("nth", range(3))
def test_a_call_that_goes_wrong(fault, nth, new_stage):
    """One of the orders gets lost, refused, or takes long."""
    with new_stage(abort_failures=9) as stage:
        group = stage.group("spread:host", members=MEMBERS)
        orders = itertools.count()

        def script(number, name):
            if name == "live_migrate" and next(orders) == nth:
                return fault
            return None

        stage.cloud.script = script
        stage.engine().lead()
        stage.run(lambda: (
            stage.is_(group, "compliant")() and not stage.plans.live()))
        moved = [server for server, _from, _to in stage.cloud.live]
        assert len(moved) == len(set(moved)) == 2, stage.story()
