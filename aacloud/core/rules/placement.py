# SPDX-License-Identifier: Apache-2.0
"""Whether a member may go to a host, and how well it would lie there.

The verdict is the inspector's excess before and after: what does not grow a
hard excess is allowed, so a broken group can be mended step by step, and
nothing that makes it worse is let through. *Before* is the group as it is.
*After* is the group with the server taken out of wherever it counts and put
on the host. A server that leaves its own rack therefore does not stand in
its own way, and one that is not placed yet is simply added.

Kubernetes' scheduler asks more of a group that is broken already: a new pod
has to land in a domain that is within the skew. Here any domain does that
does not widen it; the penalty prefers those that narrow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from aacloud.core.rules.counting import count
from aacloud.core.rules.counting import Domains
from aacloud.core.rules.counting import domains_of
from aacloud.core.rules.counting import excess
from aacloud.core.rules.counting import UNPLACED
from aacloud.core.rules.model import Group
from aacloud.core.rules.model import GroupMode
from aacloud.core.rules.model import Occupancy
from aacloud.core.rules.model import OnUnknown
from aacloud.core.rules.model import Place
from aacloud.core.rules.model import Rule
from aacloud.core.rules.model import RuleKind
from aacloud.core.rules.text import format_rule
from aacloud.core.topology import Level

#: How many preferences weigh as much as one required rule: a required one
#: counts in the penalty where it only advises (it is relaxed, or broken
#: already).
REQUIRED_WEIGHT = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Ruling:
    """What rules say to one member in one domain or on one host.

    :ivar penalty: 0 where all is kept; among allowed places the smaller the
        better
    :ivar reasons: why it is refused or has a penalty, one sentence a rule
    """

    allowed: bool
    penalty: int = 0
    reasons: tuple[str, ...] = ()


#: Nothing is against it.
GOOD = Ruling(True)


class DomainRulings(dict[str | None, Ruling]):
    """Domain -> ruling, for the members a rule sees.

    Read it with brackets: a domain it does not name gets the ruling of one
    that holds nothing, and is outside the topology and any fence; None gets
    that of ``UNPLACED``.
    """

    __slots__ = ("elsewhere",)

    def __init__(
        self, content: Mapping[str | None, Ruling], elsewhere: Ruling,
    ) -> None:
        super().__init__(content)
        self.elsewhere = elsewhere

    def __missing__(self, name: str | None) -> Ruling:
        return self[UNPLACED] if name is None else self.elsewhere


@dataclasses.dataclass(frozen=True, slots=True)
class RuleState:
    """What a rule finds now, and what one member more would make of it.

    Made with ``RuleState.of``; then each question takes the same short time
    however large the cloud is.

    :ivar counts: see ``counting.count``
    :ivar excess: see ``counting.excess``
    :ivar eligible: the eligible domains of the rule's level
    :ivar most: the fullest domain's count, for skew the fullest eligible's
    :ivar least: the global minimum, see ``counting.excess``
    :ivar next_least: the global minimum once the emptiest domain has got one
        more; the same as ``least`` when several are as empty
    """

    rule: Rule
    counts: Mapping[str, int]
    excess: int
    eligible: frozenset[str]
    most: int
    least: int
    next_least: int

    @classmethod
    def of(
        cls, rule: Rule, counts: Mapping[str, int], domains: Domains,
    ) -> RuleState:
        """The state of a rule that finds these counts.

        :param domains: narrowed with ``Domains.within`` by the group's rules
        """
        eligible: frozenset[str] = frozenset()
        most = least = after = 0
        if rule.kind is RuleKind.TOGETHER:
            most = max((n for name, n in counts.items()
                        if name != UNPLACED), default=0)
        elif rule.max_skew is not None:
            eligible = domains.eligible(rule.level)
            held = sorted(
                n for name, n in counts.items() if name in eligible and n)
            most = held[-1] if held else 0
            if len(eligible) >= (rule.min_domains or 0):
                empty = min(2, len(eligible) - len(held))
                lowest = [0] * empty + held[:2]
                if lowest:
                    least = lowest[0]
                    after = min([least + 1, *lowest[1:2]])
        return cls(rule, counts, excess(rule, counts, domains), eligible,
                   most, least, after)

    def after(self, name: str) -> int:
        """The excess with one member more in a domain (or UNPLACED)."""
        rule = self.rule
        if name == UNPLACED:
            closed = rule.on_unknown is OnUnknown.CLOSED
            return self.excess + closed
        if rule.kind is RuleKind.FENCE:
            return self.excess + (name not in rule.domains)
        n = self.counts.get(name, 0)
        if rule.kind is RuleKind.TOGETHER:
            return self.excess + (n < self.most)
        found = self.excess
        if rule.max_per_domain is not None and n >= rule.max_per_domain:
            found += 1
        if rule.max_skew is not None and name in self.eligible:
            now = max(0, self.most - self.least - rule.max_skew)
            least, most = self.range_with(name)
            found += max(0, most - least - rule.max_skew) - now
        return found

    def range_with(self, name: str) -> tuple[int, int]:
        """The global minimum and the fullest count with one member more in
        an eligible domain; for skew."""
        n = self.counts.get(name, 0)
        least = self.next_least if n == self.least else self.least
        return least, max(self.most, n + 1)

    def grade(self, name: str) -> int:
        """How badly one member more lies in a domain; 0 is well.

        For ``spread`` by how much the domain itself is then too full, for
        ``together`` how many members more the fullest domain has.
        """
        rule = self.rule
        if name == UNPLACED:
            if rule.on_unknown is OnUnknown.OPEN:
                return 0
            return 1 + max(self.counts.values(), default=0)
        if rule.kind is RuleKind.FENCE:
            return int(name not in rule.domains)
        n = self.counts.get(name, 0)
        if rule.kind is RuleKind.TOGETHER:
            return self.most - n
        found = 0
        if rule.max_per_domain is not None:
            found = max(0, n + 1 - rule.max_per_domain)
        if rule.max_skew is not None and name in self.eligible:
            least, _most = self.range_with(name)
            found += max(0, n + 1 - least - rule.max_skew)
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class RuleRulings:
    """One rule's rulings for all hosts.

    :ivar places: host -> domain of the rule's level
    """

    rule: Rule
    places: Mapping[str, str]
    rulings: DomainRulings

    def of(self, host: str) -> Ruling:
        """The ruling for a host."""
        name = self.places.get(host)
        if name is None and self.rule.level is Level.HOST:
            name = host
        return self.rulings[name]

    def of_all(self, hosts: Sequence[str]) -> list[Ruling]:
        """The rulings for many hosts."""
        domain_of, rulings = self.places.get, self.rulings
        if self.rule.level is Level.HOST:
            return [rulings[domain_of(host, host)] for host in hosts]
        return [rulings[domain_of(host)] for host in hosts]


@dataclasses.dataclass(frozen=True, slots=True)
class GroupRulings:
    """A group's rulings for one server and all hosts: what a filter needs.

    Each host costs one look-up a rule.
    """

    rules: tuple[RuleRulings, ...]

    def of(self, host: str) -> Ruling:
        """What all rules say to the host."""
        return _all_of([rule.of(host) for rule in self.rules])

    def of_all(self, hosts: Sequence[str]) -> list[Ruling]:
        """What all rules say to each of many hosts: the same, in less time.
        """
        said = zip(*[rule.of_all(hosts) for rule in self.rules], strict=True)
        if not self.rules:
            return [GOOD] * len(hosts)
        # Few different things are said to many hosts.
        good = (GOOD,) * len(self.rules)
        known: dict[tuple[int, ...], Ruling] = {}
        found = []
        for one in said:
            if one == good:  # by identity, so quick
                found.append(GOOD)
                continue
            key = tuple(map(id, one))
            ruling = known.get(key)
            if ruling is None:
                ruling = known[key] = _all_of(one)
            found.append(ruling)
        return found


def judge_domains(
    rule: Rule, counts: Mapping[str, int], domains: Domains,
    leaving: Place = (), *, evacuation: bool = False,
) -> DomainRulings:
    """A rule's ruling for each domain of its level.

    :param counts: the group as it is, with the server that is to be placed
        if it is a member and on a host
    :param domains: narrowed with ``Domains.within`` by the group's rules
    :param leaving: the hosts that server counts on; none at birth
    :param evacuation: rules that are relaxed then only advise
    """
    state, before = _taken_out(rule, counts, domains, leaving)
    judge = _Judge(state, before, evacuation)
    names = domains.all(rule.level)
    elsewhere = judge.ruling(None)
    found: dict[str | None, Ruling] = dict.fromkeys(names, elsewhere)
    if rule.kind is RuleKind.FENCE:
        special = {*rule.domains, *state.counts}
    else:
        special = set(state.counts)
        if rule.max_skew is not None and state.eligible:
            # One that holds nothing speaks for all of them.
            empty = next(
                (n for n in state.eligible if n not in state.counts), None)
            if empty is not None:
                found.update(dict.fromkeys(
                    state.eligible, judge.ruling(empty, named=False)))
    for name in special:
        found[name] = judge.ruling(name)
    found[UNPLACED] = judge.ruling(UNPLACED)
    return DomainRulings(found, elsewhere)


def judge_group(
    group: Group, occupancy: Occupancy, domains: Domains, server: str, *,
    evacuation: bool = False,
) -> GroupRulings:
    """A group's rulings for one server; see ``judge_host``."""
    if group.mode is GroupMode.OFF:
        return GroupRulings(())
    domains = domains.within(group.rules)
    leaving = occupancy.get(server, ()) if server in group.members else ()
    found = []
    for rule in group.rules:
        rulings = judge_domains(
            rule, count(rule, group.members, occupancy, domains), domains,
            leaving, evacuation=evacuation)
        if not group.enforced:
            rulings = _reported(rulings)
        found.append(
            RuleRulings(rule, domains.places(rule.level), rulings))
    return GroupRulings(tuple(found))


