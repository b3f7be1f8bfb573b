# SPDX-License-Identifier: Apache-2.0
"""Which steps of a repair plan are still good for something.

A plan is made for the rules and members that its groups had then. Groups may
have become others since, so each step is judged by what it does for them now.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

from aacloud.core.groups import PlanStep
from aacloud.core.rules import count
from aacloud.core.rules import Domains
from aacloud.core.rules import excess
from aacloud.core.rules import Group
from aacloud.core.rules import mend
from aacloud.core.rules import Occupancy
from aacloud.core.rules import Place
from aacloud.core.rules import Rule


def useful_steps(
    steps: Iterable[PlanStep],
    groups: Iterable[Group],
    occupancy: Occupancy,
    domains: Domains,
) -> frozenset[int]:
    """The numbers of the steps that mend, or make way for one that does.

    All steps together are compared with all but one, and but those that
    follow it: some required rule that is broken now must be nearer to being
    kept with it than without. So of several steps that mend the same the
    first are useful; of several that mend only together all are. A step
    whose server is not where it begins is not useful.

    :param steps: those of a plan that nothing was sent for
    :param groups: those that the plan may mend
    :param occupancy: who is where once the moves under way have ended
    """
    picture = _Picture(groups, occupancy, domains)
    kept: dict[int, PlanStep] = {}
    for step in sorted(steps, key=lambda one: one.number):
        if step.destination and step.source in picture.place(step.server):
            picture.put(step.server, (step.destination,))
            kept[step.number] = step
    again = True
    while again:
        again = False
        for number in sorted(kept, reverse=True):
            without = _without(kept, number)
            changed = {
                step.server: picture.start(step.server)
                for one, step in kept.items() if one not in without}
            for one in sorted(without):
                step = without[one]
                if step.server in changed:
                    changed[step.server] = (step.destination or "",)
            if not picture.better_than(changed):
                kept = without
                again = True
    return frozenset(kept)


def landed(occupancy: Occupancy, steps: Iterable[PlanStep]) -> Occupancy:
    """Who is where once these steps have ended well."""
    return {
        **occupancy,
        **{step.server: (step.destination,)
           for step in steps if step.destination}}


def _without(
    steps: Mapping[int, PlanStep], number: int
) -> dict[int, PlanStep]:
    """The steps but this one and those that follow it."""
    gone = {number}
    server = steps[number].server
    for one in sorted(steps):
        if one > number and (
            steps[one].server == server
            or not gone.isdisjoint(steps[one].after)
        ):
            gone.add(one)
    return {one: steps[one] for one in steps if one not in gone}


class _Unit:
    """A rule of a group that is broken, and how its members stand."""

    def __init__(self, rule: Rule, domains: Domains) -> None:
        self.rule = rule
        self.domains = domains
        self.counts: dict[str, int] = {}

    def add(self, places: Collection[Place], sign: int = 1) -> None:
        """Count members in, or out."""
        for place in places:
            found = count(self.rule, ("",), {"": place}, self.domains)
            for name in found:
                left = self.counts.get(name, 0) + sign
                if left:
                    self.counts[name] = left
                else:
                    del self.counts[name]

    def excess(self) -> int:
        return excess(self.rule, self.counts, self.domains)

    def far(self) -> tuple[int, int]:
        """How far it is from as good as it can be, by moves."""
        found = mend(self.rule, self.counts, self.domains)
        return found.floor, found.moves


class _Picture:
    """Where servers are while steps are thought of as done."""

    def __init__(
        self, groups: Iterable[Group], occupancy: Occupancy,
        domains: Domains,
    ) -> None:
        self._occupancy = occupancy
        self._places: dict[str, Place] = {}
        self._of: dict[str, list[_Unit]] = {}
        for group in groups:
            narrowed = domains.within(group.rules)
            for rule in group.rules:
                if not rule.required:
                    continue
                unit = _Unit(rule, narrowed)
                unit.counts = count(
                    rule, group.members, occupancy, narrowed)
                if unit.excess():
                    for member in group.members:
                        self._of.setdefault(member, []).append(unit)

    def start(self, server: str) -> Place:
        """Where it is before all steps."""
        return self._occupancy.get(server, ())

    def place(self, server: str) -> Place:
        """Where it is now."""
        return self._places.get(server, self.start(server))

    def put(self, server: str, place: Place) -> None:
        """Move it."""
        for unit in self._of.get(server, ()):
            unit.add([self.place(server)], -1)
            unit.add([place])
        self._places[server] = place

    def better_than(self, changed: Mapping[str, Place]) -> bool:
        """Whether some rule is nearer to being kept than with servers there.

        :param changed: they are put there when it is not
        """
        units: Sequence[_Unit] = list({
            id(unit): unit for server in changed
            for unit in self._of.get(server, ())}.values())
        before = {server: self.place(server) for server in changed}
        here = [(unit.excess(), dict(unit.counts)) for unit in units]
        for server, place in changed.items():
            self.put(server, place)
        for unit, (was, counts) in zip(units, here, strict=True):
            now = unit.excess()
            better = was < now
            if was == now and was:
                far, unit.counts, left = unit.far(), counts, unit.counts
                better = unit.far() < far
                unit.counts = left
            if better:
                for server, place in before.items():
                    self.put(server, place)
                return True
        return False
