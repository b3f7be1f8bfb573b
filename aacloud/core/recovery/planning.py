# SPDX-License-Identifier: Apache-2.0
"""Where each server of a dead host goes, all in one batch.

Destinations are named explicitly, because Nova left alone puts most servers
on one host and places members of a group in parallel on the same one.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import heapq

from aacloud.core.recovery.capacity import Ranking
from aacloud.core.recovery.capacity import Size
from aacloud.core.recovery.capacity import size_of
from aacloud.core.recovery.capacity import Slot
from aacloud.core.recovery.holding import hold_reason
from aacloud.core.recovery.holding import priority
from aacloud.core.recovery.views import DestinationView
from aacloud.core.recovery.views import EvacuationPlan
from aacloud.core.recovery.views import GroupView
from aacloud.core.recovery.views import HeldServer
from aacloud.core.recovery.views import PlannedMove
from aacloud.core.recovery.views import RecoveryPolicy
from aacloud.core.recovery.views import ServerView
from aacloud.core.topology import Topology

_DEFAULT = RecoveryPolicy()
_LATER = "it comes back with its host, or evacuate it by hand"


def plan_evacuation(
    host: str,
    servers: Sequence[ServerView],
    destinations: Sequence[DestinationView],
    topology: Topology,
    policy: RecoveryPolicy = _DEFAULT,
    repeats: Mapping[str, int] | None = None,
) -> EvacuationPlan:
    """Plan the evacuation of a host.

    Each server on the host is in the plan exactly once: as a move, or as
    held, with the reason. Waves go by priority, within a wave the largest
    servers are placed first, in the host's own data centre as long as it
    holds them, evenly over its hosts. The moves come in the order in which
    to start them: wave by wave, destinations in turn.

    :param servers: what Nova lists on the host; others are passed over
    :param destinations: all hosts with what is free on them
    :param repeats: server uuid -> evacuations of it in the last 24 hours
    """
    planner = _Planner(host, destinations, topology, policy)
    own = {s.uuid: s for s in servers if s.host == host}
    here = topology.hosts.get(host)
    ranked = []
    held = []
    for server in own.values():
        reason = hold_reason(server, here, policy, repeats or {})
        if reason is not None:
            held.append(reason)
            continue
        wave, notes = priority(server)
        size = size_of(server)
        ranked.append((wave, _Descending(size), server.uuid, server, notes))
    ranked.sort(key=lambda entry: entry[:3])
    moves: dict[int, list[PlannedMove]] = {}
    for wave, order, _uuid, server, notes in ranked:
        outcome = planner.place(server, order.size, wave, notes)
        if isinstance(outcome, PlannedMove):
            moves.setdefault(wave, []).append(outcome)
        else:
            held.append(outcome)
    return EvacuationPlan(
        host=host,
        moves=_in_turn(planner.without_clashes(moves)),
        held=tuple(sorted(held, key=lambda h: h.server.uuid)))


@dataclasses.dataclass(frozen=True, slots=True)
class _Descending:
    """Sorts the larger size first."""

    size: Size

    def __lt__(self, other: _Descending) -> bool:
        return other.size < self.size


class _Planner:
    def __init__(
        self, host: str, destinations: Sequence[DestinationView],
        topology: Topology, policy: RecoveryPolicy,
    ) -> None:
        self.host = host
        self.policy = policy
        here = topology.hosts.get(host)
        self.dc = None if here is None else here.dc
        usable = [
            Slot.of(d) for d in sorted(destinations, key=lambda d: d.host)
            if d.up and d.enabled and d.host != host
            and d.host in topology.hosts]
        near = [s for s in usable if self.dc in (None, s.view.dc)]
        far = [s for s in usable if self.dc not in (None, s.view.dc)]
        # In the order of preference; spares come from all of them.
        self.tiers = [near, far] if policy.other_dc else [near]
        self.slots = {s.view.host: s for tier in self.tiers for s in tier}
        # Of the size at hand, for each zone: sizes come one after the other.
        self.size: Size | None = None
        self.rankings: dict[str | None, list[Ranking]] = {}
        # group -> host -> members there, now or by this plan
        self.members: dict[str, dict[str, int]] = {}

    def place(
        self, server: ServerView, size: Size, wave: int,
        notes: tuple[str, ...],
    ) -> PlannedMove | HeldServer:
        if not self.slots:
            return HeldServer(server, "no-destination", (
                f"no other compute host is up, enabled and in the "
                f"topology; {_LATER}"))
        group = server.server_group
        if group is not None and group.policy == "affinity":
            return self._with_its_group(server, group, size, wave, notes)
        barred = self._barred(group)
        found: list[Slot] = []
        for ranking in self._rankings(size, server.availability_zone):
            found += ranking.best(
                1 + self.policy.spares - len(found), barred)
            if len(found) > self.policy.spares:
                break
        if not found:
            return self._nowhere(server, size, barred)
        self._take(server, found[0], size, group)
        return PlannedMove(
            server=server, destination=found[0].view.host,
            spares=tuple(s.view.host for s in found[1:]), wave=wave,
            reasons=(*self._why(found[0]), *notes))

    def without_clashes(
        self, moves: Mapping[int, Sequence[PlannedMove]],
    ) -> dict[int, list[PlannedMove]]:
        """Drop spares which other members of the group now fill."""
        clean: dict[int, list[PlannedMove]] = {}
        for wave, planned in moves.items():
            clean[wave] = [
                dataclasses.replace(move, spares=tuple(
                    s for s in move.spares
                    if s not in self._barred(move.server.server_group)))
                for move in planned]
        return clean

    def _rankings(self, size: Size, zone: str | None) -> list[Ranking]:
        if size != self.size:
            self.size = size
            self.rankings = {}
        known = self.rankings.get(zone)
        if known is None:
            known = self.rankings[zone] = [
                Ranking((s for s in tier if _in_zone(s, zone)), size)
                for tier in self.tiers]
        return known

    def _barred(self, group: GroupView | None) -> Mapping[str, str]:
        """Hosts that hold as many members of the group as allowed."""
        if group is None or group.policy != "anti-affinity":
            return {}
        return {
            host: group.id for host, count in self._count(group).items()
            if count >= group.max_per_host}

    def _count(self, group: GroupView) -> dict[str, int]:
        count = self.members.get(group.id)
        if count is None:
            count = {}
            for where in group.hosts.values():
                count[where] = count.get(where, 0) + 1
            self.members[group.id] = count
        return count

    def _with_its_group(
        self, server: ServerView, group: GroupView, size: Size, wave: int,
        notes: tuple[str, ...],
    ) -> PlannedMove | HeldServer:
        """Nova allows such a server only where other members are."""
        others = sorted({
            where for member, where in group.hosts.items()
            if member != server.uuid and where != self.host})
        if not others:
            return HeldServer(server, "affinity", (
                f"its server group {group.id} has hard affinity and all its "
                f"members were on {self.host}: Nova finds no valid host and "
                f"would set it to ERROR. Delete the group and evacuate it "
                f"by hand, or wait for the host"))
        fitting = sorted(
            (self.slots[h] for h in others
             if h in self.slots and self.slots[h].fits(size)
             and _in_zone(self.slots[h], server.availability_zone)),
            key=Slot.key)
        if not fitting:
            return HeldServer(server, "affinity", (
                f"its server group {group.id} has hard affinity, and "
                f"{', '.join(others)}, where other members are, cannot take "
                f"it; {_LATER}"))
        self._take(server, fitting[0], size, group)
        return PlannedMove(
            server=server, destination=fitting[0].view.host,
            spares=tuple(
                s.view.host for s in fitting[1:1 + self.policy.spares]),
            wave=wave, reasons=(
                f"other members of its affinity group {group.id} are there",
                *notes))

    def _take(
        self, server: ServerView, slot: Slot, size: Size,
        group: GroupView | None,
    ) -> None:
        slot.take(size)
        if group is not None:
            count = self._count(group)
            count[slot.view.host] = count.get(slot.view.host, 0) + 1

    def _why(self, slot: Slot) -> tuple[str, ...]:
        if self.dc is None:
            return ()
        if slot.view.dc == self.dc:
            return (f"in its own data centre {self.dc}",)
        return (f"{self.dc} cannot hold it, goes to {slot.view.dc}",)

    def _nowhere(
        self, server: ServerView, size: Size, barred: Mapping[str, str],
    ) -> HeldServer:
        zone = server.availability_zone
        zoned = [s for s in self.slots.values() if _in_zone(s, zone)]
        if not zoned:
            return HeldServer(server, "zone", (
                f"it is pinned to availability zone {zone}, and no other "
                f"host of it is up; unpin it or bring a host of it up; "
                f"{_LATER}"))
        fitting = [s for s in zoned if s.fits(size)]
        if fitting:
            group = server.server_group
            name = "its group" if group is None else group.id
            return HeldServer(server, "anti-affinity", (
                f"all {len(fitting)} hosts that could hold it have members "
                f"of its anti-affinity group {name} already; add a host or "
                f"relax the group; {_LATER}"))
        largest = max(zoned, key=lambda s: (s.ram_mb, s.vcpus, s.disk_gb))
        return HeldServer(server, "no-capacity", (
            f"it needs {size.vcpus} VCPU, {size.ram_mb} MB RAM and "
            f"{size.disk_gb} GB disk, and none of {len(zoned)} hosts has "
            f"that free (most on {largest.view.host}: {largest.vcpus} VCPU, "
            f"{largest.ram_mb} MB, {largest.disk_gb} GB after servers of "
            f"higher priority); free some or add a host; {_LATER}"))


def _in_zone(slot: Slot, zone: str | None) -> bool:
    return (zone is None or slot.view.availability_zone is None
            or slot.view.availability_zone == zone)


def _in_turn(
    waves: Mapping[int, Sequence[PlannedMove]],
) -> tuple[PlannedMove, ...]:
    """Wave by wave, no destination twice in a row when avoidable."""
    ordered: list[PlannedMove] = []
    last: str | None = None
    for wave in sorted(waves):
        for move in _spread(waves[wave], last):
            ordered.append(move)
            last = move.destination
    return tuple(ordered)


def _spread(
    moves: Sequence[PlannedMove], last: str | None,
) -> Iterable[PlannedMove]:
    queues: dict[str, list[PlannedMove]] = {}
    for move in reversed(moves):
        queues.setdefault(move.destination, []).append(move)
    # The destination with most moves left goes next, unless it was last.
    heap = [(-len(queue), name) for name, queue in queues.items()]
    heapq.heapify(heap)
    while heap:
        count, name = heapq.heappop(heap)
        if name == last and heap:
            other_count, other = heapq.heappop(heap)
            heapq.heappush(heap, (count, name))
            count, name = other_count, other
        yield queues[name].pop()
        last = name
        if count + 1 < 0:
            heapq.heappush(heap, (count + 1, name))
