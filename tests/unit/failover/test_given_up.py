# SPDX-License-Identifier: Apache-2.0
"""An operator cancels after the proof: nothing more is moved away."""

from __future__ import annotations

import itertools

import pytest

from tests.unit.failover import scripted_cloud
from tests.unit.failover import stage as stages
from tests.unit.failover.stage import HOST
from tests.unit.failover.stage import Killed
from tests.unit.failover.stage import Mode
from tests.unit.failover.stage import Server
from tests.unit.failover.stage import State
from tests.unit.failover.test_crash import Relay
from tests.unit.failover.test_life import dies
from tests.unit.failover.test_life import states_of
from tests.unit.failover.test_life import told

CANCEL = stages.incidents.Command.CANCEL
#: A life from the cancel to the return has at least so many writes.
WRITES = 8


def cancel_when(stage, engine, state):
    """The operator is as fast as the engine's write of that state."""
    said = []

    def after(number):
        if stage.state() is state and not said:
            said.append(stage.tell(CANCEL))

    engine.journal.after = after


def one_is_sent(stage):
    """A host comes back to life when one of its servers was sent."""
    uuids, engine = dies(stage, 3)
    stage.run(lambda: len(stage.cloud.evacuations) == 1)
    stage.power_on(HOST)
    return uuids, engine


def left(stage):
    """The servers that were given up; each of them is on its host."""
    found = {
        uuid for uuid, record in stage.servers().items()
        if record.reason_code == "given-up"}
    assert all(stage.cloud.servers[uuid].host == HOST for uuid in found)
    return found


def test_a_host_that_lives_again_returns_with_its_servers(make_stage):
    stage = make_stage(concurrency_max=1)
    stage.arm()
    uuids, _ = one_is_sent(stage)
    stage.run_for(20)
    assert "showed life after it was proved off" in stage.waits()
    assert stage.state() is State.EVACUATING
    stage.tell(CANCEL)
    stage.run(stage.is_in(State.RETURN_WAIT), limit_s=3)
    (sent,) = (uuid for uuid, _ in stage.cloud.evacuations)
    assert left(stage) == set(uuids) - {sent}
    records = stage.servers()
    assert records[sent].state is Server.VERIFIED
    for uuid in left(stage):
        assert "cancelled by ann: she knows" in records[uuid].reason
        assert f"stays on {HOST}" in records[uuid].reason
        assert records[uuid].requested_at is None
    stage.cloud.start_compute(HOST)
    stage.run(stage.is_in(State.RETURNED), limit_s=20)
    assert states_of(stage)[-5:] == [
        "evacuating", "verifying", "partial", "return-wait", "returned"]
    assert stage.incident().summary["by_reason"] == {"given-up": 2}
    compute = stage.cloud.computes[HOST]
    assert (compute.forced_down, compute.disabled_reason) == (False, None)
    assert len(stage.cloud.evacuations) == 1
    assert stage.fencer.orders == [HOST]
    # It is a host like any other again.
    stage.kill(HOST)
    stage.run(lambda: len(stage.incidents()) == 2, limit_s=20)
    stage.run(stage.is_in(State.RETURN_WAIT))
    stage.all_went_once(*uuids)


def test_what_is_under_way_is_followed_first(make_stage):
    stage = make_stage(concurrency_max=1)
    stage.arm()
    stage.cloud.takes_s = 30.0
    one_is_sent(stage)
    stage.tell(CANCEL)
    stage.run_for(10)
    assert stage.state() is State.EVACUATING
    assert len(left(stage)) == 2
    assert "cancelled by ann: she knows" in stage.waits()
    assert told(stage, "what is under way is followed") == 1
    stage.run(stage.is_in(State.RETURN_WAIT))
    assert len(stage.cloud.evacuations) == 1
    assert "partial" in states_of(stage)


def test_an_evacuation_that_fails_is_not_tried_again(make_stage):
    stage = make_stage(concurrency_max=1)
    stage.arm()
    stage.cloud.fails = {"s0", "s1", "s2"}
    uuids, _ = one_is_sent(stage)
    stage.tell(CANCEL)
    stage.run(stage.is_in(State.RETURNED))
    assert left(stage) == set(uuids)
    assert len(stage.cloud.evacuations) == 1
    (sent,) = (uuid for uuid, _ in stage.cloud.evacuations)
    assert "try 1 to" in stage.servers()[sent].reason


@pytest.mark.parametrize("fault", [
    scripted_cloud.Fault.LOST, scripted_cloud.Fault.UNKNOWN])
def test_a_request_of_unknown_outcome(make_stage, fault):
    stage = make_stage(concurrency_max=1)
    stage.arm()
    stage.cloud.script = lambda number, name: (
        fault if name == "evacuate" else None)
    dies(stage, 3)
    stage.run(lambda: stage.cloud.count("evacuate") == 1)
    stage.tell(CANCEL)
    stage.power_on(HOST)
    stage.run_for(3)
    assert stage.state() is State.EVACUATING
    stage.run(stage.is_in(State.RETURN_WAIT, State.RETURNED))
    landed = fault is scripted_cloud.Fault.LOST
    assert len(left(stage)) == (2 if landed else 3)
    assert stage.cloud.count("evacuate") == 1


@pytest.mark.parametrize("mode", [Mode.DISARMED, Mode.SHADOW])
def test_it_needs_no_armed_mode_but_the_return_does(make_stage, mode):
    stage = make_stage(concurrency_max=1)
    stage.arm()
    one_is_sent(stage)
    stage.arm(mode)
    stage.tell(CANCEL)
    stage.run(stage.is_in(State.RETURN_WAIT))
    stage.cloud.start_compute(HOST)
    stage.run_for(10)
    assert stage.cloud.computes[HOST].forced_down
    assert f"the mode is {mode.value}" in stage.waits()
    stage.arm()
    stage.run(stage.is_in(State.RETURNED))


