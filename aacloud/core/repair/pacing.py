# SPDX-License-Identifier: Apache-2.0
"""Which steps must wait for which, and how many may be under way at once.

A step waits for those before it in the order that it needs, or whose being
under way could make it break a rule. It is enough to look at the two ends of
what may happen: each domain at its fullest (all that may have come, nobody
gone) and at its emptiest.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

from aacloud.core.repair.model import Move
from aacloud.core.repair.model import RepairHost
from aacloud.core.repair.model import RepairLimits
from aacloud.core.repair.model import RepairProblem
from aacloud.core.repair.model import Step
from aacloud.core.repair.state import size_of
from aacloud.core.repair.state import State
from aacloud.core.repair.state import Unit
from aacloud.core.rules import RuleKind


class Waits:
    """Finds out for one step after the other what it waits for.

    The state is moved along: it is at the end of the steps seen so far.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._moves: list[tuple[str, str, str]] = []
        #: For each step, as bits, all that has ended when it starts.
        self._before: list[int] = []
        self._last: dict[str, int] = {}
        self._from: dict[str, list[int]] = {}
        self._room: dict[str, list[int]] = {
            host: list(free) for host, free in state.free.items()}
        self._in_unit: dict[int, list[int]] = {}

    def add(self, uuid: str, host: str) -> tuple[int, ...]:
        """The next step; the numbers, from 0, of those it waits for."""
        state = self._state
        source = state.place[uuid]
        number = len(self._moves)
        state.move(uuid, host)
        self._moves.append((uuid, source, host))
        before = 0
        direct: list[int] = []

        def wait(other: int) -> None:
            nonlocal before
            if not before >> other & 1:
                direct.append(other)
                before |= self._before[other] | 1 << other

        if uuid in self._last:
            wait(self._last[uuid])
        self._wait_for_room(uuid, host, wait, lambda: before)
        for unit in state.units_of.get(uuid, ()):
            if not unit.hard:
                continue
            a = state.spot(source)[unit.level]
            b = state.spot(host)[unit.level]
            if a == b:
                continue
            steps = self._in_unit.setdefault(unit.number, [])
            beside = [n for n in steps if not before >> n & 1]
            if beside and not self._safe(unit, [*beside, number]):
                for other in reversed(beside):
                    wait(other)
            steps.append(number)
        self._before.append(before)
        self._last[uuid] = number
        self._from.setdefault(source, []).append(number)
        return tuple(sorted(
            one for one in direct
            if not any(self._before[other] >> one & 1 for other in direct)))

    def _wait_for_room(
        self, uuid: str, host: str, wait: Callable[[int], None],
        before: Callable[[], int],
    ) -> None:
        """Wait for as many to leave the host as the server needs."""
        servers = self._state.servers
        size = size_of(servers[uuid])
        room = list(self._room[host])
        left = self._from.get(host, [])
        for other in left:
            if before() >> other & 1:
                _add(room, size_of(servers[self._moves[other][0]]))
        for other in left:
            if all(need <= free for need, free in zip(
                    size, room, strict=True)):
                break
            if not before() >> other & 1:
                known = before()
                wait(other)
                for more in left:
                    if before() >> more & 1 and not known >> more & 1:
                        _add(room, size_of(
                            servers[self._moves[more][0]]))
        # Whoever comes later finds this room taken.
        mine = self._room[host]
        for axis in range(3):
            mine[axis] -= size[axis]

    def _safe(self, unit: Unit, steps: Sequence[int]) -> bool:
        """Whether these may be under way in any order and at once."""
        level, rule = unit.level, unit.rule
        ends = []
        for number in steps:
            _, source, host = self._moves[number]
            ends.append((self._state.spot(source)[level],
                         self._state.spot(host)[level]))
        if rule.kind is RuleKind.FENCE:
            return all(b in unit.names for _, b in ends)
        if rule.kind is RuleKind.TOGETHER:
            return len({b for _, b in ends}) == 1
        high, low = dict(unit.counts), dict(unit.counts)
        for a, b in ends:
            high[a] = high.get(a, 0) + 1
            low[b] = low.get(b, 0) - 1
        limit = rule.max_per_domain
        if limit is not None and any(high[b] > limit for _, b in ends):
            return False
        if rule.max_skew is None:
            return True
        eligible = unit.eligible
        most = max((n for name, n in high.items() if name in eligible),
                   default=0)
        least = 0
        if not unit.short and all(low.get(name) for name in eligible):
            least = min(low[name] for name in eligible)
        return most - least <= rule.max_skew


def _add(room: list[int], size: Iterable[int]) -> None:
    for axis, value in enumerate(size):
        room[axis] += value


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
