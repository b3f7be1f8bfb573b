# SPDX-License-Identifier: Apache-2.0
"""Two engines that both believe to lead; the journal believes one."""

from __future__ import annotations

import itertools
import threading

import pytest

from aacloud.core import steps
from aacloud.core import verdicts
from aacloud.failover import context as contexts
from aacloud.failover import worker
from aacloud.failover.steps import admission
from aacloud.failover.steps import planning
from tests.unit.db import worlds
from tests.unit.failover import stage as stages
from tests.unit.failover import test_crash
from tests.unit.failover.stage import HOST
from tests.unit.failover.stage import State


class Rivals:
    """One leads; at a given moment the other one takes over from it, which
    the first learns from nobody: its lease says that all is well."""

    def __init__(self, stage):
        self.stage = stage
        self.one = stage.engine("one").lead()
        self.two = stage.engine("two")
        self.happened = 0
        # Taken over from, it does not try to come back.
        self.one.lease.resign = self.one.lease.resigned.append

    def take_over(self, *_given):
        self.happened += 1
        self.two.lead()

    def run(self, until):
        self.stage.run(until)

    def start(self):
        """The engines are there already."""


@pytest.mark.parametrize("first", [1, 4])
def test_deposed_right_before_a_write(first, new_stage):
    for nth in itertools.count(first, test_crash.STEP):
        with new_stage() as stage:
            rivals = Rivals(stage)
            rivals.one.journal.before = lambda number, nth=nth, r=rivals: (
                r.take_over() if number == nth else None)
            test_crash.live(stage, rivals)
            if nth == first:
                stage.run_for(4)
                assert rivals.one.lease.resigned
        if not rivals.happened:
            break
    assert nth >= test_crash.WRITES


@pytest.mark.parametrize(
    "name", ["force_down", "evacuate", "enable", "fence", "order"])
def test_deposed_in_a_call(name, new_stage):
    """The call is on its way already and takes its effect."""
    with new_stage() as stage:
        rivals = Rivals(stage)

        def once(called):
            if called == name and not rivals.happened:
                rivals.take_over()

        stage.cloud.hook = once
        stage.fencer.hook = once
        stage.fencer.before_order = lambda host: once("order")
        test_crash.live(stage, rivals)
        assert rivals.happened == 1
        # What was read back by a deposed engine proves nothing: it is read
        # again, and found off without another order.
        assert stage.fencer.orders == [HOST]


def test_a_resigned_leader_gets_a_new_epoch(stage):
    """It holds the lease but not the journal: without this nobody leads."""
    one = stage.engine("one").lead()
    stage.run_for(2)
    late = stage.engine("late").lead()
    late.depose()
    stage.run_for(6)
    assert one.lease.resigned == ["its epoch is not the one of the journal"]
    one.depose()
    one.lead()
    stages.with_servers(stage, 1)
    stage.kill(HOST)
    stage.run(stage.is_in(State.RETURN_WAIT))
    assert len(one.lease.resigned) == 1


def test_a_lost_lease_is_not_given_back_twice(stage):
    """It was lost and won again while a look was under way."""
    one = stage.engine("one").lead()
    stage.run_for(2)
    late = stage.engine("late").lead()
    late.depose()

    def again():
        one.depose()
        one.lead()

    real = one.journal.save_hosts

    def save(*args, **kwargs):
        try:
            return real(*args, **kwargs)
        except Exception:
            again()
            raise

    one.journal.save_hosts = save
    stage.time.go_by(5)
    one.look()
    assert one.lease.resigned == []
    one.journal.save_hosts = real
    stage.run_for(6)
    assert one.lease.resigned == []


