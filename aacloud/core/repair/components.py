# SPDX-License-Identifier: Apache-2.0
"""Broken groups that share servers, and what no plan can beat for them."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from aacloud.core.repair.greedy import Moves
from aacloud.core.repair.state import movable
from aacloud.core.repair.state import State
from aacloud.core.repair.state import Unit
from aacloud.core.repair.tree import Bound
from aacloud.core.repair.tree import Places
from aacloud.core.repair.tree import solve_group
from aacloud.core.rules import RuleKind


@dataclasses.dataclass(slots=True)
class Component:
    """Groups to be mended that share servers with each other, not others.

    :ivar groups: ids
    :ivar moves: the best found so far, in an order that can be done
    :ivar excess: group -> what these leave of its required rules
    :ivar soft: what they leave of all preferred rules of the groups
    :ivar bound: no plan that mends as much in every group needs fewer moves
    :ivar least: what is left is proven to be the least
    :ivar asked: the solver was asked
    """

    groups: tuple[str, ...]
    members: tuple[str, ...]
    before: int
    moves: Moves = dataclasses.field(default_factory=list)
    excess: dict[str, int] = dataclasses.field(default_factory=dict)
    soft: int = 0
    bound: int = 0
    least: bool = False
    asked: bool = False

    @property
    def left(self) -> int:
        """The excess that is left."""
        return sum(self.excess.values())

    @property
    def proved(self) -> bool:
        """Whether no plan is better."""
        return self.least and len(self.moves) <= self.bound

    def rank(self, mend_preferences: bool) -> tuple[int, ...]:
        """The smaller the better."""
        if mend_preferences:
            return self.left, self.soft, len(self.moves)
        return self.left, len(self.moves), self.soft


def components(state: State) -> list[Component]:
    """All broken groups to be mended, by what they share."""
    broken = [
        group for group, units in state.by_group.items()
        if any(unit.mend and unit.excess for unit in units)]
    first: dict[str, str] = {}
    parent = {group: group for group in broken}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    members: dict[str, list[str]] = {}
    for group in broken:
        found = state.by_group[group][0].group.members
        members[group] = sorted(m for m in found if m in state.place)
        for uuid in members[group]:
            if uuid in first:
                a, b = root(first[uuid]), root(group)
                parent[max(a, b)] = min(a, b)
            else:
                first[uuid] = group
    together: dict[str, list[str]] = {}
    for group in sorted(broken):
        together.setdefault(root(group), []).append(group)
    return [
        Component(
            tuple(groups),
            tuple(sorted({m for g in groups for m in members[g]})),
            sum(hard_of(state, g) for g in groups))
        for groups in together.values()]


def set_goals(
    state: State, places: Places, component: Component,
) -> dict[str, Bound]:
    """Solve each group by itself; its units get their goals."""
    found = {}
    for group in component.groups:
        units = state.by_group[group]
        bound = solve_group(state, units, places)
        for unit in units:
            if unit.mend:
                unit.goal = bound.goals.get(unit.number)
        found[group] = bound
    return found


def hard_of(state: State, group: str) -> int:
    """What is to be mended of the group's required rules."""
    return sum(unit.excess for unit in state.by_group[group]
               if unit.mend and unit.hard)


def preferred_of(state: State, group: str) -> int:
    """The excess of the group's preferred rules."""
    return sum(
        unit.excess for unit in state.by_group[group] if not unit.hard)


def measure(state: State, component: Component, moves: Moves) -> Component:
    """The component with these moves, which were made on the state.

    What was proven holds on when as much is left in every group.
    """
    excess = {g: hard_of(state, g) for g in component.groups}
    same = excess == component.excess
    return dataclasses.replace(
        component, moves=moves, excess=excess,
        soft=sum(preferred_of(state, g) for g in component.groups),
        bound=component.bound if same else 0,
        least=component.least and sum(excess.values()) <= component.left)


def prove(
    state: State, component: Component, bounds: Mapping[str, Bound],
    before: Mapping[str, int], mend_preferences: bool,
) -> None:
    """Set what the bounds of the single groups say of the component.

    :param before: group -> its excess before any move
    """
    lows = {}
    least = True
    for group in component.groups:
        bound = bounds[group]
        left = component.excess[group]
        reached = bound.exact and left == bound.excess and (
            not mend_preferences
            or preferred_of(state, group) == bound.preferred)
        least &= reached
        if reached:
            lows[group] = bound.moves
        else:
            steps = sum(
                _most_gain(unit) for unit in state.by_group[group]
                if unit.mend and unit.hard)
            lows[group] = -(-(before[group] - left) // max(1, steps))
    component.least = component.least or least
    component.bound = max(
        component.bound, joint_bound(state, component.groups, lows))


def joint_bound(
    state: State, groups: Sequence[str], lows: Mapping[str, int],
) -> int:
    """Moves that several groups need together.

    A server that is in two groups may serve both with one move: take the
    best of counting groups without a common server, counting such a server
    by half for each, and taking off one move for it.
    """
    if len(groups) == 1:
        return lows[groups[0]]
    shared: dict[str, int] = {}
    members = {}
    for group in groups:
        members[group] = [
            m for m in state.by_group[group][0].group.members
            if m in state.place and movable(state.servers[m])]
        for uuid in members[group]:
            shared[uuid] = shared.get(uuid, 0) + 1
    top = 60
    parts = 0
    taken: set[str] = set()
    apart = 0
    for group in sorted(groups, key=lambda g: (-lows[g], g)):
        most = max((shared[m] for m in members[group]), default=1)
        parts += lows[group] * (top // most)
        if taken.isdisjoint(members[group]):
            taken.update(members[group])
            apart += lows[group]
    twice = sum(n - 1 for n in shared.values())
    return max(apart, -(-parts // top), sum(lows.values()) - twice)


def _most_gain(unit: Unit) -> int:
    """By how much one move can lower the unit's excess at most."""
    if unit.rule.kind is not RuleKind.SPREAD:
        return 1
    return (unit.rule.max_per_domain is not None) + 2 * (
        unit.rule.max_skew is not None)
