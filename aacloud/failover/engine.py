# SPDX-License-Identifier: Apache-2.0
"""The daemon: wires the engine together and keeps it looking."""

from __future__ import annotations

from collections.abc import Mapping
import logging
import threading

from oslo_config import cfg

from aacloud import conf as aacloud_conf
from aacloud.clouds import nova
from aacloud.clouds import pace as paces
from aacloud.coordination import clock as clocks
from aacloud.coordination import leader
from aacloud.coordination import terms
from aacloud.db import api as db_api
from aacloud.db import engine as db_engine
from aacloud.db import journal as journals
from aacloud.db import migration
from aacloud.failover import context as contexts
from aacloud.failover import overseer
from aacloud.failover import policies
from aacloud.failover import watcher
from aacloud.failover import world as worlds
from aacloud.fencing import fencer as fencers
from aacloud.fencing import inventory
from aacloud.rpc import messaging
from aacloud.rpc import notifications
from aacloud.rpc import observations as rpc_observations
from aacloud.rpc import peers as rpc_peers
from aacloud.rpc import schema
from aacloud.rpc import signing

LOG = logging.getLogger(__name__)

#: Seconds for the steps that are under way when the engine stops.
STOP_S = 10.0
#: Seconds without a look at the cloud after which something hangs.
STUCK_S = 30.0


class FailoverDaemon:
    """See :class:`aacloud.service.Daemon`."""

    name = "failover"

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._member = terms.member_id(conf)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        try:
            self._keys = signing.KeyRing.from_file(
                conf.aacloud_failover.key_file)
            self._fencer = fencers.Fencer.from_conf(conf)
        except (signing.KeyFileError, inventory.InventoryError) as error:
            raise aacloud_conf.ConfigurationError(
                [str(error)]) from error
        clock = clocks.Clock()
        term = terms.Term()
        self._database = db_engine.Database(conf)
        self._journal = journals.Journal(self._database, lambda: term.epoch)
        self._world = worlds.World(clock.monotonic(), clock)
        self._board = contexts.JudgementBoard(
            clock, lambda: max(
                contexts.STALE_S, 3 * conf.aacloud_failover.tick))
        cloud = nova.NovaCloud.from_conf(conf)
        self._transport = messaging.init(conf)
        self._notifier = notifications.IncidentNotifier(
            messaging.init_notifications(conf), host=self._member)
        self._watcher = watcher.CloudWatcher(
            cloud, self._world,
            services_every=conf.aacloud_failover.nova_poll,
            topology_every=conf.aacloud_failover.topology_poll,
            clock=clock)
        self._lease = leader.LeaderLease(
            conf.aacloud_coordination.backend_url, self._member,
            lease=conf.aacloud_coordination.lease,
            on_elected=self._elected, on_lost=self._lost)
        self._pace = paces.Pace(policies.concurrency_of(conf))
        self._overseer = overseer.Overseer(
            contexts.Context(
                conf=conf, journal=self._journal, cloud=cloud,
                fencer=self._fencer, world=self._world, board=self._board,
                notifier=self._notifier, watcher=self._watcher,
                may_act=self._lease.valid, epoch=lambda: term.epoch,
                pace=self._pace, clock=clock),
            self._lease, term, db_api.Incidents(self._database),
            member=self._member)
        self._reports: rpc_observations.ObservationServer | None = None
        self._peers: messaging.BackgroundServer | None = None

    # -- the harness's side -------------------------------------------------

    def start(self) -> None:
        """Start all threads.

        :raises db_errors.DatabaseError: the database cannot be used
        """
        migration.check(self._conf)
        known = {record.name: record for record in self._journal.hosts()}
        self._overseer.remember(known)
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
        """Let the steps under way end, then give the leadership back.

        What is cut short is found again by the engine that leads next.
        """
        self._stop.set()
        self._overseer.end_workers(STOP_S)
        self._lease.stop()
        if self._thread is not None:
            self._thread.join(STOP_S)
        for server in (self._reports, self._peers):
            if server is not None:
                server.stop()
        self._watcher.stop()
        self._notifier.stop()
        self._database.dispose()

    def wait(self) -> None:
        """Return when the loop has ended."""
        if self._thread is not None:
            self._thread.join()

    def reload(self) -> None:
        """Read keys and fencing inventory again, take over the limits.

        Everything else is read from the configuration where it is used.
        """
        problems = []
        self._pace.adjust(
            ceiling=self._conf.aacloud_failover.concurrency_max,
            per_destination=(
                self._conf.aacloud_failover.concurrency_per_destination))
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
        """What is well and what is not, by what is known already."""
        judgement = self._board.get()
        doubts = judgement.self_reasons if judgement is not None else (
            "there is no judgement of now",)
        listening = self._reports is not None and self._reports.listening
        return {
            "engine": self._check_engine(),
            "coordination": _check(self._lease.trouble),
            "database": _check(self._overseer.store_trouble),
            "nova": _check(self._watcher.trouble),
            "messaging": (
                listening,
                "listening" if listening else "not listening yet"),
            "sight": (not doubts, "; ".join(doubts) or "clear"),
        }

    def _check_engine(self) -> tuple[bool, str]:
        if self._thread is None or not self._thread.is_alive():
            return False, "it does not run"
        age = self._overseer.last_look_age()
        if age is not None and age > max(
            STUCK_S, 3 * self._conf.aacloud_failover.tick
        ):
            return False, (
                f"its last look at the cloud that came to an end was "
                f"{age:.0f} s ago; look for it in the log")
        return True, "leads" if self._lease.valid() else "stands by"

    # -- leadership: the overseer is made after the lease that it asks ------

    def _elected(self) -> None:
        self._overseer.take_over()

    def _lost(self, reason: str) -> None:
        self._overseer.lost(reason)

    # -- what comes in ------------------------------------------------------

    def _take_heartbeat(self, heartbeat: schema.Heartbeat) -> None:
        self._world.take_report(heartbeat.report, heartbeat.addresses)

    def _assign(self, request: schema.PeersRequest) -> schema.Assignment:
        return self._world.assignment(
            request.host, self._conf.aacloud_failover.peers_per_vantage)

    # -- the loop -----------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.wait(self._conf.aacloud_failover.tick):
            self._overseer.look()


def _check(trouble: str | None) -> tuple[bool, str]:
    return (trouble is None, trouble or "answers")
