# SPDX-License-Identifier: Apache-2.0
"""A little Nova that live-migrates, with the traps of that."""

import dataclasses

from aacloud.clouds import errors
from aacloud.clouds import ports
from aacloud.core import adoption_live
from aacloud.core import migrations
from tests.unit.clouds.little_nova import Killed
from tests.unit.clouds.little_nova import LittleNova

UP = adoption_live.HostNow(up=True, enabled=True, zone="nova")


class LittleLiveNova(LittleNova):
    """Implements what a LiveMigration strategy needs of a cloud.

    ``answers``, besides those of LittleNova: no-valid-host (taken; its
    scheduler says no), cancelled (taken; a person aborts it), breaks (taken;
    leaves the server in error). The destination is written into a migration
    a second after it was accepted, and it ends a second after the server
    is on its new host.
    """

    def __init__(self, servers, **options):
        super().__init__(servers, **options)
        self.hosts = dict.fromkeys(("h1", "h2", "h3", "h4"), UP)

    def server_in_full(self, uuid):
        return self.server(uuid)

    def hosts_now(self):
        self._read("hosts")
        return dict(self.hosts)

    def live_migration_traces(self, uuid, since):
        return self.evacuation_traces(uuid, since)

    def live_migrate(self, uuid, host, *, block_migration="auto"):
        answer = self.answers.pop(0) if self.answers else "ok"
        if answer == "kill-before":
            raise Killed
        if answer == "unreachable":
            raise errors.CloudUnknown("connection refused", sent=False)
        self.calls.append((uuid, host))
        if answer == "forbidden":
            raise errors.CloudRefused(403, "not allowed", "403 not allowed")
        if answer == "no-such-host":
            text = f"Compute host {host} could not be found."
            raise errors.CloudRefused(400, text, text)
        if answer == "dropped":
            raise errors.CloudUnknown("HTTP 502")
        if answer == "late":
            self._due.append(
                (self.now + self.late_s, lambda: self._accept(uuid, host))
            )
            raise errors.CloudUnknown("time-out")
        if uuid not in self.servers:
            raise errors.CloudNotFound(uuid)
        task = self.servers[uuid].task_state
        if task is not None:
            text = (
                f"Cannot 'os-migrateLive' instance {uuid} while it is in"
                f" task_state {task}"
            )
            raise errors.CloudRefused(409, text, text)
        self._accept(uuid, host, answer)
        if answer == "kill-after":
            raise Killed
        if answer == "lost":
            raise errors.CloudUnknown("connection reset")
        return f"req-{len(self.calls)}"

    def _accept(self, uuid, host, answer="ok"):
        server = self.servers.get(uuid)
        if server is None or server.task_state is not None:
            # A late request finds it busy: Nova refuses, nobody hears it.
            return
        self.log[uuid].append(
            ports.Trace(f"req-{len(self.log[uuid])}", self._novas_time())
        )
        self._change(uuid, task_state="migrating")
        number = len(self.migration_rows) + 1
        self.migration_rows.append(
            migrations.MigrationView(
                id=number, uuid=f"m{number}", server=uuid,
                source=server.host, dest=None, status="accepted",
                type=migrations.LIVE_MIGRATION,
                created_at_utc=self._novas_time(),
            )
        )
        if answer == "no-valid-host" or server.host == host:
            self._later(1.0, lambda: self._over(number, "error"))
            return
        running = sum(
            m.server == uuid and m.unfinished for m in self.migration_rows
        )
        self._worst = max(self._worst, running)
        self._later(1.0, lambda: self._write(number, "running", dest=host))
        ends = {
            "fails": lambda: self._over(number, "failed"),
            "cancelled": lambda: self._over(number, "cancelled"),
            "breaks": lambda: self._over(number, "error", "error"),
        }
        self._later(
            self.takes_s, ends.get(answer, lambda: self._arrive(number))
        )

    def _later(self, seconds, happen):
        self._due.append((self.now + seconds, happen))

    def _change(self, uuid, **values):
        if uuid in self.servers:
            self.servers[uuid] = dataclasses.replace(
                self.servers[uuid], **values
            )

    def _write(self, number, status, **values):
        self.migration_rows[number - 1] = dataclasses.replace(
            self.migration_rows[number - 1], status=status,
            updated_at_utc=self._novas_time(), **values,
        )

    def _over(self, number, status, vm_state="active"):
        self._write(number, status)
        row = self.migration_rows[number - 1]
        self._change(row.server, task_state=None, vm_state=vm_state)

    def _arrive(self, number):
        row = self.migration_rows[number - 1]
        self._change(row.server, host=row.dest, task_state=None)
        self._later(1.0, lambda: self._write(number, "completed"))
