# SPDX-License-Identifier: Apache-2.0
"""Which moves to make first when a plan may not have all of them."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import heapq
import itertools

from aacloud.core.repair.components import Component
from aacloud.core.repair.components import hard_of
from aacloud.core.repair.components import preferred_of
from aacloud.core.repair.greedy import mend
from aacloud.core.repair.greedy import Moves
from aacloud.core.repair.greedy import place
from aacloud.core.repair.rooms import Rooms
from aacloud.core.repair.state import State
from aacloud.core.rules import UNPLACED

#: How much more a required rule counts than a preferred one.
REQUIRED = 1000
#: Other domains that a group is gathered in to see what comes of it.
ELSEWHERE = 2
#: Moves of a component up to which a better order is looked for.
LONGEST = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """The first moves of a component, up to one that is good for something.

    :ivar left: what they leave of the excess, weighted
    """

    moves: Moves
    left: int


def gathered(
    state: State, rooms: Rooms, component: Component,
) -> list[Moves]:
    """Greedy moves that gather members in other domains.

    Where all of them can be brought together need not be where most of them
    are: there it takes fewer moves, and one that cannot be moved stays away.
    The state is at the start, and stays there.
    """
    found = []
    for group in component.groups:
        for unit in state.by_group[group]:
            goal = unit.goal
            if (not unit.mend or not unit.hard or goal is None
                    or goal.target is None):
                continue
            others = sorted(
                (-n, name) for name, n in unit.counts.items()
                if name not in (goal.target, UNPLACED))
            for _, name in others[:ELSEWHERE]:
                unit.goal = dataclasses.replace(goal, target=name)
                moves = mend(state, rooms, component.groups)
                place(state, {uuid: state.origin[uuid] for uuid, _ in moves})
                found.append(moves)
            unit.goal = goal
    return found


def parts(
    state: State, component: Component, ways: Sequence[Moves],
    mend_preferences: bool,
) -> list[Part]:
    """Where one may stop; each is longer than the last, and leaves less.

    Several ways to mend the component are looked at: the one that mends the
    most is not always the best for a few moves. The state stays as it is.
    """
    best: dict[int, Part] = {}

    def look(moves: Moves) -> list[int]:
        lefts = _lefts(state, component, moves, mend_preferences)
        for number, left in enumerate(lefts):
            if number not in best or left < best[number].left:
                best[number] = Part(moves[:number], left)
        return [a - b for a, b in itertools.pairwise(lefts)]

    for moves in ways:
        gains = look(moves)
        if any(a < b for a, b in itertools.pairwise(gains)):
            look(_sooner(state, moves))
    found: list[Part] = []
    for _, part in sorted(best.items()):
        if not found or part.left < found[-1].left:
            found.append(part)
    return found


def choose(choices: Sequence[Sequence[Part]], most: int) -> list[int]:
    """How far to go with each component, for so many moves in all.

    The next moves are always those that mend the most for each of them.

    :param choices: of each component, by ``parts``
    :return: the index of a part of each
    """
    at = [0] * len(choices)
    heap: list[tuple[float, int, int]] = []

    def push(number: int) -> None:
        here = choices[number][at[number]]
        steps = [
            ((part.left - here.left) / (len(part.moves) - len(here.moves)),
             number, index)
            for index, part in enumerate(choices[number])
            if index > at[number]
            and len(part.moves) - len(here.moves) <= most]
        if steps:
            heapq.heappush(heap, min(steps))

    for number in range(len(choices)):
        push(number)
    while heap:
        _, number, index = heapq.heappop(heap)
        long = len(choices[number][index].moves) - len(
            choices[number][at[number]].moves)
        if long <= most:
            most -= long
            at[number] = index
        # It goes on from there, or with fewer moves.
        push(number)
    return at


def _sooner(state: State, moves: Moves) -> Moves:
    """The same with those first that mend the most.

    Those for which there is no room, or that a rule forbids, come later.
    """
    found: Moves = []
    left = list(moves)
    start = {uuid: state.place[uuid] for uuid, _ in moves}
    while left and len(moves) <= LONGEST:
        begun: set[str] = set()
        ready = []
        for number, (uuid, host) in enumerate(left):
            # The second move of a server only after its first.
            if uuid not in begun and state.allowed(uuid, host):
                ready.append((_change(state, uuid, host), number))
            begun.add(uuid)
        if not ready:
            break
        move = left.pop(min(ready)[1])
        state.move(*move)
        found.append(move)
    place(state, start)
    return found + left


def _change(state: State, uuid: str, host: str) -> int:
    """What a move that is allowed adds to the weighted excess."""
    here, there = state.spot(state.place[uuid]), state.spot(host)
    return sum(
        (REQUIRED if unit.hard else 1)
        * (unit.judge(here[unit.level], there[unit.level]) or 0)
        for unit in state.units_of.get(uuid, ()) if unit.mend)


def _lefts(
    state: State, component: Component, moves: Moves,
    mend_preferences: bool,
) -> list[int]:
    """What is left before the first move and after each, weighted."""
    start = {uuid: state.place[uuid] for uuid, _ in moves}
    found = [left_of(state, component, mend_preferences)]
    for uuid, host in moves:
        state.move(uuid, host)
        found.append(left_of(state, component, mend_preferences))
    place(state, start)
    return found


def left_of(
    state: State, component: Component, mend_preferences: bool,
) -> int:
    """What is left of the excess that is to be mended, weighted."""
    left = sum(hard_of(state, group) for group in component.groups)
    if mend_preferences:
        left = REQUIRED * left + sum(
            preferred_of(state, group) for group in component.groups)
    return left
