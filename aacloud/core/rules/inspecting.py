# SPDX-License-Identifier: Apache-2.0
"""How a group stands: each rule's counts, limit, excess and cure."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import enum

from aacloud.core.rules.counting import count_level
from aacloud.core.rules.counting import Domains
from aacloud.core.rules.counting import domains_of
from aacloud.core.rules.counting import excess
from aacloud.core.rules.counting import extremes
from aacloud.core.rules.counting import UNPLACED
from aacloud.core.rules.mending import mend
from aacloud.core.rules.mending import Mending
from aacloud.core.rules.model import Group
from aacloud.core.rules.model import GroupMode
from aacloud.core.rules.model import Occupancy
from aacloud.core.rules.model import OnUnknown
from aacloud.core.rules.model import Rule
from aacloud.core.rules.model import RuleKind
from aacloud.core.rules.text import format_rule
from aacloud.core.rules.validation import conflicts
from aacloud.core.topology import Level

_NOTHING: Mapping[str, Sequence[str]] = {}
# How many servers or hosts a reason names.
_NAMED = 3
# How many answers about rules and numbers of members are kept.
_KEPT = 4096


class GroupState(str, enum.Enum):
    """How a rule or a group stands.

    COMPLIANT: kept. VIOLATING: not kept, and moves would better it.
    UNSATISFIABLE: no placement can keep it, even with all of the cloud up.
    DEGRADED: kept only as far as a dead data centre (or closed hosts) lets
    it; nothing to be mended before that is back. UNKNOWN: kept as far as it
    is known, but members are on hosts without a place in the topology.
    OFF: the group is switched off, nothing was looked at.
    """

    COMPLIANT = "compliant"
    VIOLATING = "violating"
    UNSATISFIABLE = "unsatisfiable"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"
    OFF = "off"


# Of a group's required rules the one that stands worst speaks for it.
_WORST_FIRST = (
    GroupState.UNSATISFIABLE, GroupState.VIOLATING, GroupState.UNKNOWN,
    GroupState.DEGRADED)


@dataclasses.dataclass(frozen=True, slots=True)
class RuleReport:
    """How one rule stands.

    :ivar counts: domain -> members, without the empty ones; see
        ``counting.count``
    :ivar excess: see ``counting.excess``
    :ivar least_moves: so many moves bring the excess down as far as it goes
        with the data centres that live, were it the only rule
    :ivar blocked: members that would have to leave and cannot, with why
    :ivar reason: why it stands so; empty when it is kept
    """

    rule: Rule
    state: GroupState
    counts: Mapping[str, int]
    excess: int = 0
    least_moves: int = 0
    blocked: tuple[str, ...] = ()
    reason: str = ""

    @property
    def limit(self) -> str:
        """What the rule asks, for people."""
        return limit_text(self.rule)


@dataclasses.dataclass(frozen=True, slots=True)
class GroupReport:
    """How a group stands.

    The state is that of its worst required rule; preferences that are not
    met are told of their rules only.

    :ivar age_s: seconds since the occupancy was true
    """

    group_id: str
    revision: int
    state: GroupState
    rules: tuple[RuleReport, ...]
    age_s: float


def inspect(
    group: Group, occupancy: Occupancy, domains: Domains, *, age_s: float,
    blocked: Mapping[str, Sequence[str]] = _NOTHING,
) -> GroupReport:
    """How one group stands; ``Inspector`` when there are many.

    :param age_s: seconds since the occupancy was true
    :param blocked: server -> why it cannot be moved (capacity, pin, local
        disk, ...), for those that cannot
    """
    return Inspector(domains).inspect(
        group, occupancy, age_s=age_s, blocked=blocked)


def inspect_all(
    groups: Iterable[Group], occupancy: Occupancy, domains: Domains, *,
    age_s: float, blocked: Mapping[str, Sequence[str]] = _NOTHING,
) -> tuple[GroupReport, ...]:
    """How groups stand, in their order."""
    inspector = Inspector(domains)
    return tuple([
        inspector.inspect(group, occupancy, age_s=age_s, blocked=blocked)
        for group in groups])


def limit_text(rule: Rule) -> str:
    """What a rule asks, for people."""
    level = rule.level.value
    if rule.kind is RuleKind.FENCE:
        return f"only in {level} {', '.join(rule.domains)}"
    if rule.kind is RuleKind.TOGETHER:
        return f"all in one {level}"
    limits = []
    if rule.max_per_domain is not None:
        limits.append(f"at most {rule.max_per_domain} in a {level}")
    if rule.max_skew is not None:
        limits.append(
            f"at most {rule.max_skew} more than in the emptiest {level}")
    if rule.min_domains is not None:
        limits.append(f"over at least {rule.min_domains} of them")
    return ", ".join(limits)


class Inspector:
    """Inspects groups of one cloud and remembers what does not depend on
    the group. It is as good as its ``domains``: a new topology, another dead
    data centre, a new inspector. Not for several threads at once.
    """

    def __init__(self, domains: Domains) -> None:
        self._domains = domains
        self._conflicts: dict[
            tuple[tuple[Rule, ...], int, bool], list[tuple[Rule, ...]]] = {}
        self._whole: Domains | None = None

    def inspect(
        self, group: Group, occupancy: Occupancy, *, age_s: float,
        blocked: Mapping[str, Sequence[str]] = _NOTHING,
    ) -> GroupReport:
        """How one group stands; see the function of this name."""
        if group.mode is GroupMode.OFF:
            return GroupReport(
                group.id, group.revision, GroupState.OFF, (), age_s)
        domains = self._domains.within(group.rules)
        places = [
            occupancy[member] for member in group.members
            if member in occupancy]
        counted: dict[Level, dict[str, int]] = {}
        reports = []
        good = True
        for rule in group.rules:
            level = rule.level
            counts = counted.get(level)
            if counts is None:
                counts = count_level(level, places, domains)
                counted[level] = counts
            over = excess(rule, counts, domains)
            if over or UNPLACED in counts or (
                    domains.dead and rule.max_skew is not None):
                report = self._look_closer(
                    group, rule, counts, over, occupancy, blocked)
                good = good and (
                    not rule.required
                    or report.state is GroupState.COMPLIANT)
            else:
                report = RuleReport(rule, GroupState.COMPLIANT, counts)
            reports.append(report)
        state = GroupState.COMPLIANT
        if not good:
            reports = self._with_conflicts(group, places, reports)
            states = {r.state for r in reports if r.rule.required}
            state = next(s for s in _WORST_FIRST if s in states)
        return GroupReport(
            group.id, group.revision, state, tuple(reports), age_s)

    def _look_closer(
        self, group: Group, rule: Rule, counts: Mapping[str, int],
        over: int, occupancy: Occupancy,
        blocked: Mapping[str, Sequence[str]],
    ) -> RuleReport:
        """The report of a rule that is not simply kept."""
        domains = self._domains.within(group.rules)
        unplaced = counts.get(UNPLACED, 0)
        known = over
        if rule.on_unknown is OnUnknown.CLOSED:
            known -= unplaced
        cure = mend(rule, counts, domains)
        whole = cure
        if cure.floor and domains.lessened:
            whole = mend(rule, counts, self._all_up(group))
        if not known and unplaced:
            state = GroupState.UNKNOWN
        elif not over:
            lost = self._domains.dead & self._all_up(group).eligible(
                Level.DC)
            state = (GroupState.DEGRADED if lost and rule.max_skew
                     else GroupState.COMPLIANT)
        elif whole.floor:
            state = GroupState.UNSATISFIABLE
        elif over > cure.floor:
            state = GroupState.VIOLATING
        else:
            state = GroupState.DEGRADED
        reasons = []
        if known:
            reasons.append(_described(rule, counts, domains))
        if unplaced:
            reasons.append(_unknown_text(group, rule, occupancy, domains))
        stuck: tuple[str, ...] = ()
        if state is GroupState.UNSATISFIABLE:
            reasons.append(
                f"no placement brings it below {whole.floor} too many")
        if cure.floor and not whole.floor:
            reasons.append(
                f"{self._lost_text()}: until that is back, no move brings it "
                f"below {cure.floor} too many")
        elif state is GroupState.DEGRADED:
            reasons.append(f"kept over what is left: {self._lost_text()}")
        if cure.moves:
            stuck, text = _stuck(
                group, rule, counts, domains, occupancy, blocked, cure)
            reasons.extend(text)
        return RuleReport(
            rule, state, counts, over, cure.moves, stuck,
            "; ".join(reasons))

    def _all_up(self, group: Group) -> Domains:
        if self._whole is None:
            self._whole = self._domains.whole()
        return self._whole.within(group.rules)

    def _lost_text(self) -> str:
        lost = []
        if self._domains.dead:
            lost.append(
                f"data centre {_listed(sorted(self._domains.dead))} is dead")
        if self._domains.closed:
            lost.append(
                f"hosts {_listed(sorted(self._domains.closed))} take no "
                f"servers")
        return " and ".join(lost)

    def _with_conflicts(
        self, group: Group, places: Sequence[tuple[str, ...]],
        reports: list[RuleReport],
    ) -> list[RuleReport]:
        """The reports, where rules that could be kept alone are in each
        other's way."""
        placed = sum(1 for place in places if place)
        for up in (True, False) if self._domains.lessened else (True,):
            cores = self._cores(group, placed, up)
            if cores:
                during = "" if up else f" while {self._lost_text()}"
                return [
                    _in_conflict(report, cores, placed, during)
                    for report in reports]
        return reports

    def _cores(
        self, group: Group, placed: int, up: bool,
    ) -> list[tuple[Rule, ...]]:
        key = (group.rules, placed, up)
        found = self._conflicts.get(key)
        if found is None:
            domains = self._all_up(group) if up else self._domains
            found = [core for core, _ in conflicts(
                group.rules, domains, placed)]
            if len(self._conflicts) >= _KEPT:
                self._conflicts.clear()
            self._conflicts[key] = found
        return found


