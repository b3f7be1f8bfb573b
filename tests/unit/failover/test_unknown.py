# SPDX-License-Identifier: Apache-2.0
"""Nova and the database answer badly, or not at all, at every call."""

from __future__ import annotations

import collections
import itertools
import random

import pytest

from aacloud.clouds import errors as cloud_errors
from aacloud.db import errors as db_errors
from aacloud.failover import metrics
from tests.unit.failover import stage as stages
from tests.unit.failover.scripted_cloud import Fault
from tests.unit.failover.stage import HOST
from tests.unit.failover.stage import State


def live(stage, servers=2):
    """From the death of a host to its return; then what must hold."""
    uuids = stages.with_servers(stage, servers)
    engine = stage.engine().lead()
    stage.run_for(1)
    stage.kill(HOST)
    stage.run(stage.is_in(State.RETURN_WAIT))
    stage.power_on(HOST)
    stage.run(stage.is_in(State.RETURNED))
    stage.all_went_once(*uuids)
    assert not stage.cloud.computes[HOST].forced_down
    assert stage.cloud.computes[HOST].disabled_reason is None
    return engine


@pytest.mark.parametrize("fault", [
    Fault.UNSENT, Fault.UNKNOWN, Fault.LOST, Fault.SLOW])
def test_every_kind_of_call_goes_wrong_the_first_times(stage, fault):
    seen = collections.Counter()

    def script(number, name):
        seen[name] += 1
        return fault if seen[name] <= 2 else None

    stage.cloud.script = script
    live(stage)
    assert {
        "servers_on", "with_groups", "destinations", "migrations",
        "evacuate", "force_down", "enable", "services", "aggregates",
        "server"} <= set(seen)


@pytest.mark.parametrize("seed", range(4))
def test_one_call_in_four_goes_wrong(stage, seed):
    dice = random.Random(seed)
    kinds = [Fault.UNSENT, Fault.UNKNOWN, Fault.LOST]
    stage.cloud.script = lambda number, name: (
        dice.choice(kinds) if dice.random() < 0.25 else None)
    live(stage, 3)


@pytest.mark.parametrize("name", ["servers_on", "migrations"])
def test_nova_is_silent_for_a_minute(stage, name):
    """It says why it waits, once, and goes on by itself."""
    until = stage.time.now + 60.0
    stage.cloud.script = lambda number, called: (
        Fault.UNKNOWN if called == name and stage.time.now < until else None)
    uuids = stages.with_servers(stage, 2)
    stage.engine().lead()
    stage.run_for(1)
    stage.kill(HOST)
    stage.run_for(50)
    assert f"{name}: HTTP 502" in stage.waits()
    assert stage.cloud.evacuations == []
    assert sum(
        f"{name}: HTTP 502" in event.text for event in stage.events()) == 1
    # Once it goes on: long enough pauses, not too long ones.
    assert stage.cloud.count(name) <= 60
    stage.run(stage.is_in(State.RETURN_WAIT), limit_s=60)
    stage.all_went_once(*uuids)


def test_nova_refuses_to_force_down(stage):
    before = metrics.STEP_FAILURES._value.get()
    until = stage.time.now + 40.0
    stage.cloud.script = lambda number, name: (
        Fault.REFUSED if name == "force_down" and stage.time.now < until
        else None)
    uuids = stages.with_servers(stage, 1)
    stage.engine().lead()
    stage.run_for(1)
    stage.kill(HOST)
    stage.run_for(30)
    assert stage.waits() == "force_down: HTTP 409 no"
    assert metrics.STEP_FAILURES._value.get() > before
    stage.run(stage.is_in(State.RETURN_WAIT))
    stage.all_went_once(*uuids)


def test_a_step_that_raises_again_and_again(stage, monkeypatch, caplog):
    """Slower and slower, told once, and not at the others' cost."""
    other = "dc2-r1-h1"
    stage.cloud.add("t0", other)
    stages.with_servers(stage, 1)
    real = stage.cloud.servers_on
    tried = []

    def servers_on(host):
        if host == HOST:
            tried.append(stage.time.now)
            # As a fault of a library would: another text each time.
            raise ValueError(
                f"object at 0x{len(tried):x}ab, "
                f"req-{len(tried):08x}-1111-2222-3333-{len(tried):012x}")
        return real(host)

    monkeypatch.setattr(stage.cloud, "servers_on", servers_on)
    stage.engine().lead()
    stage.run_for(1)
    stage.kill(HOST, other)
    stage.run(stage.is_in(State.RETURN_WAIT, host=other))
    stage.run_for(120)
    assert stage.state(HOST) is State.ADMITTED
    pauses = [later - at for at, later in itertools.pairwise(tried)]
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 15.0
    assert "a step failed (ValueError" in stage.waits()
    assert sum(
        "a step failed" in event.text for event in stage.events()) == 1
    monkeypatch.undo()
    stage.run(stage.is_in(State.RETURN_WAIT))


