# SPDX-License-Identifier: Apache-2.0
"""The loop: judgements, incidents, workers, the table of hosts."""

from __future__ import annotations

import threading

import prometheus_client
import pytest

from aacloud.coordination import clock as clocks
from aacloud.core import incidents
from aacloud.core import verdicts
from aacloud.db import errors as db_errors
from aacloud.failover import context as contexts
from aacloud.failover import overseer
from aacloud.failover import worker
from aacloud.failover.steps import planning
from tests.unit.db import worlds as deadlines
from tests.unit.failover import stage as stages
from tests.unit.failover import virtual_time
from tests.unit.failover.stage import HOST
from tests.unit.failover.stage import State


def metric(name, **labels):
    return prometheus_client.REGISTRY.get_sample_value(name, labels)


def saved(engine):
    return {record.name: record for record in engine.journal.hosts()}


class TestLooks:
    def test_a_fault_does_not_end_it_and_is_logged_once(
        self, stage, monkeypatch, caplog
    ):
        engine = stage.engine().lead()
        stage.run_for(2)
        monkeypatch.setattr(
            overseer.verdicts, "judge", lambda *given: 1 / 0)
        for _ in range(20):
            engine.look()
            stage.time.go_by(1.0)
        assert caplog.text.count("Traceback") == 1
        # It is known that no look came to its end.
        assert engine.overseer.last_look_age() >= 20.0
        monkeypatch.undo()
        engine.look()
        assert engine.overseer.last_look_age() == 0.0

    def test_before_the_first_one(self, stage):
        assert stage.engine().overseer.last_look_age() is None

    def test_a_sick_database_is_a_look(self, stage, monkeypatch):
        engine = stage.engine().lead()

        def away(*args):
            raise db_errors.JournalUnavailable("x", "gone", unknown=False)

        monkeypatch.setattr(engine.journal, "open_incidents", away)
        engine.look()
        assert engine.overseer.last_look_age() == 0.0
        assert "gone" in engine.overseer.store_trouble
        judgement = engine.board.get()
        assert judgement is not None
        engine.look()
        assert "cannot reach the database" in " ".join(
            engine.board.get().self_reasons)

    def test_one_that_stands_by_notices_a_sick_database(
        self, stage, monkeypatch
    ):
        engine = stage.engine()
        asked = []

        def leader():
            asked.append(stage.time.now)
            if len(asked) == 2:
                raise db_errors.JournalUnavailable(
                    "x", "gone", unknown=False)

        monkeypatch.setattr(engine.journal, "leader", leader)
        stage.run_for(12)
        assert 3 <= len(asked) <= 6
        # The moment that it was gone it is asked at the next look.
        assert asked[2] - asked[1] <= 1.0
        assert engine.overseer.store_trouble is None

    def test_it_writes_nothing_while_it_stands_by(self, stage):
        engine = stage.engine()
        stages.with_servers(stage, 1)
        stage.kill(HOST)
        stage.run_for(20)
        assert stage.incidents() == []
        assert saved(engine) == {}
        assert engine.workers == {}

    def test_a_new_leader_knows_the_cloud_at_once(self, make_stage):
        stage = make_stage(warmup=30.0)
        stage.arm()
        one, two = stage.engine("one").lead(), stage.engine("two")
        stages.with_servers(stage, 1)
        stage.run_for(31)
        stage.kill(HOST)
        stage.run_for(20)
        one.depose()
        stage.engines.remove(one)
        two.lead()
        stage.run_for(2)
        assert stage.state() is not None


class TestMetrics:
    def test_of_the_leader_and_of_one_that_stands_by(self, stage):
        stages.with_servers(stage, 1)
        engine = stage.engine().lead()
        stage.run_for(1)
        stage.fencer.dead = {HOST}
        stage.kill(HOST)
        stage.run(stage.is_in(State.FENCING))
        stage.run_for(1)
        assert metric("aacloud_failover_leads") == 1
        assert metric("aacloud_incidents_open", state="fencing") == 1
        assert metric("aacloud_hosts", state="dead") == 1
        assert metric("aacloud_hosts", state="up") == 7
        assert metric("aacloud_failover_epoch") == 1
        engine.depose()
        engine.look()
        # Else the sum over all engines would count it twice.
        assert metric("aacloud_failover_leads") == 0
        assert metric("aacloud_incidents_open", state="fencing") == 0
        assert metric("aacloud_hosts", state="dead") == 1

    def test_servers_are_counted_once_though_a_write_fails(self, stage):
        def counted():
            return metric(
                "aacloud_servers_recovered_total", result="verified") or 0

        uuids = stages.with_servers(stage, 2)
        before = counted()
        engine = stage.engine().lead()
        stage.run_for(1)
        stage.kill(HOST)
        failed = []

        def fail_once(number):
            if stage.state() is State.VERIFYING and not failed and all(
                record.state is stages.Server.VERIFIED
                for record in stage.servers().values()
            ):
                failed.append(number)
                raise db_errors.JournalUnavailable(
                    "x", "gone", unknown=False)

        engine.journal.before = fail_once
        stage.run(stage.is_in(State.RETURN_WAIT))
        assert failed
        assert counted() - before == len(uuids)


