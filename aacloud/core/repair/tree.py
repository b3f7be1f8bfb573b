# SPDX-License-Identifier: Apache-2.0
"""The fewest moves that mend one group, exactly, on the tree of domains.

Hosts, racks and data centres lie within each other, so the cost of having k
members in a domain is a convex function of k: that of a rack is what its
hosts give when the k members are shared out best, changed by the rules at
rack level. Convex functions are kept as their slopes; sharing out is merging
slopes. What is not convex (which domain all members gather in, how many the
emptiest domain of an even spread holds) is tried through.

Room on hosts, other groups and the order of the moves are left out. So what
comes out is a bound that no plan can beat, and mostly it is reached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import itertools

from aacloud.core.repair.state import Goal
from aacloud.core.repair.state import movable
from aacloud.core.repair.state import State
from aacloud.core.repair.state import Unit
from aacloud.core.rules import OnUnknown
from aacloud.core.rules import RuleKind
from aacloud.core.rules import UNPLACED

#: What one member too many costs, in moves; a group has fewer members.
HARD = 10 ** 10
SOFT = 10 ** 5
#: Combinations that are tried before the bound is given up.
TRIED = 3000


@dataclasses.dataclass(frozen=True, slots=True)
class Bound:
    """The best that can be made of one group.

    :ivar excess: of its required rules, the least
    :ivar preferred: of its preferred rules that are to be mended
    :ivar moves: the fewest that reach both
    :ivar exact: no plan can do better; else all three are 0
    :ivar goals: what each unit (by number) is to be mended towards
    """

    excess: int
    preferred: int
    moves: int
    exact: bool
    goals: dict[int, Goal]


@dataclasses.dataclass(slots=True)
class _Curve:
    """A convex function of a number of members.

    :ivar low: the fewest members it is defined for
    :ivar base: its value there
    :ivar slopes: slope -> over how many members
    """

    low: int = 0
    base: int = 0
    slopes: dict[int, int] = dataclasses.field(default_factory=dict)

    def add(self, other: _Curve, times: int = 1) -> None:
        """Share members out between this and others."""
        self.low += other.low * times
        self.base += other.base * times
        slopes = self.slopes
        for slope, length in other.slopes.items():
            slopes[slope] = slopes.get(slope, 0) + length * times

    def cost(self, count: int) -> int | None:
        """The value at ``count``; None where it is not defined."""
        left = count - self.low
        if left < 0:
            return None
        found = self.base
        for slope in sorted(self.slopes):
            step = min(left, self.slopes[slope])
            found += slope * step
            left -= step
        return found if left == 0 else None


@dataclasses.dataclass(slots=True)
class _Change:
    """What the rules of a level make of one domain's curve."""

    low: int = 0
    high: int | None = None
    beyond: list[tuple[int, int]] = dataclasses.field(default_factory=list)

    def cap(self, high: int) -> None:
        self.high = high if self.high is None else min(self.high, high)

    @property
    def nothing(self) -> bool:
        return not self.low and self.high is None and not self.beyond

    def apply(self, curve: _Curve) -> _Curve | None:
        """The changed curve; None when nothing is left of it."""
        if self.nothing:
            return curve
        low, base = curve.low, curve.base
        if self.high is not None and self.high < low:
            return None
        at = low
        first = max(low, self.low)
        for limit, weight in self.beyond:
            base += weight * max(0, low - limit)
        slopes: dict[int, int] = {}
        marks = sorted({limit for limit, _ in self.beyond} | {first})
        for slope in sorted(curve.slopes):
            end = at + curve.slopes[slope]
            if self.high is not None:
                end = min(end, self.high)
            while at < end:
                stop = next((m for m in marks if at < m < end), end)
                real = slope + sum(
                    weight for limit, weight in self.beyond if at >= limit)
                if at < first:
                    base += real * (stop - at)
                else:
                    slopes[real] = slopes.get(real, 0) + stop - at
                at = stop
        if at < first:
            return None
        return _Curve(first, base, slopes)


