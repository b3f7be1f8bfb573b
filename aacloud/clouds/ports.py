# SPDX-License-Identifier: Apache-2.0
"""The port to the cloud: what engines and movers may ask and order.

Every method is one bounded exchange with the cloud's services; each may raise
CloudUnknown, CloudRefused and CloudNotFound (``clouds/errors.py``), and
nothing else. Implementations are safe to use from several threads.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import datetime
import typing

from aacloud.core import adoption_live
from aacloud.core import migrations
from aacloud.core import recovery
from aacloud.core import topology as topologies
from aacloud.core import verdicts

EVACUATE_MICROVERSION = "2.94"
"""Up to this one an evacuated server is started; from 2.95 on it is not."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trace:
    """A request in a server's own action log. The time is Nova's."""

    request_id: str
    started_at_utc: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class HostCapacity:
    """A host and what is free on it, by Placement.

    :ivar up: its nova-compute is up for Nova, and not forced down.
    :ivar zone: its availability zone; None when it is not known.
    :ivar running: servers on it now.
    """

    host: str
    vcpus_free: int
    ram_mb_free: int
    disk_gb_free: int
    up: bool
    enabled: bool
    zone: str | None = None
    running: int = 0


class ServerReader(typing.Protocol):
    """What a mover reads."""

    def server(self, uuid: str) -> recovery.ServerView:
        """Return one server, fresh. Its server group is not filled in."""

    def servers_on(self, host: str) -> tuple[recovery.ServerView, ...]:
        """Return all servers of all projects that Nova has on this host.

        Never a part of them: when a cell or a page is missing it raises
        CloudUnknown. Server groups are not filled in: see with_groups().
        """

    def migrations(
        self,
        source: str,
        since: datetime.datetime,
        *,
        evacuations_only: bool = False,
    ) -> tuple[migrations.MigrationView, ...]:
        """Return the migrations away from this host created since then.

        ``since`` is compared with Nova's clock: leave a margin. An empty
        answer may also come from a cell that is down; before anything is
        done *because* a migration is absent, ask evacuation_traces().
        """

    def evacuation_traces(
        self, uuid: str, since: datetime.datetime
    ) -> tuple[Trace, ...]:
        """Return the requests to evacuate this server since then.

        From the server's own action log, in its own cell: raises
        CloudUnknown when that cell does not answer. So an empty answer means
        that no such request reached Nova.
        """


class Evacuator(ServerReader, typing.Protocol):
    """What a mover of evacuations also does."""

    def evacuate(
        self,
        uuid: str,
        host: str,
        *,
        microversion: str = EVACUATE_MICROVERSION,
    ) -> str:
        """Ask Nova to rebuild the server on that host; return a request id.

        Sent once: never retried below this call. After CloudUnknown with
        ``sent`` it may have been taken.
        """


class LiveMigrator(ServerReader, typing.Protocol):
    """What a mover of live migrations also does."""

    def server_in_full(self, uuid: str) -> recovery.ServerView:
        """Return one server with its pinned zone, hints and native group.

        The group says where its members are. Before Nova 2.96 no zone is
        shown, before 2.100 no hints: then they are empty.
        """

    def hosts_now(self) -> Mapping[str, adoption_live.HostNow]:
        """Return whether each host's nova-compute is up, and its zone.

        One request. Hosts of a cell that does not answer are left out.
        """

    def live_migrate(
        self, uuid: str, host: str, *, block_migration: str | bool = "auto"
    ) -> str:
        """Ask Nova to live-migrate the server to that host; return an id.

        The scheduler checks the host as for any other request: nothing is
        forced. Sent once: never retried below this call. After CloudUnknown
        with ``sent`` it may have been taken.
        """

    def abort_live_migration(self, uuid: str, migration_id: int) -> None:
        """Ask Nova to abort a live migration that is queued or runs.

        CloudNotFound, and CloudRefused with 400, say that there is nothing
        to abort: it ended, or is about to end. Look at it afterwards: the
        abort may come too late.
        """

    def live_migration_traces(
        self, uuid: str, since: datetime.datetime
    ) -> tuple[Trace, ...]:
        """Return the requests to live-migrate this server since then.

        As evacuation_traces(): an empty answer means that none reached Nova.
        """