class TestHosts:
    def test_the_table_follows_the_topology(self, stage):
        engine = stage.engine().lead()
        stage.run_for(2)
        assert set(saved(engine)) == set(stage.topology.hosts)
        gone = "dc2-r2-h2"
        stage.cloud.topology = stages.topologies.Topology(hosts={
            name: host for name, host in stage.topology.hosts.items()
            if name != gone})
        engine.watcher._topology_due = 0.0
        stage.run_for(6)
        assert gone not in saved(engine)

    def test_also_when_another_engine_had_written_it(self, stage):
        one = stage.engine("one").lead()
        stage.run_for(2)
        one.depose()
        stage.engines.clear()
        gone = "dc2-r2-h2"
        stage.cloud.topology = stages.topologies.Topology(hosts={
            name: host for name, host in stage.topology.hosts.items()
            if name != gone})
        two = stage.engine("two").lead()
        stage.run_for(2)
        assert gone not in saved(two)

    def test_nothing_is_forgotten_for_a_topology_that_is_lost(self, stage):
        engine = stage.engine().lead()
        stage.run_for(2)
        stage.cloud.topology = stages.topologies.Topology(hosts={})
        engine.watcher._topology_due = 0.0
        stage.run_for(10)
        assert set(saved(engine)) == set(stage.topology.hosts)

    def test_it_is_written_now_and_then_and_at_each_change(
        self, stage, monkeypatch
    ):
        engine = stage.engine().lead()
        stage.run_for(2)
        writes = []
        real = engine.journal.save_hosts

        def save(records, **kwargs):
            writes.append(sorted(record.name for record in records))
            real(records, **kwargs)

        monkeypatch.setattr(engine.journal, "save_hosts", save)
        stage.run_for(12)
        assert 3 <= len(writes) <= 5
        del writes[:]
        stage.cloud.computes[HOST].disabled_reason = "fan"
        stage.run_for(1)
        assert [HOST] in writes or len(writes[0]) == 8


class TestWorkers:
    def open(self, stage, engine):
        stages.with_servers(stage, 1)
        stage.run_for(1)
        stage.fencer.dead = {HOST}
        stage.kill(HOST)
        stage.run(stage.is_in(State.FENCING))

    def test_one_for_each_incident_until_it_is_closed(self, stage):
        engine = stage.engine().lead()
        self.open(stage, engine)
        (first,) = engine.workers
        stage.run_for(5)
        assert list(engine.workers) == [first]
        stage.tell(incidents.Command.CANCEL)
        stage.run_for(3)
        assert engine.workers == {}
        assert engine.overseer._workers == {}

    def test_the_lead_is_lost(self, stage):
        engine = stage.engine().lead()
        self.open(stage, engine)
        (first,) = engine.workers
        engine.depose()
        assert not first.may_act()
        assert first.turn() is None
        # Won again, it begins anew: the stopped one may do nothing more.
        engine.lead()
        assert not first.may_act()
        engine.work()
        stage.run_for(3)
        assert len(engine.workers) == 1
        assert first not in engine.workers

    def test_nothing_is_done_for_an_incident_of_another_leadership(
        self, stage
    ):
        """The lease says that it leads; it was deposed all the same, and no
        write tells it."""
        engine = stage.engine().lead()
        self.open(stage, engine)
        (first,) = engine.workers
        stage.engine("two").lead()
        stage.fencer.dead = set()
        stage.time.go_by(5.0)
        assert first.may_act()
        assert first.turn() is None
        assert stage.fencer.orders == []

    def test_the_mover_goes_with_the_moves(self, stage):
        """Its threads would be idle until the host returns, for weeks."""
        engine = stage.engine().lead()
        stages.with_servers(stage, 1)
        stage.run_for(1)
        stage.kill(HOST)
        stage.run(stage.is_in(State.EVACUATING))
        (first,) = engine.workers
        stage.run(lambda: first._context.memory.mover)
        stage.run(stage.is_in(State.RETURN_WAIT))
        stage.run_for(3)
        assert list(engine.workers) == [first]
        assert first._context.memory.mover is None
        assert engine.pace.in_flight == 0

    def test_none_is_begun_when_the_engine_ends(self, stage):
        engine = stage.engine().lead()
        engine.overseer.end_workers(1.0)
        stages.with_servers(stage, 1)
        stage.run_for(1)
        stage.kill(HOST)
        stage.run_for(10)
        assert stage.state() is State.DETECTED
        assert engine.workers == {}

    def test_one_that_cannot_be_begun(self, stage, monkeypatch):
        engine = stage.engine().lead()
        tried = []

        def begin(fresh):
            tried.append(fresh)
            if len(tried) == 1:
                raise RuntimeError("can't start new thread")
            engine.workers[fresh] = stage.time.now

        engine.overseer._begin = begin
        self.open(stage, engine)
        assert len(tried) == 2

    def test_the_end_waits_for_the_steps_under_way_but_not_for_ever(
        self, file_database, caplog
    ):
        stage = stages.Stage(file_database)
        stage.arm()
        engine = stage.engine().lead()
        # The threads' time is real.
        context = stages.replace(engine.context, clock=clocks.Clock())
        incident = engine.journal.open_incident(
            HOST, {}, stages.Mode.ARMED, event_text="dead")
        inside, leave = threading.Event(), threading.Event()

        def admit(given, found, todo):
            inside.set()
            leave.wait(deadlines.DEADLINE)
            return 0.0

        one = worker.IncidentWorker(context, incident.id)
        engine.overseer._workers[incident.id] = one
        engine.overseer._clock = clocks.Clock()
        original = worker.step.decide
        worker.step.decide = lambda *given: (inside.set(), leave.wait(
            deadlines.DEADLINE), original(*given))[2]
        try:
            one.start()
            assert inside.wait(deadlines.DEADLINE)
            engine.overseer.end_workers(0.05)
            assert "its step did not end within" in caplog.text
            assert one.alive
            leave.set()
            assert one.join(deadlines.DEADLINE)
        finally:
            worker.step.decide = original
            leave.set()


