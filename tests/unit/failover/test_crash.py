# SPDX-License-Identifier: Apache-2.0
"""The engine dies at any moment; another one goes on from the journal.

Whatever the moment: every server ends on another host, evacuated once, the
host returns, and the story has each state once.
"""

from __future__ import annotations

import itertools

import pytest

from tests.unit.failover import stage as stages
from tests.unit.failover.stage import HOST
from tests.unit.failover.stage import Killed
from tests.unit.failover.stage import State

#: Every third write has a run of its own; the runs are dealt out to two
#: tests. All writes are tried in one run, further below.
STEP = 6
#: A whole life has at least so many writes to the journal.
WRITES = 18


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
    """From the death of a host with two servers to its return."""
    uuids = stages.with_servers(stage, 2)
    relay.start()
    relay.run(lambda: stage.time.now >= 1001.0)
    stage.kill(HOST)
    relay.run(stage.is_in(State.RETURN_WAIT, State.RETURNED))
    stage.power_on(HOST)
    relay.run(stage.is_in(State.RETURNED))
    stage.all_went_once(*uuids)
    assert len(stage.incidents()) == 1
    records = stage.servers().values()
    assert {record.state.value for record in records} == {"verified"}
    assert not stage.cloud.computes[HOST].forced_down
    assert stage.cloud.computes[HOST].disabled_reason is None
    reached = [
        event.detail["to"] for event in stage.events()
        if event.kind == "state"]
    assert reached == [
        "detected", "admitted", "planned", "fencing", "fenced",
        "forced-down", "evacuating", "verifying", "done", "return-wait",
        "returned"], stage.story()
    numbers = [event.id for event in stage.events()]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("first", [0, 3])
def test_killed_after_a_write(first, new_stage):
    for nth in itertools.count(first, STEP):
        with new_stage() as stage:
            relay = Relay(stage)
            left = [nth]

            def on_start(engine, left=left):
                def after(number):
                    left[0] -= 1
                    if left[0] == -1:
                        raise Killed

                engine.journal.after = after

            relay.on_start = on_start
            live(stage, relay)
        if not relay.killed:
            break
        assert relay.killed == 1
    assert nth >= WRITES


@pytest.mark.parametrize("when", ["before", "after"])
def test_each_engine_dies_with_its_first_write(when, new_stage):
    """``before``: a write is refused by death, and made by the next one."""
    with new_stage() as stage:
        relay = Relay(stage)
        tried = set()

        def kill_once(number):
            # The same write by the next engine passes: one that always dies
            # between an intent and its call never makes the call.
            place = (stage.state(), *(
                sorted((r.server, r.state) for r in stage.servers().values())
                if stage.incidents() else ()))
            if place not in tried:
                tried.add(place)
                raise Killed

        def on_start(engine):
            setattr(engine.journal, when, kill_once)

        relay.on_start = on_start
        live(stage, relay)
    assert relay.killed >= 12


@pytest.mark.parametrize("name", ["force_down", "evacuate", "enable"])
@pytest.mark.parametrize("effect", [True, False])
def test_killed_in_a_call_to_nova(name, effect, new_stage):
    """With and without the call having reached Nova."""
    with new_stage() as stage:
        relay = Relay(stage)
        seen = []
        real = getattr(stage.cloud, name)

        def call(*args, **kwargs):
            if seen:
                return real(*args, **kwargs)
            seen.append(args)
            if effect:
                real(*args, **kwargs)
            raise Killed

        setattr(stage.cloud, name, call)
        live(stage, relay)
    assert relay.killed == 1


@pytest.mark.parametrize("name", ["status", "fence"])
def test_killed_while_it_fences(name, new_stage):
    with new_stage() as stage:
        relay = Relay(stage)

        def once(call):
            stage.fencer.hook = lambda call: None
            raise Killed

        if name == "fence":
            stage.fencer.hook = once
        else:
            stage.fencer.before_order = once_host(stage)
        live(stage, relay)
    assert relay.killed == 1
    assert stage.fencer.orders == [HOST]


def once_host(stage):
    def once(host):
        stage.fencer.before_order = lambda host: None
        raise Killed

    return once
