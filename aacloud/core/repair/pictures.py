# SPDX-License-Identifier: Apache-2.0
"""Whether steps of one group keep a rule of it, whatever order they take.

For rules that compare domains: ``max_skew`` and ``together``.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import itertools
import math

from aacloud.core.repair.state import Unit
from aacloud.core.rules import excess
from aacloud.core.rules import OnUnknown
from aacloud.core.rules import RuleKind
from aacloud.core.rules import UNPLACED

#: Pictures that are looked at for one question, and for all of a plan.
ONE = 2_500
ALL = 100_000


@dataclasses.dataclass(slots=True)
class Budget:
    """What may still be looked at.

    It is counted and not timed: the same plan has the same waits.
    """

    left: int = ALL

    def has(self, pictures: int) -> bool:
        """Whether there is as much left."""
        return pictures <= min(ONE, self.left)

    def take(self, pictures: int) -> bool:
        """Whether there is as much left; it is used up then."""
        if not self.has(pictures):
            return False
        self.left -= pictures
        return True


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """A step as a rule sees it: from one domain to another."""

    number: int
    source: str
    target: str


class Crowd:
    """The steps of a rule's group that change its counts."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._start = dict(unit.counts)
        self._ways: list[Way] = []
        #: The steps, as bits.
        self.steps = 0

    def add(self, way: Way) -> None:
        """The next step of the plan."""
        self._ways.append(way)
        self.steps |= 1 << way.number

    def holds(
        self, before: int, befores: Sequence[int], budget: Budget,
    ) -> bool:
        """Whether the last step can be made with all others about.

        Whatever the others do, no step may leave the rule worse than it
        were had the step not begun, neither under way nor when it ended.

        :param before: what has ended when it starts, as bits
        :param befores: the same of each earlier step
        :return: False also where there is too much to look at
        """
        free = [way for way in self._ways if not before >> way.number & 1]
        if len(free) == 1:
            return True
        counts = dict(self._start)
        for way in self._ways:
            if before >> way.number & 1:
                _add(counts, way.source, -1)
                _add(counts, way.target, 1)
        return (self._apart(counts, free)
                or self._tried(counts, free, befores, budget))

    # -- quickly, by the two ends of what may happen -------------------------

    def _apart(self, counts: dict[str, int], free: Sequence[Way]) -> bool:
        """Whether it holds were each domain as full as it can ever be.

        And as empty, each for itself. So False means little; but True means
        even that no start and no end ever makes the rule worse.
        """
        rule = self._unit.rule
        high, low = dict(counts), dict(counts)
        for way in free:
            _add(high, way.target, 1)
            _add(low, way.source, -1)
        pairs = {(way.source, way.target) for way in free}
        if rule.on_unknown is OnUnknown.CLOSED and any(
                b == UNPLACED for _, b in pairs):
            return False
        if rule.kind is RuleKind.TOGETHER:
            return all(
                n <= low.get(b, 0) for _, b in pairs if b != UNPLACED
                for name, n in high.items() if name not in (b, UNPLACED))
        limit = rule.max_per_domain
        if limit is not None and any(
                high[b] > limit for _, b in pairs if b != UNPLACED):
            return False
        return self._level(high, low, pairs)

    def _level(
        self, high: Mapping[str, int], low: Mapping[str, int],
        pairs: Iterable[tuple[str, str]],
    ) -> bool:
        """Whether no start raises the fullest, no end lowers the emptiest.

        Or only so far that the skew is still as wanted.
        """
        unit = self._unit
        skew = unit.rule.max_skew or 0
        names = [
            name for name in high.keys() | low.keys()
            if name in unit.eligible]
        empty = unit.short or len(names) < len(unit.eligible)
        least = 0 if empty else min(
            (low.get(name, 0) for name in names), default=0)
        most = max((high.get(name, 0) for name in names), default=0)
        for a, b in pairs:
            if b in unit.eligible:
                full = high[b]
                # Its own source has not lost it yet.
                if full - least > skew and not any(
                        low.get(name, 0) + (name == a) >= full
                        for name in names if name != b):
                    return False
            if a in unit.eligible and not empty:
                left = low[a]
                if most - left > skew and not any(
                        high.get(name, 0) <= left
                        for name in names if name != a):
                    return False
        return True

    # -- by trying ----------------------------------------------------------

    def _tried(
        self, counts: dict[str, int], free: Sequence[Way],
        befores: Sequence[int], budget: Budget,
    ) -> bool:
        """Whether it holds in every picture that there can be."""
        alike = collections.Counter((w.source, w.target) for w in free)
        if not budget.has(_number(alike.values())):
            return False
        kinds = _kinds(free, befores)
        if not budget.take(_number(kind.steps for kind in kinds)):
            return False
        unit = self._unit
        found: dict[_Picture, int] = {}
        for picture in _pictures(kinds):
            now = dict(counts)
            for kind, (started, ended) in zip(kinds, picture, strict=True):
                _add(now, kind.target, started)
                _add(now, kind.source, -ended)
            found[picture] = excess(
                unit.rule, {name: n for name, n in now.items() if n},
                unit.domains)
        return all(
            found[later] <= worse
            for picture, worse in found.items()
            for later in _following(picture) if later in found)


#: For each kind, how many of its steps started, and how many ended.
_Picture = tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """Steps that are alike.

    :ivar steps: how many there are
    :ivar after: numbers of the kinds that all must have ended before
    """

    source: str
    target: str
    steps: int
    after: tuple[int, ...]


def _kinds(free: Sequence[Way], befores: Sequence[int]) -> list[_Kind]:
    """Put together what has the same ends and waits for the same.

    The last step waits for none of the others.
    """
    found: dict[tuple[str, str, int, int], list[int]] = {}
    known = {way.number: befores[way.number] for way in free[:-1]}
    among = sum(1 << way.number for way in free)
    for way in free:
        behind = sum(
            1 << number for number, before in known.items()
            if before >> way.number & 1)
        found.setdefault((
            way.source, way.target, known.get(way.number, 0) & among,
            behind), []).append(way.number)
    firsts = [numbers[0] for numbers in found.values()]
    return [
        _Kind(source, target, len(numbers), tuple(
            n for n, first in enumerate(firsts) if before >> first & 1))
        for (source, target, before, _), numbers in found.items()]


def _number(steps: Iterable[int]) -> int:
    """How many pictures there are at most of kinds with as many steps."""
    return math.prod((n + 1) * (n + 2) // 2 for n in steps)


def _pictures(kinds: Sequence[_Kind]) -> Iterator[_Picture]:
    """All that can be, by what waits for what."""
    for picture in itertools.product(*(
            [(started, ended) for started in range(kind.steps + 1)
             for ended in range(started + 1)] for kind in kinds)):
        if all(not started or all(
                picture[other][1] == kinds[other].steps
                for other in kind.after)
               for kind, (started, _) in zip(kinds, picture, strict=True)):
            yield picture


def _following(picture: _Picture) -> Iterator[_Picture]:
    """One more is under way, and then has ended."""
    for n, (started, ended) in enumerate(picture):
        for now in ((started + 1, ended), (started + 1, ended + 1)):
            yield (*picture[:n], now, *picture[n + 1:])


def _add(counts: dict[str, int], name: str, n: int) -> None:
    counts[name] = counts.get(name, 0) + n