class TestBoard:
    def verdict(self, host=HOST, state=verdicts.NetworkState.UP):
        return verdicts.Judgement(False, (), {host: verdicts.HostVerdict(
            host, verdicts.HostState.UP, {"storage": state}, 0.5, 0.5, None,
            False, ())}, {})

    @pytest.fixture
    def time(self):
        return virtual_time.VirtualTime()

    @pytest.fixture
    def board(self, time):
        return contexts.JudgementBoard(time.clock())

    def test_empty(self, board):
        assert board.get() is None
        assert board.clean_for(HOST) == 0.0
        assert board.recovering() == frozenset()

    def test_clean_without_a_break(self, board, time):
        for _ in range(5):
            board.put(self.verdict(), time.now)
            time.go_by(1.0)
        assert board.clean_for(HOST) == 4.0
        board.put(self.verdict(state=verdicts.NetworkState.DOWN), time.now)
        assert board.clean_for(HOST) == 0.0
        board.put(self.verdict(), time.now)
        assert board.clean_for(HOST) == 0.0

    def test_a_judgement_that_nobody_renews(self, board, time):
        """The loop is stuck: what was true may not be so any more."""
        board.put(self.verdict(), time.now - 3.0)
        board.put(self.verdict(), time.now)
        time.go_by(contexts.STALE_S)
        assert board.get() is not None
        time.go_by(0.5)
        assert board.get() is None
        assert board.clean_for(HOST) == 0.0


def test_since_when_a_host_is_down_for_an_engine_that_came_later(stage):
    """It never saw the host alive; the incident tells."""
    context = stage.engine().lead().context
    incident = context.journal.open_incident(
        HOST, {}, stages.Mode.ARMED, event_text="dead",
        summary={"last_life_at": "2026-03-01T11:59:48+00:00"})
    told = planning._down_since(context, incident)
    assert (incident.opened_at - told).total_seconds() == 12.0
    nothing = stages.replace(incident, summary={})
    assert planning._down_since(context, nothing) == incident.opened_at
    context.world._saw(HOST, incident.opened_at - stages.seconds(7))
    told = planning._down_since(context, incident)
    assert (incident.opened_at - told).total_seconds() == 7.0


def test_without_a_judgement_nothing_is_begun(stage):
    """The loop hangs, the workers live."""
    engine = stage.engine().lead()
    stages.with_servers(stage, 1)
    stage.run_for(1)
    stage.fencer.dead = {HOST}
    stage.kill(HOST)
    stage.run(stage.is_in(State.FENCING))
    stage.fencer.dead = set()
    for _ in range(40):
        stage.time.go_by(0.5)
        if stage.time.now > engine.board._now + 6.0:
            engine.work()
    # It looked, but ordered nothing.
    assert stage.fencer.orders == []
    assert stage.state() is State.FENCING
