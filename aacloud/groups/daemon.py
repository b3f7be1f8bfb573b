# SPDX-License-Identifier: Apache-2.0
"""The daemon: wires the engine of server groups and keeps it going.

Every instance answers questions, takes Nova's notifications from one pool,
and inspects what changed. One leads: it reconciles, inspects all, makes plans
and carries them out.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import logging
import threading

from oslo_config import cfg

from aacloud.clouds import nova
from aacloud.clouds import projects as cloud_projects
from aacloud.coordination import clock as clocks
from aacloud.coordination import leader
from aacloud.coordination import terms
from aacloud.core import incidents
from aacloud.core import topology as topologies
from aacloud.core import verdicts
from aacloud.db import api as db_api
from aacloud.db import engine as db_engine
from aacloud.db import groups as stores
from aacloud.db import inspections
from aacloud.db import migration
from aacloud.db import plans as plan_stores
from aacloud.db import quotas
from aacloud.db import schedulers
from aacloud.groups import answers
from aacloud.groups import catalogue as catalogues
from aacloud.groups import executor as executors
from aacloud.groups import explaining
from aacloud.groups import fullness
from aacloud.groups import inspector as inspectors
from aacloud.groups import keeper as keepers
from aacloud.groups import membership as memberships
from aacloud.groups import metrics
from aacloud.groups import policies
from aacloud.groups import projects
from aacloud.groups import rechecking
from aacloud.groups import reconciliation
from aacloud.groups import repairer as repairers
from aacloud.groups import sight as sights
from aacloud.groups import snapshots
from aacloud.groups import surroundings as around
from aacloud.rpc import group_messages
from aacloud.rpc import groups as rpc_groups
from aacloud.rpc import groups_server
from aacloud.rpc import messaging
from aacloud.rpc import notifications
from aacloud.rpc import nova_notifications

LOG = logging.getLogger(__name__)

#: Seconds between two looks at Nova's services.
HOSTS_EVERY = 10.0
#: Seconds for what is under way when the engine stops.
STOP_S = 10.0
#: Seconds without a round that came to its end after which something hangs.
STUCK_S = 900.0
#: Seconds after which what the failover engine wrote of a host is old.
HOST_FRESH_S = 30.0


class GroupsDaemon:
    """See :class:`aacloud.service.Daemon`."""

    name = "groups"

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._member = terms.member_id(conf)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        clock = clocks.Clock()
        self._clock = clock
        term = terms.Term()
        self._term = term
        self._database = db_engine.Database(conf)
        store = stores.Groups(
            self._database, default_quota=lambda: policies.quota(conf))
        self._plans = plan_stores.Plans(self._database, lambda: term.epoch)
        kept = inspections.Inspections(self._database)
        places = inspections.Places(self._database)
        words = schedulers.Schedulers(self._database)
        self._hosts = db_api.Hosts(self._database)
        self._incidents = db_api.Incidents(self._database)
        cloud = nova.NovaCloud.from_conf(conf)
        self._transport = messaging.init(conf)
        self._notifying = messaging.init_notifications(conf)
        self._durable = bool(
            conf[messaging.RABBIT_GROUP].amqp_durable_queues)
        self._notifier = notifications.GroupNotifier(
            self._notifying, host=self._member)
        self._announcer = rpc_groups.GroupsClient(self._transport)
        options = conf.aacloud_groups
        self._watcher = around.Watcher(
            cloud, self._dead_hosts, every_s=HOSTS_EVERY,
            topology_every_s=options.topology_poll, clock=clock)
        self._lease = leader.LeaderLease(
            conf.aacloud_coordination.backend_url, self._member,
            lease=conf.aacloud_coordination.lease, name="aacloud-groups",
            on_elected=self._elected, on_lost=self._lost)
        self._catalogue = catalogues.Catalogue(store)
        reader = sights.Reader(cloud, clock)
        self._repairer = repairers.Repairer(
            conf, self._plans, cloud, reader, clock)
        self._inspector = inspectors.Inspector(
            self._catalogue, reader, self._watcher, kept, places, words,
            self._notifier, explaining.Explainer(
                conf, self._catalogue, reader, cloud, self._repairer, clock),
            clock)
        self._membership = memberships.Membership(
            store, cloud, announce=self._announcer.changed,
            recheck=self._inspector.recheck)
        self._keeper = keepers.Keeper(
            conf, store, self._catalogue,
            reconciliation.Reconciler(store, reader, self._membership),
            reader, self._inspector, self._repairer, kept, places, words,
            leads=self._lease.valid, announce=self._announcer.changed,
            clock=clock)
        self._projects = projects.ProjectCheck(
            conf, self._catalogue, cloud_projects.Projects.from_conf(conf),
            forget=self._membership.forget_project, may_act=self._may_act,
            clock=clock)
        self._executor = executors.Executor(
            conf, self._plans, cloud,
            rechecking.Rechecker(
                self._catalogue, reader, self._watcher, cloud,
                lambda: options.default_window, clock),
            may_act=self._may_act, epoch=lambda: term.epoch,
            hold=self._hold, recheck=self._inspector.recheck,
            domains=self._domains, clock=clock)
        self._servers = (
            groups_server.groups_server(
                self._transport,
                answers.Answers(
                    store, self._catalogue, reader, cloud, self._inspector,
                    self._repairer, self._plans, words,
                    snapshots.SnapshotMaker(
                        self._catalogue, self._watcher, fullness.Fullness(
                            self._catalogue, quotas.Quotas(
                                self._database,
                                default=lambda: policies.quota(conf)),
                            clock), clock),
                    member=self._member, leads=self._lease.valid,
                    forward=self._forward, stop=self._stop, clock=clock),
                name=self._member),
            groups_server.changed_server(
                self._transport, self._heard, name=self._member),
            *nova_notifications.listeners(
                self._hearing, self._membership.handle, self._stop.wait,
                topics=options.notification_topics,
                pool=options.notification_pool,
                durable=self._durable))
        metrics.LEADS.set_function(lambda: float(self._lease.valid()))

    def _hearing(self, durable: bool) -> messaging.NotificationTransport:
        """What Nova and Keystone are heard with."""
        if durable == self._durable:
            return self._notifying
        return messaging.listening_transport(self._conf, durable=durable)

    # -- the harness's side -------------------------------------------------

    def start(self) -> None:
        """Start all threads.

        :raises db_errors.DatabaseError: the database cannot be used
        """
        migration.check(self._conf)
        self._catalogue.refresh()
        self._notifier.start()
        self._watcher.start()
        self._inspector.start()
        for server in self._servers:
            server.start()
        self._lease.start()
        for name, look in (
            ("groups-keeper", self._keeper.look),
            ("groups-executor", self._executor.look),
            ("groups-projects", self._projects.look),
        ):
            thread = threading.Thread(
                target=self._run, args=(look,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Let what is under way end, then give the leadership back.

        What is cut short is found again by the engine that leads next.
        """
        self._stop.set()
        for thread in self._threads:
            thread.join(STOP_S)
        self._executor.close()
        self._lease.stop()
        for server in self._servers:
            server.stop()
        self._inspector.stop()
        self._watcher.stop()
        self._notifier.stop()
        self._database.dispose()

    def wait(self) -> None:
        """Return when the loops have ended."""
        for thread in self._threads:
            thread.join()

    def reload(self) -> None:
        """Nothing: all is read from the configuration where it is used."""

    def checks(self) -> Mapping[str, tuple[bool, str]]:
        """What is well and what is not, by what is known already."""
        listening = all(server.listening for server in self._servers)
        return {
            "engine": self._check_engine(),
            "coordination": _check(self._lease.trouble),
            "database": _check(self._keeper.store_trouble),
            "nova": _check(self._watcher.trouble),
            "messaging": (
                listening,
                "listening" if listening else "not listening yet"),
        }

    def _check_engine(self) -> tuple[bool, str]:
        if not self._threads or not all(
            thread.is_alive() for thread in self._threads
        ):
            return False, "it does not run"
        at = self._keeper.round_at
        if at is not None and self._clock.monotonic() - at > max(
            STUCK_S, 3 * self._conf.aacloud_groups.inspect_interval
        ):
            return False, (
                "its last round that came to an end was "
                f"{self._clock.monotonic() - at:.0f} s ago; look for it in "
                "the log")
        return True, "leads" if self._lease.valid() else "stands by"

    def _run(self, look: Callable[[], float]) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            pause = look()

    # -- leadership ---------------------------------------------------------

    def _elected(self) -> None:
        epoch = self._plans.take_over(plan_stores.GROUPS, self._member)
        self._term.epoch = epoch
        self._keeper.take_over()
        metrics.TAKEOVERS.inc()
        metrics.EPOCH.set(epoch)
        LOG.info("This engine leads with epoch %d", epoch)

    def _lost(self, reason: str) -> None:
        self._term.epoch = None

    def _may_act(self) -> bool:
        return not self._stop.is_set() and self._lease.valid()

    # -- what the parts ask -------------------------------------------------

    def _heard(self, revision: int) -> None:
        """Somebody changed a group: see which ones, and inspect them."""
        before = self._catalogue.revision
        if revision <= before:
            return
        self._catalogue.refresh()
        _, groups, _, full = self._catalogue.since(before)
        if not full:
            self._inspector.recheck([group.id for group in groups])

    def _forward(
        self, holder: str, question: answers.RepairQuestion
    ) -> group_messages.Plan:
        return rpc_groups.GroupsClient(self._transport, holder).repair(
            question.group, dry_run=question.dry_run, by=question.by,
            project_id=question.project_id)

    def _dead_hosts(self) -> Sequence[str]:
        """The hosts that the failover engine holds dead, if there is one."""
        now = self._clock.utcnow()
        return [
            host.name
            for host in self._hosts.list(state=verdicts.HostState.DEAD)
            if host.updated_at is not None
            and (now - host.updated_at).total_seconds() < HOST_FRESH_S]

    def _hold(self) -> Sequence[str]:
        """Why no server may be moved now."""
        here = self._watcher.known()
        if here is None or self._watcher.trouble is not None:
            return (f"Nova cannot be read: {self._watcher.trouble}",)
        if here.dead_dcs:
            return (
                f"data centre {', '.join(sorted(here.dead_dcs))} is lost",)
        busy = [
            incident.host for incident in self._incidents.list(is_open=True)
            if incident.state in incidents.IN_RECOVERY]
        if busy:
            return (f"the servers of host {busy[0]} are being recovered",)
        return ()

    def _domains(self) -> Mapping[str, tuple[str, str]]:
        here = self._watcher.known()
        return {} if here is None else _places(here.topology)


def _check(trouble: str | None) -> tuple[bool, str]:
    return (trouble is None, trouble or "answers")


def _places(
    topology: topologies.Topology,
) -> Mapping[str, tuple[str, str]]:
    return {
        host.name: (host.rack, host.dc) for host in topology.hosts.values()}
