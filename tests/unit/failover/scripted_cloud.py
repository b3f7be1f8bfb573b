# SPDX-License-Identifier: Apache-2.0
"""A cloud in memory and in virtual time, whose answers follow a script.

It has Nova's traps: no idempotency key, requests that take effect although
nobody hears of it, services that look up for a while after their death, and
evacuations that stay "done" until the dead host's nova-compute starts again.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import datetime
import enum
import threading
from typing import TypeVar

from aacloud.clouds import errors
from aacloud.clouds import ports
from aacloud.core import migrations
from aacloud.core import recovery
from aacloud.core import topology as topologies
from aacloud.core import verdicts
from tests.unit.failover import virtual_time

T = TypeVar("T")

FLAVOR = recovery.FlavorView(vcpus=1, ram_mb=512, root_gb=1)
#: Seconds after which Nova takes a silent nova-compute for down.
SERVICE_DOWN_S = 60.0


class Fault(enum.Enum):
    """How a call goes wrong."""

    #: It never reached the service, and the caller knows.
    UNSENT = "unsent"
    #: Nobody knows; it had no effect.
    UNKNOWN = "unknown"
    #: It took effect, but the answer got lost.
    LOST = "lost"
    #: The service said no.
    REFUSED = "refused"
    #: It takes ten seconds.
    SLOW = "slow"


#: Given the number of the call and its name: how it goes wrong, or None.
Script = Callable[[int, str], "Fault | None"]


class Compute:
    """One host's nova-compute, as Nova has it."""

    def __init__(self) -> None:
        self.reports = True
        self.silent_since = 0.0
        self.forced_down = False
        self.disabled_reason: str | None = None


