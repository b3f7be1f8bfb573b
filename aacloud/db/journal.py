# SPDX-License-Identifier: Apache-2.0
"""The journal of the leading engine: nothing is done that it cannot tell.

Each write is one transaction and is refused, as a whole and with
:class:`~aacloud.db.errors.StaleJournal`, unless

* the epoch that this engine leads with is still the one of the incident's
  row (of the leadership's row where there is no incident yet). A takeover
  raises both, so that of a deposed engine not one more write succeeds;
* the version of the row is still the one that the caller has read.

Both are conditions of the UPDATE itself, see ``writer``. Each write tells an
event in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime
from typing import Any
import uuid

import sqlalchemy as sa

from aacloud.core import brakes
from aacloud.core import hosts as core_hosts
from aacloud.core import incidents as core_incidents
from aacloud.core import topology
from aacloud.db import api
from aacloud.db import books
from aacloud.db import changes
from aacloud.db import engine
from aacloud.db import leadership
from aacloud.db import rows
from aacloud.db import story
from aacloud.db import writer

FAILOVER = "failover"

#: What ``advance`` may change beside the state.
INCIDENT_COLUMNS = frozenset(
    {"mode", "verdict", "proof", "waiting", "summary", "request_id"}
)


class Journal:
    """Reads for everybody, and the writes of the engine that leads.

    Safe for threads. Every method raises
    :class:`~aacloud.db.errors.JournalUnavailable` when the database does
    not answer; after one whose ``unknown`` is set, read the row again.

    :param database: where it is kept
    :param epoch_source: the epoch that this engine leads with (what
        ``take_over`` returned), or None while it does not lead
    :param name: the leadership that new incidents belong to
    :param now: aware wall clock
    """

    def __init__(
        self,
        database: engine.Database,
        epoch_source: Callable[[], int | None],
        *,
        name: str = FAILOVER,
        now: Callable[[], datetime.datetime] = api.utcnow,
    ) -> None:
        self._database = database
        self._leadership = name
        self._now = now
        self._writer = writer.FencedWriter(
            database, epoch_source, leadership_name=name
        )
        self._incidents = api.Incidents(database, now=now)
        self._modes = api.Modes(database, now=now)
        self._hosts = api.Hosts(database)

    # Reads

    def open_incidents(self) -> tuple[core_incidents.Incident, ...]:
        """Every incident that has not ended, the newest first."""
        return self._incidents.list(is_open=True)

    def incident(self, incident_id: str) -> core_incidents.Incident:
        """One incident with its commands.

        :raises errors.NotFound: there is none with this id
        """
        return self._incidents.get(incident_id)

    def servers(
        self, incident_id: str
    ) -> tuple[core_incidents.ServerRecord, ...]:
        """Its servers in the order of wave, name and uuid."""
        return self._incidents.servers(incident_id)

    def events(
        self, incident_id: str, since_id: int = 0, limit: int | None = None
    ) -> tuple[core_incidents.Event, ...]:
        """Its story in the order in which it was written."""
        return self._incidents.events(
            incident_id, since_id=since_id, limit=limit
        )

    def moves_since(self, moment: datetime.datetime) -> Mapping[str, int]:
        """How many incidents asked Nova to move each server since then."""
        return self._incidents.moves_since(moment)

    def modes(self) -> Mapping[tuple[topology.Level, str], brakes.Mode]:
        """What operators set, as ``brakes.effective_mode`` takes it."""
        return self._modes.settings()

    def hosts(self) -> tuple[core_hosts.HostRecord, ...]:
        """The hosts as they were saved last."""
        return self._hosts.list()

    def leader(self) -> leadership.Leadership | None:
        """Who leads, or None when nobody ever did."""
        return leadership.read(self._database, self._leadership)

    # Writes of the leader

    def take_over(self, name: str, holder: str) -> int:
        """Depose whoever led, and adopt every open incident.

        All open incidents are stamped with the new epoch in the transaction
        that raises it. The versions of them and of their servers are raised
        too: records read before cannot be written any more.

        :param name: the leadership, the one that this journal writes for
        :param holder: this engine, as shown to operators
        :returns: the new epoch
        :raises errors.StaleJournal: another engine took over meanwhile
        """
        if name != self._leadership:
            raise ValueError(
                f"this journal writes for {self._leadership}, not for {name}"
            )
        return leadership.take_over(
            self._database, name, holder, now=self._now
        )

    def open_incident(
        self,
        host: str,
        verdict: Mapping[str, Any],
        mode: brakes.Mode,
        *,
        event_text: str,
        kind: str = "host",
        detected_at: datetime.datetime | None = None,
        request_id: str | None = None,
        waiting: str | None = None,
        summary: Mapping[str, Any] | None = None,
    ) -> core_incidents.Incident:
        """Begin an incident in DETECTED, or return the host's open one.

        :raises errors.StaleJournal: another engine leads
        """
        epoch = self._writer.epoch()
        now = self._now()
        incident_id = str(uuid.uuid4())
        incident = core_incidents.Incident(
            id=incident_id,
            host=host,
            kind=kind,
            state=core_incidents.IncidentState.DETECTED,
            mode=mode,
            version=1,
            epoch=epoch,
            opened_at=now,
            updated_at=now,
            detected_at=detected_at or now,
            verdict=verdict,
            waiting=waiting,
            summary=summary or {},
            # What Nova's logs carry for each call made for it.
            request_id=request_id or f"req-{incident_id}",
        )
        ticket = str(uuid.uuid4())

        def work(
            connection: sa.Connection, _again: bool
        ) -> core_incidents.Incident:
            leadership.hold(connection, self._leadership, epoch)
            found = rows.read_incidents(
                connection, rows.INCIDENTS.c.open_host == host
            )
            if found:
                return found[0]
            connection.execute(
                sa.insert(rows.INCIDENTS).values(
                    **rows.incident_values(incident), open_host=host, serial=1
                )
            )
            story.add(
                connection,
                books.INCIDENTS,
                incident.id,
                1,
                [
                    story.Line(
                        "state",
                        event_text,
                        detail={"to": incident.state.value, "epoch": epoch},
                    )
                ],
                at=now,
                ticket=ticket,
            )
            return incident

        return self._database.write(f"new incident of host {host}", work)

    def advance(
        self,
        incident: core_incidents.Incident,
        new_state: core_incidents.IncidentState,
        *,
        event_text: str,
        detail: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> core_incidents.Incident:
        """Write the next state of an incident, or with the same state only
        some columns.

        A new state ends the wait: ``waiting`` is cleared unless given.

        :param columns: what else changes, of ``INCIDENT_COLUMNS``
        :returns: the incident as it was written
        :raises errors.StaleJournal: another engine leads, or the incident
            was changed since it was read
        :raises core_incidents.IllegalTransition: it may not follow
        """
        changes.refuse_unknown(columns, INCIDENT_COLUMNS)
        if new_state is not incident.state:
            core_incidents.check_transition(incident.state, new_state)
            columns.setdefault("waiting", None)
        now = self._now()
        closed = new_state in core_incidents.CLOSED
        written = dataclasses.replace(
            incident,
            state=new_state,
            version=incident.version + 1,
            updated_at=now,
            closed_at=now if closed else None,
            **columns,
        )
        values = rows.plain(
            {**columns, "state": new_state, "closed_at": written.closed_at}
        )
        if closed:
            values["open_host"] = None
        line = story.Line(
            "state" if new_state is not incident.state else "incident",
            event_text,
            detail={
                **(detail or {}),
                "from": incident.state.value,
                "to": new_state.value,
            },
        )
        self._writer.write(
            f"incident {incident.id} of host {incident.host}",
            {incident.id: [line]},
            now,
            read_under=incident.epoch,
            version=incident.version,
            values=values,
        )
        return written

    def note(
        self,
        incident: core_incidents.Incident,
        text: str,
        kind: str = "note",
        *,
        server: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an event; the incident's version stays.

        :raises errors.StaleJournal: another engine leads, or the incident
            is closed
        """
        self._writer.write(
            f"note to incident {incident.id} of host {incident.host}",
            {incident.id: [story.Line(kind, text, server, detail or {})]},
            self._now(),
            read_under=incident.epoch,
        )

    def put_servers(
        self,
        incident: core_incidents.Incident,
        records: Collection[core_incidents.ServerRecord],
        *,
        event_text: str | None = None,
    ) -> tuple[core_incidents.ServerRecord, ...]:
        """Record the servers of an incident; those already there stay.

        :returns: all servers of the incident as they are now
        :raises errors.StaleJournal: another engine leads, or the incident
            is closed
        """
        strangers = {
            record.server
            for record in records
            if record.incident_id != incident.id
        }
        if strangers:
            raise ValueError(
                f"servers of another incident: {sorted(strangers)}"
            )

        def insert(connection: sa.Connection) -> None:
            known = {
                record.server
                for record in rows.read_servers(connection, incident.id)
            }
            fresh = [
                rows.values(dataclasses.replace(record, version=1))
                for record in records
                if record.server not in known
            ]
            if fresh:
                connection.execute(sa.insert(rows.SERVERS), fresh)

        text = event_text or f"{len(records)} servers are recorded"
        self._writer.write(
            f"servers of incident {incident.id} of host {incident.host}",
            {incident.id: [story.Line("plan", text)]},
            self._now(),
            read_under=incident.epoch,
            more=insert,
        )
        return self.servers(incident.id)

    def update_server(
        self,
        record: core_incidents.ServerRecord,
        state: core_incidents.ServerState,
        *,
        event_text: str | None = None,
        detail: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> core_incidents.ServerRecord:
        """Write one server's next state; see ``update_servers``."""
        step = changes.ServerChange(
            record, state, columns, event_text, detail or {}
        )
        return self.update_servers([step])[0]

    def update_servers(
        self, steps: Collection[changes.ServerChange]
    ) -> tuple[core_incidents.ServerRecord, ...]:
        """Write the next states of several servers: all of them or none.

        :returns: the records as they were written, in the given order
        :raises errors.StaleJournal: another engine leads, or one of the
            servers was changed since it was read; names the first
        :raises core_incidents.IllegalTransition: one may not follow
        """
        written = tuple(changes.apply(step) for step in steps)
        if not written:
            return ()
        keys = [(record.incident_id, record.server) for record in written]
        if len(set(keys)) != len(keys):
            raise ValueError("a server is given twice")
        lines: dict[str, list[story.Line]] = {}
        for step in steps:
            lines.setdefault(step.record.incident_id, []).append(
                changes.line(step)
            )

        def update(connection: sa.Connection) -> None:
            # Sorted, so that no two writers wait for each other.
            for _key, step in sorted(
                zip(keys, steps, strict=True), key=lambda pair: pair[0]
            ):
                changes.write(connection, step)

        first = written[0]
        what = f"server {first.name} ({first.server})"
        if len(written) > 1:
            what += f" and {len(written) - 1} more"
        self._writer.write(what, lines, self._now(), more=update)
        return written

    def save_hosts(
        self,
        records: Collection[core_hosts.HostRecord],
        *,
        forget: Iterable[str] = (),
    ) -> None:
        """Keep what is known of hosts, for the API and the next leader.

        :param forget: names of hosts that are no longer in the topology
        :raises errors.StaleJournal: another engine leads
        """
        epoch = self._writer.epoch()
        now = self._now()
        table = rows.HOSTS
        fresh = {
            record.name: {**rows.values(record), "updated_at": now}
            for record in records
        }
        gone = sorted(set(forget) - set(fresh))

        def work(connection: sa.Connection, _again: bool) -> None:
            leadership.hold(connection, self._leadership, epoch)
            known = set(connection.scalars(sa.select(table.c.name)))
            old = [
                {**values, "row_name": name}
                for name, values in sorted(fresh.items())
                if name in known
            ]
            new = [
                values
                for name, values in sorted(fresh.items())
                if name not in known
            ]
            if old:
                connection.execute(
                    sa.update(table).where(
                        table.c.name == sa.bindparam("row_name")
                    ),
                    old,
                )
            if new:
                connection.execute(sa.insert(table), new)
            if gone:
                connection.execute(
                    sa.delete(table).where(table.c.name.in_(gone))
                )

        self._database.write(f"state of {len(fresh)} hosts", work)