class Places:
    """The open hosts of each rack, for all groups."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._open: dict[object, dict[tuple[str, str], int]] = {}
        #: Rack -> its hosts, rooms or not.
        self.hosts: dict[tuple[str, str], list[str]] = {}
        for name in sorted(state.problem.hosts):
            _, rack, dc = state.spot(name)
            self.hosts.setdefault((dc, rack), []).append(name)

    def open(
        self, allowed: frozenset[str] | None,
    ) -> dict[tuple[str, str], int]:
        """(dc, rack) -> hosts that take one of the servers."""
        found = self._open.get(allowed)
        if found is None:
            views = self.state.problem.hosts
            found = {
                where: n for where, names in self.hosts.items()
                if (n := sum(
                    views[name].takes
                    and (allowed is None or name in allowed)
                    for name in names))}
            self._open[allowed] = found
        return found


class _Tree:
    """One group on the tree."""

    def __init__(self, state: State, units: Sequence[Unit], places: Places):
        self.state = state
        self.places = places
        self.units = [
            unit for unit in units if unit.mend or unit.hard]
        members = sorted(
            m for m in units[0].group.members if m in state.place)
        self.total = 0
        #: Hosts that hold as many are alike, mostly.
        self._known: dict[tuple[int, int, bool], _Curve | None] = {}
        self.counts: Counter[str] = Counter()
        self.fixed: Counter[str] = Counter()
        self.plain = True
        pins: set[frozenset[str] | None] = set()
        for uuid in members:
            server = state.servers[uuid]
            host = state.place[uuid]
            self.counts[host] += 1
            self.total += 1
            if movable(server):
                pins.add(server.may_go)
            else:
                self.fixed[host] += 1
            if server.also is not None:
                self.plain = False
                self.counts[server.also] += 1
                self.fixed[server.also] += 1
                self.total += 1
        self.allowed: frozenset[str] | None = None
        if None not in pins:
            if len(pins) == 1:
                self.allowed = next(iter(pins))
            else:
                self.allowed = frozenset().union(
                    *(pin for pin in pins if pin is not None))
        self.open = places.open(self.allowed)
        present: dict[tuple[str, str], list[str]] = {}
        for host in sorted(self.counts):
            _, rack, dc = state.spot(host)
            present.setdefault((dc, rack), []).append(host)
        self.present = present
        self.racks: dict[str, list[tuple[str, str]]] = {}
        for where in sorted({*present, *self.open}):
            self.racks.setdefault(where[0], []).append(where)
        #: Racks with hosts that a fence names.
        self.named = {
            (spot[2], spot[1]) for unit in self.units if unit.level == 0
            for spot in map(state.spot, unit.names)}
        self.levels = [
            [u for u in self.units if u.level == level]
            for level in range(3)]

    def curve(self, goals: dict[int, Goal]) -> _Curve | None:
        """The cost of the whole cloud under these goals."""
        whole = _Curve()
        strict = self._strict(goals)
        self._known.clear()
        for dc in sorted(self.racks):
            inside = _Curve()
            fresh: Counter[int] = Counter()
            fenced = 1 in strict or any(
                u.rule.kind is not RuleKind.SPREAD for u in self.levels[1])
            for where in self.racks[dc]:
                if where not in self.present and not fenced and (
                        0 not in strict) and where not in self.named:
                    fresh[self.open[where]] += 1
                    continue
                found = self._rack(where, goals, 0 in strict)
                if found is None:
                    return None
                inside.add(found)
            for hosts, racks in fresh.items():
                # Each of these racks is as empty as any other.
                curve = self._empty(hosts, goals)
                part = self._change(1, None, 0, goals).apply(curve)
                if part is None:
                    return None
                inside.add(part, racks)
            part = self._change(
                2, dc, self._held(dc), goals).apply(inside)
            if part is None:
                return None
            whole.add(part)
        if not self._filled(goals):
            return None
        return whole

    def _strict(self, goals: dict[int, Goal]) -> set[int]:
        """The levels whose empty domains are not all alike."""
        found = set()
        for level, units in enumerate(self.levels):
            for unit in units:
                goal = goals.get(unit.number)
                if goal is not None and goal.most is not None and (
                    goal.least or unit.eligible != unit.domains.all(
                        unit.rule.level)
                ):
                    found.add(level)
        return found

    def _held(self, dc: str) -> int:
        return sum(
            self.counts[host] for where in self.racks[dc]
            for host in self.present.get(where, ()))

    def _rack(
        self, where: tuple[str, str], goals: dict[int, Goal], each: bool,
    ) -> _Curve | None:
        state = self.state
        inside = _Curve()
        held = 0
        present = self.present.get(where, [])
        alike = not each and all(
            u.rule.kind is RuleKind.SPREAD for u in self.levels[0])
        views = state.problem.hosts
        fresh = self.open.get(where, 0)
        for host in present:
            count, fixed = self.counts[host], self.fixed[host]
            view = views.get(host)
            takes = view is not None and view.takes and (
                self.allowed is None or host in self.allowed)
            fresh -= takes
            held += count
            look = count, fixed, takes
            if alike and look in self._known:
                found = self._known[look]
            else:
                curve = _Curve(fixed, count - fixed, {-1: count - fixed})
                if takes:
                    curve.slopes[0] = self.total
                found = self._change(0, host, count, goals).apply(curve)
                self._known[look] = found
            if found is None:
                return None
            inside.add(found)
        if each or any(
                u.rule.kind is RuleKind.FENCE for u in self.levels[0]):
            for host in self.places.hosts.get(where, ()):
                if host in self.counts:
                    continue
                takes = views[host].takes and (
                    self.allowed is None or host in self.allowed)
                curve = _Curve(0, 0, {0: self.total} if takes else {})
                found = self._change(0, host, 0, goals).apply(curve)
                if found is None:
                    return None
                inside.add(found)
        elif fresh:
            inside.add(self._empty(fresh, goals))
        return self._change(1, where[1], held, goals).apply(inside)

    def _empty(self, hosts: int, goals: dict[int, Goal]) -> _Curve:
        one = self._change(0, None, 0, goals).apply(
            _Curve(0, 0, {0: self.total}))
        found = _Curve()
        if one is not None:
            found.add(one, hosts)
        return found

    def _change(
        self, level: int, name: str | None, held: int,
        goals: dict[int, Goal],
    ) -> _Change:
        """What the level's rules do; ``name`` None: an empty domain."""
        change = _Change()
        for unit in self.levels[level]:
            rule = unit.rule
            weight = HARD if unit.hard else SOFT
            goal = goals.get(unit.number)
            if name == UNPLACED:
                if rule.on_unknown is OnUnknown.CLOSED:
                    change.beyond.append((0, weight))
                    if unit.hard:
                        change.cap(held)
                continue
            if rule.kind is RuleKind.FENCE:
                if name not in unit.names:
                    change.beyond.append((0, weight))
                    if unit.hard:
                        change.cap(held)
            elif rule.kind is RuleKind.TOGETHER:
                if goal is not None and name != goal.target:
                    change.beyond.append((0, weight))
                    if unit.hard:
                        change.cap(held)
            else:
                if rule.max_per_domain is not None:
                    change.beyond.append((rule.max_per_domain, weight))
                    if unit.hard and rule.max_skew is None:
                        change.cap(max(held, rule.max_per_domain))
                if goal is not None and goal.most is not None and (
                        name is None or name in unit.eligible):
                    change.cap(goal.most)
                    change.low = max(change.low, goal.least)
        return change

    def _filled(self, goals: dict[int, Goal]) -> bool:
        """Whether each domain that is to have members is in the tree."""
        known = [where for racks in self.racks.values() for where in racks]
        for unit in self.units:
            goal = goals.get(unit.number)
            if goal is None or not goal.least:
                continue
            if unit.level == 0:
                seen = {host for where in known
                        for host in self.places.hosts.get(where, ())}
            elif unit.level == 1:
                seen = {rack for _, rack in known}
            else:
                seen = set(self.racks)
            if not unit.eligible <= seen:
                return False
        return True

    def choices(self) -> Iterator[tuple[int, int, dict[int, Goal]]]:
        """(penalty, bound on the moves, goals), the smallest penalty first.
        """
        options = [
            found for unit in self.units
            if (found := list(self._options(unit)))]
        if not options:
            yield 0, 0, {}
            return
        size = 1
        for found in options:
            size *= len(found)
        if size > TRIED:
            self.plain = False
            options = [found[:1] for found in options]
        combined = [
            (sum(o[0] for o in combo), max(o[1] for o in combo), number,
             {o[2]: o[3] for o in combo})
            for number, combo in enumerate(itertools.product(*options))]
        combined.sort(key=lambda c: c[:3])
        for penalty, moves, _, goals in combined:
            yield penalty, moves, goals

    def _options(
        self, unit: Unit,
    ) -> Iterable[tuple[int, int, int, Goal]]:
        """(penalty, bound on the moves, unit's number, goal)."""
        rule = unit.rule
        counts = {
            name: n for name, n in unit.counts.items() if name != UNPLACED}
        if rule.kind is RuleKind.TOGETHER and counts:
            most, total = max(counts.values()), sum(counts.values())
            names = {name for name, n in counts.items() if n == most}
            if not unit.hard:
                names = set(counts) | unit.eligible
            return sorted(
                ((0, total - counts.get(name, 0), unit.number,
                  Goal(target=name)) for name in names),
                key=lambda o: (o[1], o[3].target or ""))
        if rule.kind is not RuleKind.SPREAD or rule.max_skew is None or (
                not unit.eligible):
            return ()
        held = [counts.get(name, 0) for name in unit.eligible
                if name in counts]
        empty = len(unit.eligible) - len(held)
        top = 0 if unit.short else self.total // len(unit.eligible)
        now = max(held, default=0) - (
            0 if empty or unit.short else min(held))
        most_over = max(0, now - rule.max_skew)
        if not unit.hard:
            most_over = self.total
        elif rule.max_per_domain is not None:
            # What it gains at one end it may lose at the other.
            most_over = unit.excess
        found = []
        for over in range(most_over + 1):
            for least in range(top + 1):
                most = least + rule.max_skew + over
                # ``least`` binds no domain when too few are eligible.
                floor = 0 if unit.short else least
                moves = max(
                    sum(max(0, n - most) for n in held),
                    sum(max(0, floor - n) for n in held) + empty * floor)
                weight = HARD if unit.hard else SOFT
                found.append((over * weight, moves, unit.number,
                              Goal(floor, most)))
        return sorted(found, key=lambda o: (o[0], o[1], o[3].least))


def solve_group(
    state: State, units: Sequence[Unit], places: Places,
) -> Bound:
    """The best that can be made of the group whose units these are."""
    tree = _Tree(state, units, places)
    best: tuple[int, dict[int, Goal]] | None = None
    for penalty, moves, goals in tree.choices():
        if best is not None and penalty + moves >= best[0]:
            if penalty >= best[0]:
                break
            continue
        curve = tree.curve(goals)
        if curve is None:
            continue
        cost = curve.cost(tree.total)
        if cost is not None and (
                best is None or cost + penalty < best[0]):
            best = cost + penalty, goals
    if best is None:
        return Bound(0, 0, 0, False, {})
    total, goals = best
    for unit in tree.units:
        goals.setdefault(unit.number, Goal())
    if not tree.plain:
        return Bound(0, 0, 0, False, goals)
    return Bound(total // HARD, total % HARD // SOFT, total % SOFT, True,
                 goals)
