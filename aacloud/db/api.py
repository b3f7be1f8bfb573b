# SPDX-License-Identifier: Apache-2.0
"""What can be read of the database, and what operators write to it.

Nothing here needs the leadership: these are the reads of the API and of the
engines, the modes of the domains, and the commands to incidents. What only
the leading engine may write is in ``journal``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import datetime
import uuid

import sqlalchemy as sa

from aacloud.core import brakes
from aacloud.core import hosts as core_hosts
from aacloud.core import incidents as core_incidents
from aacloud.core import topology
from aacloud.core import verdicts
from aacloud.db import books
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import rows
from aacloud.db import story


def utcnow() -> datetime.datetime:
    """The time of the wall clock, aware and in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


@dataclasses.dataclass(frozen=True, slots=True)
class ModeSetting:
    """What an operator set for a domain, and why."""

    level: topology.Level
    name: str
    mode: brakes.Mode
    reason: str
    set_by: str
    set_at: datetime.datetime


class Hosts:
    """The hosts as the leading engine saw them last."""

    def __init__(self, database: engine.Database) -> None:
        self._database = database

    def get(self, name: str) -> core_hosts.HostRecord:
        """One host.

        :raises errors.NotFound: the engine has not seen such a host
        """
        query = sa.select(rows.HOSTS).where(rows.HOSTS.c.name == name)
        row = self._database.read(
            f"host {name}",
            lambda connection: connection.execute(query).one_or_none(),
        )
        if row is None:
            raise errors.NotFound("host", name)
        return rows.host(row)

    def list(
        self,
        *,
        dc: str | None = None,
        rack: str | None = None,
        state: verdicts.HostState | None = None,
        limit: int | None = None,
        marker: str | None = None,
    ) -> tuple[core_hosts.HostRecord, ...]:
        """Hosts in the order of their names.

        :param limit: at most so many
        :param marker: name of the last host of the page before; it need
            not exist any more
        """
        table = rows.HOSTS
        query = sa.select(table).order_by(table.c.name)
        if dc is not None:
            query = query.where(table.c.dc == dc)
        if rack is not None:
            query = query.where(table.c.rack == rack)
        if state is not None:
            query = query.where(table.c.state == state.value)
        if marker is not None:
            query = query.where(table.c.name > marker)
        if limit is not None:
            query = query.limit(limit)
        found = self._database.read(
            "list of hosts",
            lambda connection: connection.execute(query).all(),
        )
        return tuple(rows.host(row) for row in found)


class Modes:
    """Arm, disarm and shadow mode, as operators set them for domains."""

    def __init__(
        self,
        database: engine.Database,
        *,
        now: Callable[[], datetime.datetime] = utcnow,
    ) -> None:
        self._database = database
        self._now = now

    def list(self) -> tuple[ModeSetting, ...]:
        """Every setting, in the order of level and name."""
        table = rows.MODES
        query = sa.select(table).order_by(table.c.level, table.c.name)
        found = self._database.read(
            "modes of the domains",
            lambda connection: connection.execute(query).all(),
        )
        return tuple(
            ModeSetting(
                level=topology.Level(row.level),
                name=row.name,
                mode=brakes.Mode(row.mode),
                reason=row.reason,
                set_by=row.set_by,
                set_at=row.set_at,
            )
            for row in found
        )

    def settings(self) -> Mapping[tuple[topology.Level, str], brakes.Mode]:
        """Every setting as ``brakes.effective_mode`` takes them."""
        return {
            (setting.level, setting.name): setting.mode
            for setting in self.list()
        }

    def set(
        self,
        level: topology.Level,
        name: str,
        mode: brakes.Mode,
        *,
        reason: str,
        by: str,
    ) -> ModeSetting:
        """Set the mode of a domain; whether it exists is not checked here."""
        setting = ModeSetting(
            level=level,
            name=name,
            mode=mode,
            reason=reason[: story.TEXT_LIMIT],
            set_by=by,
            set_at=self._now(),
        )
        table = rows.MODES
        values = rows.plain(dataclasses.asdict(setting))

        def work(connection: sa.Connection, _again: bool) -> None:
            updated = connection.execute(
                sa.update(table)
                .where(table.c.level == level.value, table.c.name == name)
                .values(values)
            )
            if not updated.rowcount:
                connection.execute(sa.insert(table).values(values))

        self._database.write(f"mode of {level.value} {name}", work)
        return setting

    def clear(self, level: topology.Level, name: str) -> bool:
        """Let a domain inherit again.

        :returns: whether there was a setting
        """
        table = rows.MODES

        def work(connection: sa.Connection, again: bool) -> bool:
            deleted = connection.execute(
                sa.delete(table).where(
                    table.c.level == level.value, table.c.name == name
                )
            )
            return again or deleted.rowcount > 0

        return self._database.write(f"mode of {level.value} {name}", work)


