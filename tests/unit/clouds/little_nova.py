# SPDX-License-Identifier: Apache-2.0
"""A Nova in a few lines and in virtual time, for movers to be tried on.

It has the traps that count: no idempotency key, answers that get lost, and
requests that take effect after the caller gave up on them.
"""

from concurrent import futures
import dataclasses
import datetime

from aacloud.clouds import errors
from aacloud.clouds import ports
from aacloud.core import migrations
from aacloud.core import recovery

EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
FLAVOR = recovery.FlavorView(vcpus=1, ram_mb=512, root_gb=1)


class Killed(BaseException):
    """The process of the mover ended here."""


class Inline(futures.Executor):
    """Makes the calls at once, in the caller's thread."""

    def submit(self, work, /, *args, **kwargs):
        future = futures.Future()
        try:
            future.set_result(work(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as executors do
            future.set_exception(error)
        return future


class LittleNova:
    """Implements what an Evacuation strategy needs of a cloud.

    ``answers`` says how each evacuate call goes, in turn; after the last one
    they are ``ok``: ok, lost (taken, not answered), dropped (neither), late
    (not answered, taken ``late_s`` after), unreachable, forbidden, in-use,
    no-such-host, fails (taken, and fails), kill-before, kill-after.
    """

    def __init__(self, servers, skew_s=0.0, takes_s=8.0, late_s=5.0):
        self.now = 1000.0
        self.skew_s = skew_s
        self.takes_s = takes_s
        self.late_s = late_s
        self.servers = {
            uuid: recovery.ServerView(
                uuid=uuid,
                name=uuid,
                project_id="p",
                host="h1",
                vm_state="active",
                task_state=None,
                power_state="running",
                flavor=FLAVOR,
            )
            for uuid in servers
        }
        self.answers = []
        self.readable = True
        self.calls = []
        self.reads = []
        self.log = {uuid: [] for uuid in servers}
        self.migration_rows = []
        self._due = []
        self._worst = 0

    # -- time ---------------------------------------------------------------

    def clock(self):
        return self.now

    def utcnow(self):
        return EPOCH + datetime.timedelta(seconds=self.now)

    def _novas_time(self):
        return self.utcnow() + datetime.timedelta(seconds=self.skew_s)

    def pass_time(self, seconds):
        """Let time go by, and everything happen that is due in it."""
        end = self.now + seconds
        while True:
            self._due.sort(key=lambda pair: pair[0])
            if not self._due or self._due[0][0] > end:
                break
            self.now, happen = self._due.pop(0)
            happen()
        self.now = end

    # -- what the strategy asks ---------------------------------------------

    def _read(self, what):
        self.reads.append(what)
        if not self.readable:
            raise errors.CloudUnknown(f"{what}: HTTP 500")

    def server(self, uuid):
        self._read("server")
        if uuid not in self.servers:
            raise errors.CloudNotFound(uuid)
        return self.servers[uuid]

    def servers_on(self, host):
        self._read("servers_on")
        return tuple(s for s in self.servers.values() if s.host == host)

    def migrations(self, source, since, *, evacuations_only=False):
        self._read("migrations")
        return tuple(
            m
            for m in self.migration_rows
            if m.source == source and m.created_at_utc >= since
        )

    def evacuation_traces(self, uuid, since):
        self._read("traces")
        return tuple(t for t in self.log[uuid] if t.started_at_utc >= since)

    def evacuate(self, uuid, host, *, microversion="2.94"):
        answer = self.answers.pop(0) if self.answers else "ok"
        if answer == "kill-before":
            raise Killed
        if answer == "unreachable":
            raise errors.CloudUnknown("connection refused", sent=False)
        self.calls.append((uuid, host))
        if answer == "forbidden":
            raise errors.CloudRefused(403, "not allowed", "403 not allowed")
        if answer == "in-use":
            raise errors.CloudRefused(400, "h1 is still in use", "400 in use")
        if answer == "no-such-host":
            raise errors.CloudNotFound(f"Compute host {host} not found")
        if answer == "dropped":
            raise errors.CloudUnknown("HTTP 502")
        if answer == "late":
            self._due.append(
                (self.now + self.late_s, lambda: self._take(uuid, host))
            )
            raise errors.CloudUnknown("time-out")
        self._take(uuid, host, fails=answer == "fails")
        if answer == "kill-after":
            raise Killed
        if answer == "lost":
            raise errors.CloudUnknown("connection reset")
        return f"req-{len(self.calls)}"

    # -- what happens inside ------------------------------------------------

    def _take(self, uuid, host, fails=False):
        server = self.servers[uuid]
        assert server.host != host
        self.log[uuid].append(
            ports.Trace(f"req-{len(self.log[uuid])}", self._novas_time())
        )
        self.servers[uuid] = dataclasses.replace(
            server, task_state="rebuilding"
        )
        row = migrations.MigrationView(
            id=len(self.migration_rows) + 1,
            uuid=f"m{len(self.migration_rows) + 1}",
            server=uuid,
            source=server.host,
            dest=host,
            status="accepted",
            type=migrations.EVACUATION,
            created_at_utc=self._novas_time(),
        )
        self.migration_rows.append(row)
        running = sum(
            m.server == uuid and m.unfinished for m in self.migration_rows
        )
        self._worst = max(self._worst, running)
        end = self._fail if fails else self._finish
        self._due.append((self.now + self.takes_s, lambda: end(row)))

    def _set(self, row, status):
        self.migration_rows[row.id - 1] = dataclasses.replace(
            row, status=status, updated_at_utc=self._novas_time()
        )

    def _finish(self, row):
        self._set(row, "done")
        self.servers[row.server] = dataclasses.replace(
            self.servers[row.server], host=row.dest, task_state=None
        )

    def _fail(self, row):
        self._set(row, "failed")
        self.servers[row.server] = dataclasses.replace(
            self.servers[row.server], task_state=None
        )

    @property
    def worst_overlap(self):
        """The most evacuations of one server that ever ran at a time."""
        return self._worst
