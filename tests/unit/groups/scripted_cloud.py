# SPDX-License-Identifier: Apache-2.0
"""The scripted cloud of the failover tests, whose servers migrate as they
run, are born with hints, and die."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import datetime
from typing import Any

from aacloud.clouds import errors
from aacloud.clouds import ports
from aacloud.core import adoption_live
from aacloud.core import migrations
from aacloud.core import recovery
from tests.unit.failover import scripted_cloud

Fault = scripted_cloud.Fault

#: vCPUs of each host; each server takes one.
ROOM = 8


class ScriptedCloud(scripted_cloud.ScriptedCloud):
    """Implements ``ports.Cloud``.

    :ivar live: server, source and destination of each live migration that
        Nova took, in order
    :ivar room: host -> vCPUs
    :ivar native: Nova's own server groups
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.live: list[tuple[str, str, str]] = []
        self.room: dict[str, int] = {}
        self.native: dict[str, recovery.GroupView] = {}
        self.no_hints = False

    # -- what happens in the cloud ------------------------------------------

    def born(
        self, uuid: str, host: str, *hints: str, **changes: Any
    ) -> None:
        self.add(uuid, host, hints={"ha_group": list(hints)} if hints else {},
                 **changes)

    def dies(self, uuid: str) -> None:
        del self.servers[uuid]

    def used(self, host: str) -> int:
        ends = {
            row.server for row in self.rows
            if row.unfinished and host in (row.source, row.dest)}
        return len(ends | self.uuids_on(host))

    def free(self, host: str) -> int:
        return self.room.get(host, ROOM) - self.used(host)

    # -- reading ------------------------------------------------------------

    def _full(self, server: recovery.ServerView) -> recovery.ServerView:
        group = next((
            one for one in self.native.values()
            if server.uuid in one.members), None)
        if group is not None:
            group = dataclasses.replace(group, hosts={
                uuid: self.servers[uuid].host for uuid in group.members
                if uuid in self.servers})
        return dataclasses.replace(
            server, server_group=group,
            hints={} if self.no_hints else server.hints)

    def server(self, uuid: str) -> recovery.ServerView:
        found = super().server(uuid)
        return dataclasses.replace(found, hints={})

    def server_in_full(self, uuid: str) -> recovery.ServerView:
        def work() -> recovery.ServerView:
            if uuid not in self.servers:
                raise errors.CloudNotFound(f"no server {uuid}")
            return self._full(self.servers[uuid])

        return self._exchange(work, "server_in_full", uuid)

    def servers_all(self) -> tuple[recovery.ServerView, ...]:
        return self._exchange(
            lambda: tuple(self._full(one) for one in self.servers.values()),
            "servers_all")

    def server_groups(self) -> tuple[recovery.GroupView, ...]:
        return self._exchange(
            lambda: tuple(self.native.values()), "server_groups")

    def unfinished_migrations(self) -> tuple[migrations.MigrationView, ...]:
        return self._exchange(
            lambda: tuple(row for row in self.rows if row.unfinished),
            "unfinished_migrations")

    def hosts_now(self) -> Mapping[str, adoption_live.HostNow]:
        def work() -> Mapping[str, adoption_live.HostNow]:
            return {
                name: adoption_live.HostNow(
                    up=self._service(name).state == "up",
                    enabled=compute.disabled_reason is None)
                for name, compute in self.computes.items()}

        return self._exchange(work, "hosts_now")

    def capacity(
        self, hosts: Collection[str]
    ) -> Mapping[str, ports.HostCapacity]:
        def work() -> Mapping[str, ports.HostCapacity]:
            return {
                name: ports.HostCapacity(
                    host=name, vcpus_free=self.free(name),
                    ram_mb_free=self.free(name) * 512, disk_gb_free=1000,
                    up=self._service(name).state == "up",
                    enabled=compute.disabled_reason is None,
                    running=len(self.uuids_on(name)))
                for name, compute in self.computes.items() if name in hosts}

        return self._exchange(work, "capacity")

    # -- live migration -----------------------------------------------------

    def live_migration_traces(
        self, uuid: str, since: datetime.datetime
    ) -> tuple[ports.Trace, ...]:
        return self._exchange(
            lambda: tuple(self.traces.get(uuid, ())), "live_migration_traces")

    def live_migrate(
        self, uuid: str, host: str, *, block_migration: str | bool = "auto"
    ) -> str:
        return self._exchange(
            lambda: self._take_live(uuid, host), "live_migrate", uuid, host)

    def _take_live(self, uuid: str, host: str) -> str:
        server = self.servers[uuid]
        if server.task_state is not None or server.vm_state != "active":
            text = (
                "Cannot 'os-migrateLive' instance while it is in task_state"
                f" {server.task_state}")
            raise errors.CloudRefused(409, text, text)
        if self.free(host) < 1 or server.host == host:
            text = "No valid host was found."
            raise errors.CloudRefused(400, text, text)
        self.live.append((uuid, server.host, host))
        request = f"req-{len(self.live)}"
        self.traces.setdefault(uuid, []).append(
            ports.Trace(request, self.time.utcnow()))
        self.servers[uuid] = dataclasses.replace(
            server, task_state="migrating")
        number = len(self.rows) + 1
        self.rows.append(migrations.MigrationView(
            id=number, uuid=f"m{number}", server=uuid, source=server.host,
            dest=host, status="running", type=migrations.LIVE_MIGRATION,
            created_at_utc=self.time.utcnow()))
        fails = uuid in self.fails
        self.fails.discard(uuid)
        self.time.later(self.takes_s, lambda: self._end_live(number, fails))
        return request

    def _end_live(self, number: int, fails: bool) -> None:
        row = self.rows[number - 1]
        if not row.unfinished:
            return
        self._set(number, "failed" if fails else "completed")
        server = self.servers.get(row.server)
        if server is not None:
            self.servers[row.server] = dataclasses.replace(
                server, task_state=None,
                host=row.source if fails else str(row.dest))

    def abort_live_migration(self, uuid: str, migration_id: int) -> None:
        def work() -> None:
            row = self.rows[migration_id - 1]
            if not row.unfinished:
                text = f"migration {migration_id} is {row.status}"
                raise errors.CloudRefused(400, text, text)
            self._set(migration_id, "cancelled")
            self.servers[uuid] = dataclasses.replace(
                self.servers[uuid], task_state=None)

        self._exchange(work, "abort_live_migration", uuid, migration_id)