def test_the_last_place_under_the_brakes_is_given_once(file_database):
    """Hosts die together, and their workers ask together."""
    stage = stages.Stage(file_database, hosts_per_cloud=1)
    stage.arm()
    other = "dc1-r2-h1"
    engine = stage.engine().lead()
    stage.run_for(1)
    stage.kill(HOST, other)
    # Stop right before any worker takes a turn.
    while not engine.workers:
        stage.time.go_by(1.0)
        engine.look()
    contexts_of = {each.incident_id: each._context for each in engine.workers}
    first, second = stage.incident(HOST), stage.incident(other)
    rival_read = threading.Event()
    threads = []
    real = engine.journal.open_incidents

    def open_incidents():
        found = real()
        if threading.current_thread() in threads:
            rival_read.set()
        elif not threads:
            threads.append(threading.Thread(target=admit, args=(second,)))
            threads[0].start()
            # It gets this far only where nothing holds it off.
            rival_read.wait(0.3)
        return found

    def admit(incident):
        admission.admit(
            contexts_of[incident.id], incident,
            steps.NextStep(steps.Step.ADMIT, None, ()))

    engine.journal.open_incidents = open_incidents
    admit(first)
    threads[0].join(worlds.DEADLINE)
    assert stage.state(HOST) is State.ADMITTED
    assert stage.state(other) is State.DETECTED
    assert f"in recovery already ({HOST})" in stage.waits(other)


def test_only_some_plans_are_made_at_a_time(file_database):
    """A data centre dies in shadow mode: Nova has enough to do already."""
    stage = stages.Stage(file_database)
    engine = stage.engine()
    engine.watcher.look()
    context = stages.replace(
        engine.context, planners=threading.BoundedSemaphore(2))
    guard, full, leave = (
        threading.Lock(), threading.Event(), threading.Event())
    inside, most = [], []

    def hook(name):
        if name != "servers_on":
            return
        with guard:
            inside.append(name)
            most.append(len(inside))
            if len(inside) == 2:
                full.set()
        leave.wait(worlds.DEADLINE)
        with guard:
            inside.pop()

    stage.cloud.hook = hook
    threads = [
        threading.Thread(target=planning._plan, args=(context, host))
        for host in list(stage.topology.hosts)[:6]]
    for thread in threads:
        thread.start()
    assert full.wait(worlds.DEADLINE)
    leave.set()
    for thread in threads:
        thread.join(worlds.DEADLINE)
    assert len(most) == 6
    assert max(most) == 2


class Threads:
    """Real threads, real pauses; only the hosts' states are given."""

    def __init__(self, stage, name):
        self.engine = stage.engine(name)
        board = contexts.JudgementBoard(stale_s=lambda: worlds.DEADLINE)
        board.put(verdicts.Judgement(
            self_cut_off=False, self_reasons=(), patients={}, hosts={
                HOST: verdicts.HostVerdict(
                    host=HOST, state=verdicts.HostState.DEAD, networks={},
                    heartbeat_age_s=9.0, life_age_s=9.0, dead_since=1.0,
                    suspect=True, reasons=("silent",))}), 0.0)
        self.context = stages.replace(
            self.engine.context, board=board, pool=None,
            clock=contexts.clocks.Clock())
        board._now = contexts.clocks.Clock().monotonic()
        self.engine.world._topology = stage.topology
        self.engine.world._first_report_at = float("-inf")
        self.engine.watcher.look()


def test_two_engines_with_real_threads(file_database):
    stage = stages.Stage(file_database)
    stage.arm()
    uuids = stages.with_servers(stage, 8)
    stage.cloud.takes_s = 0.0
    stage.cloud.kill(HOST)
    one, two = Threads(stage, "one"), Threads(stage, "two")
    one.engine.lead()
    incident = one.engine.journal.open_incident(
        HOST, {}, stages.Mode.ARMED, event_text="dead")
    both = [
        worker.IncidentWorker(each.context, incident.id)
        for each in (one, two)]
    begun = threading.Event()

    def hook(name):
        # Time in the cloud goes on with each call to it.
        stage.time.go_by(0.01)
        if name == "evacuate" and not begun.is_set():
            begun.set()
            two.engine.lead()
            both[1].start()

    stage.cloud.hook = hook
    one.engine.watcher.look()
    both[0].start()
    assert begun.wait(worlds.DEADLINE)
    done = threading.Event()
    two.engine.journal.after = lambda number: (
        done.set() if stage.state() is State.RETURN_WAIT else None)
    assert done.wait(worlds.DEADLINE), stage.story()
    for each in both:
        each.stop()
    assert all(each.join(worlds.DEADLINE) for each in both)
    stage.all_went_once(*uuids)
    assert one.engine.lease.leads
    assert [e.kind for e in stage.events()].count("takeover") == 1
