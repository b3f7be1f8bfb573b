# SPDX-License-Identifier: Apache-2.0
"""The life of an incident, from the death of a host to its return."""

from __future__ import annotations

import pytest

from tests.unit.failover import scripted_cloud
from tests.unit.failover import scripted_fencer
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


def test_servers_that_are_held(stage):
    dies(stage)
    stage.cloud.add("local", HOST, flavor=stages.replace(
        scripted_cloud.FLAVOR,
        extra_specs={"aacloud:instance_disks": "local"}))
    stage.cloud.add("off", HOST, metadata={"aacloud:ha": "off"})
    stage.run(stage.is_in(State.RETURN_WAIT))
    assert "partial" in states_of(stage)
    records = stage.servers()
    assert records["local"].reason_code == "local-disk"
    assert records["off"].reason_code == "ha-off"
    assert stage.cloud.servers["local"].host == HOST
    assert sorted(u for u, _ in stage.cloud.evacuations) == ["s0", "s1"]


def test_servers_that_appear_after_the_plan(stage):
    uuids, _ = dies(stage)
    stage.fencer.dead = {HOST}
    stage.run(stage.is_in(State.FENCING))
    assert set(stage.servers()) == set(uuids)
    stage.cloud.add("late", HOST)
    stage.fencer.dead = set()
    stage.run(stage.is_in(State.RETURN_WAIT))
    assert told(stage, "1 servers came to the host after the plan") == 1
    stage.all_went_once(*uuids, "late")


def test_a_server_that_is_deleted_after_the_plan(stage):
    uuids, _ = dies(stage)
    stage.fencer.dead = {HOST}
    stage.run(stage.is_in(State.FENCING))
    del stage.cloud.servers[uuids[0]]
    stage.fencer.dead = set()
    stage.run(stage.is_in(State.RETURN_WAIT))
    assert stage.servers()[uuids[0]].reason_code == "deleted"
    assert "done" in states_of(stage)
    stage.all_went_once(uuids[1])


def test_a_host_without_servers(stage):
    dies(stage, servers=0)
    stage.run(stage.is_in(State.RETURN_WAIT))
    stage.power_on(HOST)
    stage.run(stage.is_in(State.RETURNED))
    assert stage.cloud.evacuations == []


def test_the_kill_switch_while_servers_are_moved(make_stage):
    stage = make_stage(concurrency_max=1)
    stage.arm()
    uuids, _ = dies(stage, 3)
    stage.run(lambda: len(stage.cloud.evacuations) == 1)
    stage.arm(Mode.DISARMED)
    stage.run_for(15)
    assert len(stage.cloud.evacuations) == 1
    assert stage.servers()[stage.cloud.evacuations[0][0]].landed_at
    assert "the mode is disarmed" in stage.waits()
    assert told(stage, "the mode is disarmed") == 1
    stage.arm()
    stage.run(stage.is_in(State.RETURN_WAIT))
    stage.all_went_once(*uuids)


def test_disarmed_while_nova_is_silent_is_told_once(make_stage):
    """Two reasons to wait must not be told in turns for ever."""
    stage = make_stage(concurrency_max=1)
    stage.arm()
    dies(stage, 3)
    stage.run(lambda: len(stage.cloud.evacuations) == 1)
    stage.arm(Mode.DISARMED)
    stage.cloud.script = lambda number, name: (
        scripted_cloud.Fault.UNKNOWN if name == "migrations" else None)
    stage.run_for(3)
    before = len(stage.events())
    stage.run_for(20)
    assert len(stage.events()) == before
    assert "disarmed" in stage.waits()
    assert "Nova cannot be read" in stage.waits()


@pytest.mark.parametrize("off", [True, False])
def test_a_stray_sign_of_life_while_servers_are_moved(make_stage, off):
    """The proof is void: the power is read again, and switched by nobody."""
    stage = make_stage(concurrency_max=1)
    stage.arm()
    uuids, engine = dies(stage, 3)
    stage.run(lambda: len(stage.cloud.evacuations) == 1)
    orders = len(stage.fencer.orders)
    if not off:
        stage.fencer.power[HOST] = scripted_fencer.ON
    stage.time.go_by(0.5)
    engine.world._saw(HOST, stage.time.utcnow())
    if not off:
        stage.run_for(20)
        assert "showed life after it was proved off" in stage.waits()
        assert len(stage.cloud.evacuations) == 1
        assert len(stage.fencer.reads) <= 8
        stage.tell(stages.incidents.Command.CONFIRM_FENCED)
    stage.run(stage.is_in(State.RETURN_WAIT))
    assert told(stage, "proved off again") == (1 if off else 0)
    assert len(stage.fencer.orders) == orders
    stage.all_went_once(*uuids)


def test_a_sign_of_life_right_after_the_proof(stage):
    uuids, engine = dies(stage)
    seen = []

    def once(number):
        # The write of FENCED: the proof is made, nothing else is done.
        if stage.state() is State.FENCED and not seen:
            seen.append(number)
            stage.time.go_by(0.5)
            engine.world._saw(HOST, stage.time.utcnow())

    engine.journal.after = once
    stage.run(lambda: told(stage, "proved off again")
              if stage.incidents() else False)
    stage.run(stage.is_in(State.RETURN_WAIT))
    assert stage.fencer.orders == [HOST]
    stage.all_went_once(*uuids)


