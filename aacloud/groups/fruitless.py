# SPDX-License-Identifier: Apache-2.0
"""Groups that no plan betters: when they are tried again, and what was said.

The same picture is not planned from twice, unless the time ran out. In a
large cloud some of it changes all the time, so there is a back-off, too.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
import dataclasses

from aacloud.core import repair
from aacloud.core import rules

#: Longest pause between two tries, seconds, unless groups are inspected less
#: often than that.
LONGEST_S = 600.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Rest:
    """How long a group is left.

    :ivar revision: of the group; a changed one is due at once
    :ivar opening: of its window; another one is due at once
    """

    revision: int
    opening: str
    pause_s: float
    until: float


class Fruitless:
    """What was sought in vain. Belongs to one thread.

    :param clock: monotonic seconds
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rests: dict[str, _Rest] = {}
        #: Window -> fingerprint of what was planned from last, in vain.
        self._pictures: dict[str | None, int] = {}
        #: Group -> rule -> the reason that was told last.
        self._told: dict[str, dict[str, str]] = {}

    def due(self, group: rules.Group, opening: str) -> bool:
        """Whether a plan of a group may be looked for."""
        rest = self._rests.get(group.id)
        return (
            rest is None or self._clock() >= rest.until
            or (rest.revision, rest.opening) != (group.revision, opening))

    def known(self, window: str | None, picture: int) -> bool:
        """Whether nothing came of planning from this picture."""
        return self._pictures.get(window) == picture

    def rest(
        self, groups: Iterable[rules.Group], opening: str, first_s: float
    ) -> None:
        """Leave groups for a while, each time for twice as long.

        :param first_s: the first time for so long, in seconds
        """
        now = self._clock()
        for group in groups:
            before = self._rests.get(group.id)
            pause = first_s
            if before is not None and (
                before.revision == group.revision
            ):
                pause = min(max(2 * before.pause_s, first_s),
                            max(LONGEST_S, first_s))
            self._rests[group.id] = _Rest(
                group.revision, opening, pause, now + pause)

    def remember(
        self, window: str | None, picture: int, left: Iterable[repair.Blocked]
    ) -> list[repair.Blocked]:
        """Keep what was sought in vain.

        :returns: what nobody was told yet of what is left
        """
        left = list(left)
        if any(one.code is repair.BlockCode.LIMIT for one in left):
            # More may be found of the same in another run.
            self._pictures.pop(window, None)
        else:
            self._pictures[window] = picture
        news = []
        for one in left:
            told = self._told.setdefault(one.group, {})
            rule = rules.format_rule(one.rule)
            if told.get(rule) != one.reason:
                told[rule] = one.reason
                news.append(one)
        return news

    def forget(self, groups: Collection[str]) -> None:
        """Begin anew with groups that were mended, or have a plan now."""
        for group in groups:
            self._rests.pop(group, None)
            self._told.pop(group, None)

    def keep(self, groups: Collection[str]) -> None:
        """Forget all groups but these."""
        self.forget((set(self._rests) | set(self._told)) - set(groups))


def fingerprint(
    problem: repair.RepairProblem, limits: repair.RepairLimits
) -> int:
    """Of all that a plan depends on; good within one process."""
    return hash((
        frozenset(problem.hosts.values()),
        frozenset(problem.servers.values()), frozenset(problem.groups),
        frozenset(problem.domains.topology.hosts.values()),
        problem.domains.dead, problem.domains.closed, problem.seed, limits))
