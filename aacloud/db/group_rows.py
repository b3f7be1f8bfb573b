# SPDX-License-Identifier: Apache-2.0
"""Between rows of the database and the records of HA server groups."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import datetime
import enum
import itertools
import typing
from typing import Any

import sqlalchemy as sa

from aacloud.core import rules as core_rules
from aacloud.db import errors
from aacloud.db import group_models


def _table(model: type[group_models.models.Base]) -> sa.Table:
    return typing.cast(sa.Table, model.__table__)


HEAD = _table(group_models.GroupHead)
GROUPS = _table(group_models.HAGroup)
MEMBERS = _table(group_models.HAGroupMember)
CHANGES = _table(group_models.HAGroupChange)
QUOTA = _table(group_models.HAGroupQuota)
REPORTS = _table(group_models.HAGroupReport)
PLACES = _table(group_models.ServerPlace)
ACKS = _table(group_models.SchedulerAck)
FAIL_OPENS = _table(group_models.FailOpen)

#: Names in one question.
BATCH = 500


class Origin(str, enum.Enum):
    """How a server came into a group."""

    #: Born with the scheduler hint.
    HINT = "hint"
    #: Somebody added it.
    API = "api"
    #: With a server group of Nova's.
    IMPORT = "import"


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A server in a group.

    :ivar project_id: of the server
    """

    server: str
    project_id: str
    origin: Origin
    joined_at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class GroupRecord:
    """A group as it is stored.

    :ivar version: raised when name, mode, rules or window change, but not
        by joins and leaves; an update names the version it read
    :ivar imported_from: Nova's server group that it was made of
    """

    group: core_rules.Group
    version: int
    created_by: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    imported_from: str | None
    members: tuple[Member, ...]

    @property
    def id(self) -> str:
        """The id of the group."""
        return self.group.id


@dataclasses.dataclass(frozen=True, slots=True)
class GroupChange:
    """What was done to a group, by whom."""

    revision: int
    group_id: str
    at: datetime.datetime
    kind: str
    by: str
    text: str
    detail: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Changes:
    """What became of the groups since a revision.

    :ivar revision: up to which this tells; ask with it next time
    :ivar full: these are all groups, forget what else was known
    :ivar groups: that changed, whole, with all their members
    :ivar deleted: ids of groups that are no more
    :ivar left: (group, server) of servers that left a group
    """

    revision: int
    full: bool
    groups: tuple[core_rules.Group, ...]
    deleted: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()


def batches(names: Collection[str]) -> Iterator[list[str]]:
    """The names in their order, some hundred at a time."""
    ordered = iter(sorted(set(names)))
    while batch := list(itertools.islice(ordered, BATCH)):
        yield batch


def head(connection: sa.Connection) -> tuple[int, int]:
    """The revision, and up to which changes are not told any more."""
    row = connection.execute(
        sa.select(HEAD.c.revision, HEAD.c.pruned).where(HEAD.c.id == 1)
    ).one_or_none()
    if row is None:
        raise no_head()
    return row.revision, row.pruned


def no_head() -> errors.SchemaError:
    """What is raised when the one row is missing."""
    return errors.SchemaError(
        "the table group_head is empty: somebody deleted its only row, which "
        "the migration made; restore the database, or insert the row "
        "(1, R, R, 0), where R is above any revision in ha_groups"
    )


def rules(documents: Collection[Any]) -> tuple[core_rules.Rule, ...]:
    """Rules as they are stored in a group."""
    return tuple(core_rules.rule_from_dict(one) for one in documents)


def documents(given: Collection[core_rules.Rule]) -> list[dict[str, Any]]:
    """What is stored of rules."""
    return [core_rules.rule_to_dict(rule) for rule in given]