def _in_conflict(
    report: RuleReport, cores: Iterable[tuple[Rule, ...]], placed: int,
    during: str,
) -> RuleReport:
    """The report of a rule that others keep from being kept.

    :param during: when that is so; empty for always
    """
    core = next((core for core in cores if report.rule in core), ())
    others = [format_rule(rule) for rule in core if rule != report.rule]
    if not others or not report.excess:
        return report
    return dataclasses.replace(
        report,
        state=report.state if during else GroupState.UNSATISFIABLE,
        reason=f"{report.reason}; {placed} members cannot keep it together "
               f"with {' and '.join(others)}{during}")


def _described(
    rule: Rule, counts: Mapping[str, int], domains: Domains,
) -> str:
    """Where a rule is broken."""
    level = rule.level.value
    known = {name: n for name, n in counts.items() if name != UNPLACED}
    if rule.kind is RuleKind.TOGETHER:
        most = max(known.values())
        return (f"{sum(known.values()) - most} members are not in the "
                f"{level} that holds most ({most})")
    if rule.kind is RuleKind.FENCE:
        outside = sorted(name for name in known if name not in rule.domains)
        return f"members are in {level} {_listed(outside)}"
    texts = []
    limit = rule.max_per_domain
    if limit is not None:
        full = sorted(
            (name for name, n in known.items() if n > limit),
            key=lambda name: (-known[name], name))
        if full:
            shown = _listed([f"{name} holds {known[name]}" for name in full])
            texts.append(f"{level} {shown} instead of at most {limit}")
    if rule.max_skew is not None:
        least, most = extremes(rule, counts, domains)
        if most - least > rule.max_skew:
            eligible = len(domains.eligible(rule.level))
            few = (
                f" as fewer than {rule.min_domains} are eligible"
                if eligible < (rule.min_domains or 0) else "")
            texts.append(
                f"the fullest {level} holds {most}, the emptiest counts "
                f"{least}{few}: that is {most - least} apart instead of at "
                f"most {rule.max_skew}")
    return "; ".join(texts)


