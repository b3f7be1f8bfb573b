# SPDX-License-Identifier: Apache-2.0
"""How many steps may be under way at once, and which may start now."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence

from aacloud.core.repair.model import Move
from aacloud.core.repair.model import RepairHost
from aacloud.core.repair.model import RepairLimits
from aacloud.core.repair.model import RepairProblem
from aacloud.core.repair.model import Step


def ready_steps(
    steps: Sequence[Step], ended: Collection[int], under_way: Collection[int],
    problem: RepairProblem, limits: RepairLimits,
) -> tuple[Step, ...]:
    """The steps that may start now, in their order.

    :param ended: numbers of the steps that ended well
    :param under_way: numbers of those that were started and have not ended
    """
    ended = frozenset(ended)
    busy = frozenset(under_way)
    loads = _Loads(problem.hosts, limits)
    for step in steps:
        if step.number in busy:
            loads.take(step.move)
    found = []
    for step in steps:
        if step.number in ended or step.number in busy:
            continue
        if all(n in ended for n in step.after) and loads.room(step.move):
            loads.take(step.move)
            found.append(step)
    return tuple(found)


class _Loads:
    """What is under way, against the limits."""

    def __init__(
        self, hosts: Mapping[str, RepairHost], limits: RepairLimits,
    ) -> None:
        self._hosts = hosts
        self._limits = limits
        self._total = 0
        self._far = 0
        self._by_host: dict[str, int] = {}
        self._by_rack: dict[str, int] = {}

    def _ends(self, move: Move) -> tuple[set[str], set[str], bool]:
        hosts = {move.source, move.destination}
        known = [self._hosts[h] for h in sorted(hosts) if h in self._hosts]
        return (hosts, {h.rack for h in known},
                len({h.dc for h in known}) > 1)

    def room(self, move: Move) -> bool:
        limits = self._limits
        hosts, racks, far = self._ends(move)
        return (
            self._total < limits.parallel_total
            and (not far or self._far < limits.parallel_inter_dc)
            and all(self._by_host.get(h, 0) < limits.parallel_per_host
                    for h in hosts)
            and all(self._by_rack.get(r, 0) < limits.parallel_per_rack
                    for r in racks))

    def take(self, move: Move) -> None:
        hosts, racks, far = self._ends(move)
        self._total += 1
        self._far += far
        for host in hosts:
            self._by_host[host] = self._by_host.get(host, 0) + 1
        for rack in racks:
            self._by_rack[rack] = self._by_rack.get(rack, 0) + 1
