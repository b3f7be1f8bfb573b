# SPDX-License-Identifier: Apache-2.0
"""The strategy of moving servers, as they run, between hosts that live."""

from __future__ import annotations

from collections.abc import Sequence
import datetime

from aacloud.clouds import errors
from aacloud.clouds import moves
from aacloud.clouds import ports
from aacloud.core import adoption
from aacloud.core import adoption_live
from aacloud.core import incidents
from aacloud.core import migrations
from aacloud.core import recovery
from aacloud.core import retries

IN_TRANSIT = datetime.timedelta(days=7)
"""How far back a migration of another kind may have begun and still run."""

MARGIN = datetime.timedelta(days=1)
"""How far back migrations are read: more than any two clocks differ."""

ONE_TRY = retries.RetryPolicy(tries=1)
"""For who plans anew after a failure: its kind becomes the reason code."""


class Hindered(errors.CloudError):
    """Something was in the way right before the request: it was not made.

    :ivar outcome: what it means.
    """

    def __init__(
        self, outcome: adoption.Manual | adoption.Failed | adoption.Wait
    ) -> None:
        self.outcome = outcome
        super().__init__(outcome.reason)


class LiveMigration:
    """Nova copies the memory of the running guest to another host.

    The mover is best given the records of moves that may begin now: of each
    host that they leave, migrations are read in every round.
    """

    kind = migrations.LIVE_MIGRATION

    def __init__(
        self,
        cloud: ports.LiveMigrator,
        policy: adoption_live.LivePolicy | None = None,
    ) -> None:
        self._cloud = cloud
        self._policy = policy or adoption_live.LivePolicy()

    def begin_round(self) -> None:
        """Nothing is kept from round to round."""

    def server(self, uuid: str) -> recovery.ServerView:
        """Read one server."""
        return self._cloud.server(uuid)

    def servers_on(self, host: str) -> Sequence[recovery.ServerView]:
        """Return none: few of a host's servers move, each is read by itself.
        """
        return ()

    def all_migrations(
        self, source: str, now_utc: datetime.datetime
    ) -> Sequence[migrations.MigrationView]:
        """Read migrations of any kind away from a host."""
        return self._cloud.migrations(source, now_utc - IN_TRANSIT)

    def own_migrations(
        self, source: str, now_utc: datetime.datetime
    ) -> Sequence[migrations.MigrationView]:
        """Read the latest migrations of any kind away from a host."""
        return self._cloud.migrations(source, now_utc - MARGIN)

    def under_way(
        self,
        record: incidents.ServerRecord,
        found: Sequence[migrations.MigrationView],
    ) -> migrations.MigrationView | None:
        """Return this attempt's migration that Nova still works on."""
        return adoption_live.unfinished_of(record, found)

    def assumed(
        self,
        record: incidents.ServerRecord,
        found: Sequence[migrations.MigrationView],
        now_utc: datetime.datetime,
    ) -> recovery.ServerView | None:
        """Return the server as it has to be while Nova migrates it.

        Once Nova wrote nothing of the migration for a while it is read.
        """
        migration = self.under_way(record, found)
        if migration is None or self._policy.settling_s < (
            adoption_live.idle_s(migration, now_utc)
        ):
            return None
        return moves.at_source(record, "migrating")

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
        """Decide by the rules of ``core/adoption_live.py``."""
        return adoption_live.decide_live_migration(
            record,
            server,
            found,
            now_utc,
            self._policy,
            watched_s=watched_s,
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
                if one.server == record.server and one.is_live
            ),
            default=None,
        )
        traces = self._cloud.live_migration_traces(
            record.server, now_utc - MARGIN
        )
        late = [
            one
            for one in traces
            if newest is None or one.started_at_utc > newest
        ]
        return max(late, key=lambda one: one.started_at_utc, default=None)

    def check(self, record: incidents.ServerRecord) -> None:
        """Look whether nothing is in the way that Nova would not name.

        :raises Hindered: something is
        """
        server = self._cloud.server_in_full(record.server)
        hosts = self._cloud.hosts_now()
        found = adoption_live.hindrance(
            record,
            server,
            hosts.get(record.source),
            hosts.get(record.destination or ""),
        )
        if found is not None:
            raise Hindered(found)

    def send(self, record: incidents.ServerRecord) -> str:
        """Order the live migration to this host alone."""
        if record.destination is None:
            raise ValueError(f"server {record.server} has no destination")
        return self._cloud.live_migrate(record.server, record.destination)

    def refusal(self, error: Exception) -> adoption_live.Refusal:
        """Say what a refusal means for the next try."""
        if isinstance(error, Hindered):
            if isinstance(error.outcome, adoption.Failed):
                return error.outcome.kind
            if isinstance(error.outcome, adoption.Manual):
                return error.outcome
            return None
        if isinstance(error, errors.CloudRefused):
            return adoption_live.refused(error.code, error.message)
        # Not found is the server: it is looked for, and called deleted.
        return None

    def left_behind(
        self,
        record: incidents.ServerRecord,
        failed: adoption.Failed,
        since: float,
        waited_s: float,
        patience_s: float,
    ) -> adoption.Wait | adoption.Manual | None:
        """Return None: the hypervisor runs a guest on one end or the other.

        Where Nova itself is not sure it sets the server to error, and that
        is no failure to be tried again.
        """
        return None

    def by_hand(self, record: incidents.ServerRecord) -> str:
        """Return the command of the same move."""
        return (
            "openstack server migrate --live-migration --host"
            f" {record.destination or '<host>'} {record.server}"
        )

    def verify(
        self,
        record: incidents.ServerRecord,
        server: recovery.ServerView,
    ) -> str | None:
        """Compare the server with what it was before it moved."""
        if server.host != record.destination:
            return f"Nova places it on {server.host or 'no host'}"
        if server.task_state is not None:
            return f"Nova still works on it ({server.task_state})"
        if server.vm_state != "active":
            return f"it is {server.vm_state} there, not active"
        if server.power_state != "running":
            return f"the power state of its guest is {server.power_state}"
        return None
