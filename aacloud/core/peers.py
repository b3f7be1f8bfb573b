# SPDX-License-Identifier: Apache-2.0
"""Who watches whom."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import heapq
import itertools

from aacloud.core.topology import Topology
from aacloud.core.topology import Vantage


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A host to watch, and from where the observer sees it."""

    host: str
    vantage: Vantage


def assign_targets(
    topology: Topology, per_vantage: int = 3,
) -> Mapping[str, tuple[Target, ...]]:
    """Give each agent the hosts it probes.

    Each host is watched by ``per_vantage`` observers in each vantage group,
    or by all there are if there are fewer; the work is spread evenly over
    the observers of a group. The same topology always gives the same
    assignment, on every engine.

    :raises ValueError: ``per_vantage`` is less than 1
    """
    if per_vantage < 1:
        raise ValueError(f"per_vantage must be at least 1, not {per_vantage}")
    targets: dict[str, list[Target]] = {
        name: [] for name in sorted(topology.hosts)}
    by_rack = {
        rack: [h for h in order if topology.hosts[h].rack == rack]
        for order in (_interleaved(topology),)
        for rack in topology.racks()}
    by_dc = {
        dc: [h for h in _interleaved(topology)
             if topology.hosts[h].dc == dc]
        for dc in topology.dcs()}
    for rack, hosts in by_rack.items():
        dc = topology.hosts[hosts[0]].dc
        neighbours = [h for h in by_dc[dc] if topology.hosts[h].rack != rack]
        for position, host in enumerate(hosts):
            ring = hosts[position + 1:] + hosts[:position]
            for observer in ring[:per_vantage]:
                targets[observer].append(Target(host, Vantage.OWN_RACK))
        _spread(hosts, neighbours, per_vantage, Vantage.OTHER_RACK, targets)
    for dc, hosts in by_dc.items():
        abroad = [h for h in _interleaved(topology)
                  if topology.hosts[h].dc != dc]
        _spread(hosts, abroad, per_vantage, Vantage.OTHER_DC, targets)
    return {
        observer: tuple(sorted(
            watched, key=lambda t: (list(Vantage).index(t.vantage), t.host)))
        for observer, watched in targets.items()}


def _spread(
    hosts: Sequence[str], observers: Sequence[str], per_vantage: int,
    vantage: Vantage, targets: Mapping[str, list[Target]],
) -> None:
    """Let the least busy observers of a group watch each host."""
    count = min(per_vantage, len(observers))
    busy = [
        (sum(t.vantage is vantage for t in targets[observer]), order,
         observer)
        for order, observer in enumerate(observers)]
    heapq.heapify(busy)
    for host in hosts:
        chosen = [heapq.heappop(busy) for _ in range(count)]
        for load, order, observer in chosen:
            targets[observer].append(Target(host, vantage))
            heapq.heappush(busy, (load + 1, order, observer))


def _interleaved(topology: Topology) -> list[str]:
    """All hosts, one of each rack in turn, so that groups are mixed."""
    columns = [
        sorted(h.name for h in topology.hosts.values() if h.rack == rack)
        for rack in topology.racks()]
    return [
        name for row in itertools.zip_longest(*columns)
        for name in row if name is not None]
