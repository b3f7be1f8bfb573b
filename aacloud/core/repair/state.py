# SPDX-License-Identifier: Apache-2.0
"""Who is where while a plan grows: room, counts, and what a move does."""

from __future__ import annotations

from collections.abc import Collection
import dataclasses

from aacloud.core.repair.model import RepairProblem
from aacloud.core.repair.model import RepairServer
from aacloud.core.rules import Domains
from aacloud.core.rules import excess
from aacloud.core.rules import Group
from aacloud.core.rules import GroupMode
from aacloud.core.rules import LEVELS
from aacloud.core.rules import Rule
from aacloud.core.rules import RuleKind
from aacloud.core.rules import UNPLACED

#: vCPUs, memory in MB, disk in GB.
Size = tuple[int, int, int]
#: The domains of a host: itself, its rack, its data centre.
Spot = tuple[str, str, str]


@dataclasses.dataclass(slots=True)
class Goal:
    """What a spread or together rule is mended towards.

    :ivar least: members that each eligible domain is to have
    :ivar most: members that an eligible domain is to have at most
    :ivar target: together: the domain that all are to be in
    """

    least: int = 0
    most: int | None = None
    target: str | None = None


class Unit:
    """One rule of one group, with its counts.

    :ivar level: 0 host, 1 rack, 2 data centre
    :ivar hard: no move may make it worse
    :ivar mend: its excess is to go
    """

    __slots__ = ("counts", "domains", "eligible", "excess", "goal", "group",
                 "hard", "initial", "level", "memo", "mend", "names",
                 "number", "rule", "short")

    def __init__(
        self, number: int, group: Group, rule: Rule, domains: Domains,
        hard: bool, mend: bool,
    ) -> None:
        self.number = number
        self.group = group
        self.rule = rule
        self.level = LEVELS.index(rule.level)
        self.domains = domains
        self.hard = hard
        self.mend = mend
        self.eligible = domains.eligible(rule.level)
        self.short = len(self.eligible) < (rule.min_domains or 0)
        self.names = frozenset(rule.domains)
        self.counts: dict[str, int] = {}
        self.memo: dict[object, int | None] = {}
        self.excess = 0
        self.initial = 0
        self.goal: Goal | None = None

    def measure(self) -> None:
        """Take the excess anew after the counts changed."""
        self.excess = excess(self.rule, self.counts, self.domains)
        self.memo.clear()

    def judge(self, here: str, there: str) -> int | None:
        """How a move changes the excess; None when it must not be made.

        During the move the server counts in both domains.
        """
        if here == there:
            return 0
        counts = self.counts
        # Empty domains are alike, but for these.
        key: object
        if there in counts or there == UNPLACED:
            key = (here, there)
        else:
            key = (here, there in self.eligible, there in self.names)
        memo = self.memo
        if key in memo:
            return memo[key]
        before = self.excess
        was = counts.get(there)
        counts[there] = (was or 0) + 1
        during = excess(self.rule, counts, self.domains)
        counts[here] -= 1
        after = excess(self.rule, counts, self.domains)
        counts[here] += 1
        if was is None:
            del counts[there]
        else:
            counts[there] = was
        found = after - before
        result = None if self.hard and (
            during > before or found > 0) else found
        memo[key] = result
        return result

    def most(self, domain: str) -> int | None:
        """How many members a domain is to have at most; None: any number."""
        goal, limit = self.goal, self.rule.max_per_domain
        if goal is None or domain == UNPLACED:
            return None
        if goal.most is not None and domain in self.eligible:
            return goal.most if limit is None else min(limit, goal.most)
        return limit

    def leaving(self, domain: str) -> int:
        """1 when a member less in this domain is good, -1 when it is bad."""
        goal = self.goal
        if goal is None:
            return 0
        kind = self.rule.kind
        if kind is RuleKind.FENCE:
            return 0 if domain in self.names else 1
        if kind is RuleKind.TOGETHER:
            return 0 if domain == goal.target else 1
        n, most = self.counts.get(domain, 0), self.most(domain)
        if most is not None and n > most:
            return 1
        if goal.least and n <= goal.least and domain in self.eligible:
            return -1
        return 0

    def arriving(self, domain: str) -> int:
        """1 when a member more in this domain is good, -1 when bad."""
        goal = self.goal
        if goal is None:
            return 0
        kind = self.rule.kind
        if kind is RuleKind.FENCE:
            return 0 if domain in self.names else -1
        if kind is RuleKind.TOGETHER:
            return 0 if domain == goal.target else -1
        n, most = self.counts.get(domain, 0), self.most(domain)
        if most is not None and n >= most:
            return -1
        if n < goal.least and domain in self.eligible:
            return 1
        return 0

    def lacking(self) -> bool:
        """Whether some eligible domain is to have more members."""
        goal = self.goal
        return goal is not None and goal.least > 0 and any(
            self.counts.get(name, 0) < goal.least for name in self.eligible)


