# SPDX-License-Identifier: Apache-2.0
"""The daemon: looks at the cloud each tick, and leads if it was elected.

Every engine gathers and judges all the time, so that a new leader knows the
cloud at once; only the leader writes the journal and starts workers.
"""

from __future__ import annotations

from collections.abc import Mapping
import datetime
import logging
import os
import socket
import threading
import time

from oslo_config import cfg

from aacloud import conf as aacloud_conf
from aacloud.clouds import nova
from aacloud.clouds import pace as paces
from aacloud.core import brakes
from aacloud.core import hosts as host_records
from aacloud.core import incidents
from aacloud.core import topology
from aacloud.core import verdicts
from aacloud.db import api as db_api
from aacloud.db import engine as db_engine
from aacloud.db import errors as db_errors
from aacloud.db import journal as journals
from aacloud.db import migration
from aacloud.failover import context as contexts
from aacloud.failover import leader
from aacloud.failover import metrics
from aacloud.failover import policies
from aacloud.failover import worker
from aacloud.failover import world as worlds
from aacloud.failover.steps import step
from aacloud.fencing import fencer as fencers
from aacloud.fencing import inventory
from aacloud.rpc import messaging
from aacloud.rpc import notifications
from aacloud.rpc import observations as rpc_observations
from aacloud.rpc import peers as rpc_peers
from aacloud.rpc import schema
from aacloud.rpc import signing

LOG = logging.getLogger(__name__)

#: Seconds between two writes of the hosts' table when nothing changed.
HOSTS_EVERY = 3.0
#: Seconds after which Nova's silence makes what it said worthless.
NOVA_TTL = 20.0


def member_id(conf: cfg.ConfigOpts) -> str:
    """The name of this engine among the others."""
    return (
        conf.aacloud_coordination.member_id
        or f"{socket.gethostname()}:{os.getpid()}"
    )


