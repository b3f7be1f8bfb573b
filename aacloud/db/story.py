# SPDX-License-Identifier: Apache-2.0
"""The story of a head: written with each change, in its transaction."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import datetime
from typing import Any

import sqlalchemy as sa

from aacloud.db import books

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
    book: books.Book,
    head_id: str,
    last: int,
    lines: Collection[Line],
    *,
    at: datetime.datetime,
    ticket: str,
) -> None:
    """Write events whose last number, ``last``, was just reserved.

    The caller has raised the serial of the head by their count in this
    transaction, which also keeps everybody else from doing so.
    """
    first = last - len(lines) + 1
    written = [
        {
            "id": number,
            book.key: head_id,
            "at": at,
            "kind": line.kind,
            "text": line.text[:TEXT_LIMIT],
            "server": line.server,
            "detail": line.detail,
            "ticket": ticket,
        }
        for number, line in enumerate(lines, start=first)
    ]
    if written:
        connection.execute(sa.insert(book.events), written)


def landed(
    connection: sa.Connection, book: books.Book, head_id: str, ticket: str
) -> bool:
    """Whether the write with this ticket is in the database.

    Ask only after the head's row was written in this transaction: the
    write that is looked for may still be at work, and holds that row.
    """
    table = book.events
    found = connection.execute(
        sa.select(table.c.id)
        .where(table.c[book.key] == head_id, table.c.ticket == ticket)
        .limit(1)
    )
    return found.first() is not None
