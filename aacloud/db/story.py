# SPDX-License-Identifier: Apache-2.0
"""The story of an incident: written with each change, in its transaction."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import datetime
from typing import Any

import sqlalchemy as sa

from aacloud.core import incidents as core_incidents
from aacloud.db import rows

#: Longest text of an event, of a reason, of a wait that is kept.
TEXT_LIMIT = 8000


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """An event that is about to be written."""

    kind: str
    text: str
    server: str | None = None
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def add(
    connection: sa.Connection,
    incident_id: str,
    last: int,
    lines: Collection[Line],
    *,
    at: datetime.datetime,
    ticket: str,
) -> tuple[core_incidents.Event, ...]:
    """Write events whose last number, ``last``, was just reserved.

    The caller has raised the serial of the incident by their count in this
    transaction, which also keeps everybody else from doing so.
    """
    first = last - len(lines) + 1
    written = tuple(
        core_incidents.Event(
            id=number,
            incident_id=incident_id,
            at=at,
            kind=line.kind,
            text=line.text[:TEXT_LIMIT],
            server=line.server,
            detail=line.detail,
        )
        for number, line in enumerate(lines, start=first)
    )
    if written:
        connection.execute(
            sa.insert(rows.EVENTS),
            [{**rows.values(event), "ticket": ticket} for event in written],
        )
    return written


def landed(connection: sa.Connection, incident_id: str, ticket: str) -> bool:
    """Whether the write with this ticket is in the database.

    Ask only after the incident's row was written in this transaction: the
    write that is looked for may still be at work, and holds that row.
    """
    table = rows.EVENTS
    found = connection.execute(
        sa.select(table.c.id)
        .where(table.c.incident_id == incident_id, table.c.ticket == ticket)
        .limit(1)
    )
    return found.first() is not None