class FailoverDaemon:
    """See :class:`aacloud.service.Daemon`."""

    name = "failover"

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._member = member_id(conf)
        started = time.monotonic()
        self._world = worlds.World(started)
        self._board = contexts.JudgementBoard()
        self._epoch: int | None = None
        self._store_trouble: str | None = "the database was not asked yet"
        self._store_ok_at = started
        self._dead_since: Mapping[str, float] = {}
        self._known_agents: frozenset[str] = frozenset()
        self._workers: dict[str, worker.IncidentWorker] = {}
        self._saved: dict[str, host_records.HostRecord] = {}
        self._saved_at = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        try:
            self._keys = signing.KeyRing.from_file(
                conf.aacloud_failover.key_file)
            self._fencer = fencers.Fencer.from_conf(conf)
        except (signing.KeyFileError, inventory.InventoryError) as error:
            raise aacloud_conf.ConfigurationError(
                [str(error)]) from error
        self._database = db_engine.Database(conf)
        self._journal = journals.Journal(
            self._database, lambda: self._epoch)
        self._incidents = db_api.Incidents(self._database)
        self._cloud = nova.NovaCloud.from_conf(conf)
        self._transport = messaging.init(conf)
        self._notifier = notifications.IncidentNotifier(
            messaging.init_notifications(conf), host=self._member)
        self._watcher = worlds.CloudWatcher(
            self._cloud, self._world,
            services_every=conf.aacloud_failover.nova_poll,
            topology_every=conf.aacloud_failover.topology_poll)
        self._lease = leader.LeaderLease(
            conf.aacloud_coordination.backend_url, self._member,
            lease=conf.aacloud_coordination.lease,
            on_elected=self._take_over, on_lost=self._lost)
        self._context = contexts.Context(
            conf=conf, journal=self._journal, cloud=self._cloud,
            fencer=self._fencer, world=self._world, board=self._board,
            notifier=self._notifier, watcher=self._watcher,
            may_act=self._lease.valid, guests=self._world.guests,
            pace=paces.Pace(policies.concurrency_of(conf)))
        self._reports: rpc_observations.ObservationServer | None = None
        self._peers: messaging.BackgroundServer | None = None

    # -- the harness's side -------------------------------------------------

    def start(self) -> None:
        migration.check(self._conf)
        known = {record.name: record for record in self._journal.hosts()}
        self._store_trouble = None
        self._world.remember(known)
        self._known_agents = frozenset(
            name for name, record in known.items()
            if record.agent_seen_at is not None)
        self._reports = rpc_observations.ObservationServer(
            self._transport, self._keys, self._take_heartbeat,
            name=self._member,
            known_boots={
                name: record.boot_id for name, record in known.items()
                if record.boot_id})
        self._peers = rpc_peers.peers_server(
            self._transport,
            rpc_peers.PeersEndpoint(self._keys, self._assign),
            name=self._member)
        self._notifier.start()
        self._watcher.start()
        self._reports.start()
        self._peers.start()
        self._lease.start()
        self._thread = threading.Thread(
            target=self._run, name="failover-engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        for each in self._workers.values():
            each.stop()
        for each in list(self._workers.values()):
            each.join(timeout=10)
        self._lease.stop()
        for server in (self._reports, self._peers):
            if server is not None:
                server.stop()
        self._watcher.stop()
        self._notifier.stop()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self._database.dispose()

    def wait(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def reload(self) -> None:
        problems = []
        try:
            self._keys.reload()
        except signing.KeyFileError as error:
            problems.append(str(error))
        try:
            self._fencer.reload(self._conf)
        except inventory.InventoryError as error:
            problems.append(str(error))
        if problems:
            raise aacloud_conf.ConfigurationError(problems)

    def checks(self) -> Mapping[str, tuple[bool, str]]:
        judgement = self._board.get()
        doubts = judgement.self_reasons if judgement is not None else (
            "nothing was judged yet",)
        return {
            "engine": (
                self._thread is not None and self._thread.is_alive(),
                "leads" if self._lease.valid() else "stands by"),
            "coordination": _check(self._lease.trouble),
            "database": _check(self._store_trouble),
            "nova": _check(self._watcher.trouble),
            "messaging": (
                self._reports is not None and self._reports.listening,
                "listening" if self._reports is not None
                and self._reports.listening else "not listening yet"),
            "sight": (not doubts, "; ".join(doubts) or "clear"),
        }

    # -- leadership ---------------------------------------------------------

    def _take_over(self) -> None:
        self._epoch = self._journal.take_over(
            journals.FAILOVER, self._member)
        self._saved.clear()
        metrics.TAKEOVERS.inc()
        metrics.EPOCH.set(self._epoch)
        LOG.info("This engine leads with epoch %d", self._epoch)

    def _lost(self, reason: str) -> None:
        self._epoch = None
        for each in list(self._workers.values()):
            each.stop()

    # -- what comes in ------------------------------------------------------

    def _take_heartbeat(self, heartbeat: schema.Heartbeat) -> None:
        self._world.take_report(
            heartbeat.report, heartbeat.addresses,
            age_s=max(0.0, time.monotonic() - heartbeat.report.received))

    def _assign(self, request: schema.PeersRequest) -> schema.Assignment:
        return self._world.assignment(
            request.host, self._conf.aacloud_failover.peers_per_vantage)

    # -- the loop -----------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.wait(self._conf.aacloud_failover.tick):
            with metrics.TICK_SECONDS.time():
                try:
                    self._tick(time.monotonic())
                except db_errors.StaleJournal as error:
                    LOG.warning("%s", error)
                except db_errors.DatabaseError as error:
                    self._note_store(str(error))
                except Exception:
                    LOG.exception("This look at the cloud failed")

    def _note_store(self, trouble: str | None) -> None:
        if trouble is None:
            self._store_ok_at = time.monotonic()
        if trouble != self._store_trouble:
            if trouble:
                LOG.warning(
                    "The database cannot be used (%s): nothing is begun "
                    "until it can", trouble)
            elif self._store_trouble:
                LOG.info("The database can be used")
            self._store_trouble = trouble

    def _tick(self, now: float) -> None:
        judgement = verdicts.judge(
            self._world.view(
                now,
                store_ok=self._store_trouble is None,
                lease_ok=self._lease.trouble is None,
                dead_since=self._dead_since,
                known_agents=self._known_agents,
                nova_ttl=NOVA_TTL,
            ),
            policies.detection(self._conf), now)
        self._dead_since = judgement.dead_since()
        self._board.put(judgement, now)
        self._measure(judgement)
        if not self._lease.valid():
            self._reap()
            self._ask_database()
            return
        open_now = {
            incident.host: incident
            for incident in self._journal.open_incidents()}
        modes = self._journal.modes()
        self._note_store(None)
        self._count(open_now)
        for host, verdict in judgement.hosts.items():
            if (
                verdict.state is verdicts.HostState.DEAD
                and host not in open_now
            ):
                opened = self._open(host, verdict, modes)
                if opened is not None:
                    open_now[host] = opened
        self._reap()
        for incident in open_now.values():
            if incident.id not in self._workers and self._lease.valid():
                self._workers[incident.id] = worker.IncidentWorker(
                    self._context, incident.id)
                self._workers[incident.id].start()
        self._save_hosts(judgement, now)

    def _ask_database(self) -> None:
        """A standby engine notices a sick database, too."""
        if time.monotonic() - self._store_ok_at > 2.0:
            self._journal.leader()
            self._note_store(None)

    def _open(
        self,
        host: str,
        verdict: verdicts.HostVerdict,
        modes: Mapping[tuple[topology.Level, str], brakes.Mode],
    ) -> incidents.Incident | None:
        mode = brakes.effective_mode(modes, self._world.topology(), host)
        if mode.mode is brakes.Mode.DISARMED:
            LOG.debug("Host %s is dead; disarmed, so no incident", host)
            return None
        if self._forced_down_by_others(host):
            LOG.debug(
                "Host %s is dead; somebody else forced it down in Nova", host)
            return None
        if self._cancelled_by_operator(host):
            LOG.debug(
                "Host %s is dead; an operator cancelled its incident", host)
            return None
        silent = verdict.life_age_s or 0.0
        incident = self._journal.open_incident(
            host, verdict.as_dict(), mode.mode,
            event_text=f"host {host} is dead: {'; '.join(verdict.reasons)}",
            request_id=None,
            summary={
                "last_life_at": (
                    worlds.utcnow() - datetime.timedelta(seconds=silent)
                ).isoformat(),
            })
        LOG.warning(
            "Incident %s opened: host %s is dead (%s). Mode: %s",
            incident.id, host, "; ".join(verdict.reasons), mode.mode.value)
        self._notifier.incident(incident)
        return incident

    def _forced_down_by_others(self, host: str) -> bool:
        """An operator's or another tool's hand is not undone, nor doubled."""
        service = self._world.service(host)
        return service is not None and service.forced_down

    def _cancelled_by_operator(self, host: str) -> bool:
        """Whether the host shows no life since its incident was cancelled."""
        latest = self._incidents.list(host=host, limit=1)
        if not latest or latest[0].closed_at is None:
            return False
        closed_at = latest[0].closed_at
        life = self._world.last_life(host)
        return step.command(
            latest[0], incidents.Command.CANCEL
        ) is not None and (life is None or life < closed_at)

    def _reap(self) -> None:
        for incident_id, each in list(self._workers.items()):
            if not each.alive:
                del self._workers[incident_id]

    def _save_hosts(
        self, judgement: verdicts.Judgement, now: float
    ) -> None:
        records = self._world.records(judgement, now)
        fresh = {
            name: record for name, record in records.items()
            if worlds.differs(self._saved.get(name), record)}
        due = now - self._saved_at >= HOSTS_EVERY
        if not fresh and not due:
            return
        gone = [name for name in self._saved if name not in records]
        self._journal.save_hosts(
            list(records.values()) if due else list(fresh.values()),
            forget=gone)
        self._saved = dict(records)
        if due:
            self._saved_at = now

    # -- what is told -------------------------------------------------------

    def _measure(self, judgement: verdicts.Judgement) -> None:
        metrics.LEADS.set(1 if self._lease.valid() else 0)
        metrics.CUT_OFF.set(1 if judgement.self_cut_off else 0)
        for state in verdicts.HostState:
            metrics.HOSTS.labels(state.value).set(sum(
                verdict.state is state
                for verdict in judgement.hosts.values()))

    def _count(self, open_now: Mapping[str, incidents.Incident]) -> None:
        for state in incidents.IncidentState:
            if state not in incidents.CLOSED:
                metrics.OPEN_INCIDENTS.labels(state.value).set(sum(
                    incident.state is state
                    for incident in open_now.values()))


def _check(trouble: str | None) -> tuple[bool, str]:
    return (trouble is None, trouble or "answers")