class State:
    """Places, free room and counts; moves are made and taken back on it."""

    def __init__(
        self, problem: RepairProblem, mend_preferences: bool = False,
        only: Collection[str] | None = None,
    ) -> None:
        """Count everything.

        :param only: members of interest: groups without them are left out
        """
        self.problem = problem
        self.servers = problem.servers
        self.place = {
            uuid: server.host for uuid, server in problem.servers.items()}
        self.origin = dict(self.place)
        self.free: dict[str, list[int]] = {
            name: [host.free_vcpus, host.free_memory_mb, host.free_disk_gb]
            for name, host in problem.hosts.items()}
        self.spots: dict[str, Spot] = {}
        self.units: list[Unit] = []
        self.units_of: dict[str, tuple[Unit, ...]] = {}
        self.by_group: dict[str, list[Unit]] = {}
        of: dict[str, list[Unit]] = {}
        for group in problem.groups:
            if only is not None and group.members.isdisjoint(only):
                continue
            self._add(group, mend_preferences, of)
        self.units_of = {uuid: tuple(units) for uuid, units in of.items()}

    def spot(self, host: str) -> Spot:
        """The domains of a host."""
        found = self.spots.get(host)
        if found is None:
            domains = self.problem.domains
            found = (
                host,
                domains.of(LEVELS[1], host) or UNPLACED,
                domains.of(LEVELS[2], host) or UNPLACED)
            self.spots[host] = found
        return found

    def fits(self, server: RepairServer, host: str) -> bool:
        """Whether there is room for the server besides what is there."""
        free = self.free[host]
        return (server.vcpus <= free[0] and server.memory_mb <= free[1]
                and server.disk_gb <= free[2])

    def may_go(self, server: RepairServer, host: str) -> bool:
        """Whether the host takes the server at all, room left aside."""
        view = self.problem.hosts.get(host)
        return (
            view is not None and view.takes
            and (server.may_go is None or host in server.may_go))

    def allowed(self, uuid: str, host: str) -> bool:
        """Whether the move can be made now, with both ends counted."""
        server = self.servers[uuid]
        here = self.place[uuid]
        if (here == host or not movable(server)
                or not self.may_go(server, host)
                or not self.fits(server, host)):
            return False
        return self.refusing(uuid, host) is None

    def refusing(self, uuid: str, host: str) -> Unit | None:
        """The first required rule that the move would make worse."""
        a, b = self.spot(self.place[uuid]), self.spot(host)
        for unit in self.units_of.get(uuid, ()):
            if unit.hard:
                level = unit.level
                if unit.judge(a[level], b[level]) is None:
                    return unit
        return None

    def move(self, uuid: str, host: str) -> None:
        """Put the server there, whatever that does."""
        here = self.place[uuid]
        self.place[uuid] = host
        server = self.servers[uuid]
        for name, sign in ((here, 1), (host, -1)):
            free = self.free.get(name)
            if free is not None:
                free[0] += sign * server.vcpus
                free[1] += sign * server.memory_mb
                free[2] += sign * server.disk_gb
        a, b = self.spot(here), self.spot(host)
        for unit in self.units_of.get(uuid, ()):
            source, target = a[unit.level], b[unit.level]
            if source == target:
                continue
            counts = unit.counts
            if counts[source] == 1:
                del counts[source]
            else:
                counts[source] -= 1
            counts[target] = counts.get(target, 0) + 1
            unit.measure()

    def hard_excess(self) -> int:
        """What is left of all required rules that are to be mended."""
        return sum(u.excess for u in self.units if u.mend and u.hard)

    def soft_excess(self) -> int:
        """The same of the preferred rules."""
        return sum(u.excess for u in self.units if not u.hard)

    def _add(
        self, group: Group, mend_preferences: bool,
        of: dict[str, list[Unit]],
    ) -> None:
        if not group.enforced and not group.native:
            return
        mended = group.mode is GroupMode.REPAIR
        domains = self.problem.domains.within(group.rules)
        # In this order, so that nothing hangs on the order of a set.
        members = sorted(m for m in group.members if m in self.place)
        made = self.by_group.setdefault(group.id, [])
        for rule in group.rules:
            if not rule.required and not mended:
                continue
            unit = Unit(
                len(self.units), group, rule, domains, rule.required,
                mended and (rule.required or mend_preferences))
            for uuid in members:
                for name in self._domains(uuid, unit.level):
                    unit.counts[name] = unit.counts.get(name, 0) + 1
                of.setdefault(uuid, []).append(unit)
            unit.measure()
            unit.initial = unit.excess
            self.units.append(unit)
            made.append(unit)

    def _domains(self, uuid: str, level: int) -> tuple[str, ...]:
        server = self.servers[uuid]
        first = self.spot(server.host)[level]
        if server.also is None:
            return (first,)
        second = self.spot(server.also)[level]
        return (first,) if first == second else (first, second)


def movable(server: RepairServer) -> bool:
    """Whether the server can be moved at all."""
    return server.movable and server.also is None


def size_of(server: RepairServer) -> Size:
    """What the server takes from its host."""
    return server.vcpus, server.memory_mb, server.disk_gb
