# SPDX-License-Identifier: Apache-2.0
"""Who leads: the epoch, raised by each takeover, checked by each write."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import datetime
import uuid

import sqlalchemy as sa

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
) -> int:
    """Raise the epoch from what it is when this begins; adopt incidents.

    :returns: the new epoch
    :raises errors.StaleJournal: another engine took over meanwhile
    """
    table = rows.LEADERSHIPS
    ticket = str(uuid.uuid4())
    before = read(database, name)
    epoch = 1 if before is None else before.epoch + 1

    def work(connection: sa.Connection, again: bool) -> None:
        at = now()
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
        if raised.rowcount != 1:
            found = connection.execute(
                sa.select(table).where(table.c.name == name)
            ).one_or_none()
            if found is not None:
                if again and found.ticket == ticket:
                    return
                raise errors.StaleJournal(
                    f"leadership {name}",
                    f"{found.holder} took over at the same time, with epoch "
                    f"{found.epoch}",
                    deposed=True,
                )
            connection.execute(
                sa.insert(table).values(**values, name=name, writes=0)
            )
        _adopt(connection, epoch, holder, at, ticket)

    database.write(f"takeover of {name} by {holder}", work)
    return epoch


def _adopt(
    connection: sa.Connection,
    epoch: int,
    holder: str,
    at: datetime.datetime,
    ticket: str,
) -> None:
    incidents, servers = rows.INCIDENTS, rows.SERVERS
    connection.execute(
        sa.update(incidents)
        .where(incidents.c.open_host.is_not(None))
        .values(
            epoch=epoch,
            version=incidents.c.version + 1,
            serial=incidents.c.serial + 1,
            updated_at=at,
        )
    )
    adopted = connection.execute(
        sa.select(incidents.c.id, incidents.c.serial).where(
            incidents.c.open_host.is_not(None)
        )
    ).all()
    if not adopted:
        return
    connection.execute(
        sa.update(servers)
        .where(servers.c.incident_id.in_([row.id for row in adopted]))
        .values(version=servers.c.version + 1)
    )
    for row in adopted:
        story.add(
            connection,
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
