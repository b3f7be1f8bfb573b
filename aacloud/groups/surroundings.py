# SPDX-License-Identifier: Apache-2.0
"""What the groups' servers stand in: the topology, and which of it is lost.

Read again and again by every engine, whether it leads or not: the schedulers'
snapshots and all inspections go by it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import functools
import logging
import threading

from aacloud.clouds import errors as cloud_errors
from aacloud.clouds import ports
from aacloud.coordination import clock as clocks
from aacloud.core import adoption_live
from aacloud.core import rules
from aacloud.core import topology as topologies
from aacloud.db import errors as db_errors
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

#: Longest pause between two looks at a Nova that does not answer, seconds.
LONGEST_PAUSE = 30.0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """The hosts of the cloud as they were at one look.

    :ivar hosts: nova-compute of each host; those of a cell that does not
        answer are missing
    :ivar dead_dcs: data centres that are lost
    :ivar closed: hosts that take no servers until somebody lets them
    :ivar read_at: when Nova was asked, monotonic seconds
    """

    topology: topologies.Topology
    hosts: Mapping[str, adoption_live.HostNow]
    dead_dcs: frozenset[str]
    closed: frozenset[str]
    read_at: float

    def domains(self) -> rules.Domains:
        """The domains that all rules of these surroundings are judged by."""
        return _domains(self)

    def zones(self) -> Mapping[str, frozenset[str]]:
        """Availability zone -> its hosts."""
        return _zones(self)


@functools.lru_cache(maxsize=4)
def _domains(here: Surroundings) -> rules.Domains:
    return rules.Domains(here.topology, here.dead_dcs, here.closed)


@functools.lru_cache(maxsize=4)
def _zones(here: Surroundings) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name, host in here.hosts.items():
        if host.zone is not None:
            found.setdefault(host.zone, set()).add(name)
    return {zone: frozenset(names) for zone, names in found.items()}


def lost_dcs(
    topology: topologies.Topology,
    hosts: Mapping[str, adoption_live.HostNow],
    dead: Collection[str] = (),
) -> frozenset[str]:
    """The data centres of which no host lives.

    A host that Nova says nothing about is neither alive nor dead, and the
    last data centre is never called lost: then it is Nova that is sick.

    :param dead: hosts that the failover engine found dead
    """
    lost = set()
    for dc in topology.dcs():
        of_dc = topology.hosts_of(topologies.Level.DC, dc)
        if of_dc and all(
            name in dead or (name in hosts and not hosts[name].up)
            for name in of_dc
        ):
            lost.add(dc)
    return frozenset() if lost == set(topology.dcs()) else frozenset(lost)


class Watcher:
    """Keeps the surroundings fresh.

    :param dead_hosts: names the hosts that the failover engine found dead
    :param every_s: seconds between two looks
    :param topology_every_s: seconds between two looks at the aggregates
    """

    def __init__(
        self,
        cloud: ports.Cloud,
        dead_hosts: Callable[[], Collection[str]] = frozenset,
        *,
        every_s: float,
        topology_every_s: float,
        clock: clocks.Clock | None = None,
    ) -> None:
        self._cloud = cloud
        self._dead_hosts = dead_hosts
        self._every_s = every_s
        self._topology_every_s = topology_every_s
        self._clock = clock or clocks.Clock()
        self._now: Surroundings | None = None
        self._topology_due = float("-inf")
        self._topology = topologies.Topology({})
        self._failures = 0
        self._pace = rates.LogPace(clock=self._clock.monotonic)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.trouble: str | None = "Nova was not asked yet"

    def start(self) -> None:
        """Begin to look, in a thread."""
        self._thread = threading.Thread(
            target=self._run, name="surroundings", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End; a call that is under way is not waited for any longer."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def known(self) -> Surroundings | None:
        """The surroundings as they were seen last; None: never."""
        return self._now

    def look(self) -> float:
        """Look once; return the seconds until the next look."""
        asked = self._clock.monotonic()
        try:
            if asked >= self._topology_due or not self._topology.hosts:
                problems = self._read_topology()
                self._topology_due = asked + self._topology_every_s
                if problems and self._pace.due("topology") is not None:
                    LOG.warning("The topology has gaps: %s", problems[0])
            hosts = self._cloud.hosts_now()
        except cloud_errors.CloudError as error:
            return self._failed(str(error))
        except Exception as error:
            if self._pace.due(type(error).__name__) is not None:
                LOG.exception("Nova could not be read")
            return self._failed(f"{type(error).__name__}: {error}")
        if self._failures:
            LOG.info("Nova can be read again")
        self._failures = 0
        self.trouble = None
        self._take(hosts, asked)
        return self._every_s

    def _read_topology(self) -> tuple[str, ...]:
        read, problems = topologies.topology_from_aggregates(
            self._cloud.aggregates())
        if read != self._topology:
            self._topology = read
        return problems

    def _take(
        self, hosts: Mapping[str, adoption_live.HostNow], asked: float
    ) -> None:
        gone = frozenset(self._dead())
        dead = lost_dcs(self._topology, hosts, gone)
        before = self._now
        if before is not None and before.dead_dcs != dead:
            LOG.warning(
                "Data centres taken for lost: %s",
                ", ".join(sorted(dead)) or "none any more")
        self._now = Surroundings(
            topology=self._topology, hosts=hosts, dead_dcs=dead,
            closed=gone.intersection(hosts).union(
                name for name, host in hosts.items() if not host.enabled),
            read_at=asked)

    def _dead(self) -> Collection[str]:
        try:
            return self._dead_hosts()
        except db_errors.DatabaseError as error:
            LOG.debug("The failover engine's hosts: %s", error)
            return ()

    def _failed(self, trouble: str) -> float:
        pause = float(min(
            self._every_s * 2 ** min(self._failures, 8),
            max(self._every_s, LONGEST_PAUSE)))
        self._failures += 1
        self.trouble = trouble
        held_back = self._pace.due("unreadable")
        if held_back is not None:
            LOG.warning(
                "Nova cannot be read (%s); trying again in %.0f s%s",
                trouble, pause, self._pace.text(held_back))
        return pause

    def _run(self) -> None:
        while not self._stop.is_set():
            self._stop.wait(self.look())
