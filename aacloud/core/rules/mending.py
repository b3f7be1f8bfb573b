# SPDX-License-Identifier: Apache-2.0
"""How few moves would mend one rule, if it were alone.

Exact, and without a search: what a placement does to one rule depends on the
counts of its domains only. Members go to eligible domains only, as many as
one likes; room on the hosts and other rules are the planner's business. A
server that is being moved counts as two members, one at each end.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from aacloud.core.rules.counting import Domains
from aacloud.core.rules.counting import excess
from aacloud.core.rules.counting import UNPLACED
from aacloud.core.rules.model import OnUnknown
from aacloud.core.rules.model import Rule
from aacloud.core.rules.model import RuleKind


@dataclasses.dataclass(frozen=True, slots=True)
class Mending:
    """What moves can make of a rule.

    :ivar moves: the least number that brings the excess down to ``floor``
    :ivar floor: the least excess that moves can reach; 0 when they mend it
    """

    moves: int
    floor: int


def mend(
    rule: Rule, counts: Mapping[str, int], domains: Domains,
) -> Mending:
    """The least excess a rule can come to, and the least moves to there.

    :param counts: see ``counting.count``
    :param domains: narrowed with ``Domains.within`` by the group's rules
    """
    now = excess(rule, counts, domains)
    if not now:
        return Mending(0, 0)
    eligible = domains.eligible(rule.level)
    if rule.kind is RuleKind.FENCE:
        reachable = not eligible.isdisjoint(rule.domains)
        return Mending(now, 0) if reachable else Mending(0, now)
    if not eligible:
        return Mending(0, now)
    unplaced = counts.get(UNPLACED, 0)
    closed = rule.on_unknown is OnUnknown.CLOSED
    if rule.kind is RuleKind.TOGETHER:
        total = sum(counts.values()) - (0 if closed else unplaced)
        home = max(counts.get(name, 0) for name in eligible)
        return Mending(total - home, 0)
    limit = rule.max_per_domain
    inside, must = [], 0
    for name, n in counts.items():
        if name in eligible:
            inside.append(n)
        elif name == UNPLACED:
            must += n if closed else 0
        elif limit is not None:
            must += max(0, n - limit)
    spread = _Spread(tuple(inside), len(eligible), sum(inside), must)
    if rule.max_skew is None:
        return spread.to_limit(limit or 0, now)
    if len(eligible) < (rule.min_domains or 0):
        return spread.to_short(limit, rule.max_skew)
    return spread.to_skew(limit, rule.max_skew)


@dataclasses.dataclass(frozen=True, slots=True)
class _Spread:
    """The members of a spread group, before any move.

    :ivar inside: the counts of the eligible domains that hold some
    :ivar domains: the number of eligible domains
    :ivar total: the sum of ``inside``
    :ivar must: members elsewhere that are too many there. That others might
        be fetched from elsewhere never saves a move.
    """

    inside: tuple[int, ...]
    domains: int
    total: int
    must: int

    def to_limit(self, limit: int, now: int) -> Mending:
        """With max_per_domain alone: each move into room mends one."""
        room = self.domains * limit - sum(min(n, limit) for n in self.inside)
        return Mending(min(now, room), now - min(now, room))

    def to_short(self, limit: int | None, skew: int) -> Mending:
        """With too few eligible domains: the global minimum is 0, only the
        fullest domain matters."""
        room = self._room(limit)
        found = []
        for taken in range(self.must + 1):
            total = self.total + taken
            level = -(-total // self.domains)
            over = max(0, total - room) + max(0, level - skew)
            floor = over + self.must - taken
            high = max(level, skew)
            low = 0
            if limit is not None and total > room:
                low = limit
            elif limit is not None:
                high = min(high, limit)
            found.append((floor, self._moves(low, high, taken)))
        floor, moves = min(found)
        return Mending(moves, floor)

    def to_skew(self, limit: int | None, skew: int) -> Mending:
        """With max_skew: over every global minimum that can be reached.

        The higher it is the fewer members are too many and the more are
        wanted, so the best one is where these two meet.
        """
        room = self._room(limit)
        full = self.total + self.must > room
        # Where there is more than room, every domain is filled; what is too
        # much elsewhere may as well stay there.
        taken = max(0, room - self.total) if full else self.must
        total = self.total + taken
        lowest = max(0, -(-total // self.domains) - skew)
        highest = total // self.domains
        if limit is not None:
            if full:
                lowest = max(lowest, limit)
            else:
                highest = min(highest, limit)

        def bounds(least: int) -> tuple[int, int]:
            high = least + skew
            if limit is not None and not full:
                high = min(high, limit)
            return least, high

        # The first minimum at which more is wanted than is too much.
        first, last = lowest, highest
        while first < last:
            middle = (first + last) // 2
            if self._wanted(middle) >= self._surplus(
                    bounds(middle)[1]) + taken:
                last = middle
            else:
                first = middle + 1
        moves = min(
            self._moves(*bounds(least), taken)
            for least in {max(lowest, first - 1), first})
        return Mending(moves, self.total + self.must - room if full else 0)

    def _room(self, limit: int | None) -> int:
        """How many members the eligible domains may hold."""
        if limit is None:
            return self.total + self.must
        return self.domains * limit

    def _moves(self, low: int, high: int, taken: int) -> int:
        """The moves that bring every count between two bounds.

        Everything above and everything taken in from elsewhere moves, and
        fills what is missing below; what is then still missing comes from
        domains that can spare it.
        """
        return max(self._surplus(high) + taken, self._wanted(low))

    def _surplus(self, high: int) -> int:
        return sum(max(0, n - high) for n in self.inside)

    def _wanted(self, low: int) -> int:
        empty = self.domains - len(self.inside)
        return empty * low + sum(max(0, low - n) for n in self.inside)
