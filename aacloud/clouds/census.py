# SPDX-License-Identifier: Apache-2.0
"""The whole cloud in a few requests: every server, group and migration.

Each answer is complete, or CloudUnknown is raised. Nova leaves out what is in
a cell that is down without a word as soon as a list has pages; so its hosts
are looked at before and after, and no cell may be down then.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from concurrent import futures
import dataclasses

from aacloud.clouds import capacity as capacities
from aacloud.clouds import compute_api
from aacloud.clouds import errors
from aacloud.clouds import ports
from aacloud.clouds import views
from aacloud.core import adoption_live
from aacloud.core import migrations
from aacloud.core import recovery

COMPUTE = "nova-compute"

V_HYPERVISORS = "2.53"
V_MIGRATIONS = "2.59"
V_GROUPS = "2.64"
V_CELLS = "2.69"
"""From this one on what is in a cell that is down is told apart."""
V_HINTS = "2.100"
"""From this one on the hints are shown; from 2.96 on the pinned zone is."""

PARALLEL = 8
"""Requests in flight where one is needed for each item."""


class Census:
    """What :class:`aacloud.clouds.nova.NovaCloud` knows of everything."""

    def __init__(
        self, api: compute_api.ComputeApi, placement: capacities.Placement
    ) -> None:
        self._api = api
        self._placement = placement

    # -- servers ------------------------------------------------------------

    def servers_all(self) -> tuple[recovery.ServerView, ...]:
        """Return every server of all projects, with its native group."""
        what = "list all servers"
        self._check_cells(what)
        found = {
            one.uuid: one
            for one in (
                views.parsed(what, views.server, document)
                for document in self._api.pages(
                    self._api.capped(V_HINTS), "/servers/detail", "servers",
                    what, {"all_tenants": 1}, "id",
                )
            )
        }
        groups = self.server_groups()
        self._check_cells(what)
        # Members that are not in the list were born after it was read.
        return capacities.with_groups(
            found.values(), groups, lambda missing: {}
        )

    def server_in_full(self, uuid: str) -> recovery.ServerView:
        """Return one server with zone, hints and native group."""
        what = f"show server {uuid}"
        document = self._api.read(
            self._api.capped(V_HINTS), f"/servers/{uuid}", "server", what
        )
        server = views.parsed(what, views.server, document)
        groups = views.parsed(
            what, lambda one: list(one.get("server_groups") or ()), document
        )
        if not groups:
            return server
        what = f"show server group {groups[0]}"
        group = views.parsed(
            what,
            views.group,
            self._api.read(
                V_GROUPS, f"/os-server-groups/{groups[0]}", "server_group",
                what,
            ),
        )
        (found,) = capacities.with_groups([server], [group], self._hosts_of)
        return found

    def server_groups(self) -> tuple[recovery.GroupView, ...]:
        """Return all of Nova's own server groups."""
        found: list[recovery.GroupView] = []
        while True:
            # One is asked for again: when it is not at its place any more,
            # a group before it is gone, and another one was skipped.
            page = self._groups_from(max(0, len(found) - 1))
            if found and (not page or page[0].id != found[-1].id):
                raise errors.CloudUnknown(
                    "list server groups: groups were deleted while they were"
                    " listed"
                )
            # Where a page has one group only, the next one is looked for.
            fresh = page[1:] if found else page
            fresh = fresh or self._groups_from(len(found))
            if not fresh:
                return tuple(found)
            found.extend(fresh)

    def _groups_from(self, offset: int) -> list[recovery.GroupView]:
        what = "list server groups"
        return [
            views.parsed(what, views.group, one)
            for one in self._api.read(
                V_GROUPS, "/os-server-groups", "server_groups", what,
                {"all_projects": "True", "offset": offset},
            )
        ]

    def _hosts_of(self, uuids: Collection[str]) -> dict[str, str]:
        """Return where servers are; those that are gone are left out."""

        def host(uuid: str) -> str | None:
            what = f"show server {uuid}"
            try:
                document = self._api.read(
                    V_CELLS, f"/servers/{uuid}", "server", what
                )
            except errors.CloudNotFound:
                return None
            return views.parsed(what, views.server, document).host

        with futures.ThreadPoolExecutor(PARALLEL) as pool:
            found = zip(uuids, pool.map(host, uuids), strict=True)
            return {uuid: where for uuid, where in found if where}

    # -- migrations ---------------------------------------------------------

    def unfinished_migrations(self) -> tuple[migrations.MigrationView, ...]:
        """Return all migrations of any kind that Nova works on."""
        what = "list the migrations under way"
        self._check_cells(what)
        found: dict[int | str, migrations.MigrationView] = {}
        # In the order of their progress, one after the other: one that goes
        # on between two requests is met again by the next.
        for status in migrations.UNFINISHED:
            for document in self._api.pages(
                V_MIGRATIONS, "/os-migrations", "migrations", what,
                {"status": status}, "uuid",
            ):
                one = views.parsed(what, views.migration, document)
                found[one.uuid or one.id] = one
        self._check_cells(what)
        return tuple(found.values())

    # -- hosts --------------------------------------------------------------

    def hosts_now(self) -> Mapping[str, adoption_live.HostNow]:
        """Return whether each host's nova-compute is up, and its zone."""
        return {
            host: views.parsed("list compute services", _host_now, one)
            for host, one in self._services().items()
            if not cell_is_down(one)
        }

    def capacity(
        self, hosts: Collection[str]
    ) -> Mapping[str, ports.HostCapacity]:
        """Return what is free on these hosts."""
        with futures.ThreadPoolExecutor(3) as pool:
            services = pool.submit(self._services)
            hypervisors = pool.submit(self._hypervisors)
            free = pool.submit(self._placement.free)
            found = (services.result(), hypervisors.result(), free.result())
        return views.parsed(
            "put together what is free",
            lambda parts: _capacity(set(hosts), *parts), found,
        )

    def _services(self, host: str | None = None) -> dict[str, views.Json]:
        what = "list compute services"
        found = self._api.read(
            V_CELLS, "/os-services", "services", what,
            {"binary": COMPUTE, "host": host},
        )
        return {
            views.parsed(what, lambda one: str(one["host"]), document):
            document
            for document in found
        }

    def _hypervisors(self) -> list[views.Json]:
        return list(
            self._api.pages(
                V_HYPERVISORS, "/os-hypervisors/detail", "hypervisors",
                "list hypervisors", {}, "id",
            )
        )

    def _check_cells(self, what: str) -> None:
        silent = sorted(
            host
            for host, one in self._services().items()
            if cell_is_down(one)
        )
        if silent:
            raise errors.CloudUnknown(
                f"{what}: the cell of host {silent[0]} and {len(silent) - 1}"
                " more does not answer Nova: look at its database and"
                " message queue"
            )


