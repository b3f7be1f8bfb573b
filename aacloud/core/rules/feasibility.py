# SPDX-License-Identifier: Apache-2.0
"""Whether any placement keeps several rules at once.

Hosts lie in racks and racks in data centres, so every rule bounds the counts
of nodes of one tree. Once the emptiest domain of each skewed level is fixed,
the totals that a subtree can hold form an interval, found from the leaves to
the root: a search over a few numbers, exact however large the cloud is.
Equal racks and equal data centres are looked at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses

from aacloud.core.rules.counting import Domains
from aacloud.core.rules.model import LEVELS
from aacloud.core.rules.model import Rule
from aacloud.core.rules.model import RuleKind
from aacloud.core.topology import Level

Interval = tuple[int, int]
_HOST, _RACK, _DC = range(3)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class _Rack:
    """How many hosts of a rack there are of each sort.

    :ivar even: eligible, so skew looks at them, and may hold members
    :ivar beside: not eligible, but may hold members
    :ivar barred: eligible, but may not hold any
    """

    even: int
    beside: int
    barred: int

    @property
    def eligible(self) -> bool:
        return self.even + self.barred > 0

    def emptied(self) -> _Rack:
        """The same when none of its hosts may hold members."""
        return _Rack(0, 0, self.even + self.barred)


# A data centre: its racks, equal ones counted. A cloud: its data centres.
_Dc = tuple[tuple[_Rack, int], ...]
_Tree = tuple[tuple[_Dc, int], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Bounds:
    """What rules ask of the counts at each level, ``LEVELS`` in order.

    :ivar most: no domain may hold more
    :ivar capped: no eligible domain may hold more (too few are eligible for
        min_domains, so the global minimum is 0)
    :ivar skew: how far eligible domains may differ; None when as they like
    """

    members: int
    most: tuple[int, ...]
    capped: tuple[int, ...]
    skew: tuple[int | None, ...]

    @classmethod
    def of(
        cls, rules: Collection[Rule], domains: Domains, members: int,
    ) -> _Bounds:
        most, capped = [members] * len(LEVELS), [members] * len(LEVELS)
        skew: list[int | None] = [None] * len(LEVELS)
        for rule in rules:
            at = LEVELS.index(rule.level)
            if rule.max_per_domain is not None:
                most[at] = min(most[at], rule.max_per_domain)
            if rule.max_skew is None:
                continue
            if len(domains.eligible(rule.level)) < (rule.min_domains or 0):
                capped[at] = min(capped[at], rule.max_skew)
            else:
                skew[at] = min(skew[at] or members, rule.max_skew)
        return cls(members, tuple(most), tuple(capped), tuple(skew))

    def clip(
        self, interval: Interval, at: int, eligible: bool, least: int,
    ) -> Interval | None:
        """What is left of an interval of counts; None if nothing is.

        :param least: the emptiest eligible domain's count
        """
        low, high = interval
        high = min(high, self.most[at])
        if eligible:
            high = min(high, self.capped[at])
            skew = self.skew[at]
            if skew is not None:
                low, high = max(low, least), min(high, least + skew)
        return (low, high) if low <= high else None


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """Rules, and the cloud in which they are to be kept.

    :ivar domains: skew looks at the eligible domains of these. They may be
        narrower than the fences among ``rules``; members go to any host
        inside those fences that is not closed or in a dead data centre.
    """

    rules: tuple[Rule, ...]
    domains: Domains

    def feasible(self, members: int) -> bool:
        """Whether so many members can be placed and all rules kept."""
        if not members:
            return True
        bounds = _Bounds.of(self.rules, self.domains, members)
        return any(
            _fit(tree, bounds) is not None for tree in self._trees())

    def most_feasible(self, members: int) -> int:
        """The largest number up to ``members`` that can be placed."""
        return next(
            n for n in range(self._room(members), -1, -1)
            if self.feasible(n))

    def placement(self, members: int) -> dict[str, int] | None:
        """A placement that keeps all rules: host -> members, or None."""
        if not members:
            return {}
        bounds = _Bounds.of(self.rules, self.domains, members)
        usable = self._usable()
        level = self._gathered_at()
        homes: Iterable[Collection[str]] = [usable]
        if level is not None:
            places = self.domains.places(level)
            by_home: dict[str, list[str]] = {}
            for host in usable:
                by_home.setdefault(places[host], []).append(host)
            homes = by_home.values()
        for hosts in homes:
            tree = self._tree(hosts)
            least = _fit(tree, bounds)
            if least is not None:
                return self._spelled_out(hosts, bounds, least)
        return None

    def _gathered_at(self) -> Level | None:
        """The smallest level at which all have to be in one domain."""
        return min(
            (rule.level for rule in self.rules
             if rule.kind is RuleKind.TOGETHER),
            key=LEVELS.index, default=None)

    def _room(self, members: int) -> int:
        """At most so many find a place; skew is not looked at here."""
        limits = tuple(
            dataclasses.replace(rule, max_skew=None, min_domains=None)
            for rule in self.rules
            if rule.kind is not RuleKind.SPREAD
            or rule.max_per_domain is not None)
        question = Question(limits, self.domains)
        bounds = _Bounds.of(limits, self.domains, members)
        found = 0
        for tree in question._trees():
            total = 0
            for dc, n in tree:
                interval = _dc_interval(dc, bounds, (0, 0, 0))
                if interval is not None:  # 0 is always in it
                    total += n * min(interval[1], bounds.most[_DC])
            found = max(found, total)
        return min(found, members)

    def _usable(self) -> list[str]:
        domains = self.domains
        fences = [
            (domains.places(rule.level), frozenset(rule.domains))
            for rule in self.rules if rule.kind is RuleKind.FENCE]
        dcs = domains.places(Level.DC)
        return [
            host for host in dcs
            if dcs[host] not in domains.dead and host not in domains.closed
            and all(places[host] in named for places, named in fences)]

    def _tree(self, usable: Collection[str]) -> _Tree:
        eligible = frozenset(self.domains.eligible_hosts())
        usable = frozenset(usable)
        numbers: dict[tuple[str, str], list[int]] = {}
        for name in eligible | usable:
            host = self.domains.topology.hosts[name]
            rack = numbers.setdefault((host.dc, host.rack), [0, 0, 0])
            if name in usable:
                rack[0 if name in eligible else 1] += 1
            else:
                rack[2] += 1
        dcs: dict[str, Counter[_Rack]] = {}
        for (dc, _rack), found in numbers.items():
            dcs.setdefault(dc, Counter())[_Rack(*found)] += 1
        return _sorted_tree(
            Counter(_sorted_dc(racks) for racks in dcs.values()))

    def _trees(self) -> Iterator[_Tree]:
        """The cloud; with ``together``, one for each different home."""
        tree = self._tree(self._usable())
        level = self._gathered_at()
        if level is None:
            yield tree
            return
        for dc, _n in tree:
            others = Counter(dict(tree))
            others[dc] -= 1
            emptied: Counter[_Dc] = Counter()
            for other, n in others.items():
                emptied[_emptied(other)] += n
            for home in _homes(dc, level):
                yield _sorted_tree(emptied + Counter([home]))

    def _spelled_out(
        self, usable: Collection[str], bounds: _Bounds,
        least: tuple[int, ...],
    ) -> dict[str, int]:
        """The members of each host, for a fit that was found."""
        eligible = frozenset(self.domains.eligible_hosts())
        may = frozenset(usable)
        cloud: dict[str, dict[str, list[str]]] = {}
        for name in sorted(eligible | may):
            host = self.domains.topology.hosts[name]
            cloud.setdefault(host.dc, {}).setdefault(
                host.rack, []).append(name)

        def host_of(name: str) -> Interval:
            return _exact(bounds.clip(
                (0, bounds.members if name in may else 0), _HOST,
                name in eligible, least[_HOST]))

        def rack_of(hosts: list[str]) -> Interval:
            return _exact(bounds.clip(
                _total(host_of(name) for name in hosts), _RACK,
                not eligible.isdisjoint(hosts), least[_RACK]))

        def dc_of(racks: dict[str, list[str]]) -> Interval:
            return _exact(bounds.clip(
                _total(rack_of(hosts) for hosts in racks.values()), _DC,
                any(not eligible.isdisjoint(h) for h in racks.values()),
                least[_DC]))

        found: dict[str, int] = {}
        dcs = _shared_out(
            bounds.members, {dc: dc_of(racks) for dc, racks in cloud.items()})
        for dc, racks in cloud.items():
            shares = _shared_out(
                dcs[dc], {rack: rack_of(h) for rack, h in racks.items()})
            for rack, hosts in racks.items():
                found.update(_shared_out(
                    shares[rack], {name: host_of(name) for name in hosts}))
        return {name: n for name, n in found.items() if n}


def _fit(tree: _Tree, bounds: _Bounds) -> tuple[int, int, int] | None:
    """The emptiest eligible count of each level in a placement that keeps
    the bounds; None when there is none. 0 where there is no skew."""
    racks = [
        (rack, n * m) for dc, n in tree for rack, m in dc]
    hosts = sum((r.even + r.barred) * n for r, n in racks)
    beside = any(r.beside for r, _n in racks)
    barred = any(r.barred for r, _n in racks)
    even_racks = sum(n for r, n in racks if r.eligible)
    for host in _minima(bounds, _HOST, hosts, beside, barred):
        for rack in _minima(bounds, _RACK, even_racks, beside, False):
            least = (host, rack, 0)
            found = []
            for dc, n in tree:
                interval = _dc_interval(dc, bounds, least)
                if interval is None:
                    break
                even = any(r.eligible for r, _m in dc)
                found.append((interval, even, n))
            else:
                top = _fit_dcs(found, bounds)
                if top is not None:
                    return host, rack, top
    return None


def _minima(
    bounds: _Bounds, at: int, domains: int, beside: bool, barred: bool,
) -> range:
    """The counts that the emptiest of the eligible domains may have."""
    skew = bounds.skew[at]
    if skew is None or not domains or barred:
        return range(1)
    # With everybody inside, the fullest ones have to make up for it.
    least = 0 if beside else -(-bounds.members // domains) - skew
    return range(max(0, least), bounds.members // domains + 1)


def _dc_interval(
    dc: _Dc, bounds: _Bounds, least: tuple[int, ...],
) -> Interval | None:
    """The totals a data centre's racks can hold, before its own bounds."""
    low = high = 0
    for rack, n in dc:
        inner = [0, 0]
        for hosts, may, even in (
                (rack.even, bounds.members, True),
                (rack.beside, bounds.members, False),
                (rack.barred, 0, True)):
            if not hosts:
                continue
            one = bounds.clip((0, may), _HOST, even, least[_HOST])
            if one is None:
                return None
            inner[0] += hosts * one[0]
            inner[1] += hosts * one[1]
        clipped = bounds.clip(
            (inner[0], inner[1]), _RACK, rack.eligible, least[_RACK])
        if clipped is None:
            return None
        low += n * clipped[0]
        high += n * clipped[1]
    return low, high


