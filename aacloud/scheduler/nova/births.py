# SPDX-License-Identifier: Apache-2.0
"""Births into groups, against what a project may have of members.

A server that is born with a hint is a member when the engine heard of it. The
births that this process let pass a moment ago count until then, siblings of
one request as well: else a request for a hundred servers would pass where one
more may be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import threading

from aacloud.core import rules
from aacloud.scheduler.nova import index as group_index
from aacloud.scheduler.nova import occupancy
from aacloud.scheduler.nova import recent


@dataclasses.dataclass(slots=True)
class _Birth:
    """A server that is to be a member of these groups soon."""

    placing: recent.Placing
    at: float
    groups: frozenset[str]


class Births:
    """The births of the last moments. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, _Birth] = {}
        self._counted: tuple[object, Mapping[str, int]] = (None, {})

    def admit(
        self,
        placing: recent.Placing,
        server: str,
        wanted: Iterable[rules.Group],
        index: group_index.Index,
        seen: Mapping[str, occupancy.Sighting],
        now: float,
        *,
        sure: bool = True,
    ) -> rules.Group | None:
        """Note a birth, unless it would be beyond a quota.

        :param wanted: its groups; it may be a member of some already
        :param seen: what is known of the servers of these groups
        :param sure: False: it passes, as it may be none, or the quotas old
        :returns: the group that it must not be born into
        """
        new = {
            one.id: one for one in wanted if server not in one.members}
        with self._lock:
            self._kept.pop(server, None)
            for other in [
                other for other, one in self._kept.items()
                if now - one.at > recent.APPEAR_S
            ]:
                del self._kept[other]
            if not new:
                return None
            more = Counter(one.project_id for one in new.values())
            if sure:
                for group in new.values():
                    project = group.project_id
                    left = self._left(index, project)
                    if left is not None and more[project] > left - (
                        self._taken(project, index, seen, now)
                        if left > 0 else 0
                    ):
                        return group
            self._kept[server] = _Birth(placing, now, frozenset(new))
            return None

    def arrived(self, index: group_index.Index) -> None:
        """Forget those that are members now: the engine counts them."""
        with self._lock:
            for server, one in list(self._kept.items()):
                one.groups = frozenset(
                    group for group in one.groups
                    if group in index.groups
                    and server not in index.groups[group].members)
                if not one.groups:
                    del self._kept[server]

    def _left(self, index: group_index.Index, project: str) -> int | None:
        """How many members more a project may have; None: any number."""
        if index.limits is None:
            # An engine that tells no more than this.
            return 0 if project in index.full else None
        limit = index.limits.of(project)
        if limit < 0:
            return None
        if self._counted[0] is not index:
            found: Counter[str] = Counter()
            for group in index.groups.values():
                found[group.project_id] += len(group.members)
            self._counted = (index, found)
        return max(0, limit - self._counted[1].get(project, 0))

    def _taken(
        self, project: str, index: group_index.Index,
        seen: Mapping[str, occupancy.Sighting], now: float,
    ) -> int:
        """How many of what is left others will have."""
        number = 0
        going_on: dict[int, bool] = {}
        for server, one in self._kept.items():
            more = sum(
                1 for name in one.groups
                if (group := index.groups.get(name)) is not None
                and group.project_id == project
                and server not in group.members)
            if not more:
                continue
            sighting = seen.get(server)
            if sighting is not None and sighting.vm_state == "error" and (
                not sighting.launched
            ):
                continue
            key = id(one.placing)
            if key not in going_on:
                going_on[key] = one.placing.hopeful(now)
            if going_on[key]:
                number += more
        return number
