# SPDX-License-Identifier: Apache-2.0
"""Who is in which group: births, moves and deaths, as Nova tells them.

Every fact may come late, twice, in another order, at any engine, or never:
each is handled so that doing it again changes nothing, and what was lost is
found by the next reconciliation.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
import logging

from aacloud.clouds import errors as cloud_errors
from aacloud.clouds import ports
from aacloud.db import errors as db_errors
from aacloud.db import groups as stores
from aacloud.groups import metrics
from aacloud.rpc import nova_notifications
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

#: Who did it, in the history of the groups.
BY = "aacloud-groups"

_F = nova_notifications.Fact


class Membership:
    """Writes what happened to servers into the groups. Safe for threads.

    :param announce: is told each new revision
    :param recheck: is told the groups that may stand otherwise now
    """

    def __init__(
        self,
        store: stores.Groups,
        cloud: ports.Cloud,
        *,
        announce: Callable[[int], None],
        recheck: Callable[[Collection[str]], None],
    ) -> None:
        self._store = store
        self._cloud = cloud
        self._announce = announce
        self._recheck = recheck
        self._pace = rates.LogPace()

    def handle(self, told: nova_notifications.Told) -> None:
        """Take over one fact.

        :raises Exception: not now; it is to be told again
        """
        metrics.FACTS.labels(told.fact.value).inc()
        if told.fact is _F.HINTED and told.project_id is not None:
            self.join(told.subject, told.project_id, told.hints)
        elif told.fact is _F.BORN:
            self._born(told)
        elif told.fact is _F.MOVED:
            self._recheck(self._groups_of(told.subject))
        elif told.fact is _F.GONE:
            self.forget([told.subject])
        elif told.fact is _F.PROJECT_GONE:
            self.forget_project(told.subject)

    def join(
        self, server: str, project_id: str, hints: Iterable[str]
    ) -> tuple[str, ...]:
        """Let a server into the groups that its birth hints name.

        One that is in a group, or left it before, is not taken in again.

        :returns: ids of the groups that it joined now
        """
        joined = []
        for hint in hints:
            try:
                group = self._store.find(hint, project_id=project_id)
                came = self._admit(group.id, server, project_id)
            except db_errors.NotFound:
                # Also when it was deleted between the two.
                self._unknown(server, project_id, hint)
                continue
            if came.added:
                LOG.info(
                    "Server %s was born into group %s (%s)",
                    server, group.group.name, group.id)
                metrics.HINTS.labels("joined").inc()
                joined.append(group.id)
                self._announce(came.record.group.revision)
        if joined:
            self._recheck(joined)
        return tuple(joined)

    def _admit(
        self, group: str, server: str, project_id: str
    ) -> stores.Joined:
        """Let a server in that was born with a hint, whatever the quota.

        The filter refuses such births. One that it did not know of yet, and
        one that came past it, lies as the group's rules want it: left out of
        the group it would not count for those that come after it.

        :raises db_errors.NotFound: there is no such group
        """
        try:
            return self._store.add_members(
                group, {server: project_id}, by=BY,
                origin=stores.Origin.HINT)
        except db_errors.QuotaExceeded as error:
            metrics.HINTS.labels("over-quota").inc()
            held_back = self._pace.due(("quota", project_id))
            if held_back is not None:
                LOG.warning(
                    "Server %s was born into group %s although %s; it is a "
                    "member. Raise the quota ('openstack ha group quota "
                    "set'), or let servers leave%s", server, group, error,
                    self._pace.text(held_back))
        return self._store.add_members(
            group, {server: project_id}, by=BY, origin=stores.Origin.HINT,
            check_quota=False)

    def forget(self, servers: Collection[str]) -> tuple[str, ...]:
        """Take servers that Nova deleted out of all groups.

        :returns: ids of the groups that they were in
        """
        groups = self._store.remove_servers(servers, by=BY)
        if groups:
            LOG.info(
                "%d deleted servers left %d groups", len(servers),
                len(groups))
            self._announce(self._store.revision())
            self._recheck(groups)
        return groups

    def forget_project(self, project_id: str) -> tuple[str, ...]:
        """Delete the groups of a project that Keystone deleted, and take
        its servers out of those of others.

        :returns: ids of the groups that were deleted
        """
        groups = self._store.remove_project(project_id, by=BY)
        if groups:
            LOG.info(
                "Project %s was deleted, and its %d groups", project_id,
                len(groups))
        self._announce(self._store.revision())
        return groups

    def _born(self, told: nova_notifications.Told) -> None:
        """Only the first server of a request is named to the scheduler's
        listeners with its hints: the others are asked for theirs."""
        known = self._groups_of(told.subject)
        if not known:
            try:
                server = self._cloud.server_in_full(told.subject)
            except cloud_errors.CloudNotFound:
                return
            hints = nova_notifications.hinted_groups(server.hints)
            if hints:
                self.join(server.uuid, server.project_id, hints)
            return
        self._recheck(known)

    def _groups_of(self, server: str) -> tuple[str, ...]:
        return self._store.groups_of([server]).get(server, ())

    def _unknown(self, server: str, project_id: str, hint: str) -> None:
        metrics.HINTS.labels("unknown").inc()
        held_back = self._pace.due((project_id, hint))
        if held_back is not None:
            LOG.warning(
                "Server %s was born with the hint %s=%s, and project %s has "
                "no such group: it is in none. It joins once there is one%s",
                server, nova_notifications.HINT, hint, project_id,
                self._pace.text(held_back))