def test_even_what_cannot_be_told_does_not_end_a_worker(stage, monkeypatch):
    stages.with_servers(stage, 1)
    engine = stage.engine().lead()
    stage.run_for(1)
    stage.kill(HOST)

    def broken(*args, **kwargs):
        raise RuntimeError("a fault of a library")

    monkeypatch.setattr(stage.cloud, "servers_on", broken)
    real = engine.notes.incident

    def incident(given):
        if given.waiting and "a step failed" in given.waiting:
            broken()
        real(given)

    engine.notes.incident = incident
    stage.run_for(30)
    (worker,) = engine.workers
    assert worker.alive
    monkeypatch.undo()
    stage.run(stage.is_in(State.RETURN_WAIT))


class TestDatabase:
    """The journal does not answer, or its answer is lost."""

    @pytest.mark.parametrize("landed", [True, False])
    def test_unknown_at_each_write(self, new_stage, landed):
        """The first time that each write is made; once with the write in
        the database, once without."""
        with new_stage() as stage:
            broken = []

            def fail(number):
                # Odd ones only: the same write is made again next.
                if number % 2 and len(broken) < 40:
                    broken.append(number)
                    raise db_errors.JournalUnavailable(
                        "a write", "the connection was cut", unknown=True)

            real = stage.engine

            def engine(*args):
                made = real(*args)
                setattr(made.journal, "after" if landed else "before", fail)
                return made

            stage.engine = engine
            live(stage)
            assert len(broken) >= 10

    def test_unreadable_for_a_while(self, stage, monkeypatch):
        uuids = stages.with_servers(stage, 2)
        engine = stage.engine().lead()
        stage.run_for(1)
        stage.kill(HOST)
        stage.run(stage.is_in(State.EVACUATING))

        def away(*args, **kwargs):
            raise db_errors.JournalUnavailable(
                "a read", "is the server up?", unknown=False)

        for name in ("incident", "servers", "open_incidents", "modes"):
            monkeypatch.setattr(engine.journal, name, away)
        calls = len(stage.cloud.calls)
        for _ in range(30):
            engine.look()
            engine.work()
            stage.time.go_by(1.0)
        # Only the watcher asked.
        asked = {call[0] for call in stage.cloud.calls[calls:]}
        assert asked <= {"services", "aggregates"}
        assert engine.overseer.store_trouble is not None
        monkeypatch.undo()
        stage.run(stage.is_in(State.RETURN_WAIT))
        stage.all_went_once(*uuids)

    def test_readable_but_not_writable(self, stage, monkeypatch, caplog):
        """The trouble stays until a write succeeds, and is logged once."""
        engine = stage.engine().lead()
        stage.run_for(1)

        def away(*args, **kwargs):
            raise db_errors.JournalUnavailable(
                "a write", "the server is read-only", unknown=False)

        def open_incident(*args, **kwargs):
            monkeypatch.setattr(engine.journal, "save_hosts", away)
            away()

        monkeypatch.setattr(engine.journal, "open_incident", open_incident)
        stages.with_servers(stage, 1)
        stage.kill(HOST)
        stage.run(lambda: engine.overseer.store_trouble)
        # The table of hosts was written a moment ago: nothing is due.
        engine.overseer._saved_at = stage.time.now
        for _ in range(20):
            stage.run_for(1)
            assert "read-only" in (engine.overseer.store_trouble or "")
        assert caplog.text.count("The database cannot be used") == 1
        monkeypatch.undo()
        stage.run(stage.is_in(State.RETURN_WAIT))
        assert engine.overseer.store_trouble is None

    def test_an_incident_that_is_not_there_any_more(self, stage, monkeypatch):
        stages.with_servers(stage, 1)
        engine = stage.engine().lead()
        stage.run_for(1)
        stage.fencer.dead = {HOST}
        stage.kill(HOST)
        stage.run(stage.is_in(State.FENCING))
        (worker,) = engine.workers

        def gone(incident_id):
            raise db_errors.NotFound("incident", incident_id)

        monkeypatch.setattr(engine.journal, "incident", gone)
        stage.time.go_by(5)
        assert worker.turn() is None


def test_the_cloud_of_the_tests_says_unknown_as_the_real_one_does(stage):
    stage.cloud.add("s0", HOST)
    stage.cloud.computes[HOST].forced_down = True
    for fault, sent, taken in (
        (Fault.UNSENT, False, 0), (Fault.UNKNOWN, True, 0),
        (Fault.LOST, True, 1),
    ):
        stage.cloud.script = lambda number, name, fault=fault: fault
        with pytest.raises(cloud_errors.CloudUnknown) as caught:
            stage.cloud.evacuate("s0", "dc1-r1-h2")
        assert caught.value.sent is sent
        assert len(stage.cloud.evacuations) == taken
    assert stage.cloud.servers["s0"].task_state == "rebuilding"