def _unknown_text(
    group: Group, rule: Rule, occupancy: Occupancy, domains: Domains,
) -> str:
    hosts = sorted({
        host for member in group.members for host in occupancy.get(member, ())
        if domains.of(rule.level, host) is None})
    return (f"host {_listed(hosts)} has no place in the topology: add it to "
            f"a rack and data centre")


def _stuck(
    group: Group, rule: Rule, counts: Mapping[str, int], domains: Domains,
    occupancy: Occupancy, blocked: Mapping[str, Sequence[str]],
    cure: Mending,
) -> tuple[tuple[str, ...], list[str]]:
    """Who would have to leave and cannot, and whether that is in the way."""
    if not blocked:
        return (), []
    sources = _sources(rule, counts, domains)
    leaving = [
        member for member in sorted(group.members)
        if not sources.isdisjoint(domains_of(
            rule.level, occupancy.get(member, ()), domains))]
    stuck = [member for member in leaving if member in blocked]
    texts = tuple(
        f"{member}: {', '.join(blocked[member]) or 'cannot be moved'}"
        for member in stuck)
    able = len(leaving) - len(stuck)
    if able < cure.moves:
        return texts, [(
            f"{cure.moves} moves are needed, and only {able} of the "
            f"{len(leaving)} members that could leave can be moved")]
    return texts, []


def _sources(
    rule: Rule, counts: Mapping[str, int], domains: Domains,
) -> frozenset[str]:
    """The domains that members leave when the rule is mended."""
    unplaced = {UNPLACED} if rule.on_unknown is OnUnknown.CLOSED else set()
    known = {name: n for name, n in counts.items() if name != UNPLACED}
    if rule.kind is RuleKind.FENCE:
        return frozenset(unplaced | (known.keys() - set(rule.domains)))
    if rule.kind is RuleKind.TOGETHER:
        home = max(
            sorted(known), key=lambda name: (
                name in domains.eligible(rule.level), known[name]))
        return frozenset(unplaced | (known.keys() - {home}))
    least = extremes(rule, counts, domains)[0]
    short = len(domains.eligible(rule.level)) < (rule.min_domains or 0)
    found = set(unplaced)
    for name, n in known.items():
        if rule.max_per_domain is not None and n > rule.max_per_domain:
            found.add(name)
        if rule.max_skew is not None and n > (
                rule.max_skew if short else least + 1):
            found.add(name)
    return frozenset(found)


def _listed(names: Sequence[str]) -> str:
    text = ", ".join(names[:_NAMED])
    more = len(names) - _NAMED
    return f"{text} and {more} more" if more > 0 else text
