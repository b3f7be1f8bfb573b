# SPDX-License-Identifier: Apache-2.0
"""The cloud as Nova and Placement show it.

Every call states its microversion: the lowest that says what is needed. Later
ones make Nova look up more (2.96 makes a list of servers a fifth dearer than
2.69), and 2.88 asks every host for its uptime.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from concurrent import futures
import datetime
from typing import Any

from keystoneauth1 import session as ks_session
from oslo_config import cfg

from aacloud.clouds import capacity
from aacloud.clouds import census
from aacloud.clouds import compute_api
from aacloud.clouds import errors
from aacloud.clouds import keystone
from aacloud.clouds import ports
from aacloud.clouds import views
from aacloud.conf import keystone as keystone_conf
from aacloud.core import migrations
from aacloud.core import recovery
from aacloud.core import topology as topologies
from aacloud.core import verdicts

V_PLAIN = "2.1"
V_ACTIONS = "2.58"
V_ABORT = "2.65"
"""From this one on a live migration that is still queued can be aborted."""
V_LIVE_MIGRATE = "2.68"
"""From this one on Nova knows no force any more: its scheduler is asked."""
V_PINNED = "2.96"
"""From this one on the zone that a server is pinned to is shown."""

REASON_LIMIT = 255
"""Characters that Nova takes as the reason of a disabled service."""


class NovaCloud(census.Census):
    """The port ``clouds/ports.py:Cloud``, over novaclient.

    Safe to use from several threads. All calls end within the session's
    time-out, some make two or three.
    """

    @classmethod
    def over(
        cls,
        session: ks_session.Session,
        *,
        region: str | None = None,
        interface: Any = None,
    ) -> NovaCloud:
        """Make it from a session with Keystone. Makes no request yet."""
        return cls(
            compute_api.ComputeApi(session, region, interface),
            capacity.Placement(session, region, interface),
        )

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> NovaCloud:
        """Make it from ``[aacloud_keystone]``. Makes no request yet."""
        section = conf[keystone_conf.GROUP]
        return cls.over(
            keystone.session_from_conf(conf),
            region=section.region_name,
            interface=section.valid_interfaces,
        )

    def bound(self, request_id: str) -> NovaCloud:
        """Return the same cloud whose calls carry this global request id."""
        return NovaCloud(
            self._api.bound(request_id), self._placement.bound(request_id)
        )

    # -- topology -----------------------------------------------------------

    def aggregates(self) -> tuple[topologies.Aggregate, ...]:
        """Return all host aggregates."""
        what = "list host aggregates"
        found = self._api.read(V_PLAIN, "/os-aggregates", "aggregates", what)
        return tuple(
            views.parsed(what, views.aggregate, one) for one in found
        )

    def create_aggregate(
        self, name: str, metadata: Mapping[str, str]
    ) -> topologies.Aggregate:
        """Make a host aggregate and give it its metadata."""
        what = f"create aggregate {name}"
        _, answer = self._api.exchange(
            V_PLAIN, "POST", "/os-aggregates", what,
            {"aggregate": {"name": name}},
        )
        made: int = views.parsed(
            what,
            lambda body: body["aggregate"]["id"],
            compute_api.mapping(answer),
        )
        self.set_aggregate_metadata(made, metadata)
        return topologies.Aggregate(
            id=made, name=name, metadata=dict(metadata)
        )

    def set_aggregate_metadata(
        self, aggregate_id: int, metadata: Mapping[str, str]
    ) -> None:
        """Set these keys; others stay."""
        self._api.exchange(
            V_PLAIN, "POST", f"/os-aggregates/{aggregate_id}/action",
            f"set the metadata of aggregate {aggregate_id}",
            {"set_metadata": {"metadata": dict(metadata)}},
        )

    def add_to_aggregate(self, aggregate_id: int, host: str) -> None:
        """Put a host into an aggregate."""
        try:
            self._api.exchange(
                V_PLAIN, "POST", f"/os-aggregates/{aggregate_id}/action",
                f"add host {host} to aggregate {aggregate_id}",
                {"add_host": {"host": host}},
            )
        except errors.CloudRefused as error:
            if error.code != 409 or not self._is_in(aggregate_id, host):
                raise

    def remove_from_aggregate(self, aggregate_id: int, host: str) -> None:
        """Take a host out of an aggregate."""
        try:
            self._api.exchange(
                V_PLAIN, "POST", f"/os-aggregates/{aggregate_id}/action",
                f"remove host {host} from aggregate {aggregate_id}",
                {"remove_host": {"host": host}},
            )
        except errors.CloudNotFound:
            if self._is_in(aggregate_id, host):
                raise

    def _is_in(self, aggregate_id: int, host: str) -> bool:
        return any(
            one.id == aggregate_id and host in one.hosts
            for one in self.aggregates()
        )

    # -- hosts --------------------------------------------------------------

    def services(self) -> Mapping[str, verdicts.NovaServiceView]:
        """Return the nova-compute of each host."""
        now = self._api.clock()
        beats = self._api.shared.heartbeats
        return {
            host: views.parsed(
                "list compute services",
                lambda one: beats.view(one, now), document,
            )
            for host, document in self._services().items()
            if not census.cell_is_down(document)
        }

    def force_down(
        self, host: str, down: bool, *, disabled_reason: str | None = None
    ) -> None:
        """Set or take back Nova's statement that the host is down."""
        service = self._service(host)
        change: dict[str, object] = {}
        if bool(service["forced_down"]) is not down:
            change["forced_down"] = down
        if down and disabled_reason and service["status"] == "enabled":
            change.update(_disabled(disabled_reason))
        verb = "force down" if down else "take back force-down of"
        self._update_service(service, change, f"{verb} host {host}")

    def disable(self, host: str, reason: str) -> None:
        """Schedule nothing on the host any more."""
        service = self._service(host)
        # One who disabled it before keeps the reason: it is not ours to lift.
        change = _disabled(reason) if service["status"] == "enabled" else {}
        self._update_service(
            service, change, f"disable scheduling on host {host}"
        )

    def enable(self, host: str) -> None:
        """Schedule on the host again."""
        service = self._service(host)
        change = (
            {"status": "enabled"} if service["status"] == "disabled" else {}
        )
        self._update_service(
            service, change, f"enable scheduling on host {host}"
        )

    def destinations(
        self, topology: topologies.Topology
    ) -> tuple[recovery.DestinationView, ...]:
        """Return the hosts of the topology with what is free on them."""
        with futures.ThreadPoolExecutor(3) as pool:
            services = pool.submit(self._services)
            hypervisors = pool.submit(self._hypervisors)
            free = pool.submit(self._placement.free)
            found = (services.result(), hypervisors.result(), free.result())
            return views.parsed(
                "put together the destinations",
                lambda parts: capacity.destinations(topology, *parts), found,
            )

    def _service(self, host: str) -> views.Json:
        service = self._services(host).get(host)
        if service is None:
            raise errors.CloudNotFound(
                f"Nova knows no {census.COMPUTE} on host {host}: see"
                " 'openstack compute service list'"
            )
        if census.cell_is_down(service):
            raise errors.CloudUnknown(
                f"the cell of host {host} does not answer Nova: look at its"
                " database and message queue", sent=False,
            )
        return service

    def _update_service(
        self, service: views.Json, change: Mapping[str, object], what: str
    ) -> None:
        if change:
            self._api.exchange(
                census.V_HYPERVISORS, "PUT",
                f"/os-services/{service['id']}", what, change,
            )

    # -- servers ------------------------------------------------------------

    def server(self, uuid: str) -> recovery.ServerView:
        """Return one server, fresh."""
        what = f"show server {uuid}"
        document = self._api.read(
            census.V_CELLS, f"/servers/{uuid}", "server", what
        )
        return views.parsed(what, views.server, document)

    def servers_on(self, host: str) -> tuple[recovery.ServerView, ...]:
        """Return all servers of all projects that Nova has on this host."""
        found = self._servers_on(host)
        if not found:
            # Nova leaves out what is in a cell that is down without a word,
            # when it is asked for one host: then none may be all.
            self._service(host)
            found = self._servers_on(host)
        return found

    def _servers_on(self, host: str) -> tuple[recovery.ServerView, ...]:
        what = f"list the servers on host {host}"
        return tuple(
            views.parsed(what, views.server, document)
            for document in self._api.pages(
                self._api.capped(V_PINNED), "/servers/detail", "servers", what,
                {"all_tenants": 1, "host": host}, "id",
            )
        )

    def with_groups(
        self, servers: Collection[recovery.ServerView]
    ) -> tuple[recovery.ServerView, ...]:
        """Return the servers with their server groups filled in."""
        return capacity.with_groups(
            servers, self.server_groups(), self._hosts_of
        ) if servers else ()

    def start(self, uuid: str) -> None:
        """Start a stopped server."""
        what = f"start server {uuid}"
        self._api.act(uuid, V_PLAIN, {"os-start": None}, what)

    def stop(self, uuid: str) -> None:
        """Stop a server."""
        what = f"stop server {uuid}"
        self._api.act(uuid, V_PLAIN, {"os-stop": None}, what)

    # -- moves --------------------------------------------------------------

    def evacuate(
        self,
        uuid: str,
        host: str,
        *,
        microversion: str = ports.EVACUATE_MICROVERSION,
    ) -> str:
        """Ask Nova to rebuild the server on that host."""
        return self._api.act(
            uuid, self._api.capped(microversion), {"evacuate": {"host": host}},
            f"evacuate server {uuid} to host {host}",
        )

    def migrations(
        self,
        source: str,
        since: datetime.datetime,
        *,
        evacuations_only: bool = False,
    ) -> tuple[migrations.MigrationView, ...]:
        """Return the migrations away from this host created since then."""
        what = f"list the migrations away from host {source}"
        query: dict[str, object] = {"source_compute": source}
        if evacuations_only:
            query["migration_type"] = migrations.EVACUATION
        found = []
        # Not by changes-since: Nova compares that with updated_at, which a
        # migration that was only just accepted does not have yet.
        for document in self._api.pages(
            census.V_MIGRATIONS, "/os-migrations", "migrations", what,
            query, "uuid",
        ):
            one = views.parsed(what, views.migration, document)
            if one.created_at_utc < since:
                break
            found.append(one)
        return tuple(found)

    def evacuation_traces(
        self, uuid: str, since: datetime.datetime
    ) -> tuple[ports.Trace, ...]:
        """Return the requests to evacuate this server since then."""
        return self._traces(uuid, "evacuate", since)

    def live_migrate(
        self, uuid: str, host: str, *, block_migration: str | bool = "auto"
    ) -> str:
        """Ask Nova to live-migrate the server to that host."""
        order = {"host": host, "block_migration": block_migration}
        return self._api.act(
            uuid, V_LIVE_MIGRATE, {"os-migrateLive": order},
            f"live-migrate server {uuid} to host {host}",
        )

    def abort_live_migration(self, uuid: str, migration_id: int) -> None:
        """Ask Nova to abort a live migration that is queued or runs."""
        self._api.exchange(
            V_ABORT, "DELETE", f"/servers/{uuid}/migrations/{migration_id}",
            f"abort live migration {migration_id} of server {uuid}", None,
        )

    def live_migration_traces(
        self, uuid: str, since: datetime.datetime
    ) -> tuple[ports.Trace, ...]:
        """Return the requests to live-migrate this server since then."""
        return self._traces(uuid, "live-migration", since)

    def _traces(
        self, uuid: str, action: str, since: datetime.datetime
    ) -> tuple[ports.Trace, ...]:
        what = f"read the action log of server {uuid}"
        found = self._api.read(
            V_ACTIONS, f"/servers/{uuid}/os-instance-actions",
            "instanceActions", what, {"limit": 100},
        )
        traces = (
            views.parsed(
                what,
                lambda one: ports.Trace(
                    one["request_id"], views.moment(one["start_time"])
                ),
                document,
            )
            for document in found
            if document.get("action") == action
        )
        return tuple(one for one in traces if one.started_at_utc >= since)


def _disabled(reason: str) -> dict[str, object]:
    return {"status": "disabled", "disabled_reason": reason[:REASON_LIMIT]}
