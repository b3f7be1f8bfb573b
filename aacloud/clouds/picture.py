# SPDX-License-Identifier: Apache-2.0
"""What a mover has read of the cloud, and how fresh that is.

One request a round and source tells of all moves that are under way. Single
servers are read only when something has to be decided about them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import datetime

from aacloud.clouds import errors
from aacloud.clouds import moves
from aacloud.core import migrations
from aacloud.core import recovery

READERS = 4
"""Servers read at a time: the cloud has better things to do."""

LONGEST_POLL = 5.0
"""Seconds between two looks at a slow cloud at most."""


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """One server as it was read; ``server`` is None when Nova lacks it."""

    server: recovery.ServerView | None
    at: float

    @property
    def gone(self) -> bool:
        """Nova says that there is no such server."""
        return self.server is None


@dataclasses.dataclass(slots=True)
class _Source:
    """What is known of one source host. Times: monotonic."""

    migrations: dict[int, migrations.MigrationView] = dataclasses.field(
        default_factory=dict
    )
    read_at: float | None = None
    tried_at: float | None = None
    took_s: float = 0.0
    listed_at: float | None = None
    list_tried_at: float | None = None
    history_read: bool = False
    trouble: str | None = None
    list_trouble: str | None = None


class Picture:
    """Reads the cloud for a mover. Used by one thread at a time."""

    def __init__(
        self,
        strategy: moves.Strategy,
        times: moves.MoverTimes,
        clock: Callable[[], float],
        utcnow: Callable[[], datetime.datetime],
    ) -> None:
        self._strategy = strategy
        self._times = times
        self._clock = clock
        self._utcnow = utcnow
        self._sources: dict[str, _Source] = {}
        self._servers: dict[str, Seen] = {}

    def poll(self, source: str) -> None:
        """Read the migrations of a source, if it is time to."""
        known = self._sources.setdefault(source, _Source())
        now = self._clock()
        if known.tried_at is not None and now - known.tried_at < (
            self._interval(known)
        ):
            return
        known.tried_at = now
        try:
            found = self._strategy.own_migrations(source, self._utcnow())
        except errors.CloudError as error:
            known.trouble = str(error)
            return
        known.took_s = self._clock() - now
        # It shows what was true at some time after it was asked for.
        known.read_at = now
        known.trouble = None
        known.migrations.update((one.id, one) for one in found)

    def list(self, source: str) -> None:
        """Read the servers of a source, if the last list is too old."""
        known = self._sources.setdefault(source, _Source())
        now = self._clock()
        if known.listed_at is not None and (
            now - known.listed_at < self._times.list
        ):
            return
        if known.list_tried_at is not None and (
            now - known.list_tried_at < self._times.reread
        ):
            return
        known.list_tried_at = now
        try:
            if not known.history_read:
                history = self._strategy.all_migrations(
                    source, self._utcnow()
                )
                for one in history:
                    known.migrations.setdefault(one.id, one)
                known.history_read = True
            for server in self._strategy.servers_on(source):
                self._servers[server.uuid] = Seen(server, now)
        except errors.CloudError as error:
            known.list_trouble = str(error)
            return
        known.listed_at = now
        known.list_trouble = None

    def read(self, uuids: Collection[str]) -> None:
        """Read these servers, each by itself; keep what can be read."""
        if not uuids:
            return
        now = self._clock()

        def one(uuid: str) -> Seen | None:
            try:
                return Seen(self._strategy.server(uuid), now)
            except errors.CloudNotFound:
                return Seen(None, now)
            except errors.CloudError:
                return None

        with futures.ThreadPoolExecutor(READERS) as pool:
            for uuid, seen in zip(uuids, pool.map(one, uuids), strict=True):
                if seen is not None:
                    self._servers[uuid] = seen

    def migrations(
        self, source: str
    ) -> Sequence[migrations.MigrationView] | None:
        """Return the migrations of a source; None when they are not known.

        They are not known when the last look did not succeed.
        """
        known = self._sources.get(source)
        if known is None or known.read_at is None or known.trouble:
            return None
        return tuple(known.migrations.values())

    def read_at(self, source: str) -> float | None:
        """When the migrations that are known were asked for."""
        known = self._sources.get(source)
        return None if known is None else known.read_at

    def can_send(self, source: str) -> bool:
        """Whether enough is known, and fresh, to send a server off."""
        known = self._sources.get(source)
        return (
            known is not None
            and self.migrations(source) is not None
            and known.history_read
            and known.listed_at is not None
            and self._clock() - known.listed_at < 2 * self._times.list
        )

    def server(self, uuid: str, not_before: float) -> Seen | None:
        """Return a server read no earlier than this (monotonic)."""
        seen = self._servers.get(uuid)
        return seen if seen is not None and seen.at >= not_before else None

    def trouble(self) -> str | None:
        """Say why the cloud cannot be read, if it cannot."""
        for known in self._sources.values():
            if known.trouble or known.list_trouble:
                return known.trouble or known.list_trouble
        return None

    def next_poll_s(self) -> float:
        """Return the seconds until the next look is due."""
        now = self._clock()
        due = [
            known.tried_at + self._interval(known) - now
            for known in self._sources.values()
            if known.tried_at is not None
        ]
        return max(0.0, min(due, default=0.0))

    def _interval(self, known: _Source) -> float:
        """Look less often at a cloud that takes long to answer."""
        return min(
            max(self._times.poll, 2 * known.took_s),
            max(self._times.poll, LONGEST_POLL),
        )
