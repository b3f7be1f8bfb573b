# SPDX-License-Identifier: Apache-2.0
"""Engines on a stage: the real loop, workers, steps, journal and core; a
scripted cloud and fencer; and time that the test turns.

Each engine is driven by one thread, the test's: a crash is an exception that
nothing of it catches, after which the engine is dropped and another begins.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import dataclasses
import datetime
import typing
from typing import Any

from oslo_config import cfg

from aacloud import conf as aacloud_conf
from aacloud.clouds import pace as paces
from aacloud.coordination import terms
from aacloud.core import brakes
from aacloud.core import incidents
from aacloud.core import observations
from aacloud.core import peers
from aacloud.core import topology as topologies
from aacloud.db import api as db_api
from aacloud.db import engine as db_engine
from aacloud.db import journal as journals
from aacloud.failover import context as contexts
from aacloud.failover import overseer
from aacloud.failover import policies
from aacloud.failover import watcher
from aacloud.failover import worker
from aacloud.failover import world as worlds
from tests.unit.core import builders
from tests.unit.failover import scripted_cloud
from tests.unit.failover import scripted_fencer
from tests.unit.failover import virtual_time

State = incidents.IncidentState
Server = incidents.ServerState
Level = topologies.Level
Mode = brakes.Mode

HOST = "dc1-r1-h1"

#: Short times, so that few looks are enough.
OPTIONS: dict[str, Any] = {
    "tick": 1.0, "warmup": 0.0, "report_ttl": 3.0, "heartbeat_timeout": 3.0,
    "confirm": 1.0, "nova_fresh": 4.0, "nova_poll": 1.0, "return_clean": 2.0,
    "request_grace": 5.0, "fence_retry": 4.0,
}


class Killed(BaseException):
    """The process of the engine ended here."""


def configuration(**options: Any) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    aacloud_conf.register_opts(conf)
    aacloud_conf.parse_args(
        [], "aacloud-test", default_config_files=[], conf=conf)
    for name, value in {**OPTIONS, **options}.items():
        conf.set_override(name, value, "aacloud_failover")
    return conf


class ScriptedLease:
    """Leads when it is told to."""

    def __init__(self) -> None:
        self.leads = False
        self.trouble: str | None = None
        self.resigned: list[str] = []

    def valid(self) -> bool:
        return self.leads

    def resign(self, reason: str) -> None:
        self.resigned.append(reason)
        self.leads = False


class Notes:
    """Keeps the notifications."""

    def __init__(self) -> None:
        self.told: list[incidents.Incident] = []

    def incident(self, incident: incidents.Incident) -> None:
        self.told.append(incident)

    def states(self) -> list[State]:
        return [one.state for one in self.told]


class WatchedJournal(journals.Journal):
    """Calls back around each write; a number counts them.

    :ivar before: called before the write with its number
    :ivar after: called after it was committed
    :ivar states: host -> the state that was written last; cheaper to ask
        than the database
    """

    writes = 0

    def __init__(
        self, states: dict[str, State], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.states = states
        self.before: Callable[[int], None] = lambda number: None
        self.after: Callable[[int], None] = lambda number: None

    @contextlib.contextmanager
    def _watched(self) -> typing.Iterator[None]:
        number = self.writes
        self.writes += 1
        self.before(number)
        yield
        self.after(number)

    def open_incident(self, *args: Any, **kwargs: Any) -> Any:
        with self._watched():
            written = super().open_incident(*args, **kwargs)
            self.states[written.host] = written.state
            return written

    def advance(self, *args: Any, **kwargs: Any) -> Any:
        with self._watched():
            written = super().advance(*args, **kwargs)
            self.states[written.host] = written.state
            return written

    def note(self, *args: Any, **kwargs: Any) -> Any:
        with self._watched():
            return super().note(*args, **kwargs)

    def put_servers(self, *args: Any, **kwargs: Any) -> Any:
        with self._watched():
            return super().put_servers(*args, **kwargs)

    def update_servers(self, steps: Any) -> Any:
        if not steps:
            return ()
        with self._watched():
            return super().update_servers(steps)


class Engine:
    """One engine of the stage."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.name = name
        self.stage = stage
        clock = stage.time.clock()
        self.lease = ScriptedLease()
        self.term = terms.Term()
        self.journal = WatchedJournal(
            stage.states, stage.database, lambda: self.term.epoch,
            now=clock.utcnow)
        self.world = worlds.World(clock.monotonic(), clock)
        self.board = contexts.JudgementBoard(clock)
        self.notes = Notes()
        self.watcher = watcher.CloudWatcher(
            stage.cloud, self.world, services_every=1.0, topology_every=30.0,
            clock=clock)
        self.pace = paces.Pace(
            policies.concurrency_of(stage.conf), clock.monotonic)
        self.context = contexts.Context(
            conf=stage.conf, journal=self.journal, cloud=stage.cloud,
            fencer=typing.cast(Any, stage.fencer), world=self.world,
            board=self.board, notifier=typing.cast(Any, self.notes),
            watcher=self.watcher, may_act=self.lease.valid,
            epoch=lambda: self.term.epoch, pace=self.pace,
            clock=clock, pool=virtual_time.Inline)
        self.overseer = overseer.Overseer(
            self.context, self.lease, self.term,
            db_api.Incidents(stage.database, now=clock.utcnow),
            member=name, begin=self._begin)
        self.overseer.remember(
            {record.name: record for record in self.journal.hosts()})
        self.workers: dict[worker.IncidentWorker, float] = {}
        self.looks_at = stage.time.now

    def _begin(self, fresh: worker.IncidentWorker) -> None:
        self.workers[fresh] = self.stage.time.now

    def lead(self) -> Engine:
        """As the lease does it."""
        self.overseer.take_over()
        self.lease.leads = True
        return self

    def depose(self) -> None:
        """As the lease does it when it was lost."""
        self.lease.leads = False
        self.overseer.lost("the test says so")

    def look(self) -> None:
        """What all threads but the workers do in a second."""
        for report in self.stage.reports():
            self.world.take_report(report, {"management": "10.0.0.1"})
        self.watcher.look()
        self.overseer.look()

    def work(self) -> None:
        """Let each worker that is due take its turns."""
        for each in list(self.workers):
            turns = 0
            while each in self.workers and (
                self.workers[each] <= self.stage.time.now
            ):
                pause = each.turn()
                if pause is None:
                    each.end()
                    del self.workers[each]
                else:
                    self.workers[each] = self.stage.time.now + pause
                turns += 1
                assert turns < 60, f"it spins: {self.stage.story()}"


