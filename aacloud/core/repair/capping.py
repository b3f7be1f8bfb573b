# SPDX-License-Identifier: Apache-2.0
"""A plan that may not have all moves: those that are made of it, in order.

Where hosts are nearly full, moves need the room that others leave. So what
to begin with is looked at in several ways, and what could not be made at
first is tried again for as long as moves are left.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses

from aacloud.core.repair.components import Component
from aacloud.core.repair.cutting import choose
from aacloud.core.repair.cutting import gathered
from aacloud.core.repair.cutting import left_of
from aacloud.core.repair.cutting import Part
from aacloud.core.repair.cutting import parts
from aacloud.core.repair.cutting import REQUIRED
from aacloud.core.repair.greedy import mend
from aacloud.core.repair.greedy import Moves
from aacloud.core.repair.greedy import place
from aacloud.core.repair.rooms import Rooms
from aacloud.core.repair.state import State


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """A move that was made on the state.

    :ivar part: number of the component that it is for
    """

    part: int
    server: str
    source: str
    host: str


class Capper:
    """Takes as many moves as are allowed, the most useful ones."""

    def __init__(
        self, state: State, rooms: Rooms, most: int,
        mend_preferences: bool, left_s: Callable[[], float],
    ) -> None:
        self._state = state
        self._rooms = rooms
        self._most = most
        self._soft = mend_preferences
        self._left_s = left_s
        self._found: Sequence[Component] = ()
        self._made: list[Made] = []

    def cut(
        self, first: Sequence[Component], found: Sequence[Component],
    ) -> list[Made]:
        """The moves, made on the state.

        They leave no more than as many of the first moves of the plan.

        :param first: the plan of greedy moves alone, in its order
        :param found: the best plan, in its order
        """
        self._found = found
        number = {
            group: n for n, component in enumerate(found)
            for group in component.groups}
        ways: tuple[Callable[[], None], ...] = (
            lambda: self._chosen(first),
            lambda: self._planned(
                (n, move) for n, one in enumerate(found)
                for move in one.moves),
            lambda: self._planned(
                (number[one.groups[0]], move) for one in first
                for move in one.moves))
        begun = []
        for way in ways:
            self._make([])
            way()
            begun.append((self._rank(), self._made))
        best: list[Made] = []
        least: tuple[int, int, int] | None = None
        # The most promising one is gone on with first, while there is time.
        for _, made in sorted(begun, key=lambda one: one[0]):
            self._make(made)
            self._fill()
            if least is None or self._rank() < least:
                least, best = self._rank(), self._made
        self._make(best)
        return best

    # -- where to begin -----------------------------------------------------

    def _chosen(self, first: Sequence[Component]) -> None:
        """What mends the most for each move."""
        greedy = {other.groups[0]: other.moves for other in first}
        choices = []
        for component in self._found:
            ways = [component.moves]
            # Greedy moves may do more at first.
            before = [
                move for group in component.groups
                for move in greedy.get(group, ())]
            if before != component.moves:
                ways.append(before)
            ways += gathered(self._state, self._rooms, component)
            choices.append(parts(
                self._state, component, ways, self._soft))
        self._take(choices)

    def _planned(self, moves: Iterable[tuple[int, tuple[str, str]]]) -> None:
        """The first ones, in the order of a plan."""
        good = now = lowest = 0
        for number, (uuid, host) in moves:
            if not self._room() or not self._state.allowed(uuid, host):
                break
            now += self._do(number, uuid, host)
            if now < lowest:
                lowest, good = now, len(self._made)
        self._undo(good)

    # -- going on -----------------------------------------------------------

    def _fill(self) -> None:
        """Use what is left of the moves, where that mends anything."""
        before = None
        while (self._room() and self._left_s() >= 0
                and before != (before := self._rank())):
            choices = []
            for component in self._found:
                if self._left_s() < 0 or not left_of(
                        self._state, component, self._soft):
                    choices.append([Part([], 0)])
                    continue
                choices.append(parts(
                    self._state, component, self._ways(component),
                    self._soft))
            self._take(choices)

    def _ways(self, component: Component) -> list[Moves]:
        """What may be done for a component from here."""
        state = self._state
        there = dict(component.moves)
        rest = [
            (uuid, host) for uuid, host in component.moves
            if state.place[uuid] != there[uuid]]
        start = {
            uuid: state.place[uuid] for uuid in component.members}
        moves = mend(state, self._rooms, component.groups,
                     lambda: self._left_s() < 0)
        place(state, start)
        return [rest, moves]

    # -- making moves -------------------------------------------------------

    def _take(self, choices: Sequence[Sequence[Part]]) -> None:
        """Make the best parts; those that mend the most for each first."""
        ends = choose(choices, self._room())
        chosen = sorted(
            ((options[end].left - options[0].left)
             / max(1, len(options[end].moves)), number)
            for number, (options, end) in enumerate(
                zip(choices, ends, strict=True)) if end)
        for _, number in chosen:
            self._go(number, choices[number][ends[number]].moves)

    def _go(self, number: int, moves: Moves) -> None:
        """Make the moves up to the last that makes something better.

        Others that make fewer moves now may leave less room for them.
        """
        good = len(self._made)
        now = lowest = 0
        for uuid, host in moves:
            if not self._room():
                break
            # One for which there is no room now is no end of all others.
            if not self._state.allowed(uuid, host):
                continue
            now += self._do(number, uuid, host)
            if now < lowest:
                lowest, good = now, len(self._made)
        self._undo(good)

    def _undo(self, good: int) -> None:
        """Take back all but so many."""
        for one in reversed(self._made[good:]):
            self._state.move(one.server, one.source)
        del self._made[good:]

    def _do(self, number: int, uuid: str, host: str) -> int:
        """Make a move; what it adds to the weighted excess."""
        before = self._weight(uuid)
        self._made.append(Made(
            number, uuid, self._state.place[uuid], host))
        self._state.move(uuid, host)
        return self._weight(uuid) - before

    def _make(self, made: Sequence[Made]) -> None:
        """These moves alone."""
        place(self._state, self._state.origin)
        self._made = [*made]
        for one in made:
            self._state.move(one.server, one.host)

    def _room(self) -> int:
        return self._most - len(self._made)

    def _weight(self, uuid: str) -> int:
        return sum(
            unit.excess * (REQUIRED if unit.hard else 1)
            for unit in self._state.units_of.get(uuid, ()) if unit.mend)

    def _rank(self) -> tuple[int, int, int]:
        """The smaller the better."""
        state = self._state
        return (state.hard_excess(),
                state.soft_excess() if self._soft else 0, len(self._made))
