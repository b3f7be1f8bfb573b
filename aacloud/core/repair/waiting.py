# SPDX-License-Identifier: Apache-2.0
"""Which steps of a plan must wait for which.

A step that is under way counts at both ends. For each step those before it
are sought that must have ended when it starts; all others may be in any
state: not begun, under way, ended. A step waits for as few as is right: were
one of them left out, some order would make a rule worse or overfill a host.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

from aacloud.core.repair.claims import Claims
from aacloud.core.repair.pictures import Budget
from aacloud.core.repair.pictures import Crowd
from aacloud.core.repair.pictures import Way
from aacloud.core.repair.state import size_of
from aacloud.core.repair.state import State
from aacloud.core.repair.state import Unit
from aacloud.core.rules import RuleKind
from aacloud.core.rules import UNPLACED

#: Whether a step may start when the steps of a set of bits have ended, and
#: all others are in any state.
Check = Callable[[int], bool]


class Waits:
    """Finds out for one step after the other what it waits for.

    The state is moved along: it is at the end of the steps seen so far.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        #: For each step, as bits, all that has ended when it starts.
        self._before: list[int] = []
        self._last: dict[str, int] = {}
        self._rooms: dict[str, Claims] = {}
        self._slots: dict[tuple[int, str], Claims] = {}
        self._crowds: dict[int, Crowd] = {}
        self._budget = Budget()

    def add(self, uuid: str, host: str) -> tuple[int, ...]:
        """The next step; the numbers, from 0, of those it waits for."""
        state = self._state
        number = len(self._before)
        source = state.place[uuid]
        before = 0
        if uuid in self._last:
            last = self._last[uuid]
            before = self._before[last] | 1 << last
        before = self._fewest(
            before, self._checks(number, uuid, source, host))
        state.move(uuid, host)
        self._before.append(before)
        self._last[uuid] = number
        return self._direct(before)

    def _fewest(
        self, before: int, checks: Sequence[tuple[int, Check]],
    ) -> int:
        """The fewest more that must have ended so that all checks hold."""
        failed = [steps for steps, holds in checks if not holds(before)]
        if not failed:
            return before
        most = before
        for steps in failed:
            for number in _bits(steps & ~most):
                most |= self._before[number] | 1 << number
        # Those that come late are spared first: to wait for an early one
        # costs least. Who is waited for brings along whom it waits for.
        needed = 0
        for number in reversed(_bits(most & ~before)):
            if needed >> number & 1:
                continue
            fewer = most & ~(1 << number)
            if all(holds(fewer) for _, holds in checks):
                most = fewer
            else:
                needed |= self._before[number]
        return most

    def _direct(self, before: int) -> tuple[int, ...]:
        """Without those that others wait for already."""
        found = []
        while before:
            number = before.bit_length() - 1
            found.append(number)
            before &= ~(self._before[number] | 1 << number)
        return tuple(reversed(found))

    def _checks(
        self, number: int, uuid: str, source: str, host: str,
    ) -> list[tuple[int, Check]]:
        """What must hold; each with the steps that it is about."""
        state = self._state
        size = size_of(state.servers[uuid])
        for name in (source, host):
            if name not in self._rooms and name in state.free:
                self._rooms[name] = Claims(state.free[name])
        found = [self._claim(self._rooms[host], number, size)]
        if source in self._rooms:
            self._rooms[source].leave(number, size)
        for unit in state.units_of.get(uuid, ()):
            way = Way(number, state.spot(source)[unit.level],
                      state.spot(host)[unit.level])
            # No step leads out of a fence.
            if (not unit.hard or way.source == way.target
                    or unit.rule.kind is RuleKind.FENCE):
                continue
            limit = unit.rule.max_per_domain
            if limit is None or unit.rule.max_skew is not None:
                found.append(self._join(unit, way))
                continue
            for name in (way.source, way.target):
                if (unit.number, name) not in self._slots:
                    self._slots[unit.number, name] = Claims(
                        [limit - unit.counts.get(name, 0)])
            self._slots[unit.number, way.source].leave(number, (1,))
            # Who has no known domain is not counted there.
            if way.target != UNPLACED:
                found.append(self._claim(
                    self._slots[unit.number, way.target], number, (1,)))
        return found

    def _claim(
        self, claims: Claims, number: int, size: Sequence[int],
    ) -> tuple[int, Check]:
        steps = claims.steps
        claims.come(number, size)
        return steps, lambda before: claims.holds(before, self._before)

    def _join(self, unit: Unit, way: Way) -> tuple[int, Check]:
        if unit.number not in self._crowds:
            self._crowds[unit.number] = Crowd(unit)
        crowd = self._crowds[unit.number]
        steps = crowd.steps
        crowd.add(way)
        return steps, lambda before: crowd.holds(
            before, self._before, self._budget)


def _bits(bits: int) -> list[int]:
    """The numbers of the bits that are set, ascending."""
    found = []
    while bits:
        number = bits.bit_length() - 1
        found.append(number)
        bits &= ~(1 << number)
    found.reverse()
    return found