def cell_is_down(service: views.Json) -> bool:
    """Whether a service stands for one in a cell that does not answer."""
    return service.get("status") == "UNKNOWN" and "id" not in service


def _host_now(service: views.Json) -> adoption_live.HostNow:
    return adoption_live.HostNow(
        up=service["state"] == "up" and not service.get("forced_down"),
        enabled=service["status"] == "enabled",
        zone=service.get("zone"),
    )


def _capacity(
    wanted: Collection[str],
    services: Mapping[str, views.Json],
    hypervisors: Collection[views.Json],
    free: Mapping[str, capacities.Free],
) -> dict[str, ports.HostCapacity]:
    found: dict[str, ports.HostCapacity] = {}
    for hypervisor in hypervisors:
        name = hypervisor["service"]["host"]
        service = services.get(name)
        if name not in wanted or service is None or cell_is_down(service):
            continue
        # A host that Placement does not name has no memory left.
        tree = free.get(hypervisor["id"]) or capacities.Free(disk_gb=0)
        now = _host_now(service)
        found[name] = ports.HostCapacity(
            host=name,
            vcpus_free=tree.vcpus,
            ram_mb_free=tree.ram_mb,
            disk_gb_free=(
                capacities.PLENTY if tree.disk_gb is None else tree.disk_gb
            ),
            running=int(hypervisor.get("running_vms") or 0),
            **dataclasses.asdict(now),
        )
    return found
