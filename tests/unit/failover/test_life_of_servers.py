# SPDX-License-Identifier: Apache-2.0
"""The servers of an incident, and the return of its host."""

from __future__ import annotations

import pytest

from tests.unit.failover import scripted_cloud
from tests.unit.failover import scripted_fencer
from tests.unit.failover import stage as stages
from tests.unit.failover.stage import HOST
from tests.unit.failover.stage import Mode
from tests.unit.failover.stage import State
from tests.unit.failover.test_life import dies
from tests.unit.failover.test_life import states_of
from tests.unit.failover.test_life import told


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


@pytest.mark.parametrize("back", [True, False])
def test_an_engine_that_starts_after_the_proof_listens_first(stage, back):
    """All engines were down; in the meantime the host may have booted."""
    uuids, engine = dies(stage)

    def is_killed(number):
        if stage.state() is State.FORCED_DOWN:
            raise stages.Killed

    engine.journal.after = is_killed
    with pytest.raises(stages.Killed):
        stage.run(stage.is_in(State.EVACUATING))
    stage.engines.clear()
    stage.time.go_by(60)
    if back:
        stage.power_on(HOST)
    stage.engine("another").lead()
    stage.run_for(3)
    assert stage.cloud.evacuations == []
    if back:
        stage.run_for(30)
        assert "showed life after it was proved off" in stage.waits()
        assert stage.cloud.evacuations == []
    else:
        assert "does not listen" in stage.waits()
        stage.run(stage.is_in(State.RETURN_WAIT))
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
