# SPDX-License-Identifier: Apache-2.0
"""Where servers are now: one query for each cell.

The hosts that a filter is given are those which Placement and the filters
before it left over. Members on full, disabled or refused hosts are not among
them, so where members are is asked of the cells' databases.

Nova's own objects cannot tell a server's host and the ends of its move in one
query, nor without reading sixty columns; so this reads the two tables.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import logging
from typing import Any
from typing import Protocol

LOG = logging.getLogger(__name__)

#: Migrations that are over, whatever came of them. A resize that waits for
#: its confirmation (``finished``) is not: it can go back.
OVER = ("cancelled", "completed", "confirmed", "done", "error", "failed",
        "reverted")

EVACUATION = "evacuation"

#: Task states begin so while Nova evacuates a server (or rebuilds it where
#: it is, which is not judged).
REBUILDING = "rebuild"


@dataclasses.dataclass(frozen=True, slots=True)
class Moving:
    """A migration that is under way.

    :ivar kind: migration, resize, live-migration or evacuation
    """

    kind: str | None
    source: str | None
    dest: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Sighting:
    """A server as its cell knows it.

    :ivar launched: whether it ever ran; else it is being born
    :ivar busy: whether Nova is doing something with it
    """

    host: str | None
    vm_state: str | None = None
    busy: bool = False
    launched: bool = True
    moves: tuple[Moving, ...] = ()

    def place(self) -> tuple[str, ...]:
        """The hosts it counts on: both ends while it is moved."""
        ends = [self.host]
        for move in self.moves:
            ends += (move.source, move.dest)
        return tuple(dict.fromkeys(end for end in ends if end))

    @property
    def evacuated(self) -> bool:
        """Whether it is being evacuated."""
        return any(move.kind == EVACUATION for move in self.moves)


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What the cells answered.

    :ivar complete: whether all did: a server that is not seen is nowhere
    """

    seen: Mapping[str, Sighting]
    complete: bool = True


class Occupancy(Protocol):
    """Who knows where servers are."""

    def read(self, servers: Collection[str], timeout_s: float) -> Reading:
        """Look for servers; the answer may be incomplete."""


class NovaOccupancy:
    """Reads the cells of the Nova whose scheduler this is."""

    def read(self, servers: Collection[str], timeout_s: float) -> Reading:
        """Ask all cells at the same time, each once."""
        from nova import context as nova_context

        context = nova_context.get_admin_context()
        nova_context.load_cells()
        cells = [c for c in nova_context.CELLS if not c.is_cell0()]
        answers = nova_context.scatter_gather_cells(
            context, cells, timeout_s, self._read_cell, sorted(servers))
        seen: dict[str, Sighting] = {}
        complete = bool(cells)
        for cell, answer in answers.items():
            if nova_context.is_cell_failure_sentinel(answer):
                LOG.warning(
                    "Cell %s did not tell where members of HA groups are: %s",
                    cell, answer)
                complete = False
                continue
            for server, sighting in answer.items():
                # Moved to another cell it is in both for a moment.
                known = seen.get(server)
                seen[server] = (
                    sighting if known is None else _both(known, sighting))
        return Reading(seen, complete)

    def _read_cell(
        self, context: Any, servers: list[str],
    ) -> dict[str, Sighting]:
        from nova.db.main import api
        from nova.db.main import models
        import sqlalchemy as sa

        instance, migration = models.Instance, models.Migration
        statement = sa.select(
            instance.uuid, instance.host, instance.vm_state,
            instance.task_state, instance.launched_at,
            migration.migration_type,
            migration.source_compute, migration.dest_compute, migration.id,
        ).select_from(instance).outerjoin(
            migration, sa.and_(
                migration.instance_uuid == instance.uuid,
                migration.deleted == 0, migration.status.not_in(OVER)),
        ).where(
            instance.uuid.in_(servers), instance.deleted == 0,
        ).order_by(migration.id)
        with api.get_context_manager(context).reader.using(context) as session:
            rows = session.execute(statement).all()
        seen: dict[str, Sighting] = {}
        for row in rows:
            known = seen.get(row.uuid)
            moves = () if known is None else known.moves
            if row.id is not None:
                moves += (Moving(
                    row.migration_type, row.source_compute, row.dest_compute),)
                moves = under_way(moves, row.task_state)
            seen[row.uuid] = Sighting(
                host=row.host,
                vm_state=row.vm_state,
                busy=row.task_state is not None,
                launched=row.launched_at is not None,
                moves=moves,
            )
        return seen


def under_way(
    moves: tuple[Moving, ...], task_state: str | None,
) -> tuple[Moving, ...]:
    """The moves without evacuations that were left behind.

    A conductor or nova-compute that dies in the middle leaves the migration
    of an evacuation ``accepted`` for ever. So one is believed only while the
    server is being rebuilt, and when no other move began after it.

    :param moves: in the order in which they began
    """
    rebuilding = (task_state or "").startswith(REBUILDING)
    return tuple(
        move for number, move in enumerate(moves, 1)
        if move.kind != EVACUATION
        or (rebuilding and number == len(moves)))


def _both(one: Sighting, other: Sighting) -> Sighting:
    move = Moving("resize", one.host, other.host)
    return dataclasses.replace(
        one, busy=True, moves=(*one.moves, *other.moves, move))
