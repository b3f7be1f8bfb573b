# SPDX-License-Identifier: Apache-2.0
"""Which domains hold how many members, and how far that is from a rule."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping

from aacloud.core.rules.model import LEVELS
from aacloud.core.rules.model import Occupancy
from aacloud.core.rules.model import OnUnknown
from aacloud.core.rules.model import Place
from aacloud.core.rules.model import Rule
from aacloud.core.rules.model import RuleKind
from aacloud.core.topology import Level
from aacloud.core.topology import Topology

#: Where members on hosts without a place in the topology are counted. No
#: domain can have this name.
UNPLACED = "?"

# So many fences are kept narrowed; a cloud has few different ones.
_KEPT = 64


class Domains:
    """The domains of a cloud at each level; never changed once made.

    Only the domains that are *eligible* matter to ``max_skew``, and only
    there a repair finds room: those not in a dead data centre, with at least
    one host that takes servers, inside the fences which the group requires
    (``within``). Kubernetes draws the same line with ``nodeAffinityPolicy:
    Honor`` and ``nodeTaintsPolicy: Honor`` of its topology spread
    constraints.
    """

    __slots__ = ("_all", "_eligible", "_fences", "_kept", "_places",
                 "closed", "dead", "topology")

    def __init__(
        self, topology: Topology, dead: Collection[str] = (),
        closed: Collection[str] = (),
    ) -> None:
        """Index a topology.

        :param dead: names of data centres that are lost
        :param closed: names of hosts that take no servers for long (left
            out by the operator, in recovery); a domain of such hosts alone
            is not eligible. All who judge and inspect must be told the same.
        """
        self.topology = topology
        self.dead = frozenset(dead)
        self.closed = frozenset(closed)
        hosts = topology.hosts.values()
        self._places: dict[Level, dict[str, str]] = {
            Level.HOST: {host.name: host.name for host in hosts},
            Level.RACK: {host.name: host.rack for host in hosts},
            Level.DC: {host.name: host.dc for host in hosts},
        }
        self._all = {
            level: frozenset(self._places[level].values())
            for level in LEVELS}
        self._fences: tuple[Rule, ...] = ()
        self._eligible: dict[Level, frozenset[str]] = {}
        self._kept: dict[tuple[Rule, ...], Domains] = {}

    def of(self, level: Level, host: str) -> str | None:
        """The domain that a host is in; None when it has no place.

        A host is always a domain of its own, known or not.
        """
        if level is Level.HOST:
            return host
        return self._places[level].get(host)

    def places(self, level: Level) -> Mapping[str, str]:
        """Host of the topology -> its domain."""
        return self._places[level]

    def all(self, level: Level) -> frozenset[str]:
        """The names of all domains of a level."""
        return self._all[level]

    def eligible(self, level: Level) -> frozenset[str]:
        """The names of the domains that can hold members."""
        found = self._eligible.get(level)
        if found is None:
            if self.dead or self.closed or self._fences:
                places = self._places[level]
                found = frozenset({
                    places[host] for host in self.eligible_hosts()})
            else:
                found = self._all[level]
            self._eligible[level] = found
        return found

    def eligible_hosts(self) -> Iterable[str]:
        """The hosts that can hold members."""
        hosts: Iterable[str] = self._places[Level.HOST]
        if self.dead:
            dcs = self._places[Level.DC]
            hosts = [h for h in hosts if dcs[h] not in self.dead]
        if self.closed:
            hosts = [h for h in hosts if h not in self.closed]
        for fence in self._fences:
            places, named = self._places[fence.level], set(fence.domains)
            hosts = [h for h in hosts if places[h] in named]
        return hosts

    def within(self, rules: Iterable[Rule]) -> Domains:
        """The same with the required fences of a group's rules in force.

        Skew is measured, and room sought, inside the fence only: else a
        group that is fenced into one data centre could never be spread over
        that one's racks. Everybody who judges a group does so within.
        """
        fences = tuple(
            rule for rule in rules
            if rule.kind is RuleKind.FENCE and rule.required)
        if fences == self._fences:
            return self
        found = self._kept.get(fences)
        if found is None:
            found = Domains.__new__(Domains)
            found.topology, found._places = self.topology, self._places
            found.dead, found.closed = self.dead, self.closed
            found._all, found._fences = self._all, fences
            found._eligible, found._kept = {}, {}
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[fences] = found
        return found

    @property
    def lessened(self) -> bool:
        """Whether a data centre is dead or a host closed."""
        return bool(self.dead or self.closed)

    def whole(self) -> Domains:
        """The same as if no data centre were dead and no host closed."""
        if not self.lessened:
            return self
        return Domains(self.topology).within(self._fences)


def count(
    rule: Rule, members: Iterable[str], occupancy: Occupancy,
    domains: Domains,
) -> dict[str, int]:
    """How many members each domain of the rule's level holds.

    A server on two hosts (it is being moved) counts once in the domain of
    each. One without a host (shelved, in error) counts nowhere. Members on
    hosts that have no place in the topology count under ``UNPLACED``.
    Domains without members are left out.
    """
    return count_level(
        rule.level,
        [occupancy[member] for member in members if member in occupancy],
        domains)


def count_level(
    level: Level, places: Iterable[Place], domains: Domains,
) -> dict[str, int]:
    """``count`` for members whose hosts are already looked up."""
    where = domains.places(level)
    host_level = level is Level.HOST
    counts: dict[str, int] = {}
    for place in places:
        if len(place) == 1:
            name = place[0] if host_level else where.get(place[0], UNPLACED)
            counts[name] = counts.get(name, 0) + 1
        else:
            for name in domains_of(level, place, domains):
                counts[name] = counts.get(name, 0) + 1
    return counts


def domains_of(
    level: Level, place: Place, domains: Domains,
) -> tuple[str, ...]:
    """The domains in which a server counts, each once, UNPLACED included."""
    names = (domains.of(level, host) for host in place)
    return tuple(dict.fromkeys(
        UNPLACED if name is None else name for name in names))


def excess(rule: Rule, counts: Mapping[str, int], domains: Domains) -> int:
    """How far a rule is from being kept; 0 when it is.

    * ``spread`` with ``max_per_domain``: the members that are too many,
      summed over all domains.
    * ``spread`` with ``max_skew``: by how much the skew is too large. The
      skew is that of Kubernetes' topology spread constraints: the count of
      the fullest eligible domain less the *global minimum*, the count of the
      emptiest eligible one, or 0 when fewer than ``min_domains`` are
      eligible. Members in a dead data centre or outside the fence are not
      looked at. Without an eligible domain it is kept.
    * ``spread`` with both: the sum of both.
    * ``together``: the members outside the fullest domain. While one of them
      is moved it counts at both ends, so also at the end that is outside.
      A group without placed members is together.
    * ``fence``: the members outside the named domains.

    Members under ``UNPLACED`` are one too many each when the rule is closed
    on the unknown, and are left out when it is open.

    :param domains: narrowed with ``Domains.within`` by the group's rules
    """
    unplaced = counts.get(UNPLACED, 0)
    closed = rule.on_unknown is OnUnknown.CLOSED
    found = unplaced if closed else 0
    if rule.kind is RuleKind.FENCE:
        inside = sum([counts.get(name, 0) for name in rule.domains])
        return found + sum(counts.values()) - unplaced - inside
    if unplaced:
        counts = {
            name: n for name, n in counts.items() if name != UNPLACED}
    if not counts:
        return found
    if rule.kind is RuleKind.TOGETHER:
        return found + sum(counts.values()) - max(counts.values())
    limit = rule.max_per_domain
    if limit is not None:
        for n in counts.values():
            if n > limit:
                found += n - limit
    if rule.max_skew is not None:
        least, most = extremes(rule, counts, domains)
        found += max(0, most - least - rule.max_skew)
    return found


def extremes(
    rule: Rule, counts: Mapping[str, int], domains: Domains,
) -> tuple[int, int]:
    """The global minimum and the maximum over the eligible domains."""
    eligible = domains.eligible(rule.level)
    held = [n for name, n in counts.items() if name in eligible and n]
    if not held:
        return 0, 0
    short = len(eligible) < (rule.min_domains or 0)
    if short or len(held) < len(eligible):
        return 0, max(held)
    return min(held), max(held)