def _fit_dcs(
    found: list[tuple[Interval, bool, int]], bounds: _Bounds,
) -> int | None:
    """The count of the emptiest eligible data centre, if all fit in."""

    def total(least: int) -> Interval | None:
        clipped = [
            (bounds.clip(interval, _DC, even, least), n)
            for interval, even, n in found]
        low = high = 0
        for interval, n in clipped:
            if interval is None:
                return None
            low += n * interval[0]
            high += n * interval[1]
        return low, high

    skew = bounds.skew[_DC]
    inside = [interval for interval, even, _n in found if even]
    if skew is None or not inside:
        whole = total(0)
        fits = whole is not None and whole[0] <= bounds.members <= whole[1]
        return 0 if fits else None
    # Both ends of the total grow with the emptiest count, so the first one
    # that holds all is the best. None beyond the emptiest's own end.
    first = max(0, max(low for low, _high in inside) - skew)
    last = min(
        bounds.most[_DC], bounds.capped[_DC],
        *(high for _low, high in inside))
    low, high = first, last + 1
    while low < high:
        middle = (low + high) // 2
        whole = total(middle)
        if whole is not None and whole[1] < bounds.members:
            low = middle + 1
        else:
            high = middle
    if low > last:
        return None
    whole = total(low)
    fits = whole is not None and whole[0] <= bounds.members <= whole[1]
    return low if fits else None


