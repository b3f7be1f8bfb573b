# SPDX-License-Identifier: Apache-2.0
"""How many members projects may have, and which may have no more.

The schedulers refuse births that would be more. Each counts its own births
until the engine knows them; what others let pass meanwhile, for seconds at
most, may be beyond the quota.
"""

from __future__ import annotations

from collections import Counter
import threading

from aacloud.coordination import clock as clocks
from aacloud.db import quotas
from aacloud.groups import catalogue as catalogues
from aacloud.rpc import snapshot as snapshots

#: Seconds for which quotas are not read again.
EVERY_S = 5.0


class Fullness:
    """Safe for threads."""

    def __init__(
        self,
        catalogue: catalogues.Catalogue,
        kept: quotas.Quotas,
        clock: clocks.Clock | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._kept = kept
        self._clock = clock or clocks.Clock()
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._revision = -1
        self._full: frozenset[str] = frozenset()
        self._limits = snapshots.MemberLimits(-1)

    def told(self) -> tuple[frozenset[str], snapshots.MemberLimits]:
        """Projects that have all the members that they may have; all limits.

        :raises db_errors.DatabaseError: the quotas could not be read
        """
        with self._lock:
            revision = self._catalogue.revision
            now = self._clock.monotonic()
            if revision != self._revision or now - self._read_at >= EVERY_S:
                self._full, self._limits = self._read()
                self._revision, self._read_at = revision, now
            return self._full, self._limits

    def _read(self) -> tuple[frozenset[str], snapshots.MemberLimits]:
        limits = self._kept.limits()
        usual = self._kept.default
        members: Counter[str] = Counter()
        for group in self._catalogue.all().values():
            members[group.project_id] += len(group.members)
        full = frozenset(
            project for project, number in members.items()
            if 0 <= limits.get(project, usual).members <= number)
        return full, snapshots.MemberLimits(usual.members, {
            project: limit.members for project, limit in limits.items()
            if limit.members != usual.members})
