# SPDX-License-Identifier: Apache-2.0
"""Where servers could go: Placement's free capacity, and group members."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
from typing import Any

from keystoneauth1 import adapter
from keystoneauth1 import session as ks_session

from aacloud.clouds import http
from aacloud.clouds import views
from aacloud.core import recovery
from aacloud.core import topology as topologies

VERSION = "1.29"
"""Placement's microversion: whole trees in the summaries of providers."""

PLENTY = 2**31
"""What is free of a resource that a host does not count itself.

Disk space of a shared storage pool belongs to a provider of its own.
"""


@dataclasses.dataclass(slots=True)
class Free:
    """What is free in one tree of resource providers."""

    vcpus: int = 0
    ram_mb: int = 0
    disk_gb: int | None = None


class Placement:
    """The few things that are asked of Placement."""

    def __init__(
        self,
        session: ks_session.Session,
        region: str | None = None,
        interface: Any = None,
        *,
        request_id: str | None = None,
    ) -> None:
        self._made_of = (session, region, interface)
        self._client = adapter.LegacyJsonAdapter(
            session,
            service_type="placement",
            region_name=region,
            interface=interface,
            default_microversion=VERSION,
            global_request_id=request_id,
        )

    def bound(self, request_id: str) -> Placement:
        """Return the same with this global request id on each call."""
        return Placement(*self._made_of, request_id=request_id)

    def free(self) -> dict[str, Free]:
        """Return what is free, by the uuid of the host's root provider.

        One request for the whole cloud: the candidates for a megabyte of
        memory are all hosts that have any left, and Placement sums up each
        of them. Asking for inventories and usages takes two for each host.
        """
        what = "ask Placement for free capacity"
        summaries = http.read(
            self._client,
            "/allocation_candidates",
            "provider_summaries",
            what,
            {"resources": "MEMORY_MB:1"},
        )
        return views.parsed(what, _sum_up, summaries)


def _sum_up(summaries: views.Json) -> dict[str, Free]:
    trees: dict[str, Free] = {}
    for provider in summaries.values():
        tree = trees.setdefault(provider["root_provider_uuid"], Free())
        for name, amount in provider["resources"].items():
            left = max(0, int(amount["capacity"]) - int(amount["used"]))
            if name in ("VCPU", "PCPU"):
                tree.vcpus += left
            elif name == "MEMORY_MB":
                tree.ram_mb += left
            elif name == "DISK_GB":
                tree.disk_gb = (tree.disk_gb or 0) + left
    return trees


def destinations(
    topology: topologies.Topology,
    services: Mapping[str, views.Json],
    hypervisors: Iterable[views.Json],
    free: Mapping[str, Free],
) -> tuple[recovery.DestinationView, ...]:
    """Put together what Nova and Placement say of the topology's hosts."""
    found = []
    for hypervisor in hypervisors:
        name = hypervisor["service"]["host"]
        host = topology.hosts.get(name)
        service = services.get(name)
        tree = free.get(hypervisor["id"])
        if host is None or service is None or tree is None:
            continue
        found.append(
            recovery.DestinationView(
                host=name,
                rack=host.rack,
                dc=host.dc,
                vcpus_free=tree.vcpus,
                ram_mb_free=tree.ram_mb,
                disk_gb_free=(
                    PLENTY if tree.disk_gb is None else tree.disk_gb
                ),
                running=int(hypervisor.get("running_vms") or 0),
                up=service.get("state") == "up"
                and not service.get("forced_down"),
                enabled=service.get("status") == "enabled",
                availability_zone=service.get("zone"),
            )
        )
    return tuple(sorted(found, key=lambda one: one.host))


def with_groups(
    servers: Collection[recovery.ServerView],
    groups: Iterable[recovery.GroupView],
    hosts_of: Callable[[Collection[str]], Mapping[str, str]],
) -> tuple[recovery.ServerView, ...]:
    """Fill in each server's group, and where the group's members are.

    :param hosts_of: looks up the hosts of members that are not given
    """
    here = {server.uuid: server.host for server in servers}
    concerned = [
        group
        for group in groups
        if any(uuid in here for uuid in group.members)
    ]
    elsewhere = sorted(
        {uuid for group in concerned for uuid in group.members} - set(here)
    )
    where = {**here, **(hosts_of(elsewhere) if elsewhere else {})}
    of: dict[str, recovery.GroupView] = {}
    for group in concerned:
        placed = dataclasses.replace(
            group,
            hosts={
                uuid: where[uuid] for uuid in group.members if uuid in where
            },
        )
        of.update((uuid, placed) for uuid in group.members)
    return tuple(
        dataclasses.replace(server, server_group=of.get(server.uuid))
        for server in servers
    )
