# SPDX-License-Identifier: Apache-2.0
"""The life of an incident, from the death of a host to its return."""

from __future__ import annotations

import pytest

from tests.unit.failover import stage as stages
from tests.unit.failover.stage import HOST
from tests.unit.failover.stage import Mode
from tests.unit.failover.stage import State


def states_of(stage, host=HOST):
    """The states that its newest incident went through."""
    return [
        event.detail["to"] for event in stage.events(host)
        if event.kind == "state"]


def told(stage, text):
    """How often its story says so."""
    return sum(text in event.text for event in stage.events())


def dies(stage, servers=2, engine=True):
    """Let a host with servers die under the eyes of an engine."""
    uuids = stages.with_servers(stage, servers)
    made = stage.engine().lead() if engine else None
    stage.run_for(1)
    stage.kill(HOST)
    return uuids, made


def test_a_host_dies_and_comes_back(stage):
    uuids, engine = dies(stage, 6)
    stage.run(stage.is_in(State.RETURN_WAIT))
    stage.all_went_once(*uuids)
    assert stage.fencer.orders == [HOST]
    incident = stage.incident()
    compute = stage.cloud.computes[HOST]
    assert compute.forced_down
    assert compute.disabled_reason == f"aacloud incident {incident.id}"
    assert f"req-{incident.id}" in stage.cloud.bound_to
    records = stage.servers().values()
    assert {record.state.value for record in records} == {"verified"}
    assert incident.summary["downtime_max_s"] < 15
    assert incident.summary["steps"]["fenced"] < 10
    stage.run_for(5)
    assert "power the host on" in stage.waits()
    stage.power_on(HOST)
    stage.run(stage.is_in(State.RETURNED))
    assert not compute.forced_down
    assert compute.disabled_reason is None
    assert states_of(stage) == [
        "detected", "admitted", "planned", "fencing", "fenced",
        "forced-down", "evacuating", "verifying", "done", "return-wait",
        "returned"]
    shown = engine.notes.states()
    assert [s.value for s in dict.fromkeys(shown)] == states_of(stage)
    stage.run_for(2)
    assert len(stage.incidents()) == 1
    assert not engine.workers


def test_nothing_happens_to_a_cloud_that_is_well(stage):
    stages.with_servers(stage, 2)
    engine = stage.engine().lead()
    stage.run_for(20)
    assert stage.incidents() == []
    assert not stage.fencer.reads
    assert not engine.workers
    names = {call[0] for call in stage.cloud.calls}
    assert names == {"services", "aggregates"}


def test_the_order_of_what_is_done_outside(stage):
    dies(stage)
    stage.fencer.hook = lambda name: stage.cloud.calls.append((name,))
    stage.run(stage.is_in(State.RETURN_WAIT))
    done = [
        call[0] for call in stage.cloud.calls
        if call[0] in ("fence", "force_down", "evacuate")]
    assert done == ["fence", "force_down", "evacuate", "evacuate"]


def test_in_shadow_mode_it_only_tells(make_stage):
    stage = make_stage()
    uuids, _ = dies(stage)
    stage.run(stage.is_in(State.SHADOWED))
    stage.run_for(5)
    assert told(stage, f"Would power off {HOST}, prove it and then evacuate: "
                       "2 servers to evacuate, 0 held") == 1
    assert stage.fencer.orders == []
    assert stage.cloud.evacuations == []
    assert stage.servers() == {}
    stage.arm()
    stage.run(stage.is_in(State.RETURN_WAIT))
    stage.all_went_once(*uuids)
    assert states_of(stage)[:4] == [
        "detected", "shadowed", "detected", "admitted"]
    assert stage.incident().mode is Mode.ARMED


def test_in_shadow_mode_a_host_comes_back(make_stage):
    stage = make_stage()
    dies(stage)
    stage.run(stage.is_in(State.SHADOWED))
    stage.power_on(HOST)
    stage.run(stage.is_in(State.RETURNED))
    assert not stage.cloud.count("force_down")


def test_held_by_a_brake_until_another_one_is_through(make_stage):
    stage = make_stage(hosts_per_cloud=1)
    stage.arm()
    other = "dc1-r2-h1"
    stage.cloud.add("t0", other)
    uuids, _ = dies(stage)
    stage.kill(other)
    stage.fencer.dead = {HOST, other}
    stage.run(lambda: State.FENCING in (
        stage.state(HOST), stage.state(other)))
    stage.run_for(5)
    first, second = (
        (HOST, other) if stage.state(HOST) is State.FENCING
        else (other, HOST))
    assert stage.state(second) is State.DETECTED
    assert f"in recovery already ({first})" in stage.waits(second)
    stage.fencer.dead = set()
    stage.run(lambda: stage.state(HOST) is State.RETURN_WAIT
              and stage.state(other) is State.RETURN_WAIT)
    through = [e for e in stage.events(first) if e.text.startswith("all ")]
    admitted = [
        e for e in stage.events(second) if e.detail.get("to") == "admitted"]
    assert through[0].at <= admitted[0].at
    assert {u for u, _ in stage.cloud.evacuations} == {"t0", *uuids}
    assert len(stage.cloud.evacuations) == 3


