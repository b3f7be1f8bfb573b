# SPDX-License-Identifier: Apache-2.0
"""Who leads: the epoch, raised by each takeover, checked by each write."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import datetime
from typing import Any
import uuid

import sqlalchemy as sa

from aacloud.db import books
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import rows
from aacloud.db import story


@dataclasses.dataclass(frozen=True, slots=True)
class Leadership:
    """Who leads since when; ``epoch`` is the fencing token."""

    name: str
    epoch: int
    holder: str
    taken_at: datetime.datetime


def read(database: engine.Database, name: str) -> Leadership | None:
    """Who leads, or None when nobody ever did."""
    table = rows.LEADERSHIPS
    query = sa.select(
        table.c.name, table.c.epoch, table.c.holder, table.c.taken_at
    ).where(table.c.name == name)
    row = database.read(
        f"leadership {name}",
        lambda connection: connection.execute(query).one_or_none(),
    )
    return None if row is None else Leadership(*row)


def hold(connection: sa.Connection, name: str, epoch: int) -> None:
    """Write the leadership's row, so that no takeover slips in between.

    :raises errors.StaleJournal: the epoch is not that of this engine
    """
    table = rows.LEADERSHIPS
    held = connection.execute(
        sa.update(table)
        .where(table.c.name == name, table.c.epoch == epoch)
        .values(writes=table.c.writes + 1)
    )
    if held.rowcount == 1:
        return
    found = connection.execute(
        sa.select(table.c.epoch, table.c.holder).where(table.c.name == name)
    ).one_or_none()
    reason = (
        "nobody has taken it over yet"
        if found is None
        else f"{found.holder} has taken over with epoch {found.epoch}, this "
        f"engine wrote with epoch {epoch}"
    )
    raise errors.StaleJournal(f"leadership {name}", reason, deposed=True)


def take_over(
    database: engine.Database,
    name: str,
    holder: str,
    *,
    now: Callable[[], datetime.datetime],
    book: books.Book = books.INCIDENTS,
) -> int:
    """Raise the epoch from what it is when this begins; adopt what is open.

    Two transactions. The first one shuts the others out: it has two writes
    only, the hot one last, because on Galera it starts anew whenever one of
    a busy old leader gets in between. The second one writes what belongs to
    the adoption, undisturbed.

    :param book: what this leadership keeps
    :returns: the new epoch
    :raises errors.StaleJournal: another engine took over meanwhile
    """
    before = read(database, name)
    epoch = 1 if before is None else before.epoch + 1
    ticket = str(uuid.uuid4())

    def depose(connection: sa.Connection, again: bool) -> None:
        found = _raise_epoch(connection, name, epoch, holder, now(), ticket)
        if found is not None and again and found.ticket == ticket:
            return
        if found is not None:
            raise errors.StaleJournal(
                f"leadership {name}",
                f"{found.holder} took over at the same time, with epoch "
                f"{found.epoch}",
                deposed=True,
            )
        table = book.head
        connection.execute(
            sa.update(table)
            .where(book.is_open)
            .values(epoch=epoch, version=table.c.version + 1, updated_at=now())
        )

    def adopt(connection: sa.Connection, again: bool) -> None:
        hold(connection, name, epoch)
        _adopt(connection, book, epoch, holder, now(), ticket, again)

    database.write(f"takeover of {name} by {holder}", depose)
    database.write(f"adoption of {book.plural} by {holder}", adopt)
    return epoch


def _raise_epoch(
    connection: sa.Connection,
    name: str,
    epoch: int,
    holder: str,
    at: datetime.datetime,
    ticket: str,
) -> sa.Row[Any] | None:
    """Raise it by one to ``epoch``; else return the row as it is."""
    table = rows.LEADERSHIPS
    values = {
        "epoch": epoch,
        "holder": holder,
        "taken_at": at,
        "ticket": ticket,
    }
    raised = connection.execute(
        sa.update(table)
        .where(table.c.name == name, table.c.epoch == epoch - 1)
        .values(**values, writes=table.c.writes + 1)
    )
    if raised.rowcount == 1:
        return None
    found = connection.execute(
        sa.select(table).where(table.c.name == name)
    ).one_or_none()
    if found is None:
        connection.execute(
            sa.insert(table).values(**values, name=name, writes=0)
        )
    return found


def _adopt(
    connection: sa.Connection,
    book: books.Book,
    epoch: int,
    holder: str,
    at: datetime.datetime,
    ticket: str,
    again: bool,
) -> None:
    """Make entries that were read before stale; tell of it."""
    heads, entries = book.head, book.entries
    mine = sa.and_(book.is_open, heads.c.epoch == epoch)
    connection.execute(
        sa.update(heads)
        .where(mine)
        .values(serial=heads.c.serial + 1, updated_at=at)
    )
    adopted = connection.execute(
        sa.select(heads.c.id, heads.c.serial).where(mine)
    ).all()
    if not adopted:
        return
    if again and story.landed(connection, book, adopted[0].id, ticket):
        return
    connection.execute(
        sa.update(entries)
        .where(entries.c[book.key].in_([row.id for row in adopted]))
        .values(version=entries.c.version + 1)
    )
    for row in adopted:
        story.add(
            connection,
            book,
            row.id,
            row.serial,
            [
                story.Line(
                    "takeover",
                    f"{holder} goes on with it, epoch {epoch}",
                    detail={"holder": holder, "epoch": epoch},
                )
            ],
            at=at,
            ticket=ticket,
        )