def _homes(dc: _Dc, level: Level) -> Iterator[_Dc]:
    """A data centre with one of its domains left to hold members."""
    if level is Level.DC:
        yield dc
        return
    for rack, _n in dc:
        left = Counter(dict(dc))
        left[rack] -= 1
        emptied: Counter[_Rack] = Counter()
        for other, n in left.items():
            emptied[other.emptied()] += n
        homes = [rack]
        if level is Level.HOST:
            rest = rack.even + rack.barred
            homes = [_Rack(1, 0, rest - 1)] * (rack.even > 0)
            homes += [_Rack(0, 1, rest)] * (rack.beside > 0)
        for home in homes:
            yield _sorted_dc(emptied + Counter([home]))


def _emptied(dc: _Dc) -> _Dc:
    found: Counter[_Rack] = Counter()
    for rack, n in dc:
        found[rack.emptied()] += n
    return _sorted_dc(found)


def _sorted_dc(racks: Counter[_Rack]) -> _Dc:
    return tuple(sorted((rack, n) for rack, n in racks.items() if n))


def _sorted_tree(dcs: Counter[_Dc]) -> _Tree:
    return tuple(sorted((dc, n) for dc, n in dcs.items() if n))


def _exact(interval: Interval | None) -> Interval:
    if interval is None:
        raise RuntimeError("a fit was found that does not fit")
    return interval


def _total(intervals: Iterable[Interval]) -> Interval:
    low = high = 0
    for one in intervals:
        low += one[0]
        high += one[1]
    return low, high


def _shared_out(
    total: int, intervals: dict[str, Interval],
) -> dict[str, int]:
    """Shares within intervals that sum up to a total, the first ones most.
    """
    found = {name: low for name, (low, _high) in intervals.items()}
    left = total - sum(found.values())
    for name, (low, high) in intervals.items():
        more = min(left, high - low)
        found[name] += more
        left -= more
    return found
