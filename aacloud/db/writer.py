# SPDX-License-Identifier: Apache-2.0
"""How incidents and plans are written: fenced by the epoch, once, or not.

Rows are always locked in the same order: leadership, head, entries. The lock
on the head's row (of the incident, of the plan) makes the numbers of its
events follow the order in which they become visible, and shuts a takeover out
until the commit.

Each write has a ticket, kept with its events. When a commit was cut off and
nobody knows whether it landed, the next try looks for the ticket: so that a
write is never told refused when it landed, nor done twice.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import datetime
from typing import Any
import uuid

import sqlalchemy as sa

from aacloud.db import books
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import story


class FencedWriter:
    """Writes heads as long as no other engine has taken over.

    :param epoch_source: the epoch that this engine leads with, or None
    :param leadership_name: for messages
    :param book: what is written
    """

    def __init__(
        self,
        database: engine.Database,
        epoch_source: Callable[[], int | None],
        *,
        leadership_name: str,
        book: books.Book = books.INCIDENTS,
    ) -> None:
        self._database = database
        self._epoch_source = epoch_source
        self._leadership = leadership_name
        self._book = book

    def epoch(self, read_under: int | None = None) -> int:
        """The epoch to write with.

        :param read_under: the epoch of the record that is about to change
        :raises errors.StaleJournal: this engine does not lead, or has lost
            the leadership and got it again since the record was read
        """
        epoch = self._epoch_source()
        if epoch is None:
            raise errors.StaleJournal(
                f"leadership {self._leadership}",
                "this engine does not lead",
                deposed=True,
            )
        if read_under is not None and read_under != epoch:
            raise errors.StaleJournal(
                f"leadership {self._leadership}",
                f"the {self._book.word} was read under epoch {read_under} and "
                f"this engine leads with epoch {epoch}: read it again",
                deposed=False,
            )
        return epoch

    def write(
        self,
        what: str,
        lines: Mapping[str, Collection[story.Line]],
        now: datetime.datetime,
        *,
        read_under: int | None = None,
        version: int | None = None,
        values: Mapping[str, Any] | None = None,
        more: Callable[[sa.Connection], None] | None = None,
    ) -> None:
        """Write heads (by id) with their events, and ``more`` after.

        :param version: the head's, when the write depends on it
        """
        epoch = self.epoch(read_under)
        ticket = str(uuid.uuid4())
        book = self._book
        table = book.head
        ids = sorted(lines)

        def seize(connection: sa.Connection, head_id: str) -> bool:
            statement = sa.update(table).where(
                table.c.id == head_id,
                table.c.epoch == epoch,
                table.c.closed_at.is_(None),
            )
            if version is not None:
                statement = statement.where(table.c.version == version)
                statement = statement.values(version=version + 1)
            updated = connection.execute(
                statement.values(
                    **(values or {}),
                    serial=table.c.serial + len(lines[head_id]),
                    updated_at=now,
                )
            )
            return updated.rowcount == 1

        def work(connection: sa.Connection, again: bool) -> None:
            for head_id in ids:
                held = seize(connection, head_id)
                if again and story.landed(connection, book, head_id, ticket):
                    return
                if not held:
                    raise _stale(connection, book, head_id, epoch, version)
            if more is not None:
                more(connection)
            for head_id in ids:
                last = connection.execute(
                    sa.select(table.c.serial).where(table.c.id == head_id)
                ).scalar_one()
                story.add(
                    connection,
                    book,
                    head_id,
                    last,
                    lines[head_id],
                    at=now,
                    ticket=ticket,
                )

        self._database.write(what, work)


def _stale(
    connection: sa.Connection,
    book: books.Book,
    head_id: str,
    epoch: int,
    version: int | None,
) -> errors.DatabaseError:
    """Why the row of the head did not meet the conditions."""
    table = book.head
    found = connection.execute(
        sa.select(table).where(table.c.id == head_id)
    ).one_or_none()
    if found is None:
        return errors.NotFound(book.word, head_id)
    row = book.title(found)
    if found.epoch != epoch:
        return errors.StaleJournal(
            row,
            f"another engine has taken over with epoch {found.epoch}, this "
            f"one wrote with epoch {epoch}",
            deposed=True,
        )
    if found.closed_at is not None:
        return errors.StaleJournal(
            row, f"it is closed ({found.state})", deposed=False
        )
    return errors.StaleJournal(
        row,
        f"it was changed meanwhile: version {version} was read, it is "
        f"{found.version} now ({found.state})",
        deposed=False,
    )
