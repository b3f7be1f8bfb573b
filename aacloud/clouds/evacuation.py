# SPDX-License-Identifier: Apache-2.0
"""The strategy of moving servers away from a host that is dead."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
import datetime

from novaclient import api_versions

from aacloud.clouds import errors
from aacloud.clouds import moves
from aacloud.clouds import ports
from aacloud.core import adoption
from aacloud.core import incidents
from aacloud.core import migrations
from aacloud.core import recovery
from aacloud.core import remains
from aacloud.core import retries

IN_TRANSIT = datetime.timedelta(days=7)
"""How far back a migration of another kind may have begun and still run."""

MARGIN = datetime.timedelta(days=1)
"""How far back evacuations are read: more than any two clocks differ."""

_STOPS = api_versions.APIVersion("2.95")
"""From this microversion on an evacuated server is left stopped."""

_TRY_LATER = frozenset({401, 403, 413, 429})
"""Refusals that say nothing about the server or the destination."""


class Evacuation:
    """Nova rebuilds the server on another host, on the same disks.

    :param runs_on: says whether a failed try left its guest on a host
    :param fenced: names hosts with a fence proof that holds
    """

    kind = migrations.EVACUATION

    def __init__(
        self,
        cloud: ports.Evacuator,
        policy: adoption.AdoptionPolicy | None = None,
        microversion: str = ports.EVACUATE_MICROVERSION,
        *,
        runs_on: moves.RunsOn,
        fenced: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._runs_on = runs_on
        self._fenced = fenced
        self._fenced_now: Collection[str] = frozenset()
        self._cloud = cloud
        self._policy = policy or adoption.AdoptionPolicy()
        self._microversion = microversion

    def begin_round(self) -> None:
        """Ask which hosts are fenced now."""
        self._fenced_now = frozenset(self._fenced())

    def server(self, uuid: str) -> recovery.ServerView:
        """Read one server."""
        return self._cloud.server(uuid)

    def servers_on(self, host: str) -> Sequence[recovery.ServerView]:
        """Read all servers of a host."""
        return self._cloud.servers_on(host)

    def all_migrations(
        self, source: str, now_utc: datetime.datetime
    ) -> Sequence[migrations.MigrationView]:
        """Read migrations of any kind away from a host."""
        return self._cloud.migrations(source, now_utc - IN_TRANSIT)

    def own_migrations(
        self, source: str, now_utc: datetime.datetime
    ) -> Sequence[migrations.MigrationView]:
        """Read the evacuations of a host."""
        return self._cloud.migrations(
            source, now_utc - MARGIN, evacuations_only=True
        )

    def under_way(
        self,
        record: incidents.ServerRecord,
        found: Sequence[migrations.MigrationView],
    ) -> migrations.MigrationView | None:
        """Return this attempt's evacuation that Nova still works on."""
        return next(
            (
                one
                for one in found
                if one.server == record.server
                and one.is_evacuation
                and one.unfinished
                and one.id not in record.past_migrations
            ),
            None,
        )

    def assumed(
        self,
        record: incidents.ServerRecord,
        found: Sequence[migrations.MigrationView],
        now_utc: datetime.datetime,
    ) -> recovery.ServerView | None:
        """Return the server as it has to be while Nova evacuates it."""
        migration = self.under_way(record, found)
        if migration is None or migration.dest in self._fenced_now:
            return None
        return moves.at_source(record, "rebuilding")

    def decide(
        self,
        record: incidents.ServerRecord,
        server: recovery.ServerView | None,
        found: Sequence[migrations.MigrationView] | None,
        now_utc: datetime.datetime,
        *,
        watched_s: float,
        gone: bool,
    ) -> adoption.Outcome:
        """Decide by the rules of ``core/adoption.py``."""
        return adoption.decide_evacuate(
            record,
            server,
            found,
            now_utc,
            self._policy,
            watched_s=watched_s,
            fenced=self._fenced_now,
            gone=gone,
        )

    def lost_request(
        self,
        record: incidents.ServerRecord,
        found: Sequence[migrations.MigrationView],
        now_utc: datetime.datetime,
    ) -> ports.Trace | None:
        """Return a request in the server's action log without migration.

        Nova writes the action first and the migration right after, both by
        its own clock: a request later than the newest migration has none.
        """
        newest = max(
            (
                one.created_at_utc
                for one in found
                if one.server == record.server and one.is_evacuation
            ),
            default=None,
        )
        traces = self._cloud.evacuation_traces(
            record.server, now_utc - MARGIN
        )
        late = [
            one
            for one in traces
            if newest is None or one.started_at_utc > newest
        ]
        return max(late, key=lambda one: one.started_at_utc, default=None)

    def check(self, record: incidents.ServerRecord) -> None:
        """Nothing is looked at: that the host is fenced was made sure of."""

    def send(self, record: incidents.ServerRecord) -> str:
        """Order the evacuation."""
        if record.destination is None:
            raise ValueError(f"server {record.server} has no destination")
        return self._cloud.evacuate(
            record.server,
            record.destination,
            microversion=self._microversion,
        )

    def refusal(self, error: Exception) -> retries.FailureKind | None:
        """Say what a refusal means for the next try."""
        if isinstance(error, errors.CloudRefused):
            if error.code in _TRY_LATER:
                return None
            if error.code == 400 and "in use" in error.message:
                return retries.FailureKind.SOURCE_NOT_DOWN
        return retries.FailureKind.REFUSED

    def left_behind(
        self,
        record: incidents.ServerRecord,
        failed: adoption.Failed,
        since: float,
        waited_s: float,
        patience_s: float,
    ) -> adoption.Wait | adoption.Manual | None:
        """Make sure that a failed try left no guest on its destination."""
        if (
            failed.kind is not retries.FailureKind.MIGRATION_FAILED
            or record.destination is None
        ):
            return None
        return remains.left_behind(
            record.server,
            record.destination,
            self._runs_on(record.destination, record.server, since),
            waited_s,
            patience_s,
        )

    def by_hand(self, record: incidents.ServerRecord) -> str:
        """Return the command of the same move."""
        return (
            f"openstack server evacuate --host <other host> {record.server}"
        )

    def verify(
        self,
        record: incidents.ServerRecord,
        server: recovery.ServerView,
    ) -> str | None:
        """Compare the server with what it was before its host died."""
        if server.host == record.source:
            return f"Nova places it on {record.source} again"
        if server.task_state is not None:
            return f"Nova still works on it ({server.task_state})"
        wanted = self._wanted(record)
        if server.vm_state != wanted:
            return f"it is {server.vm_state} there, not {wanted}"
        if wanted == "active" and server.power_state == "crashed":
            return "its guest crashed there"
        return None

    def _wanted(self, record: incidents.ServerRecord) -> str:
        before = record.snapshot.get("vm_state", "active")
        if before == "stopped":
            return "stopped"
        # Nova starts a server that was in error, whatever is asked.
        stops = api_versions.APIVersion(self._microversion) >= _STOPS
        return "stopped" if stops and before != "error" else "active"