def group(row: sa.Row[Any], members: Collection[str]) -> core_rules.Group:
    """A group with its members."""
    return core_rules.Group(
        id=row.id,
        name=row.name,
        project_id=row.project_id,
        mode=core_rules.GroupMode(row.mode),
        rules=rules(row.rules),
        members=frozenset(members),
        revision=row.revision,
        window=row.window,
    )


def read_groups(
    connection: sa.Connection,
    *wanted: sa.ColumnElement[bool],
    limit: int | None = None,
) -> tuple[GroupRecord, ...]:
    """Groups that are not deleted, by name and id."""
    query = (
        sa.select(GROUPS)
        .where(GROUPS.c.deleted_at.is_(None), *wanted)
        .order_by(GROUPS.c.name, GROUPS.c.id)
    )
    if limit is not None:
        query = query.limit(limit)
    found = connection.execute(query).all()
    members: dict[str, list[Member]] = {}
    for batch in batches([row.id for row in found]):
        for row in connection.execute(
            sa.select(MEMBERS)
            .where(
                MEMBERS.c.group_id.in_(batch), MEMBERS.c.left_at.is_(None)
            )
            .order_by(MEMBERS.c.joined_at, MEMBERS.c.server)
        ):
            members.setdefault(row.group_id, []).append(
                Member(
                    row.server,
                    row.project_id,
                    Origin(row.origin),
                    row.joined_at,
                )
            )
    return tuple(
        GroupRecord(
            group=group(row, [one.server for one in members.get(row.id, ())]),
            version=row.version,
            created_by=row.created_by,
            created_at=row.created_at,
            updated_at=row.updated_at,
            imported_from=row.imported_from,
            members=tuple(members.get(row.id, ())),
        )
        for row in found
    )


def read_group(
    connection: sa.Connection, group_id: str, project_id: str | None = None
) -> GroupRecord:
    """One group.

    :param project_id: of the user; groups of others are not there for it
    :raises errors.NotFound: there is none with this id
    """
    wanted = [GROUPS.c.id == group_id]
    if project_id is not None:
        wanted.append(GROUPS.c.project_id == project_id)
    found = read_groups(connection, *wanted)
    if not found:
        raise errors.NotFound("HA server group", group_id)
    return found[0]


def read_changes(connection: sa.Connection, known: int | None) -> Changes:
    """What became of the groups since a revision.

    The revision is read first: where the reads are not of one moment, what
    came in between is told now and told again next time.
    """
    revision, pruned = head(connection)
    full = known is None or known < max(pruned, 1) or known > revision
    since = -1 if known is None or full else known
    changed = connection.execute(
        sa.select(GROUPS)
        .where(GROUPS.c.revision > since)
        .order_by(GROUPS.c.id)
    ).all()
    live = [row for row in changed if row.deleted_at is None]
    members: dict[str, list[str]] = {row.id: [] for row in live}
    here = sa.select(MEMBERS.c.group_id, MEMBERS.c.server).where(
        MEMBERS.c.left_at.is_(None)
    )
    queries = (
        [here]
        if full
        else [
            here.where(MEMBERS.c.group_id.in_(batch))
            for batch in batches(list(members))
        ]
    )
    for query in queries:
        for group_id, server in connection.execute(query):
            # A group that was made in between comes next time.
            if group_id in members:
                members[group_id].append(server)
    left = connection.execute(
        sa.select(MEMBERS.c.group_id, MEMBERS.c.server)
        .where(MEMBERS.c.revision > since, MEMBERS.c.left_at.is_not(None))
        .order_by(MEMBERS.c.group_id, MEMBERS.c.server)
    ).all() if not full else []
    if not full and head(connection)[1] > since:
        # Traces were thrown away between these reads.
        return read_changes(connection, None)
    return Changes(
        revision=revision,
        full=full,
        groups=tuple(group(row, members[row.id]) for row in live),
        deleted=()
        if full
        else tuple(row.id for row in changed if row.deleted_at is not None),
        left=tuple((row.group_id, row.server) for row in left),
    )
