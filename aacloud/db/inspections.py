# SPDX-License-Identifier: Apache-2.0
"""What inspections found last, and where the members were seen last."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime
from typing import Any

import sqlalchemy as sa

from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import group_rows

_REPORTS = group_rows.REPORTS
_PLACES = group_rows.PLACES


@dataclasses.dataclass(frozen=True, slots=True)
class StoredReport:
    """The newest inspection of a group.

    :ivar state: a state of ``rules.GroupState``
    :ivar revision: of the group that was inspected
    :ivar inspected_at: when it was read where the members are: of two
        reports the one that began later counts, whenever they are done
    :ivar since: since when the group is in this state
    :ivar report: all that was found, as JSON-able values
    """

    group_id: str
    state: str
    revision: int
    inspected_at: datetime.datetime
    report: Mapping[str, Any]
    since: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ServerPlace:
    """Where a member was when it was seen last.

    :ivar hosts: two while it is moved
    """

    server: str
    name: str
    project_id: str
    hosts: tuple[str, ...]
    vm_state: str
    seen_at: datetime.datetime


class Inspections:
    """The newest report of each group. No leadership is needed: of two
    engines that inspected a group the one that read later counts, and none
    that knew an older revision of the group."""

    def __init__(self, database: engine.Database) -> None:
        self._database = database

    def save(
        self, reports: Iterable[StoredReport]
    ) -> tuple[tuple[str, str | None, str], ...]:
        """Keep reports, unless a newer one is there.

        :param reports: their ``since`` is set here
        :returns: (group, old state, new state) of each group whose state
            changed; the old state is None for a group seen first
        """
        given = {report.group_id: report for report in reports}

        def work(
            connection: sa.Connection, _again: bool
        ) -> tuple[tuple[str, str | None, str], ...]:
            known = _by_key(
                connection,
                sa.select(
                    _REPORTS.c.group_id,
                    _REPORTS.c.state,
                    _REPORTS.c.since,
                    _REPORTS.c.inspected_at,
                    _REPORTS.c.revision,
                ),
                _REPORTS.c.group_id,
                given,
            )
            fresh, changed = [], []
            for group_id, report in sorted(given.items()):
                old = known.get(group_id)
                if old and (
                    old.inspected_at >= report.inspected_at
                    or old.revision > report.revision
                ):
                    continue
                same = old is not None and old.state == report.state
                since = old.since if old and same else report.inspected_at
                fresh.append(
                    {**dataclasses.asdict(report), "since": since}
                )
                if not same:
                    before = None if old is None else old.state
                    changed.append((group_id, before, report.state))
            _put(connection, _REPORTS, _REPORTS.c.group_id, fresh, known)
            return tuple(changed)

        return self._database.write(f"{len(given)} reports", work)

    def get(self, group_id: str) -> StoredReport:
        """The newest report of a group.

        :raises errors.NotFound: it was never inspected
        """
        found = self.list([group_id])
        if not found:
            raise errors.NotFound("report of HA server group", group_id)
        return found[0]

    def list(
        self,
        groups: Collection[str] | None = None,
        *,
        states: Collection[str] = (),
    ) -> tuple[StoredReport, ...]:
        """The newest reports by group; None: of all groups."""
        query = sa.select(_REPORTS).order_by(_REPORTS.c.group_id)
        if states:
            query = query.where(_REPORTS.c.state.in_(sorted(states)))
        found = self._database.read(
            "reports of groups",
            lambda connection: _rows(
                connection, query, _REPORTS.c.group_id, groups
            ),
        )
        return tuple(StoredReport(**row._mapping) for row in found)

    def counts(self) -> Mapping[str, int]:
        """State -> how many groups are in it."""
        query = sa.select(_REPORTS.c.state, sa.func.count()).group_by(
            _REPORTS.c.state
        )
        found = self._database.read(
            "states of groups",
            lambda connection: connection.execute(query).all(),
        )
        return {row[0]: row[1] for row in found}

    def forget(self, groups: Collection[str]) -> None:
        """Drop the reports of groups that are no more."""
        _delete(self._database, _REPORTS, _REPORTS.c.group_id, groups)


class Places:
    """Where members were seen last, for the API and after a start."""

    def __init__(self, database: engine.Database) -> None:
        self._database = database

    def save(self, places: Iterable[ServerPlace]) -> None:
        """Keep places, unless a newer one is there."""
        given = {place.server: place for place in places}

        def work(connection: sa.Connection, _again: bool) -> None:
            known = _by_key(
                connection,
                sa.select(_PLACES.c.server, _PLACES.c.seen_at),
                _PLACES.c.server,
                given,
            )
            fresh = [
                {**dataclasses.asdict(place), "hosts": list(place.hosts)}
                for server, place in sorted(given.items())
                if server not in known
                or known[server].seen_at < place.seen_at
            ]
            _put(connection, _PLACES, _PLACES.c.server, fresh, known)

        self._database.write(f"places of {len(given)} servers", work)

    def list(
        self, servers: Collection[str] | None = None
    ) -> Mapping[str, ServerPlace]:
        """Server -> its place; None: of all that are known."""
        query = sa.select(_PLACES)
        found = self._database.read(
            "places of servers",
            lambda connection: _rows(
                connection, query, _PLACES.c.server, servers
            ),
        )
        return {
            row.server: ServerPlace(
                **{**row._mapping, "hosts": tuple(row.hosts)}
            )
            for row in found
        }

    def forget(self, servers: Collection[str]) -> None:
        """Drop the places of servers that are no more, or no members."""
        _delete(self._database, _PLACES, _PLACES.c.server, servers)


def _rows(
    connection: sa.Connection,
    query: sa.Select[Any],
    key: sa.Column[Any],
    names: Collection[str] | None,
) -> list[sa.Row[Any]]:
    if names is None:
        return list(connection.execute(query).all())
    return [
        row
        for batch in group_rows.batches(names)
        for row in connection.execute(query.where(key.in_(batch)))
    ]


def _by_key(
    connection: sa.Connection,
    query: sa.Select[Any],
    key: sa.Column[Any],
    names: Collection[str],
) -> dict[str, sa.Row[Any]]:
    return {
        row._mapping[key.name]: row
        for row in _rows(connection, query, key, names)
    }


def _put(
    connection: sa.Connection,
    table: sa.Table,
    key: sa.Column[Any],
    fresh: list[dict[str, Any]],
    known: Collection[str],
) -> None:
    old = [
        {**values, "row_key": values[key.name]}
        for values in fresh
        if values[key.name] in known
    ]
    new = [values for values in fresh if values[key.name] not in known]
    if old:
        connection.execute(
            sa.update(table).where(key == sa.bindparam("row_key")), old
        )
    if new:
        connection.execute(sa.insert(table), new)


def _delete(
    database: engine.Database,
    table: sa.Table,
    key: sa.Column[Any],
    names: Collection[str],
) -> None:
    def work(connection: sa.Connection, _again: bool) -> None:
        for batch in group_rows.batches(names):
            connection.execute(sa.delete(table).where(key.in_(batch)))

    database.write(f"{len(names)} rows of {table.name}", work)