def judge_host(
    group: Group, occupancy: Occupancy, domains: Domains, server: str,
    host: str, *, evacuation: bool = False,
) -> Ruling:
    """Whether a server may go to a host, as far as this group's rules go.

    The server may be a member on a host (a move; its present place counts
    until it is judged, and not afterwards), a member without one, or no
    member yet (a birth, a join). In mode ``report`` everything is allowed
    and the reasons tell what would not be; in mode ``off`` there are none.
    """
    if group.mode is GroupMode.OFF:
        return GOOD
    domains = domains.within(group.rules)
    leaving = occupancy.get(server, ()) if server in group.members else ()
    found = []
    for rule in group.rules:
        counts = count(rule, group.members, occupancy, domains)
        state, before = _taken_out(rule, counts, domains, leaving)
        name = domains.of(rule.level, host)
        ruling = _Judge(state, before, evacuation).ruling(
            UNPLACED if name is None else name)
        found.append(ruling if group.enforced else _milder(ruling))
    return _all_of(found)


def _taken_out(
    rule: Rule, counts: Mapping[str, int], domains: Domains, leaving: Place,
) -> tuple[RuleState, int]:
    """The state without the server, and the excess with it."""
    if not leaving:
        state = RuleState.of(rule, counts, domains)
        return state, state.excess
    before = excess(rule, counts, domains)
    without = dict(counts)
    for name in domains_of(rule.level, leaving, domains):
        left = without.get(name, 0) - 1
        if left > 0:
            without[name] = left
        else:
            without.pop(name, None)
    return RuleState.of(rule, without, domains), before


