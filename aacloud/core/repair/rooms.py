# SPDX-License-Identifier: Apache-2.0
"""Which host is the best one for a server to go to."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
import dataclasses

from aacloud.core.repair.model import RepairServer
from aacloud.core.repair.state import State
from aacloud.core.repair.state import Unit
from aacloud.core.rules import RuleKind

#: Choices after which the racks are put in the order of their room anew.
_RENEWED = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """A host for a server.

    :ivar gain: how much nearer the goals come
    :ivar soft: how much worse the preferred rules get
    """

    host: str
    gain: int
    soft: int
    far: bool

    @property
    def key(self) -> tuple[int, int, bool]:
        """The smaller the better."""
        return -self.gain, self.soft, self.far


class Rooms:
    """The open hosts by data centre and rack, those with most room first."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._racks: dict[str, dict[str, list[str]]] = {}
        for name in sorted(state.problem.hosts):
            if state.problem.hosts[name].takes:
                _, rack, dc = state.spot(name)
                self._racks.setdefault(dc, {}).setdefault(
                    rack, []).append(name)
        self._order: dict[str, list[str]] = {}
        self._asked = 0

    def best(
        self, uuid: str, within: Collection[str] | None = None,
        barred: Collection[str] = (),
    ) -> Choice | None:
        """The best host for a server now; None if it can go nowhere.

        :param within: only hosts in these racks
        :param barred: hosts not to be chosen
        """
        state = self.state
        server = state.servers[uuid]
        here = state.spot(state.place[uuid])
        units: tuple[list[Unit], ...] = ([], [], [])
        for unit in state.units_of.get(uuid, ()):
            units[unit.level].append(unit)
        leave = sum(u.leaving(here[0]) for u in units[0])
        top = max(0, leave) + sum(
            u.goal is not None and u.goal.least > 0 for u in units[0])
        best: Choice | None = None
        for gain, soft, far, racks in self._rows(here, units, within):
            if best is not None and best.gain >= gain + top:
                break
            for rack in racks:
                found = self._in_rack(
                    server, here, units[0], rack, gain, soft, far, barred)
                if found is not None and (
                        best is None or found.key < best.key):
                    best = found
                if best is not None and best.gain >= gain + top:
                    break
        return best

    def _rows(
        self, here: tuple[str, str, str], units: tuple[list[Unit], ...],
        within: Collection[str] | None,
    ) -> list[tuple[int, int, bool, list[tuple[str, str]]]]:
        """(gain, soft, other data centre, racks), the best first.

        Racks in which the groups have no members are alike, and stand in
        one row, those with most room first.
        """
        rows: list[tuple[int, int, bool, list[tuple[str, str]]]] = []
        special: set[str] = set()
        each = within is not None
        for unit in units[1]:
            special.update(unit.counts)
            special.update(unit.names)
            if unit.eligible != unit.domains.all(unit.rule.level) or (
                    unit.goal is not None and unit.goal.least):
                each = True
        for dc in self._racks:
            at_dc = score(units[2], here[2], dc)
            if at_dc is None:
                continue
            far = dc != here[2]
            rest: list[tuple[str, str]] = []
            for rack in self._ordered(dc):
                if within is not None and rack not in within:
                    continue
                if each or rack in special or rack == here[1]:
                    at_rack = score(units[1], here[1], rack)
                    if at_rack is not None:
                        rows.append((at_dc[0] + at_rack[0],
                                     at_dc[1] + at_rack[1], far,
                                     [(dc, rack)]))
                else:
                    rest.append((dc, rack))
            if rest:
                at_rack = score(units[1], here[1], rest[0][1])
                if at_rack is not None:
                    rows.append((at_dc[0] + at_rack[0],
                                 at_dc[1] + at_rack[1], far, rest))
        rows.sort(key=lambda row: (-row[0], row[1], row[2]))
        return rows

    def _in_rack(
        self, server: RepairServer, here: tuple[str, str, str],
        units: list[Unit], where: tuple[str, str], gain: int, soft: int,
        far: bool, barred: Collection[str],
    ) -> Choice | None:
        state = self.state
        best: tuple[tuple[int, int, int], Choice] | None = None
        pin = server.may_go
        vcpus, memory, disk = (
            server.vcpus, server.memory_mb, server.disk_gb)
        for host in self._hosts(where, units):
            free = state.free[host]
            if (vcpus > free[0] or memory > free[1] or disk > free[2]
                    or host == here[0] or host in barred
                    or (pin is not None and host not in pin)):
                continue
            found = score(units, here[0], host)
            if found is None:
                continue
            key = -found[0], found[1], -free[1]
            if best is None or key < best[0]:
                best = key, Choice(
                    host, gain + found[0], soft + found[1], far)
        return None if best is None else best[1]

    def _hosts(
        self, where: tuple[str, str], units: list[Unit],
    ) -> list[str]:
        hosts = self._racks[where[0]][where[1]]
        for unit in units:
            if not unit.hard:
                continue
            kind = unit.rule.kind
            if kind is RuleKind.TOGETHER and unit.counts:
                hosts = [h for h in hosts if h in unit.counts]
            elif kind is RuleKind.FENCE:
                hosts = [h for h in hosts if h in unit.names]
        return hosts

    def _ordered(self, dc: str) -> list[str]:
        self._asked += 1
        if self._asked % _RENEWED == 1 or not self._order:
            free = self.state.free
            self._order = {
                name: sorted(racks, key=lambda rack: (
                    -sum(max(0, free[h][1]) for h in racks[rack]), rack))
                for name, racks in self._racks.items()}
        return self._order[dc]

    def hosts(self) -> Iterator[str]:
        """All open hosts."""
        for racks in self._racks.values():
            for hosts in racks.values():
                yield from hosts


def score(
    units: list[Unit], here: str, there: str,
) -> tuple[int, int] | None:
    """(gain, loss of preferred rules) at one level; None: refused."""
    gain = soft = 0
    if here == there:
        return gain, soft
    for unit in units:
        change = unit.judge(here, there)
        if change is None:
            return None
        if unit.goal is not None:
            gain += unit.leaving(here) + unit.arriving(there)
        elif not unit.hard:
            soft += change
    return gain, soft
