# SPDX-License-Identifier: Apache-2.0
"""One step of a server's move, as the journal writes it."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
from typing import Any

import sqlalchemy as sa

from aacloud.core import incidents as core_incidents
from aacloud.db import errors
from aacloud.db import rows
from aacloud.db import story

#: What a step may change beside the state.
SERVER_COLUMNS = frozenset(
    field.name for field in dataclasses.fields(core_incidents.ServerRecord)
) - {"incident_id", "server", "state", "version"}


@dataclasses.dataclass(frozen=True, slots=True)
class ServerChange:
    """One server's step.

    :ivar record: as it was read
    :ivar state: the new state, or the old one to change columns alone
    :ivar columns: what else changes, of ``SERVER_COLUMNS``
    :ivar text: what the event says; None tells the states
    :ivar detail: what the event says, for programs
    """

    record: core_incidents.ServerRecord
    state: core_incidents.ServerState
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    text: str | None = None
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def refuse_unknown(columns: Collection[str], known: Collection[str]) -> None:
    """:raises TypeError: a column is not among those that may be changed"""
    unknown = set(columns) - set(known)
    if unknown:
        raise TypeError(
            f"no such columns: {sorted(unknown)}; there are {sorted(known)}"
        )


def apply(change: ServerChange) -> core_incidents.ServerRecord:
    """The record as it is once the change is written.

    :raises core_incidents.IllegalTransition: the state may not follow
    """
    refuse_unknown(change.columns, SERVER_COLUMNS)
    record = change.record
    if change.state is not record.state:
        core_incidents.check_transition(record.state, change.state)
    return dataclasses.replace(
        record,
        state=change.state,
        version=record.version + 1,
        **change.columns,
    )


def line(change: ServerChange) -> story.Line:
    """The event of the change."""
    record = change.record
    if change.text is not None:
        text = change.text
    elif change.state is record.state:
        changed = ", ".join(sorted(change.columns)) or "nothing"
        text = f"{record.name}: {changed} changed"
    else:
        text = f"{record.name}: {record.state.value} -> {change.state.value}"
    return story.Line(
        "server",
        text,
        server=record.server,
        detail={
            **change.detail,
            "from": record.state.value,
            "to": change.state.value,
        },
    )


def write(connection: sa.Connection, change: ServerChange) -> None:
    """Write the row; its incident's row is held by this transaction.

    :raises errors.StaleJournal: it is not the version that was read
    """
    record = change.record
    table = rows.SERVERS
    here = sa.and_(
        table.c.incident_id == record.incident_id,
        table.c.server == record.server,
    )
    updated = connection.execute(
        sa.update(table)
        .where(here, table.c.version == record.version)
        .values(
            **rows.plain(change.columns),
            state=change.state.value,
            version=record.version + 1,
        )
    )
    if updated.rowcount == 1:
        return
    found = connection.execute(
        sa.select(table.c.version, table.c.state).where(here)
    ).one_or_none()
    reason = (
        "it is not recorded in this incident"
        if found is None
        else f"it was changed meanwhile: version {record.version} was read, "
        f"it is {found.version} now ({found.state})"
    )
    raise errors.StaleJournal(
        f"server {record.name} ({record.server}) of incident "
        f"{record.incident_id}",
        reason,
        deposed=False,
    )