@dataclasses.dataclass(frozen=True, slots=True)
class _Judge:
    state: RuleState
    before: int
    evacuation: bool

    def ruling(self, name: str | None, *, named: bool = True) -> Ruling:
        """The ruling for a domain; None is any that holds nothing."""
        state, rule = self.state, self.state.rule
        # No domain has an empty name.
        # A server that leaves the emptiest domain widens the skew without
        # making the domain it goes to too full.
        growth = state.after(name or "") - self.before
        hard = rule.required and not rule.relaxed(self.evacuation)
        grade = max(growth, state.grade(name or ""))
        if not grade:
            return GOOD
        weight = REQUIRED_WEIGHT if rule.required else 1
        return Ruling(
            not hard or growth <= 0, grade * weight,
            (self._reason(name if named else None, name or ""),))

    def _reason(self, shown: str | None, name: str) -> str:
        state, rule = self.state, self.state.rule
        text = format_rule(rule)
        if rule.relaxed(self.evacuation):
            text += ", relaxed for the evacuation"
        level = rule.level.value
        place = f"{level} {shown}" if shown else f"this {level}"
        if name == UNPLACED:
            return (f"the host has no place in the topology, so its {level} "
                    f"is not known ({text})")
        if rule.kind is RuleKind.FENCE:
            return f"{place} is outside the fence ({text})"
        n = state.counts.get(name, 0)
        if rule.kind is RuleKind.TOGETHER:
            return (f"{place} holds {n} other members, another {level} "
                    f"holds {state.most} ({text})")
        limit = rule.max_per_domain
        if limit is not None and n >= limit:
            return (f"{place} holds {n} other members, at most {limit} may "
                    f"be there ({text})")
        least, most = state.range_with(name)
        return (f"{place} would hold {n + 1} members, the emptiest {level} "
                f"then holds {least}, the fullest {most} ({text})")


def _all_of(rulings: Sequence[Ruling]) -> Ruling:
    spoken = [ruling for ruling in rulings if ruling is not GOOD]
    if not spoken:
        return GOOD
    if len(spoken) == 1:
        return spoken[0]
    return Ruling(
        all(ruling.allowed for ruling in spoken),
        sum(ruling.penalty for ruling in spoken),
        tuple(text for ruling in spoken for text in ruling.reasons))


def _milder(ruling: Ruling) -> Ruling:
    if ruling.allowed and not ruling.penalty:
        return ruling
    return Ruling(True, 0, ruling.reasons)


def _reported(rulings: DomainRulings) -> DomainRulings:
    return DomainRulings(
        {name: _milder(ruling) for name, ruling in rulings.items()},
        _milder(rulings.elsewhere))
