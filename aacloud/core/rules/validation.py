# SPDX-License-Identifier: Apache-2.0
"""Rules that no placement can keep together, and names nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

from aacloud.core.rules.counting import count_level
from aacloud.core.rules.counting import Domains
from aacloud.core.rules.feasibility import Question
from aacloud.core.rules.model import LEVELS
from aacloud.core.rules.model import Rule
from aacloud.core.rules.model import RuleKind
from aacloud.core.rules.placement import RuleState
from aacloud.core.rules.text import format_rule
from aacloud.core.topology import Level
from aacloud.core.topology import Topology

# How many domains an example names before it only counts the rest.
_NAMED = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Contradiction:
    """Required rules that cannot be kept together.

    :ivar rules: none of them can be left out, or the rest could be kept
    :ivar reason: what each of them wants, and how many members that leaves
        room for
    :ivar example: the best that can be done, and why the next member finds
        no place
    """

    rules: tuple[Rule, ...]
    reason: str
    example: str


@dataclasses.dataclass(frozen=True, slots=True)
class UnknownDomain:
    """A name in a fence that no domain of its level has.

    :ivar reason: where it stands, and what it could have been
    """

    rule: Rule
    name: str
    reason: str


def contradictions(
    rules: Iterable[Rule], topology: Topology, members: int | None = None,
) -> tuple[Contradiction, ...]:
    """The required rules that no placement of the members keeps together.

    It is decided exactly, for hosts without a limit of their own; rules that
    are preferred or that speak of free capacity are no contradiction. Skew
    is measured inside the fences, see ``counting.Domains.within``. More than
    one is told when they have nothing to do with each other.

    :param members: how many there are or will be; None asks for two, the
        least that makes a group
    :returns: () also for a topology without hosts, of which nothing is known
    """
    if not topology.hosts:
        return ()
    domains = Domains(topology)
    wanted = 2 if members is None else members
    return tuple(
        Contradiction(
            core, *_explained(core, rules_domains, wanted))
        for core, rules_domains in conflicts(rules, domains, wanted))


def conflicts(
    rules: Iterable[Rule], domains: Domains, members: int,
) -> list[tuple[tuple[Rule, ...], Domains]]:
    """The smallest sets of required rules that cannot be kept together.

    :returns: each with the domains it was asked of
    """
    left = list(dict.fromkeys(rule for rule in rules if rule.required))
    # A fence also narrows where skew is measured. That stays as all rules
    # make it while rules are left out: then leaving out never makes it worse
    # and what remains is a true cause.
    domains = domains.within(left)
    found: list[tuple[tuple[Rule, ...], Domains]] = []
    if not Question((), domains).feasible(members):
        return found  # not for the rules: no host takes servers
    while left and not Question(tuple(left), domains).feasible(members):
        core = list(left)
        for rule in sorted(left, key=_told_last):
            rest = [other for other in core if other is not rule]
            if not Question(tuple(rest), domains).feasible(members):
                core = rest
        found.append((tuple(core), domains))
        left.remove(core[-1])
    return found


def unknown_domains(
    rules: Iterable[Rule], topology: Topology,
) -> tuple[UnknownDomain, ...]:
    """The names in fences that no domain of that level has."""
    known = {
        level: frozenset(
            topology.domain_of(host, level) for host in topology.hosts)
        for level in LEVELS}
    return tuple(
        UnknownDomain(rule, name, _unknown_reason(rule, name, known))
        for rule in rules if rule.kind is RuleKind.FENCE
        for name in rule.domains if name not in known[rule.level])


def _told_last(rule: Rule) -> int:
    """Leave out first what explains least: preferably keep the plain ones."""
    if rule.kind is RuleKind.FENCE:
        return 0
    return 1 if rule.max_skew is not None else 2


def _unknown_reason(
    rule: Rule, name: str, known: Mapping[Level, frozenset[str]],
) -> str:
    level = rule.level
    text = f"rule {format_rule(rule)!r}: there is no {level.value} {name!r}"
    for other in LEVELS:
        if name in known[other]:
            return f"{text}, that is a {other.value}"
    return f"{text}; known are {_listed(sorted(known[level]))}"


def _explained(
    rules: tuple[Rule, ...], domains: Domains, wanted: int,
) -> tuple[str, str]:
    """The reason and the example of a contradiction."""
    question = Question(rules, domains)
    placed = question.most_feasible(wanted - 1)
    where = question.placement(placed) or {}
    usable = [host for host in domains.places(Level.HOST)
              if all(_inside(rule, host, domains) for rule in rules)]
    wishes = "; ".join(_wish(rule, usable, domains) for rule in rules)
    leave = "together they leave" if len(rules) > 1 else "it leaves"
    reason = (
        f"{wishes}: {leave} room for {placed} of {_members(wanted)}")
    return reason, _example(rules, domains, where, placed)


def _inside(rule: Rule, host: str, domains: Domains) -> bool:
    return (rule.kind is not RuleKind.FENCE
            or domains.of(rule.level, host) in rule.domains)


def _wish(rule: Rule, usable: list[str], domains: Domains) -> str:
    text, level = format_rule(rule), rule.level.value
    if rule.kind is RuleKind.FENCE:
        hosts = sum(
            _inside(rule, host, domains)
            for host in domains.places(Level.HOST))
        return f"{text} leaves {_number(hosts, 'host')}"
    if rule.kind is RuleKind.TOGETHER:
        return f"{text} wants all in one {level}"
    number = len({domains.of(rule.level, host) for host in usable})
    wishes = []
    if rule.max_per_domain is not None:
        wishes.append(
            f"allows {rule.max_per_domain} in each of "
            f"{_number(number, level)}")
    if rule.max_skew is not None:
        eligible = len(domains.eligible(rule.level))
        text_of_minimum = ""
        if eligible < (rule.min_domains or 0):
            text_of_minimum = (
                f", and with fewer than {rule.min_domains} the emptiest "
                f"counts as 0")
        wishes.append(
            f"wants no {level} of {eligible} to hold more than "
            f"{rule.max_skew} above the emptiest{text_of_minimum}")
    return f"{text} {' and '.join(wishes)}"


def _example(
    rules: tuple[Rule, ...], domains: Domains, where: Mapping[str, int],
    placed: int,
) -> str:
    """The fullest placement, and what refuses one member more."""
    places = [(host,) for host, n in where.items() for _ in range(n)]
    states = [
        RuleState.of(
            rule, count_level(rule.level, places, domains), domains)
        for rule in rules]
    refused: dict[Rule, list[str]] = {}
    for host in sorted(domains.places(Level.HOST)):
        for state in states:
            name = domains.of(state.rule.level, host)
            if name is not None and state.after(name) > state.excess:
                names = refused.setdefault(state.rule, [])
                if name not in names:
                    names.append(name)
                break
    against = "; ".join(
        f"{rule.level.value} {_listed(names)} by {format_rule(rule)}"
        for rule, names in refused.items())
    level = min((rule.level for rule in rules), key=LEVELS.index)
    counts = count_level(level, places, domains)
    if not placed:
        return f"the first member has no place; refused: {against}"
    shown = _listed([f"{name}: {n}" for name, n in sorted(counts.items())])
    return (f"{_members(placed)} placed ({shown}); number {placed + 1} has "
            f"no place; refused: {against}")


def _members(n: int) -> str:
    return _number(n, "member")


def _number(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _listed(names: list[str]) -> str:
    text = ", ".join(names[:_NAMED])
    more = len(names) - _NAMED
    return f"{text} and {more} more" if more > 0 else text
