# SPDX-License-Identifier: Apache-2.0
"""Makes the groups agree with the cloud, whatever notification was lost."""

from __future__ import annotations

import dataclasses
import logging

from aacloud.db import group_rows
from aacloud.db import groups as stores
from aacloud.groups import membership as memberships
from aacloud.groups import metrics
from aacloud.groups import sight as sights
from aacloud.rpc import nova_notifications

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Reconciled:
    """What one reconciliation saw and did.

    :ivar changes: all groups, as they were right before Nova was read
    :ivar sight: all servers
    :ivar forgotten: members that Nova does not have
    :ivar joined: servers that had been born with a hint
    """

    changes: group_rows.Changes
    sight: sights.Sight
    forgotten: frozenset[str]
    joined: tuple[str, ...]


class Reconciler:
    """Reads all groups, then all servers, and mends the difference.

    In this order: a member that was written before the servers were read,
    and is not among them, is gone or was overlooked by the list. So each of
    these is asked for by itself before it is forgotten.
    """

    def __init__(
        self,
        store: stores.Groups,
        reader: sights.Reader,
        membership: memberships.Membership,
    ) -> None:
        self._store = store
        self._reader = reader
        self._membership = membership
        #: Servers that left a group once: their hints count no more.
        self._settled: set[tuple[str, str]] = set()

    def run(self) -> Reconciled:
        """Reconcile once.

        :raises cloud_errors.CloudError: Nova could not be read; nothing is
            forgotten then
        :raises db_errors.DatabaseError: the database does not answer
        """
        with metrics.RECONCILE_SECONDS.time():
            try:
                done = self._run()
            except Exception:
                metrics.RECONCILIATIONS.labels("failed").inc()
                raise
        metrics.RECONCILIATIONS.labels("done").inc()
        return done

    def _run(self) -> Reconciled:
        changes = self._store.snapshot()
        members = {
            server for group in changes.groups for server in group.members}
        if not changes.groups:
            # Nobody is a member, and no hint means anything.
            return Reconciled(
                changes, self._reader.some(()), frozenset(), ())
        sight = self._reader.whole()
        missing = members - set(sight.servers)
        gone = self._reader.gone(missing) if missing else frozenset()
        if gone:
            LOG.warning(
                "%d members of groups are not in Nova any more; no "
                "notification told of it", len(gone))
            metrics.HEALED.labels("forgotten").inc(len(gone))
            self._membership.forget(sorted(gone))
        joined = self._join(sight, changes)
        if joined:
            LOG.warning(
                "%d servers were born with a hint that no notification told",
                len(joined))
            metrics.HEALED.labels("joined").inc(len(joined))
        return Reconciled(changes, sight, gone, joined)

    def _join(
        self, sight: sights.Sight, changes: group_rows.Changes
    ) -> tuple[str, ...]:
        by_name: dict[tuple[str, str], str] = {}
        members: dict[str, frozenset[str]] = {}
        for group in changes.groups:
            by_name[group.project_id, group.name] = group.id
            by_name[group.project_id, group.id] = group.id
            members[group.id] = group.members
        joined = []
        wanted: set[tuple[str, str]] = set()
        for server in sight.servers.values():
            hinted = {
                hint: by_name[server.project_id, hint]
                for hint in nova_notifications.hinted_groups(server.hints)
                if (server.project_id, hint) in by_name}
            pairs = {
                hint: (server.uuid, group_id)
                for hint, group_id in hinted.items()
                if server.uuid not in members[group_id]}
            wanted.update(pairs.values())
            hints = [
                hint for hint, pair in pairs.items()
                if pair not in self._settled]
            if hints and self._membership.join(
                    server.uuid, server.project_id, hints):
                joined.append(server.uuid)
        self._settled = wanted
        return tuple(joined)