def test_no_proof_until_an_operator_gives_one(stage):
    uuids, _ = dies(stage)
    stage.fencer.dead = {HOST}
    stage.run(stage.is_in(State.FENCING))
    stage.run_for(21)
    assert "the BMC of host dc1-r1-h1 does not answer" in stage.waits()
    assert f"confirm-fenced {stage.incident().id}" in stage.waits()
    assert stage.cloud.evacuations == []
    assert not stage.cloud.computes[HOST].forced_down
    # The same trouble is told once, however often it is tried.
    assert told(stage, "no proof that host") == 1
    stage.tell(stages.incidents.Command.CONFIRM_FENCED)
    stage.run_for(1.5)
    assert stage.incident().proof["legs"][0]["driver"] == "operator"
    stage.run(stage.is_in(State.RETURN_WAIT))
    stage.all_went_once(*uuids)
    assert stage.fencer.orders == []


def test_a_fence_is_tried_again_at_its_pace(stage):
    dies(stage)
    stage.fencer.lying = {HOST}
    stage.run(stage.is_in(State.FENCING))
    stage.run_for(20)
    # Each four seconds, by the option.
    assert 5 <= len(stage.fencer.orders) <= 6
    assert "redfish reads on" in stage.waits()
    stage.fencer.lying = set()
    stage.run(stage.is_in(State.RETURN_WAIT))


def test_an_operators_word_from_before_a_sign_of_life_is_void(stage):
    """Then the controller is asked again, as if nobody had said a word."""
    uuids, _ = dies(stage)
    stage.fencer.dead = {HOST}
    stage.run(stage.is_in(State.FENCING))
    stage.run(stage.waits)
    for each in stage.engines:
        each.lease.leads = False
    stage.tell(stages.incidents.Command.CONFIRM_FENCED)
    stage.time.go_by(1)
    # One more report of its nova-compute: it lived when they confirmed.
    for each in stage.engines:
        each.world._saw(HOST, stage.time.utcnow())
        each.lease.leads = True
    stage.run_for(6)
    assert stage.state() is State.FENCING
    assert stage.fencer.orders == []
    stage.fencer.dead = set()
    stage.run(stage.is_in(State.RETURN_WAIT))
    assert stage.fencer.orders == [HOST]
    stage.all_went_once(*uuids)


def test_cancelled_by_an_operator(stage):
    dies(stage)
    stage.fencer.dead = {HOST}
    stage.run(stage.is_in(State.FENCING))
    stage.run(stage.waits)
    stage.tell(stages.incidents.Command.CANCEL)
    stage.run(stage.is_in(State.CANCELLED), limit_s=2)
    assert told(stage, "cancelled by ann: she knows") == 1
    stage.run_for(8)
    # Another engine, that never saw it alive, leaves it alone as well.
    stage.engines.pop().depose()
    stage.engine("two").lead()
    stage.run_for(8)
    assert len(stage.incidents()) == 1
    assert stage.cloud.evacuations == []


def test_cancelled_lived_and_died_again(stage):
    uuids, _ = dies(stage)
    stage.fencer.dead = {HOST}
    stage.run(stage.is_in(State.FENCING))
    stage.tell(stages.incidents.Command.CANCEL)
    stage.run(stage.is_in(State.CANCELLED))
    stage.power_on(HOST)
    stage.run_for(5)
    stage.fencer.dead = set()
    stage.kill(HOST)
    stage.run(stage.is_in(State.RETURN_WAIT))
    assert len(stage.incidents()) == 2
    stage.all_went_once(*uuids)


def test_cancelled_lived_and_died_while_no_engine_ran(stage):
    """The life is known from the table of hosts."""
    dies(stage)
    stage.fencer.dead = {HOST}
    stage.run(stage.is_in(State.FENCING))
    stage.tell(stages.incidents.Command.CANCEL)
    stage.run(stage.is_in(State.CANCELLED))
    stage.power_on(HOST)
    stage.run_for(5)
    stage.engines.clear()
    stage.kill(HOST)
    stage.time.go_by(30)
    stage.engine("two").lead()
    stage.run(lambda: len(stage.incidents()) == 2, limit_s=20)


def test_a_host_that_lives_before_it_is_proved_off(stage):
    dies(stage)
    stage.fencer.dead = {HOST}
    stage.run(stage.is_in(State.FENCING))
    stage.power_on(HOST)
    stage.run(stage.is_in(State.CANCELLED))
    assert told(stage, "the host shows life") == 1
    assert stage.cloud.evacuations == []


@pytest.mark.parametrize("change", ["life", "disarmed", "cancel", "deposed"])
def test_what_comes_between_a_fence_and_its_order(stage, change):
    """A controller may take half a minute before it is to be ordered."""
    _, engine = dies(stage)

    def before_order(host):
        if change == "life":
            stage.power_on(HOST)
            engine.look()
        elif change == "disarmed":
            stage.arm(Mode.DISARMED)
        elif change == "cancel":
            stage.tell(stages.incidents.Command.CANCEL)
        else:
            engine.lease.leads = False

    stage.fencer.before_order = before_order
    stage.run(lambda: stage.fencer.reads or stage.state() is State.FENCING)
    stage.run_for(6)
    assert stage.fencer.orders == []
    assert stage.cloud.evacuations == []