def test_a_move_that_fails_goes_to_another_host(stage):
    dies(stage)
    stage.cloud.fails = {"s0"}
    stage.run(stage.is_in(State.RETURN_WAIT))
    tries = [host for uuid, host in stage.cloud.evacuations if uuid == "s0"]
    assert len(tries) == 2
    assert tries[0] != tries[1]
    assert stage.servers()["s0"].state.value == "verified"
    assert stage.servers()["s1"].tries == 0


def test_a_host_that_leaves_the_topology_in_its_incident(stage):
    uuids, engine = dies(stage)
    stage.fencer.dead = {HOST}
    stage.run(stage.is_in(State.FENCING))
    whole = stage.cloud.topology
    stage.cloud.topology = stages.topologies.Topology(hosts={
        name: host for name, host in whole.hosts.items() if name != HOST})
    engine.watcher._topology_due = 0.0
    stage.fencer.dead = set()
    stage.run_for(10)
    assert "is not in the topology" in stage.waits()
    assert stage.cloud.evacuations == []
    # Its row stays: the incident is still open.
    assert HOST in {record.name for record in engine.journal.hosts()}
    stage.cloud.topology = whole
    engine.watcher._topology_due = 0.0
    stage.run(stage.is_in(State.RETURN_WAIT))
    stage.all_went_once(*uuids)


def test_forced_down_by_somebody_else(stage, caplog):
    _, engine = dies(stage)
    stage.cloud.computes[HOST].forced_down = True
    stage.run_for(10)
    assert stage.incidents() == []
    assert caplog.text.count("somebody else forced it down") == 1
    records = {record.name: record for record in engine.journal.hosts()}
    assert "somebody else forced it down" in records[HOST].reasons[-1]
    stage.cloud.computes[HOST].forced_down = False
    stage.run(stage.is_in(State.RETURN_WAIT))


def test_disarmed_hosts_have_no_incident(stage, caplog):
    dies(stage)
    stage.arm(Mode.DISARMED)
    stage.run_for(10)
    assert stage.incidents() == []
    assert caplog.text.count("no incident is opened: disarmed at") == 1


class TestReturn:
    """What a host that comes back has to show first."""

    @pytest.fixture
    def stage(self, stage):
        dies(stage)
        stage.run(stage.is_in(State.RETURN_WAIT))
        return stage

    def test_nova_is_not_asked_about_a_host_that_is_off(self, stage):
        before = stage.cloud.count("services"), len(stage.cloud.calls)
        stage.run_for(10)
        asked = len(stage.cloud.calls) - before[1]
        assert asked == stage.cloud.count("services") - before[0]

    def test_guests_that_were_left_over(self, stage):
        stage.guests[HOST] = {"s0"}
        stage.power_on(HOST)
        stage.run_for(6)
        assert "guests to be removed from it that Nova places elsewhere: s0" \
            in stage.waits()
        assert stage.cloud.computes[HOST].forced_down
        stage.guests.clear()
        stage.run(stage.is_in(State.RETURNED))

    def test_a_nova_compute_that_did_not_start_anew(self, stage):
        stage.power_on(HOST)
        for row in list(stage.cloud.rows):
            stage.cloud._set(row.id, "done")
        stage.run_for(6)
        assert "restart it" in stage.waits()
        stage.cloud.start_compute(HOST)
        stage.run(stage.is_in(State.RETURNED))

    def test_disabled_by_an_operator_it_stays_so(self, stage):
        stage.cloud.computes[HOST].disabled_reason = "ann mends its fan"
        stage.power_on(HOST)
        stage.run(stage.is_in(State.RETURNED))
        assert not stage.cloud.computes[HOST].forced_down
        assert stage.cloud.computes[HOST].disabled_reason == (
            "ann mends its fan")
        assert told(stage, "disabled by somebody else and stays so") == 1

    def test_disarmed_it_waits(self, stage):
        stage.arm(Mode.DISARMED)
        stage.power_on(HOST)
        stage.run_for(6)
        assert stage.cloud.computes[HOST].forced_down
        stage.arm()
        stage.run(stage.is_in(State.RETURNED))

    def test_brought_back_by_hand_and_dead_again(self, stage):
        """Else nobody would care for it as long as this one is open."""
        compute = stage.cloud.computes[HOST]
        compute.forced_down, compute.disabled_reason = False, None
        stage.cloud.add("new", HOST)
        stage.run(lambda: len(stage.incidents()) == 2)
        first = stage.incidents()[0]
        assert first.state is State.RETURNED
        stage.run(stage.is_in(State.RETURN_WAIT))
        assert stage.cloud.servers["new"].host != HOST

    def test_brought_back_by_hand_it_still_has_to_be_clean(self, stage):
        compute = stage.cloud.computes[HOST]
        compute.forced_down, compute.disabled_reason = False, None
        stage.guests[HOST] = {"s0"}
        stage.power_on(HOST)
        stage.run_for(6)
        assert "guests to be removed" in stage.waits()

    def test_killed_again_before_it_was_enabled(self, stage):
        stage.power_on(HOST)
        stage.run_for(1)
        stage.kill(HOST)
        stage.run_for(10)
        assert stage.state() is State.RETURN_WAIT
        assert stage.cloud.computes[HOST].forced_down
