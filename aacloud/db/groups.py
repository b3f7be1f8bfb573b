# SPDX-License-Identifier: Apache-2.0
"""HA server groups: what users make of them, and what schedulers must know.

Each change is one transaction, begins with a write to the one row of
``group_head`` (see ``group_models``), and raises the revision there. So a
revision tells exactly the changes up to it: who asks for the changes since
the last one never misses any, whoever else writes at the same time, wherever.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import enum
import typing
from typing import Any
from typing import TypeVar
import uuid

import sqlalchemy as sa

from aacloud.core import rules as core_rules
from aacloud.db import api
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import group_reads
from aacloud.db import group_rows
from aacloud.db import group_writer
from aacloud.db import quotas

Origin = group_rows.Origin
Member = group_rows.Member
GroupRecord = group_rows.GroupRecord
GroupChange = group_rows.GroupChange
Changes = group_rows.Changes

T = TypeVar("T")


class Unset(enum.Enum):
    """What a caller of ``update`` gives for what stays as it is."""

    UNSET = "unset"


UNSET: typing.Final = Unset.UNSET


@dataclasses.dataclass(frozen=True, slots=True)
class Joined:
    """What came of a join.

    :ivar record: the group afterwards; its revision is the one to wait for
    :ivar added: servers that joined
    :ivar already: servers that were members before
    :ivar declined: servers that left the group once, and are not taken in
        again for the hint they were born with
    """

    record: GroupRecord
    added: tuple[str, ...]
    already: tuple[str, ...]
    declined: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Left:
    """What came of a leave.

    :ivar record: the group afterwards; its revision is the one to wait for
    :ivar absent: servers that were no members
    """

    record: GroupRecord
    removed: tuple[str, ...]
    absent: tuple[str, ...]


class Groups(group_reads.GroupReads):
    """The store of the groups. Safe for threads and for several engines.

    Every method raises :class:`~aacloud.db.errors.JournalUnavailable` when
    the database does not answer. ``project_id`` in a method is the project
    of a user: groups of other projects are not there for it; None sees all.
    ``by`` is who did it, for the history.

    :param default_quota: of projects for which nothing is set
    """

    def __init__(
        self,
        database: engine.Database,
        *,
        default_quota: Callable[[], quotas.Quota] = quotas.no_limits,
        now: Callable[[], datetime.datetime] = api.utcnow,
    ) -> None:
        super().__init__(database)
        self._default_quota = default_quota
        self._now = now

    def _write(
        self,
        what: str,
        by: str,
        edit: Callable[[group_writer.Pen], Mapping[str, Any]],
        answer: Callable[[sa.Connection, Mapping[str, Any]], T],
    ) -> T:
        """Run ``edit``, then ``answer`` with what it found, in one
        transaction; after a lost answer never ``edit`` what was edited."""
        ticket = str(uuid.uuid4())
        at = self._now()

        def work(connection: sa.Connection, again: bool) -> T:
            group_writer.seize(connection)
            done = group_writer.landed(connection, ticket) if again else None
            if done is None:
                done = edit(group_writer.Pen(connection, at, by, ticket))
            return answer(connection, done)

        return self._database.write(what, work)

    def create(
        self,
        name: str,
        project_id: str,
        *,
        by: str,
        mode: core_rules.GroupMode = core_rules.GroupMode.REPORT,
        rules: Sequence[core_rules.Rule] = (),
        window: str | None = None,
        members: Mapping[str, str] | None = None,
        admin: bool = False,
        imported_from: str | None = None,
        group_id: str | None = None,
    ) -> GroupRecord:
        """Make a group. Whether its rules can hold is not checked here.

        :param members: server -> the server's project
        :param admin: may add servers of other projects
        :param imported_from: Nova's server group that it is made of
        :raises errors.Duplicate: the project has a group of this name, or
            this server group was imported already
        :raises errors.ForeignServer: a server is of another project
        :raises errors.QuotaExceeded: the project may not have it
        """
        new_id = group_id or str(uuid.uuid4())
        servers = dict(members or {})
        origin = Origin.IMPORT if imported_from else Origin.API
        _refuse_foreign(name, project_id, servers, admin)

        def edit(pen: group_writer.Pen) -> Mapping[str, Any]:
            group_writer.refuse_taken_name(pen.connection, project_id, name)
            if imported_from is not None:
                group_writer.refuse_imported(pen.connection, imported_from)
            quotas.check(
                pen.connection,
                project_id,
                self._default_quota(),
                groups=1,
                members=len(servers),
            )
            revision = pen.revision()
            pen.connection.execute(
                sa.insert(group_rows.GROUPS).values(
                    id=new_id,
                    project_id=project_id,
                    name=name,
                    live_name=name,
                    mode=mode.value,
                    rules=group_rows.documents(rules),
                    window=window,
                    imported_from=imported_from,
                    version=1,
                    revision=revision,
                    created_by=by,
                    created_at=pen.at,
                    updated_at=pen.at,
                )
            )
            pen.add(new_id, servers, origin, known={})
            return pen.tell(
                new_id,
                "created",
                f"{by} made group {name} with {len(servers)} members",
                {"added": sorted(servers)},
            )

        return self._write(
            f"new group {name}",
            by,
            edit,
            lambda connection, _: group_rows.read_group(connection, new_id),
        )

    def update(
        self,
        group_id: str,
        *,
        by: str,
        version: int | None = None,
        project_id: str | None = None,
        name: str | Unset = UNSET,
        mode: core_rules.GroupMode | Unset = UNSET,
        rules: Sequence[core_rules.Rule] | Unset = UNSET,
        window: str | Unset | None = UNSET,
    ) -> GroupRecord:
        """Change what is given; what is not given stays.

        :param version: that was read; None changes whatever is there
        :raises errors.NotFound: there is none with this id
        :raises errors.StaleVersion: it is not the version that was read
        :raises errors.Duplicate: the project has a group of the new name
        """

        def edit(pen: group_writer.Pen) -> Mapping[str, Any]:
            row = group_writer.row(pen.connection, group_id, project_id)
            _check_version(row, version)
            values: dict[str, Any] = {}
            if not isinstance(name, Unset) and name != row.name:
                group_writer.refuse_taken_name(
                    pen.connection, row.project_id, name
                )
                values["name"] = values["live_name"] = name
            if not isinstance(mode, Unset):
                values["mode"] = mode.value
            if not isinstance(rules, Unset):
                values["rules"] = group_rows.documents(rules)
            if not isinstance(window, Unset):
                values["window"] = window
            values = {
                key: value
                for key, value in values.items()
                if value != getattr(row, key)
            }
            if not values:
                return {}
            pen.touch(group_id, version=row.version + 1, **values)
            shown = sorted(set(values) - {"live_name"})
            return pen.tell(
                group_id,
                "changed",
                f"{by} changed {', '.join(shown)} of group {row.name}",
                {key: [getattr(row, key), values[key]] for key in shown},
            )

        return self._write(
            f"group {group_id}",
            by,
            edit,
            lambda connection, _: group_rows.read_group(connection, group_id),
        )

    def delete(
        self,
        group_id: str,
        *,
        by: str,
        version: int | None = None,
        project_id: str | None = None,
    ) -> int:
        """Delete a group; its servers stay where they are.

        :returns: the revision from which on it is no more
        :raises errors.NotFound: there is none with this id
        :raises errors.StaleVersion: it is not the version that was read
        """

        def edit(pen: group_writer.Pen) -> Mapping[str, Any]:
            row = group_writer.row(pen.connection, group_id, project_id)
            _check_version(row, version)
            return pen.bury(row)

        return self._write(
            f"group {group_id}",
            by,
            edit,
            lambda _, detail: int(detail["revision"]),
        )

    def add_members(
        self,
        group_id: str,
        servers: Mapping[str, str],
        *,
        by: str,
        origin: Origin = Origin.API,
        admin: bool = False,
        project_id: str | None = None,
        check_quota: bool = True,
    ) -> Joined:
        """Let servers join; those that are members already stay.

        :param servers: server -> the server's project
        :param origin: with HINT a server that was made to leave before is
            not taken in again
        :param admin: may add servers of other projects
        :param check_quota: False for servers that are born already
        :raises errors.NotFound: there is no such group
        :raises errors.ForeignServer: a server is of another project
        :raises errors.QuotaExceeded: the project may not have so many
        """

        def edit(pen: group_writer.Pen) -> Mapping[str, Any]:
            row = group_writer.row(pen.connection, group_id, project_id)
            _refuse_foreign(row.name, row.project_id, servers, admin)
            known = group_writer.members(pen.connection, group_id, servers)
            already = sorted(
                server for server, one in known.items() if one.left_at is None
            )
            declined = sorted(
                server
                for server, one in known.items()
                if origin is Origin.HINT
                and one.left_at is not None
                and not one.gone
            )
            added = sorted(set(servers) - {*already, *declined})
            detail = {
                "added": added,
                "already": already,
                "declined": declined,
            }
            if not added:
                return detail
            if check_quota:
                quotas.check(
                    pen.connection,
                    row.project_id,
                    self._default_quota(),
                    members=len(added),
                )
            pen.touch(group_id)
            pen.add(
                group_id,
                {server: servers[server] for server in added},
                origin,
                known,
            )
            return pen.tell(
                group_id,
                "joined",
                f"{by} added {_count(added)} to group {row.name}",
                detail,
            )

        def answer(
            connection: sa.Connection, detail: Mapping[str, Any]
        ) -> Joined:
            return Joined(
                group_rows.read_group(connection, group_id),
                tuple(detail["added"]),
                tuple(detail["already"]),
                tuple(detail["declined"]),
            )

        return self._write(f"joins to group {group_id}", by, edit, answer)

    def remove_members(
        self,
        group_id: str,
        servers: Collection[str],
        *,
        by: str,
        project_id: str | None = None,
    ) -> Left:
        """Let servers leave; it always succeeds.

        :raises errors.NotFound: there is no such group
        """

        def edit(pen: group_writer.Pen) -> Mapping[str, Any]:
            row = group_writer.row(pen.connection, group_id, project_id)
            known = group_writer.members(pen.connection, group_id, servers)
            removed = sorted(
                server for server, one in known.items() if one.left_at is None
            )
            detail = {
                "removed": removed,
                "absent": sorted(set(servers) - set(removed)),
            }
            if not removed:
                return detail
            pen.touch(group_id)
            pen.remove(group_id, removed, gone=False)
            return pen.tell(
                group_id,
                "left",
                f"{by} removed {_count(removed)} from group {row.name}",
                detail,
            )

        def answer(
            connection: sa.Connection, detail: Mapping[str, Any]
        ) -> Left:
            return Left(
                group_rows.read_group(connection, group_id),
                tuple(detail["removed"]),
                tuple(detail["absent"]),
            )

        return self._write(f"leaves of group {group_id}", by, edit, answer)

    def remove_servers(
        self, servers: Collection[str], *, by: str
    ) -> tuple[str, ...]:
        """Forget servers that were deleted, in every group.

        :returns: ids of the groups they were members of
        """

        def edit(pen: group_writer.Pen) -> Mapping[str, Any]:
            return pen.forget(servers)

        return self._write(
            f"{len(servers)} deleted servers",
            by,
            edit,
            lambda _, detail: tuple(detail["groups"]),
        )

    def remove_project(self, project_id: str, *, by: str) -> tuple[str, ...]:
        """Delete the groups of a project that was deleted, its quota, and
        let its servers leave the groups of others.

        :returns: ids of the groups that were deleted
        """

        def edit(pen: group_writer.Pen) -> Mapping[str, Any]:
            pen.connection.execute(
                sa.delete(group_rows.QUOTA).where(
                    group_rows.QUOTA.c.project_id == project_id
                )
            )
            table = group_rows.GROUPS
            found = pen.connection.execute(
                sa.select(table)
                .where(
                    table.c.project_id == project_id,
                    table.c.deleted_at.is_(None),
                )
                .order_by(table.c.id)
            ).all()
            servers = group_writer.servers_of(pen.connection, project_id)
            for row in found:
                pen.bury(row)
            pen.forget(servers)
            return pen.note({"deleted": [row.id for row in found]})

        return self._write(
            f"groups of project {project_id}",
            by,
            edit,
            lambda _, detail: tuple(detail["deleted"]),
        )

    def prune(self, before: datetime.datetime) -> int:
        """Throw away traces of what was deleted before; schedulers that
        have not asked since then are told all groups.

        Of a server that was made to leave the trace stays as long as the
        server and the group live, so that its hint does not bring it back.

        :returns: how many groups and members were thrown away
        """
        return self._database.write(
            "traces of deleted groups",
            lambda connection, _again: group_writer.prune(connection, before),
        )


def _check_version(row: sa.Row[Any], version: int | None) -> None:
    if version is not None and version != row.version:
        raise errors.StaleVersion(
            "HA server group", row.id, version, row.version
        )


def _refuse_foreign(
    group: str, project_id: str, servers: Mapping[str, str], admin: bool
) -> None:
    foreign = sorted(
        server for server, owner in servers.items() if owner != project_id
    )
    if foreign and not admin:
        raise errors.ForeignServer(group, tuple(foreign))


def _count(servers: Collection[str]) -> str:
    if len(servers) == 1:
        return f"server {next(iter(servers))}"
    return f"{len(servers)} servers"
