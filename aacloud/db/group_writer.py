# SPDX-License-Identifier: Apache-2.0
"""How groups are changed: inside one transaction that holds their head.

A transaction begins with ``seize``. From then on no other one changes any
group before it has ended, so that what is read here stays true, and what is
checked here (names, quotas, versions) holds.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import datetime
from typing import Any

import sqlalchemy as sa

from aacloud.db import errors
from aacloud.db import group_rows
from aacloud.db import story

_HEAD = group_rows.HEAD
_GROUPS = group_rows.GROUPS
_MEMBERS = group_rows.MEMBERS
_CHANGES = group_rows.CHANGES


def seize(connection: sa.Connection) -> None:
    """Write the head first, so that nobody else changes a group meanwhile.

    :raises errors.SchemaError: there is no such row
    """
    held = connection.execute(
        sa.update(_HEAD)
        .where(_HEAD.c.id == 1)
        .values(writes=_HEAD.c.writes + 1)
    )
    if held.rowcount != 1:
        raise group_rows.no_head()


def landed(
    connection: sa.Connection, ticket: str
) -> Mapping[str, Any] | None:
    """What the write with this ticket told, if it is in the database."""
    rows = connection.execute(
        sa.select(_CHANGES.c.detail)
        .where(_CHANGES.c.ticket == ticket)
        .order_by(_CHANGES.c.group_id)
    ).all()
    if not rows:
        return None
    answers = [row.detail["answer"] for row in rows if "answer" in row.detail]
    found: Mapping[str, Any] = answers[0] if answers else rows[0].detail
    return found


def row(
    connection: sa.Connection, group_id: str, project_id: str | None
) -> sa.Row[Any]:
    """The row of a group that is not deleted.

    :raises errors.NotFound: there is none with this id
    """
    query = sa.select(_GROUPS).where(
        _GROUPS.c.id == group_id, _GROUPS.c.deleted_at.is_(None)
    )
    if project_id is not None:
        query = query.where(_GROUPS.c.project_id == project_id)
    found = connection.execute(query).one_or_none()
    if found is None:
        raise errors.NotFound("HA server group", group_id)
    return found


def members(
    connection: sa.Connection, group_id: str, servers: Collection[str]
) -> dict[str, sa.Row[Any]]:
    """The rows of these servers in a group, of those that left too."""
    return {
        one.server: one
        for batch in group_rows.batches(servers)
        for one in connection.execute(
            sa.select(_MEMBERS).where(
                _MEMBERS.c.group_id == group_id,
                _MEMBERS.c.server.in_(batch),
            )
        )
    }


def servers_of(connection: sa.Connection, project_id: str) -> list[str]:
    """The servers of a project that are in any group."""
    return list(
        connection.scalars(
            sa.select(_MEMBERS.c.server)
            .where(
                _MEMBERS.c.project_id == project_id,
                _MEMBERS.c.left_at.is_(None),
            )
            .distinct()
        )
    )


def refuse_taken_name(
    connection: sa.Connection, project_id: str, name: str
) -> None:
    """:raises errors.Duplicate: the project has a group of this name"""
    found = connection.scalar(
        sa.select(_GROUPS.c.id).where(
            _GROUPS.c.project_id == project_id, _GROUPS.c.live_name == name
        )
    )
    if found is not None:
        raise errors.Duplicate("HA server group", name, found)


def refuse_imported(connection: sa.Connection, native: str) -> None:
    """:raises errors.Duplicate: a group was made of this one already"""
    found = connection.scalar(
        sa.select(_GROUPS.c.id).where(
            _GROUPS.c.imported_from == native, _GROUPS.c.deleted_at.is_(None)
        )
    )
    if found is not None:
        raise errors.Duplicate(
            "HA server group made of server group", native, found
        )


class Pen:
    """Writes changes of groups in one transaction, under one revision."""

    def __init__(
        self,
        connection: sa.Connection,
        at: datetime.datetime,
        by: str,
        ticket: str,
    ) -> None:
        self.connection = connection
        self.at = at
        self._by = by
        self._ticket = ticket
        self._revision: int | None = None
        self._told: set[str] = set()

    def revision(self) -> int:
        """The revision of this change; raised at the first call."""
        if self._revision is None:
            self.connection.execute(
                sa.update(_HEAD)
                .where(_HEAD.c.id == 1)
                .values(revision=_HEAD.c.revision + 1)
            )
            self._revision = group_rows.head(self.connection)[0]
        return self._revision

    def touch(self, group_id: str, **values: Any) -> None:
        """Write a group's row, at least its revision."""
        self.connection.execute(
            sa.update(_GROUPS)
            .where(_GROUPS.c.id == group_id)
            .values(
                **values, revision=self.revision(), updated_at=self.at
            )
        )

    def tell(
        self, group_id: str, kind: str, text: str, detail: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Write what was done to a group into its history; once a group.

        :returns: the detail with the revision
        """
        full = {**detail, "revision": self.revision()}
        if group_id not in self._told:
            self._told.add(group_id)
            self.connection.execute(
                sa.insert(_CHANGES).values(
                    revision=self.revision(),
                    group_id=group_id,
                    at=self.at,
                    kind=kind,
                    changed_by=self._by,
                    text=text[: story.TEXT_LIMIT],
                    detail=full,
                    ticket=self._ticket,
                )
            )
        return full

    def note(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep the answer of a change of several groups with each of them.

        :returns: the answer
        """
        for group_id in self._told:
            here = sa.and_(
                _CHANGES.c.revision == self._revision,
                _CHANGES.c.group_id == group_id,
            )
            detail = self.connection.scalar(
                sa.select(_CHANGES.c.detail).where(here)
            )
            self.connection.execute(
                sa.update(_CHANGES)
                .where(here)
                .values(detail={**(detail or {}), "answer": dict(answer)})
            )
        return answer

    def add(
        self,
        group_id: str,
        servers: Mapping[str, str],
        origin: group_rows.Origin,
        known: Mapping[str, Any],
    ) -> None:
        """Write servers (-> their projects) as members.

        :param known: those that have a row already
        """
        values = [
            {
                "group_id": group_id,
                "server": server,
                "project_id": project_id,
                "origin": origin.value,
                "joined_at": self.at,
                "left_at": None,
                "gone": False,
                "revision": self.revision(),
            }
            for server, project_id in sorted(servers.items())
        ]
        old = [one for one in values if one["server"] in known]
        for batch in group_rows.batches([str(one["server"]) for one in old]):
            self.connection.execute(
                sa.delete(_MEMBERS).where(
                    _MEMBERS.c.group_id == group_id,
                    _MEMBERS.c.server.in_(batch),
                )
            )
        if values:
            self.connection.execute(sa.insert(_MEMBERS), values)

    def remove(
        self, group_id: str, servers: Collection[str] | None, *, gone: bool
    ) -> None:
        """Write members as left; None: all that are there."""
        statement = (
            sa.update(_MEMBERS)
            .where(
                _MEMBERS.c.group_id == group_id, _MEMBERS.c.left_at.is_(None)
            )
            .values(left_at=self.at, gone=gone, revision=self.revision())
        )
        if servers is None:
            self.connection.execute(statement)
            return
        for batch in group_rows.batches(servers):
            self.connection.execute(
                statement.where(_MEMBERS.c.server.in_(batch))
            )

    def bury(self, found: sa.Row[Any]) -> Mapping[str, Any]:
        """Write a group and its members as deleted; leave the trace."""
        self.touch(found.id, deleted_at=self.at, live_name=None)
        self.remove(found.id, None, gone=True)
        return self.tell(
            found.id, "deleted", f"{self._by} deleted group {found.name}", {}
        )

    def forget(self, servers: Collection[str]) -> Mapping[str, Any]:
        """Write servers as left from every group, because they are gone."""
        by_group: dict[str, list[str]] = {}
        for batch in group_rows.batches(servers):
            for one in self.connection.execute(
                sa.select(_MEMBERS.c.group_id, _MEMBERS.c.server).where(
                    _MEMBERS.c.server.in_(batch),
                    _MEMBERS.c.left_at.is_(None),
                )
            ):
                by_group.setdefault(one.group_id, []).append(one.server)
            # What they left before need not be remembered any more.
            self.connection.execute(
                sa.update(_MEMBERS)
                .where(
                    _MEMBERS.c.server.in_(batch),
                    _MEMBERS.c.left_at.is_not(None),
                    _MEMBERS.c.gone.is_(False),
                )
                .values(gone=True)
            )
        answer = {"groups": sorted(by_group)}
        for group_id, gone in sorted(by_group.items()):
            self.touch(group_id)
            self.remove(group_id, gone, gone=True)
            self.tell(
                group_id,
                "left",
                f"{len(gone)} members are no more",
                {"removed": sorted(gone), "answer": answer},
            )
        return answer


def prune(connection: sa.Connection, before: datetime.datetime) -> int:
    """Throw away traces; returns how many groups and members."""
    seize(connection)
    groups = connection.execute(
        sa.select(_GROUPS.c.id, _GROUPS.c.revision).where(
            _GROUPS.c.deleted_at < before
        )
    ).all()
    old = sa.and_(_MEMBERS.c.left_at < before, _MEMBERS.c.gone.is_(True))
    newest = connection.scalar(
        sa.select(sa.func.max(_MEMBERS.c.revision)).where(old)
    )
    thrown = connection.execute(sa.delete(_MEMBERS).where(old)).rowcount
    for batch in group_rows.batches([one.id for one in groups]):
        thrown += connection.execute(
            sa.delete(_MEMBERS).where(_MEMBERS.c.group_id.in_(batch))
        ).rowcount
        thrown += connection.execute(
            sa.delete(_GROUPS).where(_GROUPS.c.id.in_(batch))
        ).rowcount
    connection.execute(sa.delete(_CHANGES).where(_CHANGES.c.at < before))
    pruned = max([newest or 0, *(one.revision for one in groups)])
    if pruned:
        connection.execute(
            sa.update(_HEAD)
            .where(_HEAD.c.id == 1, _HEAD.c.pruned < pruned)
            .values(pruned=pruned)
        )
    return thrown