class CloudReader(typing.Protocol):
    """The whole cloud, for who plans over all of it."""

    def servers_all(self) -> tuple[recovery.ServerView, ...]:
        """Return every server of all projects, with its native group.

        With pinned zone (Nova 2.96) and hints (2.100). One request for each
        page of servers, one for each page of groups, two for the cells.
        Never a part of them: raises CloudUnknown when a cell or a page is
        missing. Servers that are born meanwhile may be missing.
        """

    def server_groups(self) -> tuple[recovery.GroupView, ...]:
        """Return all of Nova's own server groups, without members' hosts."""

    def unfinished_migrations(self) -> tuple[migrations.MigrationView, ...]:
        """Return all migrations of any kind that Nova works on.

        Complete, as servers_all(): what was under way at the begin and is
        still at the end is in it. A resize that waits to be confirmed is
        not: nothing is done for it. Of a server that is gone there may be
        one left which never ends.
        """

    def capacity(
        self, hosts: Collection[str]
    ) -> Mapping[str, HostCapacity]:
        """Return what is free on these hosts; three requests for any number.

        Hosts that Nova does not know, and those of a cell that does not
        answer, are left out. What a migration under way holds on either end
        is not free.
        """


class Cloud(Evacuator, LiveMigrator, CloudReader, typing.Protocol):
    """All that the engines need of the cloud."""

    def bound(self, request_id: str) -> Cloud:
        """Return the same cloud whose calls carry this global request id.

        ``req-`` and the incident's uuid: Nova's logs then tell the incident.
        """

    # -- topology -----------------------------------------------------------

    def aggregates(self) -> tuple[topologies.Aggregate, ...]:
        """Return all host aggregates with metadata and hosts."""

    def create_aggregate(
        self, name: str, metadata: Mapping[str, str]
    ) -> topologies.Aggregate:
        """Make a host aggregate (without availability zone)."""

    def set_aggregate_metadata(
        self, aggregate_id: int, metadata: Mapping[str, str]
    ) -> None:
        """Set these keys; others stay."""

    def add_to_aggregate(self, aggregate_id: int, host: str) -> None:
        """Put a host into an aggregate; in it already is fine."""

    def remove_from_aggregate(self, aggregate_id: int, host: str) -> None:
        """Take a host out of an aggregate; not in it is fine."""

    # -- hosts --------------------------------------------------------------

    def services(self) -> Mapping[str, verdicts.NovaServiceView]:
        """Return the nova-compute of each host, all in one call.

        Hosts of a cell that does not answer are left out.
        """

    def force_down(
        self, host: str, down: bool, *, disabled_reason: str | None = None
    ) -> None:
        """Set or take back Nova's statement that the host is down.

        With ``disabled_reason`` (only together with ``down``) the service is
        also disabled, in the same request: nothing is scheduled in between,
        and Nova does not wait for a host that it takes for alive. Repeating
        it changes nothing.
        """

    def disable(self, host: str, reason: str) -> None:
        """Schedule nothing on the host any more.

        When Nova takes the host for up but it is dead this blocks for Nova's
        RPC time-out and ends as CloudUnknown: force it down first.
        """

    def enable(self, host: str) -> None:
        """Schedule on the host again."""

    def destinations(
        self, topology: topologies.Topology
    ) -> tuple[recovery.DestinationView, ...]:
        """Return the hosts of the topology with what is free on them.

        Three requests, whatever the number of hosts. Hosts without room for
        anything are left out.
        """

    # -- servers ------------------------------------------------------------

    def with_groups(
        self, servers: Collection[recovery.ServerView]
    ) -> tuple[recovery.ServerView, ...]:
        """Return the servers with their Nova server groups filled in."""

    def start(self, uuid: str) -> None:
        """Start a stopped server."""

    def stop(self, uuid: str) -> None:
        """Stop a server."""
