# SPDX-License-Identifier: Apache-2.0
"""What a plan is made from: servers, destinations, limits."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime
import typing

#: Nova evacuates servers in these vm_states only.
EVACUABLE = frozenset({"active", "stopped", "error"})


@dataclasses.dataclass(frozen=True, slots=True)
class FlavorView:
    """The size of a server, as its own copy of the flavor says."""

    vcpus: int
    ram_mb: int
    root_gb: int
    ephemeral_gb: int = 0
    swap_mb: int = 0
    extra_specs: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class GroupView:
    """One of Nova's own server groups.

    :ivar policy: affinity, anti-affinity, soft-affinity, soft-anti-affinity.
    :ivar max_per_host: how many members an anti-affinity group allows on one
        host (rule max_server_per_host).
    :ivar hosts: member uuid -> host it is on now, as far as known.
    """

    id: str
    policy: str
    members: tuple[str, ...]
    max_per_host: int = 1
    hosts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    name: str = ""
    project_id: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ServerView:
    """One server as Nova shows it to an admin.

    :ivar vm_state: lower case, for instance ``active``.
    :ivar task_state: None when nothing is under way.
    :ivar image_ref: None when it was booted from a volume.
    :ivar volumes: ids of the attached volumes.
    :ivar availability_zone: the zone the server is pinned to; None if it
        may be in any.
    :ivar hints: the scheduler hints that it was born with; empty also when
        this Nova does not show them.
    """

    uuid: str
    name: str
    project_id: str
    host: str
    vm_state: str
    task_state: str | None
    power_state: str
    flavor: FlavorView
    image_ref: str | None = None
    volumes: tuple[str, ...] = ()
    server_group: GroupView | None = None
    availability_zone: str | None = None
    locked: bool = False
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    created_at: datetime.datetime | None = None
    launched_at: datetime.datetime | None = None
    hints: Mapping[str, typing.Any] = dataclasses.field(default_factory=dict)

    def snapshot(self) -> dict[str, typing.Any]:
        """What must not be forgotten of it, as JSON-able values.

        A failed evacuation sets a server to ERROR: what it was before is
        then known from here alone.
        """
        group = self.server_group
        return {
            "vm_state": self.vm_state,
            "task_state": self.task_state,
            "power_state": self.power_state,
            "locked": self.locked,
            "availability_zone": self.availability_zone,
            "image_ref": self.image_ref,
            "volumes": list(self.volumes),
            "vcpus": self.flavor.vcpus,
            "ram_mb": self.flavor.ram_mb,
            "root_gb": self.flavor.root_gb,
            "ephemeral_gb": self.flavor.ephemeral_gb,
            "swap_mb": self.flavor.swap_mb,
            "server_group": None if group is None else group.id,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class DestinationView:
    """A host that could take servers, with what is free on it.

    :ivar running: servers on it now.
    :ivar up: its nova-compute is up for Nova, and not forced down.
    :ivar availability_zone: None when it is not known.
    """

    host: str
    rack: str
    dc: str
    vcpus_free: int
    ram_mb_free: int
    disk_gb_free: int
    running: int = 0
    up: bool = True
    enabled: bool = True
    availability_zone: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """How an evacuation is planned.

    :ivar spares: other destinations kept ready for each server.
    :ivar repeats_per_server_24h: a server evacuated this often within a day
        is held: it may be what kills its hosts.
    :ivar other_dc: whether servers may go to another data centre.
    """

    spares: int = 2
    repeats_per_server_24h: int = 2
    other_dc: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedMove:
    """Where one server goes, and where else it could go."""

    server: ServerView
    destination: str
    spares: tuple[str, ...]
    wave: int
    reasons: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class HeldServer:
    """A server which is not evacuated, why, and what can be done."""

    server: ServerView
    reason_code: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class EvacuationPlan:
    """What happens to each server of a host, in the order it is done."""

    host: str
    moves: tuple[PlannedMove, ...]
    held: tuple[HeldServer, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class StorageVerdict:
    """Whether a server's disks survive its host, and why."""

    safe: bool
    reasons: tuple[str, ...]
    reason_code: str | None = None
