# SPDX-License-Identifier: Apache-2.0
"""Which projects may have no more members of groups.

The schedulers refuse births into groups of these. It is a matter of seconds:
what is born meanwhile may be beyond the quota.
"""

from __future__ import annotations

from collections import Counter
import threading

from aacloud.coordination import clock as clocks
from aacloud.db import quotas
from aacloud.groups import catalogue as catalogues

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

    def projects(self) -> frozenset[str]:
        """The projects that have all the members that they may have.

        :raises db_errors.DatabaseError: the quotas could not be read
        """
        with self._lock:
            revision = self._catalogue.revision
            now = self._clock.monotonic()
            if revision != self._revision or now - self._read_at >= EVERY_S:
                self._full = self._counted()
                self._revision, self._read_at = revision, now
            return self._full

    def _counted(self) -> frozenset[str]:
        limits = self._kept.limits()
        usual = self._kept.default
        members: Counter[str] = Counter()
        for group in self._catalogue.all().values():
            members[group.project_id] += len(group.members)
        return frozenset(
            project for project, number in members.items()
            if 0 <= limits.get(project, usual).members <= number)
