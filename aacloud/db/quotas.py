# SPDX-License-Identifier: Apache-2.0
"""How many groups and members a project may have."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import datetime

import sqlalchemy as sa

from aacloud.db import api
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import group_rows

UNLIMITED = -1


@dataclasses.dataclass(frozen=True, slots=True)
class Quota:
    """The limits of a project; -1: no limit.

    :ivar members: of all groups of the project together
    """

    groups: int = UNLIMITED
    members: int = UNLIMITED


@dataclasses.dataclass(frozen=True, slots=True)
class QuotaUse:
    """What a project may have, and has."""

    project_id: str
    limit: Quota
    used: Quota


def no_limits() -> Quota:
    """The default where nothing is configured."""
    return Quota()


def limit(
    connection: sa.Connection, project_id: str, default: Quota
) -> Quota:
    """What the project may have."""
    table = group_rows.QUOTA
    row = connection.execute(
        sa.select(table.c["groups"], table.c.members).where(
            table.c.project_id == project_id
        )
    ).one_or_none()
    if row is None:
        return default
    groups, members = row
    return Quota(
        default.groups if groups is None else groups,
        default.members if members is None else members,
    )


def used(connection: sa.Connection, project_id: str) -> Quota:
    """What the project has."""
    groups, members = group_rows.GROUPS, group_rows.MEMBERS
    mine = sa.and_(
        groups.c.project_id == project_id, groups.c.deleted_at.is_(None)
    )
    return Quota(
        groups=connection.execute(
            sa.select(sa.func.count()).select_from(groups).where(mine)
        ).scalar_one(),
        members=connection.execute(
            sa.select(sa.func.count())
            .select_from(
                members.join(groups, members.c.group_id == groups.c.id)
            )
            .where(mine, members.c.left_at.is_(None))
        ).scalar_one(),
    )


def check(
    connection: sa.Connection,
    project_id: str,
    default: Quota,
    *,
    groups: int = 0,
    members: int = 0,
) -> None:
    """Refuse so many more; the caller holds the groups' head.

    :raises errors.QuotaExceeded: the project may not have them
    """
    most = limit(connection, project_id, default)
    has = used(connection, project_id)
    for what, wanted in (("groups", groups), ("members", members)):
        top, now = getattr(most, what), getattr(has, what)
        if wanted and top != UNLIMITED and now + wanted > top:
            raise errors.QuotaExceeded(project_id, what, top, now, wanted)


class Quotas:
    """What administrators set for projects."""

    def __init__(
        self,
        database: engine.Database,
        *,
        default: Callable[[], Quota] = no_limits,
        now: Callable[[], datetime.datetime] = api.utcnow,
    ) -> None:
        self._database = database
        self._default = default
        self._now = now

    def get(self, project_id: str) -> QuotaUse:
        """What a project may have, and has."""
        return self._database.read(
            f"quota of project {project_id}",
            lambda connection: QuotaUse(
                project_id,
                limit(connection, project_id, self._default()),
                used(connection, project_id),
            ),
        )

    def limits(self) -> Mapping[str, Quota]:
        """Project -> what it may have, of those for which that was set."""
        table = group_rows.QUOTA
        query = sa.select(
            table.c.project_id, table.c["groups"], table.c.members
        )
        found = self._database.read(
            "quotas", lambda connection: connection.execute(query).all()
        )
        default = self._default()
        return {
            project_id: Quota(
                default.groups if groups is None else groups,
                default.members if members is None else members,
            )
            for project_id, groups, members in found
        }

    @property
    def default(self) -> Quota:
        """What holds where nothing was set."""
        return self._default()

    def set(
        self,
        project_id: str,
        *,
        groups: int | None,
        members: int | None,
        by: str,
    ) -> QuotaUse:
        """Set limits of a project; what is there already stays.

        :param groups: None: the default; -1: no limit
        :param members: the same
        """
        for number in (groups, members):
            if number is not None and number < UNLIMITED:
                raise ValueError(f"{number} is no quota; -1 means no limit")
        table = group_rows.QUOTA
        values = {
            "groups": groups,
            "members": members,
            "set_by": by,
            "set_at": self._now(),
        }

        def work(connection: sa.Connection, _again: bool) -> None:
            updated = connection.execute(
                sa.update(table)
                .where(table.c.project_id == project_id)
                .values(values)
            )
            if not updated.rowcount:
                connection.execute(
                    sa.insert(table).values(project_id=project_id, **values)
                )

        self._database.write(f"quota of project {project_id}", work)
        return self.get(project_id)

    def clear(self, project_id: str) -> bool:
        """Let the defaults hold again.

        :returns: whether anything was set
        """
        table = group_rows.QUOTA

        def work(connection: sa.Connection, again: bool) -> bool:
            deleted = connection.execute(
                sa.delete(table).where(table.c.project_id == project_id)
            )
            return again or deleted.rowcount > 0

        return self._database.write(f"quota of project {project_id}", work)