class ScriptedCloud:
    """Implements ``ports.Cloud``.

    :ivar calls: name and arguments of all calls, in order
    :ivar script: says which calls go wrong
    :ivar evacuations: server and destination of each evacuation that Nova
        took
    """

    def __init__(
        self, time: virtual_time.VirtualTime, topology: topologies.Topology
    ) -> None:
        self.time = time
        self.topology = topology
        self.computes = {name: Compute() for name in topology.hosts}
        self.servers: dict[str, recovery.ServerView] = {}
        self.groups: dict[str, recovery.GroupView] = {}
        self.rows: list[migrations.MigrationView] = []
        self.traces: dict[str, list[ports.Trace]] = {}
        self.calls: list[tuple[object, ...]] = []
        self.evacuations: list[tuple[str, str]] = []
        self.script: Script = lambda number, name: None
        self.hook: Callable[[str], None] = lambda name: None
        self.takes_s = 4.0
        self.fails: set[str] = set()
        self.bound_to: set[str] = set()
        self._followed: dict[
            str, tuple[verdicts.NovaServiceView, float]] = {}
        self._lock = threading.RLock()

    # -- what happens in the cloud ------------------------------------------

    def add(self, uuid: str, host: str, **changes: object) -> None:
        self.servers[uuid] = dataclasses.replace(
            recovery.ServerView(
                uuid=uuid, name=f"name-{uuid}", project_id="p", host=host,
                vm_state="active", task_state=None, power_state="running",
                flavor=FLAVOR, image_ref="image"),
            **changes)  # type: ignore[arg-type]

    def kill(self, host: str) -> None:
        compute = self.computes[host]
        compute.reports = False
        compute.silent_since = self.time.now

    def start_compute(self, host: str) -> None:
        """nova-compute destroys what was evacuated, and says so."""
        compute = self.computes[host]
        compute.reports = True
        for row in list(self.rows):
            if row.source == host and row.status == "done":
                self._set(row.id, "completed")

    def forget(self) -> None:
        """Another engine begins: it knows of no earlier look."""
        self._followed.clear()

    def uuids_on(self, host: str) -> set[str]:
        return {s.uuid for s in self.servers.values() if s.host == host}

    def count(self, name: str) -> int:
        return sum(call[0] == name for call in self.calls)

    def _set(self, number: int, status: str) -> None:
        self.rows[number - 1] = dataclasses.replace(
            self.rows[number - 1], status=status,
            updated_at_utc=self.time.utcnow())

    def _exchange(
        self, work: Callable[[], T], name: str, *args: object
    ) -> T:
        with self._lock:
            number = len(self.calls)
            self.calls.append((name, *args))
            fault = self.script(number, name)
        self.hook(name)
        with self._lock:
            if fault is Fault.UNSENT:
                raise errors.CloudUnknown(f"{name}: no route", sent=False)
            if fault is Fault.UNKNOWN:
                raise errors.CloudUnknown(f"{name}: HTTP 502")
            if fault is Fault.REFUSED:
                raise errors.CloudRefused(409, "no", f"{name}: HTTP 409 no")
            if fault is Fault.SLOW:
                self.time.go_by(10.0)
            result = work()
            if fault is Fault.LOST:
                raise errors.CloudUnknown(f"{name}: connection reset")
            return result

    # -- topology -----------------------------------------------------------

    def bound(self, request_id: str) -> ScriptedCloud:
        self.bound_to.add(request_id)
        return self

    def aggregates(self) -> tuple[topologies.Aggregate, ...]:
        return self._exchange(self._aggregates, "aggregates")

    def _aggregates(self) -> tuple[topologies.Aggregate, ...]:
        found = []
        for number, host in enumerate(self.topology.hosts.values(), 1):
            found.append(topologies.Aggregate(
                id=number, name=f"of-{host.name}", hosts=(host.name,),
                metadata={
                    "aacloud:dc": host.dc, "aacloud:rack": host.rack,
                    "aacloud:instance_disks": host.instance_disks}))
        return tuple(found)

    def create_aggregate(
        self, name: str, metadata: Mapping[str, str]
    ) -> topologies.Aggregate:
        raise AssertionError("the engine makes no aggregates")

    def set_aggregate_metadata(
        self, aggregate_id: int, metadata: Mapping[str, str]
    ) -> None:
        raise AssertionError("the engine changes no aggregates")

    def add_to_aggregate(self, aggregate_id: int, host: str) -> None:
        raise AssertionError("the engine changes no aggregates")

    def remove_from_aggregate(self, aggregate_id: int, host: str) -> None:
        raise AssertionError("the engine changes no aggregates")

    # -- hosts --------------------------------------------------------------

    def services(self) -> Mapping[str, verdicts.NovaServiceView]:
        return self._exchange(
            lambda: {name: self._service(name) for name in self.computes},
            "services")

    def _service(self, name: str) -> verdicts.NovaServiceView:
        compute = self.computes[name]
        now = self.time.now
        reported = now if compute.reports else compute.silent_since
        up = now - reported < SERVICE_DOWN_S and not compute.forced_down
        before, looked_at = self._followed.get(name, (None, now))
        seen = verdicts.follow_service(
            verdicts.NovaServiceView(
                state="up" if up else "down",
                forced_down=compute.forced_down,
                disabled=compute.disabled_reason is not None,
                disabled_reason=compute.disabled_reason,
                stamp=str(reported)),
            before, now - looked_at)
        self._followed[name] = seen, now
        return seen

    def force_down(
        self, host: str, down: bool, *, disabled_reason: str | None = None
    ) -> None:
        def work() -> None:
            compute = self.computes[host]
            compute.forced_down = down
            if disabled_reason and compute.disabled_reason is None:
                compute.disabled_reason = disabled_reason

        self._exchange(work, "force_down", host, down)

    def disable(self, host: str, reason: str) -> None:
        raise AssertionError("the engine disables by force_down alone")

    def enable(self, host: str) -> None:
        def work() -> None:
            self.computes[host].disabled_reason = None

        self._exchange(work, "enable", host)

    def destinations(
        self, topology: topologies.Topology
    ) -> tuple[recovery.DestinationView, ...]:
        def work() -> tuple[recovery.DestinationView, ...]:
            found = []
            for host in topology.hosts.values():
                seen = self._service(host.name)
                used = len(self.uuids_on(host.name))
                found.append(recovery.DestinationView(
                    host=host.name, rack=host.rack, dc=host.dc,
                    vcpus_free=64 - used, ram_mb_free=65536 - 512 * used,
                    disk_gb_free=1000, running=used,
                    up=seen.state == "up", enabled=not seen.disabled))
            return tuple(found)

        return self._exchange(work, "destinations")

    # -- servers ------------------------------------------------------------

    def with_groups(
        self, servers: Collection[recovery.ServerView]
    ) -> tuple[recovery.ServerView, ...]:
        return self._exchange(
            lambda: tuple(
                dataclasses.replace(
                    one, server_group=self.groups.get(one.uuid))
                for one in servers),
            "with_groups")

    def server(self, uuid: str) -> recovery.ServerView:
        def work() -> recovery.ServerView:
            if uuid not in self.servers:
                raise errors.CloudNotFound(f"no server {uuid}")
            return self.servers[uuid]

        return self._exchange(work, "server", uuid)

    def servers_on(self, host: str) -> tuple[recovery.ServerView, ...]:
        return self._exchange(
            lambda: tuple(
                s for s in self.servers.values() if s.host == host),
            "servers_on", host)

    def migrations(
        self,
        source: str,
        since: datetime.datetime,
        *,
        evacuations_only: bool = False,
    ) -> tuple[migrations.MigrationView, ...]:
        return self._exchange(
            lambda: tuple(
                row for row in self.rows
                if row.source == source and row.created_at_utc >= since
                and (row.is_evacuation or not evacuations_only)),
            "migrations", source)

    def evacuation_traces(
        self, uuid: str, since: datetime.datetime
    ) -> tuple[ports.Trace, ...]:
        return self._exchange(
            lambda: tuple(self.traces.get(uuid, ())), "evacuation_traces")

    def evacuate(
        self,
        uuid: str,
        host: str,
        *,
        microversion: str = ports.EVACUATE_MICROVERSION,
    ) -> str:
        return self._exchange(
            lambda: self._take(uuid, host), "evacuate", uuid, host)

    def _take(self, uuid: str, host: str) -> str:
        server = self.servers[uuid]
        source = self.computes[server.host]
        if not source.forced_down:
            text = f"{server.host} is in use"
            raise errors.CloudRefused(400, text, text)
        assert server.host != host
        self.evacuations.append((uuid, host))
        request = f"req-{len(self.evacuations)}"
        self.traces.setdefault(uuid, []).append(
            ports.Trace(request, self.time.utcnow()))
        self.servers[uuid] = dataclasses.replace(
            server, task_state="rebuilding")
        number = len(self.rows) + 1
        self.rows.append(migrations.MigrationView(
            id=number, uuid=f"m{number}", server=uuid, source=server.host,
            dest=host, status="accepted", type=migrations.EVACUATION,
            created_at_utc=self.time.utcnow()))
        fails = uuid in self.fails
        self.fails.discard(uuid)
        self.time.later(self.takes_s, lambda: self._end(number, fails))
        return request

    def _end(self, number: int, fails: bool) -> None:
        row = self.rows[number - 1]
        self._set(number, "failed" if fails else "done")
        self.servers[row.server] = dataclasses.replace(
            self.servers[row.server], task_state=None,
            host=row.source if fails else str(row.dest))

    def start(self, uuid: str) -> None:
        raise AssertionError("the engine starts no servers")

    def stop(self, uuid: str) -> None:
        raise AssertionError("the engine stops no servers")
