# SPDX-License-Identifier: Apache-2.0
"""Keeps the groups in one scheduler process: push, poll, file, last resort.

Nothing runs until the first request of a process: nova-scheduler forks its
workers after it has made its filters, and threads do not survive a fork.
Then one thread asks the engine whenever it hears of a change and every
``poll_interval`` seconds, and swaps in a new :class:`index.Index`.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
import dataclasses
import logging
import os
import pathlib
import socket
import threading
import time
from typing import Protocol
import weakref

import oslo_messaging

from aacloud.core import rules
from aacloud.rpc import envelope
from aacloud.rpc import messaging
from aacloud.rpc import rates
from aacloud.rpc import snapshot as rpc_snapshot
from aacloud.scheduler.nova import index as group_index
from aacloud.scheduler.nova import metrics
from aacloud.scheduler.nova import settings as group_settings
from aacloud.scheduler.nova import snapshot_file

LOG = logging.getLogger(__name__)

#: Passes that wait to be recorded while no engine answers.
MOST_UNRECORDED = 1000

#: Seconds to wait for a snapshot before it is asked for again: the question
#: or its answer may be lost, as when RabbitMQ is restarted.
ANSWER_S = 3.0

#: The same after some that did not come, each time twice as long: all groups
#: of a large cloud take a while.
SNAPSHOT_S = 20.0

#: Longest pause until the groups are asked for again after a failure.
RETRY_S = 2.0

#: Seconds for which an engine may tell an older revision than another one
#: did (its database lags) before it is believed (the database was restored).
OLDER_S = 60.0

#: Seconds between two writes of the file.
FILE_S = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """What this process knows now.

    :ivar synced: when an engine last confirmed it, monotonic seconds
    """

    index: group_index.Index
    synced: float


@dataclasses.dataclass(frozen=True, slots=True)
class FailOpen:
    """A server that passed although something was not known."""

    server: str
    groups: tuple[str, ...]
    reason: str


class Listener(Protocol):
    """A server that hears of changes."""

    def start(self) -> None:
        """Begin to listen."""

    def stop(self, timeout: float = 5.0) -> None:
        """Stop to listen."""


class Bus(Protocol):
    """The way to the engines; made in the process that uses it."""

    def get_snapshot(
        self, known_revision: int | None, timeout_s: float,
        topology: str | None = None,
    ) -> rpc_snapshot.Snapshot:
        """See ``rpc.snapshot.SnapshotClient``."""

    def ack(self, scheduler: str, revision: int) -> None:
        """See there."""

    def record_fail_open(
        self, scheduler: str, server: str, wanted: tuple[str, ...],
        reason: str,
    ) -> None:
        """See there."""

    def listen(self, heard: Callable[[int], None], name: str) -> Listener:
        """The server that hears of changes."""


class MessagingBus(rpc_snapshot.SnapshotClient):
    """The engines behind oslo.messaging.

    :param make: makes the transport of this process
    """

    def __init__(self, make: Callable[[], messaging.RPCTransport]) -> None:
        self._transport = make()
        super().__init__(self._transport)

    def listen(self, heard: Callable[[int], None], name: str) -> Listener:
        """See ``rpc.snapshot.changes_server``."""
        return rpc_snapshot.changes_server(
            self._transport, heard, name=name)


class SnapshotClient:
    """The groups, as this process knows them.

    :param settings: read when the first request comes
    :param make_bus: makes the way to the engines, in the thread
    """

    def __init__(
        self,
        settings: Callable[[], group_settings.Settings],
        make_bus: Callable[[], Bus],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_settings = settings
        self._make_bus = make_bus
        self._clock = clock
        self._told: list[Callable[[group_index.Index], None]] = []
        self._forget()
        alive = weakref.ref(self)

        def forked() -> None:
            client = alive()
            if client is not None:
                client._forget()

        os.register_at_fork(after_in_child=forked)

    def _forget(self) -> None:
        """Be as new: what another process began does not run in this one."""
        self._pid = 0
        self._begin_lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._record_lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._asked = threading.Event()
        self._view: View | None = None
        self._bus: Bus | None = None
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None
        self._settings: group_settings.Settings | None = None
        self._pace = rates.LogPace()
        self._older_since: float | None = None
        self._written = (0, float("-inf"))
        self._broken_until = float("-inf")
        self._unrecorded: collections.deque[FailOpen] = collections.deque()

    @property
    def settings(self) -> group_settings.Settings:
        """The options, as they were at the first request."""
        if self._settings is None:
            self._settings = self._read_settings()
        return self._settings

    @property
    def name(self) -> str:
        """Names this process to the engines."""
        return f"{self.settings.host or socket.gethostname()}:{os.getpid()}"

    # -- requests -----------------------------------------------------------

    def view(self) -> View | None:
        """What is known; None when there was never anything.

        The first call of a process waits for an engine, a second at most.
        """
        if self._pid != os.getpid():
            self._begin()
        return self._view

    def tell(self, told: Callable[[group_index.Index], None]) -> None:
        """Call this with all that is known, whenever that is new.

        :param told: must not fail, and not take long
        """
        self._told.append(told)

    def find_hinted(
        self, text: str, project_id: str | None,
    ) -> tuple[rules.Group | None, bool]:
        """Ask the engine for a group that is not known here, once.

        :returns: the group, and whether the engine could be asked: None and
            True mean that there is no such group
        """
        now = self._clock()
        if now < self._broken_until:
            return self._known(text, project_id), False
        budget = self.settings.hint_timeout
        if not self._sync_lock.acquire(timeout=budget):
            return self._known(text, project_id), False
        try:
            left = max(0.05, budget - (self._clock() - now))
            if self._bus is None:
                return None, False
            self._sync(self._bus, left)
        except Exception as error:  # noqa: BLE001 (any driver error)
            # Not each of the next births shall wait.
            self._broken_until = self._clock() + 5.0
            self._note("hint", "Asking for a hinted group failed: %s", error)
            return self._known(text, project_id), False
        finally:
            self._sync_lock.release()
        return self._known(text, project_id), True

    def record(self, entry: FailOpen) -> None:
        """Tell the engine, soon, of a server that passed."""
        with self._record_lock:
            if entry in self._unrecorded:
                return
            if len(self._unrecorded) >= MOST_UNRECORDED:
                self._unrecorded.popleft()
                metrics.UNRECORDED.inc()
            self._unrecorded.append(entry)

    def stop(self) -> None:
        """End the thread; for tests, a scheduler just dies."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10)

    def _known(
        self, text: str, project_id: str | None,
    ) -> rules.Group | None:
        view = self._view
        return None if view is None else view.index.hinted(text, project_id)

    # -- the thread ---------------------------------------------------------

    def _begin(self) -> None:
        with self._begin_lock:
            if self._pid == os.getpid():
                return
            self._load_file()
            self._thread = threading.Thread(
                target=self._run, name="aacloud-groups", daemon=True)
            self._thread.start()
            if not self._asked.wait(self.settings.first_wait):
                LOG.warning(
                    "No aacloud-groups answered this scheduler within %.1f s;"
                    " it goes on with %s", self.settings.first_wait,
                    "no groups" if self._view is None
                    else f"revision {self._view.index.revision} of the file")
            self._pid = os.getpid()

    def _load_file(self) -> None:
        path = self.settings.snapshot_file
        if path is None:
            return
        try:
            snapshot, age = snapshot_file.read(pathlib.Path(path))
            self._swap(
                group_index.compile_index(snapshot), self._clock() - age)
        except snapshot_file.Unusable as error:
            metrics.SNAPSHOT_FILE.labels(error.reason).inc()
            log = LOG.info if error.reason == "missing" else LOG.warning
            log("The snapshot of HA groups on disk is not used: %s", error)
            return
        except Exception:
            metrics.SNAPSHOT_FILE.labels("corrupt").inc()
            LOG.exception("The snapshot of HA groups in %s is not used", path)
            return
        metrics.SNAPSHOT_FILE.labels("read").inc()
        self._written = (snapshot.revision, self._clock())

    def _run(self) -> None:
        pause, patience = 0.25, ANSWER_S
        while not self._stopping.is_set():
            try:
                with self._sync_lock:
                    if self._bus is None:
                        bus = self._make_bus()
                        self._listener = bus.listen(self._heard, self.name)
                        self._listener.start()
                        self._bus = bus
                    self._sync(self._bus, patience)
                failed = False
                pause, patience = self.settings.poll_interval, ANSWER_S
            except Exception as error:  # noqa: BLE001 (must go on)
                metrics.SYNCS.labels(_outcome(error)).inc()
                self._note(
                    "sync", "The HA groups could not be asked for: %s", error)
                pause = min(pause * 2, self.settings.poll_interval, RETRY_S)
                failed = True
                patience = min(patience * 2, SNAPSHOT_S) if isinstance(
                    error, rpc_snapshot.NoAnswer) else ANSWER_S
            self._asked.set()
            self._afterwards(failed)
            self._wake.wait(pause)
            self._wake.clear()
        if self._listener is not None:
            self._listener.stop()

    def _heard(self, revision: int) -> None:
        view = self._view
        if view is None or revision > view.index.revision:
            self._wake.set()

    def _sync(self, bus: Bus, timeout_s: float) -> None:
        view = self._view
        known = None if view is None else view.index
        digest = None if known is None else known.digest
        snapshot = bus.get_snapshot(
            None if known is None else known.revision, timeout_s, digest)
        now = self._clock()
        if known is not None and snapshot.revision < known.revision:
            if self._older_since is None:
                self._older_since = now
            if now - self._older_since < OLDER_S:
                metrics.SYNCS.labels("older").inc()
                return
            if snapshot.since is not None:
                snapshot = bus.get_snapshot(None, timeout_s, digest)
        self._older_since = None
        try:
            made = group_index.compile_index(snapshot, known)
        except group_index.Gap:
            snapshot = bus.get_snapshot(None, timeout_s, digest)
            made = group_index.compile_index(snapshot, known)
        self._swap(made, now)
        self._broken_until = float("-inf")
        metrics.SYNCS.labels("ok").inc()
        metrics.SYNCED.set_to_current_time()
        bus.ack(self.name, made.revision)

    def _swap(self, made: group_index.Index, synced: float) -> None:
        if made.skipped and (
            self._view is None or made.skipped != self._view.index.skipped
        ):
            LOG.error(
                "%d HA groups are not understood and not kept here: %s; run "
                "the aacloud of the engine in this scheduler, too",
                len(made.skipped), ", ".join(sorted(made.skipped)[:10]))
        self._view = View(made, synced)
        for told in self._told:
            told(made)
        metrics.REVISION.set(made.revision)
        metrics.SKIPPED.set(len(made.skipped))

    def _afterwards(self, failed: bool) -> None:
        """What can wait and may fail."""
        try:
            if not failed:
                # Else nobody answers, and the groups are wanted first.
                self._send_records()
        except Exception as error:  # noqa: BLE001 (they wait)
            self._note("record", "What passed is not recorded yet: %s", error)
        try:
            self._keep_file()
        except Exception as error:  # noqa: BLE001 (tried again)
            metrics.SNAPSHOT_FILE.labels("unwritable").inc()
            self._note(
                "file", "The snapshot of HA groups cannot be kept on disk: "
                "%s; see that nova-scheduler may write snapshot_file", error)

    def _send_records(self) -> None:
        bus, view = self._bus, self._view
        if bus is None or view is None:
            return
        while not self._stopping.is_set():
            with self._record_lock:
                if not self._unrecorded:
                    return
                entry = self._unrecorded[0]
            bus.record_fail_open(
                self.name, entry.server, entry.groups, entry.reason)
            with self._record_lock:
                if self._unrecorded and self._unrecorded[0] is entry:
                    self._unrecorded.popleft()

    def _keep_file(self) -> None:
        view, now = self._view, self._clock()
        if self.settings.snapshot_file is None or view is None:
            return
        revision, at = self._written
        if now - at < FILE_S or view.synced <= at:
            return
        path = pathlib.Path(self.settings.snapshot_file)
        self._written = (revision, now)
        # Another worker may have written it, or have newer groups.
        if snapshot_file.confirm(path, view.index.revision):
            self._written = (view.index.revision, now)
            return
        snapshot_file.write(path, view.index.snapshot())
        self._written = (view.index.revision, now)
        metrics.SNAPSHOT_FILE.labels("written").inc()

    def _note(self, kind: str, text: str, error: object) -> None:
        held_back = self._pace.due(kind)
        if held_back is not None:
            LOG.warning("%s", text % error + self._pace.text(held_back))


def _outcome(error: Exception) -> str:
    if isinstance(error, envelope.MessageError):
        return error.reason
    if isinstance(error, rpc_snapshot.Unavailable):
        return "unavailable"
    if isinstance(error, oslo_messaging.MessagingException):
        return "messaging"
    return "failed"
