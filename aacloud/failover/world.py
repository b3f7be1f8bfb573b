# SPDX-License-Identifier: Apache-2.0
"""What the engine sees: reports of the agents, Nova's view, the topology.

Everything here only gathers; judging is ``aacloud.core.verdicts``.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime
import hashlib
import logging
import threading
from typing import Any

from aacloud.coordination import clock as clocks
from aacloud.core import hosts as host_records
from aacloud.core import observations
from aacloud.core import peers
from aacloud.core import topology as topologies
from aacloud.core import verdicts
from aacloud.rpc import peers as rpc_peers
from aacloud.rpc import schema

LOG = logging.getLogger(__name__)


#: Seconds for which what an agent told of its guests holds; it tells them
#: every few seconds.
GUESTS_TTL = 30.0
#: Seconds after which a silent host that is not in the topology is
#: forgotten.
STRANGER_TTL = 3600.0


class World:
    """The latest of everything, safe to use from several threads.

    :param started: monotonic seconds at which this engine started
    """

    def __init__(
        self, started: float, clock: clocks.Clock | None = None
    ) -> None:
        self._guard = threading.Lock()
        self._clock = clock or clocks.Clock()
        self._started = started
        self._first_report_at: float | None = None
        self._reports: dict[str, observations.Report] = {}
        self._addresses: dict[str, dict[str, str]] = {}
        self._life: dict[str, datetime.datetime] = {}
        self._boots: dict[str, str] = {}
        self._guests: dict[str, tuple[float, tuple[str, ...] | None]] = {}
        self._known: dict[str, host_records.HostRecord] = {}
        self._topology = topologies.Topology(hosts={})
        self._problems: tuple[str, ...] = ()
        self._services: dict[str, verdicts.NovaServiceView] = {}
        self._services_at: float | None = None
        self._assigned: dict[
            int, Mapping[str, tuple[peers.Target, ...]]] = {}

    # -- what comes in ----------------------------------------------------

    def take_report(
        self, report: observations.Report, addresses: Mapping[str, str]
    ) -> None:
        """Keep the newest report of an agent, and who lives by its word.

        :param addresses: network -> address of the agent on it
        """
        age = max(0.0, self._clock.monotonic() - report.received)
        sent_at = self._clock.utcnow() - datetime.timedelta(seconds=age)
        told = _guests(report)
        with self._guard:
            if self._first_report_at is None:
                self._first_report_at = self._clock.monotonic()
            self._reports[report.observer] = report
            if addresses:
                self._addresses[report.observer] = dict(addresses)
            before = self._boots.get(report.observer)
            self._boots[report.observer] = report.boot_id
            if "guests" in report.facts or before != report.boot_id:
                self._guests[report.observer] = (report.received, told)
            self._saw(report.observer, sent_at)
            for seen in report.observations:
                if (
                    seen.reach is observations.Reach.UP
                    and seen.silent_s is not None
                    and self._knows(seen.target)
                ):
                    self._saw(seen.target, sent_at - datetime.timedelta(
                        seconds=max(0.0, seen.silent_s)))

    def _knows(self, host: str) -> bool:
        """Only these are remembered: an agent may name anything."""
        return host in self._topology.hosts or host in self._reports

    def _saw(self, host: str, when: datetime.datetime) -> None:
        known = self._life.get(host)
        if known is None or when > known:
            self._life[host] = when

    def take_topology(
        self, topology: topologies.Topology, problems: Iterable[str]
    ) -> None:
        """Keep where the hosts stand, and what is wrong with that."""
        problems = tuple(problems)
        with self._guard:
            changed = problems != self._problems
            self._problems = problems
            if topology != self._topology:
                self._topology = topology
                self._assigned = {}
            self._forget_strangers()
        if changed:
            for problem in problems:
                LOG.warning("Topology: %s", problem)
            if not problems:
                LOG.info("Topology: nothing is wrong with it any more")

    def _forget_strangers(self) -> None:
        old = self._clock.utcnow() - datetime.timedelta(seconds=STRANGER_TTL)
        gone = [
            name for name, seen_at in self._life.items()
            if name not in self._topology.hosts and seen_at < old]
        kept: tuple[dict[str, Any], ...] = (
            self._reports, self._addresses, self._life, self._boots,
            self._guests, self._known)
        for name in gone:
            for each in kept:
                each.pop(name, None)

    def take_services(
        self, services: Mapping[str, verdicts.NovaServiceView], now: float
    ) -> None:
        """Keep what Nova says, as of ``now`` (monotonic seconds): before it
        was asked, so that a slow answer makes nobody look alive."""
        asked_at = self._clock.utcnow() - datetime.timedelta(
            seconds=self._clock.monotonic() - now)
        with self._guard:
            self._services = dict(services)
            self._services_at = now
            for host, seen in services.items():
                # Else it is the age of our first look, no sign of life.
                if seen.advanced and seen.last_seen_age_s is not None:
                    self._saw(host, asked_at - datetime.timedelta(
                        seconds=seen.last_seen_age_s))

    def remember(self, known: Mapping[str, host_records.HostRecord]) -> None:
        """Start with what an earlier engine had stored."""
        now = self._clock.utcnow()
        with self._guard:
            self._known = dict(known)
            for name, record in known.items():
                if record.addresses:
                    self._addresses.setdefault(name, dict(record.addresses))
                if record.agent_seen_at is not None:
                    # By another engine's clock, which may be ahead.
                    self._saw(name, min(record.agent_seen_at, now))

    # -- what is asked ----------------------------------------------------

    def listened_s(self) -> float:
        """Seconds since the first report of any agent came in."""
        with self._guard:
            first = self._first_report_at
        return 0.0 if first is None else self._clock.monotonic() - first

    def topology(self) -> topologies.Topology:
        with self._guard:
            return self._topology

    def last_life(self, host: str) -> datetime.datetime | None:
        """The newest sign of life of a host (UTC): a report of its agent, an
        answer to any other agent, a report of its nova-compute to Nova."""
        with self._guard:
            return self._life.get(host)

    def runs_on(
        self, host: str, server: str, since: float
    ) -> bool | None:
        """Whether a guest of the server runs on the host, as its agent told
        after ``since`` (monotonic seconds); None when it has not told."""
        with self._guard:
            told_at, guests = self._guests.get(host, (0.0, None))
        if guests is None or told_at <= since:
            return None
        return server in guests

    def guests(self, host: str) -> tuple[str, ...] | None:
        """The guests that run on a host, told by the agent of its present
        life; None when it did not tell, or not lately."""
        with self._guard:
            told_at, guests = self._guests.get(host, (0.0, None))
        if self._clock.monotonic() - told_at > GUESTS_TTL:
            return None
        return guests

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
        self,
        judgement: verdicts.Judgement,
        now: float,
        notes: Mapping[str, str],
    ) -> dict[str, host_records.HostRecord]:
        """All hosts as they are to be kept for API and next leader.

        :param notes: host -> what else an operator should know of it
        """
        stamp = self._clock.utcnow()
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
                    reasons=verdict.reasons if name not in notes
                    else (*verdict.reasons, notes[name]),
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
        with self._guard:
            wanted = self._targets(per_vantage).get(host)
            if wanted is None:
                raise rpc_peers.AssignmentUnavailable(
                    f"host {host} is not in the topology: give it a rack and "
                    "a data centre with 'aacloud-manage topology apply'")
            targets = tuple(
                schema.PeerTarget(
                    host=target.host,
                    vantage=target.vantage,
                    addresses=self._addresses[target.host],
                )
                for target in wanted
                if target.host in self._addresses
            )
        digest = hashlib.sha256(repr(targets).encode()).hexdigest()
        # Soon again while hosts of the topology have not reported yet.
        complete = len(targets) == len(wanted)
        return schema.Assignment(
            targets=targets,
            version=digest[:12],
            refresh_s=15.0 if complete else 3.0,
        )


    def _targets(
        self, per_vantage: int
    ) -> Mapping[str, tuple[peers.Target, ...]]:
        """The assignment of all, worked out once for each topology."""
        known = self._assigned.get(per_vantage)
        if known is None:
            known = peers.assign_targets(
                self._topology, per_vantage=per_vantage)
            self._assigned = {per_vantage: known}
        return known


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
