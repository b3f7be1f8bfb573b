# SPDX-License-Identifier: Apache-2.0
"""What all groups of a server say to all hosts, in few look-ups a host."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aacloud.core import rules
from aacloud.core.rules import placement

#: Host -> domain (None: the host itself), and what is said to the domains.
_Tables = tuple[
    tuple[Mapping[str, str] | None, Mapping[str | None, Any]], ...]


class Verdict:
    """One server's rulings, of all its groups, by level and domain.

    :param rulings: of each group
    :param strangers: names of the hosts at hand that have no place in the
        topology
    """

    __slots__ = ("_penalties", "_refusals", "_rulings")

    def __init__(
        self, rulings: Iterable[rules.GroupRulings],
        strangers: Iterable[str] = (),
    ) -> None:
        by_level: dict[rules.Level, list[rules.RuleRulings]] = {}
        for group in rulings:
            for rule in group.rules:
                by_level.setdefault(rule.rule.level, []).append(rule)
        told: list[tuple[
            Mapping[str, str] | None,
            dict[str | None, rules.Ruling]]] = []
        for level, found in by_level.items():
            merged = _merge([one.rulings for one in found])
            if level is rules.Level.HOST:
                # A host is always a domain of its own, known or not.
                elsewhere = _all_of([one.rulings.elsewhere for one in found])
                if elsewhere is not placement.GOOD:
                    for host in strangers:
                        merged.setdefault(host, elsewhere)
                told.append((None, merged))
            else:
                told.append((found[0].places, merged))
        self._rulings = tuple(told)
        self._refusals: _Tables = tuple(
            (places, refused) for places, merged in told
            if (refused := {
                name: ruling for name, ruling in merged.items()
                if not ruling.allowed}))
        self._penalties: _Tables = tuple(
            (places, penalties) for places, merged in told
            if (penalties := {
                name: ruling.penalty for name, ruling in merged.items()
                if ruling.penalty}))

    def passing(self, hosts: Sequence[Any]) -> Sequence[Any]:
        """The HostStates that are allowed, in their order."""
        tables = self._refusals
        if not tables:
            return hosts
        unplaced = rules.UNPLACED
        found = []
        for state in hosts:
            host = state.host
            for places, refused in tables:
                if (
                    host if places is None else places.get(host, unplaced)
                ) in refused:
                    break
            else:
                found.append(state)
        return found

    def penalties(self, hosts: Sequence[Any]) -> list[float] | None:
        """The penalty of each HostState; None when none has any."""
        tables = self._penalties
        if not tables:
            return None
        unplaced = rules.UNPLACED
        found = []
        for state in hosts:
            host = state.host
            penalty = 0
            for places, penalties in tables:
                penalty += penalties.get(
                    host if places is None else places.get(host, unplaced),
                    0)
            found.append(float(penalty))
        return found

    def of(self, host: str) -> rules.Ruling:
        """What is said to one host."""
        return _all_of([
            merged.get(
                host if places is None
                else places.get(host, rules.UNPLACED), placement.GOOD)
            for places, merged in self._rulings])

    def needs_place(self) -> bool:
        """Whether a rack or data centre matters."""
        return any(places is not None for places, _ in self._rulings)


def _merge(
    tables: Sequence[rules.DomainRulings],
) -> dict[str | None, rules.Ruling]:
    """Domain -> ruling, without the domains nobody says anything to."""
    good = placement.GOOD
    told = [
        {name: ruling for name, ruling in table.items()
         if ruling is not good}
        for table in tables]
    if len(told) == 1:
        return told[0]
    return {
        name: _all_of([table[name] for table in tables])
        for name in dict.fromkeys(name for one in told for name in one)}


def _all_of(rulings: Sequence[rules.Ruling]) -> rules.Ruling:
    spoken = [one for one in rulings if one is not placement.GOOD]
    if len(spoken) < 2:
        return spoken[0] if spoken else placement.GOOD
    return rules.Ruling(
        all(one.allowed for one in spoken),
        sum(one.penalty for one in spoken),
        tuple(text for one in spoken for text in one.reasons))