def test_cancelled_right_after_the_proof(stage):
    """Nova was told nothing: it closes, and the host is left alone."""
    _, engine = dies(stage)
    cancel_when(stage, engine, State.FENCED)
    stage.run(stage.is_in(State.CANCELLED), limit_s=30)
    stage.run_for(8)
    assert stage.cloud.count("force_down") == 0
    assert stage.cloud.evacuations == []
    assert len(stage.incidents()) == 1
    stage.engines.pop().depose()
    stage.engine("two").lead()
    stage.run_for(8)
    assert len(stage.incidents()) == 1
    stage.power_on(HOST)
    stage.run_for(5)
    stage.kill(HOST)
    stage.run(lambda: len(stage.incidents()) == 2, limit_s=20)


def test_cancelled_after_the_proof_when_nova_was_told_already(stage):
    """Else nobody would ever take force-down back."""
    relay = Relay(stage)
    stages.with_servers(stage, 2)
    relay.start()
    relay.run(lambda: stage.time.now >= 1001.0)
    stage.kill(HOST)
    real = stage.cloud.force_down

    def killed(*args, **kwargs):
        stage.cloud.force_down = real
        real(*args, **kwargs)
        stage.tell(CANCEL)
        raise Killed

    stage.cloud.force_down = killed
    relay.run(stage.is_in(State.RETURN_WAIT))
    assert relay.killed == 1
    assert told(stage, "Nova knows already that the host is down") == 1
    assert left(stage) == {"s0", "s1"}
    assert stage.cloud.evacuations == []
    stage.power_on(HOST)
    relay.run(stage.is_in(State.RETURNED))
    compute = stage.cloud.computes[HOST]
    assert (compute.forced_down, compute.disabled_reason) == (False, None)


def test_cancelled_before_anything_was_sent(stage):
    uuids, engine = dies(stage)
    cancel_when(stage, engine, State.FORCED_DOWN)
    stage.run(stage.is_in(State.RETURN_WAIT))
    assert left(stage) == set(uuids)
    assert stage.cloud.evacuations == []
    stage.run_for(5)
    assert "power the host on" in stage.waits()
    stage.power_on(HOST)
    stage.run(stage.is_in(State.RETURNED))
    assert not stage.cloud.computes[HOST].forced_down


def test_no_new_incident_before_the_host_showed_life(stage):
    """Not even when somebody takes the hand of the first one away."""
    _, engine = dies(stage)
    cancel_when(stage, engine, State.FORCED_DOWN)
    stage.run(stage.is_in(State.RETURN_WAIT))
    compute = stage.cloud.computes[HOST]
    compute.forced_down, compute.disabled_reason = False, None
    stage.run_for(10)
    assert len(stage.incidents()) == 1
    assert stage.state() is State.RETURN_WAIT
    stage.power_on(HOST)
    stage.run_for(1)
    stage.kill(HOST)
    stage.run(lambda: len(stage.incidents()) == 2, limit_s=30)


def test_a_server_that_another_hand_moved_meanwhile(make_stage):
    """Its guest on the old host keeps that from returning."""
    stage = make_stage(concurrency_max=1)
    stage.arm()
    one_is_sent(stage)
    stage.tell(CANCEL)
    stage.run(lambda: left(stage))
    moved = min(left(stage))
    stage.guests[HOST] = left(stage)
    stage.cloud.evacuate(moved, "dc2-r1-h1")
    stage.run_for(20)
    assert stage.state() is State.RETURN_WAIT
    assert f"that Nova places elsewhere: {moved}" in stage.waits()
    assert "Nova to complete evacuations" in stage.waits()
    assert stage.cloud.computes[HOST].forced_down
    stage.guests.clear()
    stage.cloud.start_compute(HOST)
    stage.run(stage.is_in(State.RETURNED))


def live(stage, relay):
    """From the death of a host to a cancel, and to its return."""
    uuids = stages.with_servers(stage, 3)
    relay.start()
    relay.run(lambda: stage.time.now >= 1001.0)
    stage.kill(HOST)
    relay.run(lambda: len(stage.cloud.evacuations) == 1)
    stage.power_on(HOST)
    stage.tell(CANCEL)
    relay.armed = True
    relay.run(stage.is_in(State.RETURN_WAIT, State.RETURNED))
    stage.cloud.start_compute(HOST)
    relay.run(stage.is_in(State.RETURNED))
    assert len(stage.cloud.evacuations) == 1, stage.story()
    (sent,) = (uuid for uuid, _ in stage.cloud.evacuations)
    assert stage.servers()[sent].state is Server.VERIFIED
    assert left(stage) == set(uuids) - {sent}
    assert len(stage.incidents()) == 1
    assert states_of(stage)[-5:] == [
        "evacuating", "verifying", "partial", "return-wait", "returned"]
    assert not stage.cloud.computes[HOST].forced_down
    assert stage.fencer.orders == [HOST]


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_write_after_the_cancel(when, new_stage):
    for nth in itertools.count():
        with new_stage(concurrency_max=1) as stage:
            relay = Relay(stage)
            relay.armed = False
            count = [nth]

            def on_start(engine, relay=relay, count=count):
                def kill(number):
                    if relay.armed:
                        count[0] -= 1
                        if count[0] == -1:
                            raise Killed

                setattr(engine.journal, when, kill)

            relay.on_start = on_start
            live(stage, relay)
        if not relay.killed:
            break
        assert relay.killed == 1
    assert nth >= WRITES
