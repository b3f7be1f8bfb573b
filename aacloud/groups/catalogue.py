# SPDX-License-Identifier: Apache-2.0
"""All groups, as this engine knows them: a copy of what the database has.

Kept up to date by the changes alone, so that schedulers and inspections need
not read all groups each time.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import threading

from aacloud.core import rules
from aacloud.db import groups as stores
from aacloud.groups import metrics


class Catalogue:
    """The groups by id. Safe for threads; what it gives out never changes.
    """

    def __init__(self, store: stores.Groups) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._revision: int | None = None
        #: From here on every change is known; before, only what is there.
        self._floor = 0
        self._groups: Mapping[str, rules.Group] = {}
        self._gone: dict[str, int] = {}

    @property
    def revision(self) -> int:
        """The revision of what is known here; 0: nothing was read yet."""
        return self._revision or 0

    def refresh(self) -> int:
        """Read what changed; return the revision.

        :raises db_errors.DatabaseError: it could not be read
        """
        with self._lock:
            changes = self._store.changes_since(self._revision)
            if changes.full:
                self._groups = {one.id: one for one in changes.groups}
                self._gone = {}
                self._floor = changes.revision
            elif changes.groups or changes.deleted:
                groups = dict(self._groups)
                groups.update((one.id, one) for one in changes.groups)
                for group_id in changes.deleted:
                    groups.pop(group_id, None)
                    self._gone[group_id] = changes.revision
                self._groups = groups
            self._revision = changes.revision
            metrics.REVISION.set(changes.revision)
            return changes.revision

    def all(self) -> Mapping[str, rules.Group]:
        """The groups by id, as they were read last."""
        return self._groups

    def some(self, wanted: Collection[str]) -> list[rules.Group]:
        """These groups, without those that are not there."""
        groups = self._groups
        return [groups[one] for one in wanted if one in groups]

    def neighbours(
        self, servers: Collection[str]
    ) -> list[rules.Group]:
        """The groups that any of these servers is in."""
        found = set(servers)
        return [
            group for group in self._groups.values()
            if not found.isdisjoint(group.members)]

    def since(
        self, known: int | None
    ) -> tuple[int, tuple[rules.Group, ...], tuple[str, ...], bool]:
        """What changed after a revision.

        :returns: the revision now, the groups, the ids of those that were
            deleted, and whether these are all groups
        """
        with self._lock:
            revision = self._revision or 0
            groups = self._groups
            if known is None or not self._floor <= known <= revision:
                return revision, tuple(groups.values()), (), True
            return (
                revision,
                tuple(
                    one for one in groups.values() if one.revision > known),
                tuple(
                    group_id for group_id, at in self._gone.items()
                    if at > known),
                False)
