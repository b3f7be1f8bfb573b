# SPDX-License-Identifier: Apache-2.0
"""The picture that a repair is planned from, put together."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

from aacloud.clouds import ports
from aacloud.core import recovery
from aacloud.core import repair
from aacloud.core import rules
from aacloud.groups import movability
from aacloud.groups import natives
from aacloud.groups import sight as sights
from aacloud.groups import surroundings as around


def build(
    groups: Iterable[rules.Group],
    mended: Collection[str],
    sight: sights.Sight,
    here: around.Surroundings,
    capacity: Mapping[str, ports.HostCapacity],
    *,
    resting: Mapping[str, str],
    usual: str | None,
    seed: int = 0,
) -> repair.RepairProblem:
    """Put the picture together.

    :param groups: ours; Nova's own are taken from what the servers were
        read with
    :param mended: ids of the groups to be mended; the others are kept from
        becoming worse, as far as they are enforced
    :param resting: server -> why it is not to be moved again yet
    :param usual: the window of groups without one of their own
    """
    groups = tuple(groups)
    # Why a server cannot be moved at all is told before all else.
    resting = {**movability.not_asked(groups, mended, usual), **resting}
    seen = natives.seen_with(sight.servers.values())
    servers = {
        uuid: _server(server, sight, here, resting)
        for uuid, server in sight.servers.items() if server.host}
    for native in seen:
        for uuid, host in native.hosts.items():
            if host and uuid not in sight.servers:
                servers[uuid] = _bystander(uuid, host)
    return repair.RepairProblem(
        hosts=hosts(here, capacity),
        servers=servers,
        groups=(
            *(_as_wanted(group, mended) for group in groups),
            *natives.as_groups(seen)),
        domains=here.domains(),
        seed=seed,
    )


def hosts(
    here: around.Surroundings,
    capacity: Mapping[str, ports.HostCapacity],
) -> dict[str, repair.RepairHost]:
    """The hosts of the topology, with what is free on them."""
    found = {}
    for host in here.topology.hosts.values():
        room = capacity.get(host.name)
        reason = _closed(host.name, host.dc, room, here)
        found[host.name] = repair.RepairHost(
            name=host.name, rack=host.rack, dc=host.dc,
            free_vcpus=0 if room is None else room.vcpus_free,
            free_memory_mb=0 if room is None else room.ram_mb_free,
            free_disk_gb=0 if room is None else room.disk_gb_free,
            takes=reason is None, reason=reason)
    return found


def _closed(
    name: str,
    dc: str,
    room: ports.HostCapacity | None,
    here: around.Surroundings,
) -> str | None:
    if room is None:
        return f"Nova does not tell what is free on {name}"
    if not room.up:
        return f"nova-compute on {name} is down"
    if not room.enabled or name in here.closed:
        return f"nova-compute on {name} is disabled"
    if dc in here.dead_dcs:
        return f"data centre {dc} is lost"
    return None


def _as_wanted(
    group: rules.Group, mended: Collection[str]
) -> rules.Group:
    if group.id in mended:
        return dataclasses.replace(group, mode=rules.GroupMode.REPAIR)
    if group.mode is rules.GroupMode.REPAIR:
        return dataclasses.replace(group, mode=rules.GroupMode.ENFORCE)
    return group


def disk_gb(server: recovery.ServerView) -> int:
    """What a server takes from its host's disk, as Nova counts it."""
    flavor = server.flavor
    root = flavor.root_gb if server.image_ref else 0
    return root + flavor.ephemeral_gb + -(-flavor.swap_mb // 1024)


def copied_mb(
    server: recovery.ServerView,
    ends: Iterable[str],
    here: around.Surroundings,
) -> int:
    """What a live migration of a server copies: memory, and local disks.

    Disks are copied unless the topology or the flavor says of both ends that
    they are shared.
    """
    shared = all(
        recovery.storage_verdict(server, here.topology.hosts.get(host)).safe
        for host in ends)
    return server.flavor.ram_mb + (0 if shared else 1024 * disk_gb(server))


def _server(
    server: recovery.ServerView,
    sight: sights.Sight,
    here: around.Surroundings,
    resting: Mapping[str, str],
) -> repair.RepairServer:
    reason = movability.why_not(server, here)
    if reason is None and server.task_state is not None:
        reason = f"Nova works on it ({server.task_state})"
    if reason is None:
        reason = resting.get(server.uuid)
    ends = [
        host for host in sight.occupancy.get(server.uuid, ())
        if host != server.host]
    if reason is None and ends:
        reason = f"it is being moved between {server.host} and {ends[0]}"
    return repair.RepairServer(
        uuid=server.uuid, host=server.host,
        vcpus=server.flavor.vcpus, memory_mb=server.flavor.ram_mb,
        disk_gb=disk_gb(server), movable=reason is None, why_not=reason,
        may_go=_zone(server.availability_zone, here),
        also=ends[0] if ends else None)


def _bystander(uuid: str, host: str) -> repair.RepairServer:
    """A server of which only its host is known, by Nova's own group."""
    return repair.RepairServer(
        uuid=uuid, host=host, vcpus=0, memory_mb=0, disk_gb=0, movable=False,
        why_not="it was not read")


def _zone(
    pin: str | None, here: around.Surroundings
) -> frozenset[str] | None:
    """The hosts of the zone that a server is pinned to."""
    if pin is None:
        return None
    return here.zones().get(pin, frozenset())
