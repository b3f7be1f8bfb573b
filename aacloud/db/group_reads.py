# SPDX-License-Identifier: Apache-2.0
"""What can be read of HA server groups."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping

import sqlalchemy as sa

from aacloud.core import rules as core_rules
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import group_rows

_GROUPS = group_rows.GROUPS
_MEMBERS = group_rows.MEMBERS
_CHANGES = group_rows.CHANGES


class GroupReads:
    """The reads of the store; see ``groups.Groups``."""

    def __init__(self, database: engine.Database) -> None:
        self._database = database

    def get(
        self, group_id: str, *, project_id: str | None = None
    ) -> group_rows.GroupRecord:
        """One group with its members.

        :raises errors.NotFound: there is none with this id
        """
        return self._database.read(
            f"group {group_id}",
            lambda connection: group_rows.read_group(
                connection, group_id, project_id
            ),
        )

    def find(
        self, name_or_id: str, *, project_id: str
    ) -> group_rows.GroupRecord:
        """A project's group by its id or its name; an id goes first.

        :raises errors.NotFound: the project has none
        """
        found = self._database.read(
            f"group {name_or_id}",
            lambda connection: group_rows.read_groups(
                connection,
                _GROUPS.c.project_id == project_id,
                sa.or_(
                    _GROUPS.c.id == name_or_id,
                    _GROUPS.c.live_name == name_or_id,
                ),
            ),
        )
        for record in found:
            if record.id == name_or_id:
                return record
        if not found:
            raise errors.NotFound("HA server group", name_or_id)
        return found[0]

    def imported(self, native: str) -> group_rows.GroupRecord | None:
        """The group that was made of a server group of Nova's, or None."""
        found = self._database.read(
            f"group made of {native}",
            lambda connection: group_rows.read_groups(
                connection, _GROUPS.c.imported_from == native
            ),
        )
        return found[0] if found else None

    def list(
        self,
        *,
        project_id: str | None = None,
        name: str | None = None,
        mode: core_rules.GroupMode | None = None,
        server: str | None = None,
        limit: int | None = None,
        marker: str | None = None,
    ) -> tuple[group_rows.GroupRecord, ...]:
        """Groups in the order of name and id.

        :param server: only those that it is a member of
        :param limit: at most so many
        :param marker: id of the last group of the page before
        :raises errors.NotFound: there is no group with the marker's id
        """
        wanted: list[sa.ColumnElement[bool]] = []
        if project_id is not None:
            wanted.append(_GROUPS.c.project_id == project_id)
        if name is not None:
            wanted.append(_GROUPS.c.live_name == name)
        if mode is not None:
            wanted.append(_GROUPS.c.mode == mode.value)
        if server is not None:
            wanted.append(
                _GROUPS.c.id.in_(
                    sa.select(_MEMBERS.c.group_id).where(
                        _MEMBERS.c.server == server,
                        _MEMBERS.c.left_at.is_(None),
                    )
                )
            )

        def work(
            connection: sa.Connection,
        ) -> tuple[group_rows.GroupRecord, ...]:
            after: list[sa.ColumnElement[bool]] = []
            if marker is not None:
                last = connection.scalar(
                    sa.select(_GROUPS.c.name).where(_GROUPS.c.id == marker)
                )
                if last is None:
                    raise errors.NotFound("HA server group", marker)
                after.append(
                    sa.or_(
                        _GROUPS.c.name > last,
                        sa.and_(
                            _GROUPS.c.name == last, _GROUPS.c.id > marker
                        ),
                    )
                )
            return group_rows.read_groups(
                connection, *wanted, *after, limit=limit
            )

        return self._database.read("list of groups", work)

    def groups_of(
        self, servers: Collection[str]
    ) -> Mapping[str, tuple[str, ...]]:
        """Ids of the groups of servers; those in no group are left out."""

        def work(connection: sa.Connection) -> dict[str, tuple[str, ...]]:
            found: dict[str, tuple[str, ...]] = {}
            for batch in group_rows.batches(servers):
                for row in connection.execute(
                    sa.select(_MEMBERS.c.server, _MEMBERS.c.group_id)
                    .where(
                        _MEMBERS.c.server.in_(batch),
                        _MEMBERS.c.left_at.is_(None),
                    )
                    .order_by(_MEMBERS.c.group_id)
                ):
                    found[row.server] = (
                        *found.get(row.server, ()),
                        row.group_id,
                    )
            return found

        return self._database.read("groups of servers", work)

    def members(self) -> Mapping[str, str]:
        """Every server that is in a group -> its project."""
        query = (
            sa.select(_MEMBERS.c.server, _MEMBERS.c.project_id)
            .where(_MEMBERS.c.left_at.is_(None))
            .distinct()
        )
        found = self._database.read(
            "members of all groups",
            lambda connection: connection.execute(query).all(),
        )
        return {row.server: row.project_id for row in found}

    def history(
        self, group_id: str, *, since: int = 0, limit: int | None = None
    ) -> tuple[group_rows.GroupChange, ...]:
        """What was done to a group, the oldest first; of deleted ones too,
        as long as their trace is kept."""
        query = (
            sa.select(_CHANGES)
            .where(
                _CHANGES.c.group_id == group_id, _CHANGES.c.revision > since
            )
            .order_by(_CHANGES.c.revision)
        )
        if limit is not None:
            query = query.limit(limit)
        found = self._database.read(
            f"history of group {group_id}",
            lambda connection: connection.execute(query).all(),
        )
        return tuple(
            group_rows.GroupChange(
                revision=row.revision,
                group_id=row.group_id,
                at=row.at,
                kind=row.kind,
                by=row.changed_by,
                text=row.text,
                detail=row.detail,
            )
            for row in found
        )

    def revision(self) -> int:
        """The revision of all groups together."""
        return self._database.read(
            "revision of the groups",
            lambda connection: group_rows.head(connection)[0],
        )

    def changes_since(self, revision: int | None) -> group_rows.Changes:
        """What became of the groups since a revision that was told before.

        :param revision: None, or one that is too old or was never told:
            all groups are told
        """
        return self._database.read(
            f"changes of groups since {revision}",
            lambda connection: group_rows.read_changes(connection, revision),
        )

    def snapshot(self) -> group_rows.Changes:
        """All groups."""
        return self.changes_since(None)
