# SPDX-License-Identifier: Apache-2.0
"""What the engine sees: reports of the agents, Nova's view, the topology.

Everything here only gathers; judging is ``aacloud.core.verdicts``.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime
import hashlib
import logging
import threading
import time

from aacloud.clouds import errors as cloud_errors
from aacloud.clouds import ports
from aacloud.core import hosts as host_records
from aacloud.core import observations
from aacloud.core import peers
from aacloud.core import topology as topologies
from aacloud.core import verdicts
from aacloud.rpc import peers as rpc_peers
from aacloud.rpc import schema

LOG = logging.getLogger(__name__)


def utcnow() -> datetime.datetime:
    """The wall clock of this engine, aware."""
    return datetime.datetime.now(datetime.timezone.utc)


class World:
    """The latest of everything, safe to use from several threads.

    :param started: monotonic seconds at which this engine started
    """

    def __init__(self, started: float) -> None:
        self._guard = threading.Lock()
        self._started = started
        self._reports: dict[str, observations.Report] = {}
        self._addresses: dict[str, dict[str, str]] = {}
        self._life: dict[str, datetime.datetime] = {}
        self._boots: dict[str, str] = {}
        self._guests: dict[str, tuple[str, ...] | None] = {}
        self._known: dict[str, host_records.HostRecord] = {}
        self._topology = topologies.Topology(hosts={})
        self._problems: tuple[str, ...] = ()
        self._services: dict[str, verdicts.NovaServiceView] = {}
        self._services_at: float | None = None

    # -- what comes in ----------------------------------------------------

    def take_report(
        self,
        report: observations.Report,
        addresses: Mapping[str, str],
        age_s: float,
    ) -> None:
        """Keep the newest report of an agent, ``age_s`` seconds old."""
        now = utcnow() - datetime.timedelta(seconds=age_s)
        with self._guard:
            self._reports[report.observer] = report
            if addresses:
                self._addresses[report.observer] = dict(addresses)
            told = _guests(report)
            before = self._boots.get(report.observer)
            self._boots[report.observer] = report.boot_id
            if "guests" in report.facts or before != report.boot_id:
                self._guests[report.observer] = told
            self._saw(report.observer, now)
            for seen in report.observations:
                if (
                    seen.reach is observations.Reach.UP
                    and seen.silent_s is not None
                ):
                    self._saw(seen.target, now - datetime.timedelta(
                        seconds=seen.silent_s))

    def _saw(self, host: str, when: datetime.datetime) -> None:
        known = self._life.get(host)
        if known is None or when > known:
            self._life[host] = when

    def take_topology(
        self, topology: topologies.Topology, problems: tuple[str, ...]
    ) -> None:
        with self._guard:
            changed = problems != self._problems
            self._topology, self._problems = topology, problems
        if changed:
            for problem in problems:
                LOG.warning('Topology: %s', problem)

    def take_services(
        self, services: Mapping[str, verdicts.NovaServiceView], now: float
    ) -> None:
        """Keep what Nova says, as of ``now`` (monotonic seconds)."""
        with self._guard:
            self._services = dict(services)
            self._services_at = now

    def remember(self, known: Mapping[str, host_records.HostRecord]) -> None:
        """Start with what an earlier engine had stored."""
        with self._guard:
            self._known = dict(known)
            for name, record in known.items():
                if record.addresses:
                    self._addresses.setdefault(name, dict(record.addresses))

    # -- what is asked ----------------------------------------------------

    def topology(self) -> topologies.Topology:
        with self._guard:
            return self._topology

    def addresses(self) -> dict[str, dict[str, str]]:
        with self._guard:
            return {host: dict(own) for host, own in self._addresses.items()}

    def report(self, host: str) -> observations.Report | None:
        with self._guard:
            return self._reports.get(host)

    def last_life(self, host: str) -> datetime.datetime | None:
        """When the host last answered anybody or reported (UTC)."""
        with self._guard:
            return self._life.get(host)

    def guests(self, host: str) -> tuple[str, ...] | None:
        """The guests that run on a host, told by the agent of its present
        life; None when it did not tell."""
        with self._guard:
            return self._guests.get(host)

    def service(self, host: str) -> verdicts.NovaServiceView | None:
        with self._guard:
            return self._services.get(host)

    def view(
        self,
        now: float,
        *,
        store_ok: bool,
        lease_ok: bool,
        dead_since: Mapping[str, float],
        known_agents: frozenset[str],
        nova_ttl: float,
    ) -> verdicts.WorldView:
        """A frozen picture of everything, to be judged.

        :param nova_ttl: seconds after which what Nova said is left out
        """
        with self._guard:
            asked = self._services_at
            services = {
                host: dataclasses.replace(
                    seen,
                    last_seen_age_s=None if seen.last_seen_age_s is None
                    else seen.last_seen_age_s + now - asked)
                for host, seen in self._services.items()
            } if asked is not None and now - asked <= nova_ttl else {}
            return verdicts.WorldView(
                topology=self._topology,
                reports=dict(self._reports),
                nova_services=services,
                store_ok=store_ok,
                lease_ok=lease_ok,
                engine_started=self._started,
                dead_since=dict(dead_since),
                known_agents=known_agents,
            )

    def records(
        self, judgement: verdicts.Judgement, now: float
    ) -> dict[str, host_records.HostRecord]:
        """All hosts as they are to be kept for API and next leader."""
        stamp = utcnow()
        found = {}
        with self._guard:
            for name, verdict in judgement.hosts.items():
                place = self._topology.hosts.get(name)
                if place is None:
                    continue
                report = self._reports.get(name)
                seen = self._services.get(name)
                known = self._known.get(name)
                found[name] = host_records.HostRecord(
                    name=name, dc=place.dc, rack=place.rack,
                    instance_disks=place.instance_disks,
                    addresses=self._addresses.get(name, {}),
                    boot_id=report.boot_id if report is not None
                    else known.boot_id if known is not None else None,
                    agent_seen_at=stamp - datetime.timedelta(
                        seconds=now - report.received)
                    if report is not None
                    else known.agent_seen_at if known is not None else None,
                    state=verdict.state,
                    networks=verdict.networks,
                    reasons=verdict.reasons,
                    nova={} if seen is None else {
                        "state": seen.state,
                        "forced_down": seen.forced_down,
                        "disabled": seen.disabled,
                        "disabled_reason": seen.disabled_reason,
                    },
                    updated_at=stamp,
                )
        return found

    def assignment(
        self, host: str, per_vantage: int
    ) -> schema.Assignment:
        """Whom the agent of ``host`` is to probe, with their addresses.

        :raises rpc_peers.AssignmentUnavailable: not known (yet), and why
        """
        topology = self.topology()
        if host not in topology.hosts:
            raise rpc_peers.AssignmentUnavailable(
                f"host {host} is not in the topology: give it a rack and a "
                "data centre with 'aacloud-manage topology apply'"
            )
        addresses = self.addresses()
        wanted = peers.assign_targets(topology, per_vantage=per_vantage)[host]
        targets = tuple(
            schema.PeerTarget(
                host=target.host,
                vantage=target.vantage,
                addresses=addresses[target.host],
            )
            for target in wanted
            if target.host in addresses
        )
        digest = hashlib.sha256(repr(targets).encode()).hexdigest()
        # Soon again while hosts of the topology have not reported yet.
        complete = len(targets) == len(wanted)
        return schema.Assignment(
            targets=targets,
            version=digest[:12],
            refresh_s=15.0 if complete else 3.0,
        )


def _guests(report: observations.Report) -> tuple[str, ...] | None:
    """The guests named in a report, if all of them are."""
    count = report.facts.get("guests")
    if count is None:
        return None
    named = tuple(
        fact.removeprefix("guest.") for fact in report.facts
        if fact.startswith("guest."))
    return named if str(len(named)) == count else None


def differs(
    old: host_records.HostRecord | None, new: host_records.HostRecord
) -> bool:
    """Whether an operator would see a difference, times aside."""
    if old is None:
        return True
    return (
        old.state, old.networks, old.nova, old.dc, old.rack, old.addresses,
        old.boot_id, old.instance_disks,
    ) != (
        new.state, new.networks, new.nova, new.dc, new.rack, new.addresses,
        new.boot_id, new.instance_disks,
    )


class CloudWatcher:
    """Reads Nova's services and the topology again and again.

    Nova's silence changes nothing but the age of what is known.
    """

    def __init__(
        self,
        cloud: ports.Cloud,
        world: World,
        *,
        services_every: float,
        topology_every: float,
    ) -> None:
        self._cloud = cloud
        self._world = world
        self._services_every = services_every
        self._topology_every = topology_every
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self.trouble: str | None = 'Nova was not asked yet'

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._run, name='cloud-watcher', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def look_now(self) -> None:
        """Read again at once (something was just changed)."""
        self._wake.set()

    def _run(self) -> None:
        topology_due = time.monotonic()
        while not self._stop.is_set():
            self._wake.clear()
            try:
                services = self._cloud.services()
                asked = time.monotonic()
                self._world.take_services(services, asked)
                if asked >= topology_due or not self._world.topology().hosts:
                    self._read_topology()
                    topology_due = asked + self._topology_every
                self._note(None)
            except cloud_errors.CloudError as error:
                self._note(str(error))
            except Exception as error:
                LOG.exception('Nova could not be read')
                self._note(f'{type(error).__name__}: {error}')
            self._wake.wait(self._services_every)

    def _read_topology(self) -> None:
        topology, problems = topologies.topology_from_aggregates(
            self._cloud.aggregates())
        self._world.take_topology(topology, tuple(problems))

    def _note(self, trouble: str | None) -> None:
        if trouble != self.trouble:
            if trouble:
                LOG.warning(
                    'Nova cannot be read (%s). Nothing is decided on what '
                    'it does not say; trying again each %.0f s.',
                    trouble, self._services_every)
            else:
                LOG.info('Nova can be read.')
            self.trouble = trouble