class Incidents:
    """Incidents, their servers and events; commands of operators."""

    def __init__(
        self,
        database: engine.Database,
        *,
        now: Callable[[], datetime.datetime] = utcnow,
    ) -> None:
        self._database = database
        self._now = now

    def get(self, incident_id: str) -> core_incidents.Incident:
        """One incident with its commands.

        :raises errors.NotFound: there is none with this id
        """
        found = self._database.read(
            f"incident {incident_id}",
            lambda connection: rows.read_incidents(
                connection, rows.INCIDENTS.c.id == incident_id
            ),
        )
        if not found:
            raise errors.NotFound("incident", incident_id)
        return found[0]

    def list(
        self,
        *,
        host: str | None = None,
        states: Collection[core_incidents.IncidentState] = (),
        is_open: bool | None = None,
        limit: int | None = None,
        marker: str | None = None,
    ) -> tuple[core_incidents.Incident, ...]:
        """Incidents, the newest first.

        :param states: any of these; empty means all
        :param is_open: only open or only closed ones; None means both
        :param limit: at most so many
        :param marker: id of the last incident of the page before
        :raises errors.NotFound: there is no incident with the marker's id
        """
        table = rows.INCIDENTS
        wanted: list[sa.ColumnElement[bool]] = []
        if host is not None:
            wanted.append(table.c.host == host)
        if states:
            wanted.append(table.c.state.in_([state.value for state in states]))
        if is_open is not None:
            wanted.append(
                table.c.open_host.is_not(None)
                if is_open
                else table.c.open_host.is_(None)
            )

        def work(
            connection: sa.Connection,
        ) -> tuple[core_incidents.Incident, ...]:
            after: list[sa.ColumnElement[bool]] = []
            if marker is not None:
                opened_at = connection.scalar(
                    sa.select(table.c.opened_at).where(table.c.id == marker)
                )
                if opened_at is None:
                    raise errors.NotFound("incident", marker)
                after.append(
                    sa.or_(
                        table.c.opened_at < opened_at,
                        sa.and_(
                            table.c.opened_at == opened_at,
                            table.c.id < marker,
                        ),
                    )
                )
            return rows.read_incidents(
                connection, *wanted, *after, limit=limit
            )

        return self._database.read("list of incidents", work)

    def servers(
        self, incident_id: str
    ) -> tuple[core_incidents.ServerRecord, ...]:
        """The servers of an incident, in the order of wave, name and uuid.

        Empty for an incident that is not there.
        """
        return self._database.read(
            f"servers of incident {incident_id}",
            lambda connection: rows.read_servers(connection, incident_id),
        )

    def events(
        self, incident_id: str, *, since_id: int = 0, limit: int | None = None
    ) -> tuple[core_incidents.Event, ...]:
        """The story of an incident in the order in which it was written.

        Events are numbered within their incident under a lock on its row:
        one that is written later always has the higher number, so that
        nobody who follows with ``since_id`` ever misses one.

        :param since_id: only events after this one
        :param limit: at most so many
        """
        table = rows.EVENTS
        query = (
            sa.select(table)
            .where(table.c.incident_id == incident_id, table.c.id > since_id)
            .order_by(table.c.id)
        )
        if limit is not None:
            query = query.limit(limit)
        found = self._database.read(
            f"events of incident {incident_id}",
            lambda connection: connection.execute(query).all(),
        )
        return tuple(rows.event(row) for row in found)

    def moves_since(self, moment: datetime.datetime) -> Mapping[str, int]:
        """How many incidents asked Nova to move each server since then."""
        table = rows.SERVERS
        query = (
            sa.select(table.c.server, sa.func.count())
            .where(table.c.requested_at >= moment)
            .group_by(table.c.server)
        )
        found = self._database.read(
            "recent moves",
            lambda connection: connection.execute(query).all(),
        )
        return {row[0]: row[1] for row in found}

    def write_command(
        self,
        incident_id: str,
        command: core_incidents.Command,
        *,
        by: str,
        reason: str,
    ) -> core_incidents.OperatorCommand:
        """Tell an incident what an operator wants of it.

        The leading engine reads it in its next turn. The incident's version
        stays, so that the engine's next write is not refused for it.

        :raises errors.NotFound: there is none with this id
        :raises errors.CommandRefused: it has gone too far for the command
        """
        asked = core_incidents.OperatorCommand(
            command=command,
            by=by,
            reason=reason[: story.TEXT_LIMIT],
            at=self._now(),
        )
        ticket = str(uuid.uuid4())
        what = f"{command.value} of incident {incident_id}"

        def work(connection: sa.Connection, again: bool) -> None:
            table = rows.INCIDENTS
            # Before the state is read: from here on it stays what it is.
            connection.execute(
                sa.update(table)
                .where(table.c.id == incident_id)
                .values(serial=table.c.serial + 1)
            )
            if again and story.landed(
                connection, books.INCIDENTS, incident_id, ticket
            ):
                return
            row = connection.execute(
                sa.select(table.c.state, table.c.serial).where(
                    table.c.id == incident_id
                )
            ).one_or_none()
            if row is None:
                raise errors.NotFound("incident", incident_id)
            state = core_incidents.IncidentState(row.state)
            if state not in core_incidents.ACCEPTED_IN[command]:
                raise errors.CommandRefused(
                    incident_id, command.value, state.value
                )
            story.add(
                connection,
                books.INCIDENTS,
                incident_id,
                row.serial,
                [
                    story.Line(
                        "command",
                        f"{by} asks: {command.value}: {asked.reason}",
                        detail={"command": command.value, "by": by},
                    )
                ],
                at=asked.at,
                ticket=ticket,
            )
            connection.execute(
                sa.insert(rows.COMMANDS).values(
                    incident_id=incident_id,
                    id=row.serial,
                    command=command.value,
                    set_by=by,
                    reason=asked.reason,
                    at=asked.at,
                )
            )

        self._database.write(what, work)
        return asked
