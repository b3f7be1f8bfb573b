# SPDX-License-Identifier: Apache-2.0
"""Between rows of the database and the records of ``aacloud.core``."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import enum
import typing
from typing import Any

import sqlalchemy as sa

from aacloud.core import brakes
from aacloud.core import hosts
from aacloud.core import incidents
from aacloud.core import verdicts
from aacloud.db import models


def _table(model: type[models.Base]) -> sa.Table:
    return typing.cast(sa.Table, model.__table__)


HOSTS = _table(models.Host)
LEADERSHIPS = _table(models.Leadership)
MODES = _table(models.DomainMode)
INCIDENTS = _table(models.Incident)
SERVERS = _table(models.IncidentServer)
EVENTS = _table(models.IncidentEvent)
COMMANDS = _table(models.IncidentCommand)

#: Kept for the database's own sake, not part of the records.
_HIDDEN = frozenset({"open_host", "serial", "ticket"})


def _fields(row: sa.Row[Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in row._mapping.items()
        if name not in _HIDDEN
    }


def command(row: sa.Row[Any]) -> incidents.OperatorCommand:
    """An operator's command."""
    return incidents.OperatorCommand(
        command=incidents.Command(row.command),
        by=row.set_by,
        reason=row.reason,
        at=row.at,
    )


def incident(
    row: sa.Row[Any], commands: Iterable[incidents.OperatorCommand]
) -> incidents.Incident:
    """An incident with its commands, oldest first."""
    fields = _fields(row)
    fields["state"] = incidents.IncidentState(row.state)
    fields["mode"] = brakes.Mode(row.mode)
    return incidents.Incident(**fields, commands=tuple(commands))


def incident_values(record: incidents.Incident) -> dict[str, Any]:
    """What an INSERT takes of the record; commands are rows of their own."""
    fields = values(record)
    del fields["commands"]
    return fields


def server(row: sa.Row[Any]) -> incidents.ServerRecord:
    """A server of an incident."""
    fields = _fields(row)
    fields["state"] = incidents.ServerState(row.state)
    fields["spares"] = tuple(row.spares)
    fields["past_migrations"] = tuple(row.past_migrations)
    return incidents.ServerRecord(**fields)


def event(row: sa.Row[Any]) -> incidents.Event:
    """An event of an incident."""
    return incidents.Event(**_fields(row))


def host(row: sa.Row[Any]) -> hosts.HostRecord:
    """A host."""
    fields = _fields(row)
    fields["state"] = verdicts.HostState(row.state)
    fields["networks"] = {
        network: verdicts.NetworkState(state)
        for network, state in row.networks.items()
    }
    fields["reasons"] = tuple(row.reasons)
    return hosts.HostRecord(**fields)


def values(
    record: (
        hosts.HostRecord
        | incidents.Incident
        | incidents.ServerRecord
        | incidents.Event
    ),
) -> dict[str, Any]:
    """What an INSERT of the record takes."""
    return plain(
        {
            field.name: getattr(record, field.name)
            for field in dataclasses.fields(record)
        }
    )


def plain(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Words instead of the members of enumerations."""
    return {
        name: value.value if isinstance(value, enum.Enum) else value
        for name, value in columns.items()
    }


def read_incidents(
    connection: sa.Connection,
    *wanted: sa.ColumnElement[bool],
    limit: int | None = None,
) -> tuple[incidents.Incident, ...]:
    """Incidents with their commands, the newest first."""
    table = INCIDENTS
    query = (
        sa.select(table)
        .where(*wanted)
        .order_by(table.c.opened_at.desc(), table.c.id.desc())
    )
    if limit is not None:
        query = query.limit(limit)
    found = connection.execute(query).all()
    commands: dict[str, list[incidents.OperatorCommand]] = {}
    if found:
        for row in connection.execute(
            sa.select(COMMANDS)
            .where(COMMANDS.c.incident_id.in_([row.id for row in found]))
            .order_by(COMMANDS.c.id)
        ):
            commands.setdefault(row.incident_id, []).append(command(row))
    return tuple(incident(row, commands.get(row.id, ())) for row in found)


def read_servers(
    connection: sa.Connection,
    incident_id: str,
    uuids: Iterable[str] | None = None,
) -> tuple[incidents.ServerRecord, ...]:
    """Servers of an incident in the order of wave, name and uuid."""
    table = SERVERS
    query = (
        sa.select(table)
        .where(table.c.incident_id == incident_id)
        .order_by(table.c.wave, table.c.name, table.c.server)
    )
    if uuids is not None:
        query = query.where(table.c.server.in_(list(uuids)))
    return tuple(server(row) for row in connection.execute(query))