class Stage:
    """The cloud, the database, and the engines over them."""

    def __init__(self, database: db_engine.Database, **options: Any) -> None:
        self.time = virtual_time.VirtualTime()
        self.database = database
        self.conf = configuration(**options)
        self.topology = builders.cloud()
        self.cloud = scripted_cloud.ScriptedCloud(self.time, self.topology)
        self.fencer = scripted_fencer.ScriptedFencer(self.time)
        self.modes = db_api.Modes(database, now=self.time.utcnow)
        self.interface = db_api.Incidents(database, now=self.time.utcnow)
        self.died: dict[str, float] = {}
        self.boots: dict[str, int] = {}
        self.guests: dict[str, set[str]] = {}
        self.engines: list[Engine] = []
        self.states: dict[str, State] = {}

    def engine(self, name: str = "one") -> Engine:
        self.cloud.forget()
        made = Engine(self, name)
        self.engines.append(made)
        return made

    def arm(self, mode: Mode = Mode.ARMED) -> None:
        self.modes.set(
            Level.CLOUD, topologies.CLOUD_NAME, mode, reason="test", by="ann")

    # -- hosts --------------------------------------------------------------

    def kill(self, *hosts: str) -> None:
        """Hosts die; their controllers go on to say that they are on."""
        for host in hosts:
            self.died[host] = self.time.now
            self.cloud.kill(host)

    def power_on(self, host: str) -> None:
        """It boots, and its nova-compute cleans up."""
        self.died.pop(host, None)
        self.boots[host] = self.boots.get(host, 0) + 1
        self.fencer.power[host] = scripted_fencer.ON
        self.cloud.start_compute(host)

    def reports(self) -> list[observations.Report]:
        """What all agents report now."""
        made = []
        assigned = peers.assign_targets(self.topology)
        for observer, targets in assigned.items():
            if observer in self.died:
                continue
            guests = self.guests.get(
                observer, self.cloud.uuids_on(observer))
            made.append(observations.Report(
                observer=observer, seq=int(self.time.now),
                boot_id=f"{self.boots.get(observer, 0)}-{observer}",
                interval_s=1.0, received=self.time.now,
                facts={"guests": str(len(guests)), **{
                    f"guest.{uuid}": "runs" for uuid in guests}},
                observations=tuple(
                    self._observation(observer, target, network)
                    for target in targets
                    for network in observations.NETWORKS)))
        return made

    def _observation(
        self, observer: str, target: peers.Target, network: str
    ) -> observations.Observation:
        died = self.died.get(target.host)
        silent = 0.1 if died is None else self.time.now - died + 0.1
        lost = silent > 2.0
        return observations.Observation(
            observer=observer, target=target.host, network=network,
            vantage=target.vantage, misses=int(silent) if lost else 0,
            reach=observations.Reach.DOWN if lost else observations.Reach.UP,
            silent_s=silent, rtt_ms=None if lost else 0.4)

    # -- time ---------------------------------------------------------------

    def run(
        self, until: Callable[[], object], limit_s: float = 300.0
    ) -> None:
        """Let time go by until it is so; every engine looks and works."""
        end = self.time.now + limit_s
        while not until():
            if self.time.now > end:
                raise AssertionError(f"it never came: {self.story()}")
            for each in list(self.engines):
                if self.time.now >= each.looks_at:
                    each.looks_at = self.time.now + 1.0
                    each.look()
                each.work()
            wake = [
                due for each in self.engines
                for due in (each.looks_at, *each.workers.values())]
            self.time.go_to(max(
                min(wake, default=end), self.time.now + 0.25))

    def run_for(self, seconds: float) -> None:
        end = self.time.now + seconds
        self.run(lambda: self.time.now >= end, seconds + 10.0)

    # -- what is to be seen -------------------------------------------------

    def incidents(self, host: str = HOST) -> list[incidents.Incident]:
        """All incidents of a host, the oldest first."""
        return list(reversed(self.interface.list(host=host)))

    def incident(self, host: str = HOST) -> incidents.Incident:
        """The newest incident of a host."""
        return self.incidents(host)[-1]

    def state(self, host: str = HOST) -> State | None:
        found = self.incidents(host)
        return found[-1].state if found else None

    def is_in(self, *states: State, host: str = HOST) -> Callable[[], bool]:
        return lambda: self.states.get(host) in states

    def waits(self, host: str = HOST) -> str:
        return self.incident(host).waiting or ""

    def servers(self, host: str = HOST) -> dict[str, incidents.ServerRecord]:
        return {
            record.server: record
            for record in self.interface.servers(self.incident(host).id)}

    def events(self, host: str = HOST) -> list[incidents.Event]:
        return list(self.interface.events(self.incident(host).id))

    def story(self) -> list[str]:
        found = self.interface.list()
        return [
            f"{event.at:%M:%S} {event.kind} {event.text}"
            for incident in found
            for event in self.interface.events(incident.id)][-25:]

    def tell(
        self, command: incidents.Command, host: str = HOST
    ) -> incidents.OperatorCommand:
        return self.interface.write_command(
            self.incident(host).id, command, by="ann", reason="she knows")

    def all_went_once(self, *uuids: str) -> None:
        """Each server runs elsewhere, and was evacuated exactly once."""
        assert sorted(uuid for uuid, _host in self.cloud.evacuations) == (
            sorted(uuids)), self.story()
        for uuid in uuids:
            assert self.cloud.servers[uuid].host != HOST
            assert self.cloud.servers[uuid].task_state is None


def with_servers(stage: Stage, count: int, host: str = HOST) -> list[str]:
    """Put servers on a host; return their uuids."""
    uuids = [f"s{number}" for number in range(count)]
    for uuid in uuids:
        stage.cloud.add(uuid, host)
    return uuids


def seconds(count: float) -> datetime.timedelta:
    return datetime.timedelta(seconds=count)


def replace(server: Any, **changes: Any) -> Any:
    return dataclasses.replace(server, **changes)
