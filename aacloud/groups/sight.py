# SPDX-License-Identifier: Apache-2.0
"""Where servers are, read fresh: of some, or of the whole cloud.

The migrations under way are read before the servers: one that ends in between
is then seen at its destination, never overlooked.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from concurrent import futures
import dataclasses
import logging

from aacloud.clouds import errors as cloud_errors
from aacloud.clouds import ports
from aacloud.coordination import clock as clocks
from aacloud.core import migrations as core_migrations
from aacloud.core import recovery
from aacloud.core import rules

LOG = logging.getLogger(__name__)

#: Servers read one by one at a time.
PARALLEL = 8
#: Beyond so many servers the whole cloud is read: a page holds a thousand.
ONE_BY_ONE = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """Servers as Nova showed them at one look.

    :ivar servers: by uuid
    :ivar gone: of those asked for by name, the ones that Nova does not have
    :ivar occupancy: server -> the hosts that it counts on
    :ivar moving: server -> its migration under way
    :ivar read_at: when the look began, monotonic seconds
    :ivar whole: these are all servers of the cloud
    """

    servers: Mapping[str, recovery.ServerView]
    gone: frozenset[str]
    occupancy: Mapping[str, rules.Place]
    moving: Mapping[str, core_migrations.MigrationView]
    read_at: float
    whole: bool


class Reader:
    """Reads Nova; safe for threads."""

    def __init__(
        self, cloud: ports.Cloud, clock: clocks.Clock | None = None
    ) -> None:
        self._cloud = cloud
        self._clock = clock or clocks.Clock()

    def whole(self) -> Sight:
        """Look at every server of the cloud.

        :raises cloud_errors.CloudError: not all could be read
        """
        asked = self._clock.monotonic()
        moving = _by_server(self._cloud.unfinished_migrations())
        servers = {one.uuid: one for one in self._cloud.servers_all()}
        return _sight(servers, frozenset(), moving, asked, whole=True)

    def some(self, uuids: Collection[str], *, full: bool = False) -> Sight:
        """Look at these servers, or at all when they are many.

        :param full: with pinned zone, hints and native group
        :raises cloud_errors.CloudError: not all of them could be read
        """
        if len(uuids) > ONE_BY_ONE:
            return self._with_missing(self.whole(), uuids, full)
        asked = self._clock.monotonic()
        moving = (
            _by_server(self._cloud.unfinished_migrations()) if uuids else {})
        servers = self._one_by_one(uuids, full)
        return _sight(
            servers, frozenset(uuids) - set(servers), moving, asked,
            whole=False)

    def servers(
        self, uuids: Collection[str]
    ) -> Mapping[str, recovery.ServerView]:
        """These servers as Nova shows them, without those that it lacks.

        :raises cloud_errors.CloudError: not all of them could be read
        """
        if len(uuids) > ONE_BY_ONE:
            known = {one.uuid: one for one in self._cloud.servers_all()}
            return {uuid: known[uuid] for uuid in uuids if uuid in known}
        return self._one_by_one(uuids, full=False)

    def gone(self, uuids: Collection[str]) -> frozenset[str]:
        """Which of these servers Nova does not have any more.

        :raises cloud_errors.CloudError: not all of them could be read
        """
        return frozenset(uuids) - set(self._one_by_one(uuids, full=False))

    def completed(self, sight: Sight, uuids: Collection[str]) -> Sight:
        """The same look, with those of these servers that it lacks.

        They were born, or joined, after the others were read.

        :raises cloud_errors.CloudError: not all of them could be read
        """
        if sight.servers.keys() >= set(uuids):
            return sight
        return dataclasses.replace(
            self._with_missing(sight, uuids, full=True), whole=sight.whole)

    def _with_missing(
        self, sight: Sight, uuids: Collection[str], full: bool
    ) -> Sight:
        """Also those that were born while all were listed."""
        missing = set(uuids) - set(sight.servers)
        late = self._one_by_one(missing, full)
        return _sight(
            {**sight.servers, **late}, frozenset(missing - set(late)),
            sight.moving, sight.read_at, whole=True)

    def _one_by_one(
        self, uuids: Collection[str], full: bool
    ) -> dict[str, recovery.ServerView]:
        if not uuids:
            return {}
        read = self._cloud.server_in_full if full else self._cloud.server

        def one(uuid: str) -> recovery.ServerView | None:
            try:
                return read(uuid)
            except cloud_errors.CloudNotFound:
                return None

        with futures.ThreadPoolExecutor(PARALLEL) as pool:
            found = list(pool.map(one, uuids))
        return {each.uuid: each for each in found if each is not None}


def place(
    server: recovery.ServerView,
    migration: core_migrations.MigrationView | None,
) -> rules.Place:
    """The hosts that a server counts on: both ends while it is moved.

    A server without a host (never placed, shelved) counts nowhere.
    """
    hosts = [server.host] if server.host else []
    if migration is not None and not _over(server, migration):
        hosts += [
            host for host in (migration.source, migration.dest) if host]
    return tuple(dict.fromkeys(hosts))


def _over(
    server: recovery.ServerView, migration: core_migrations.MigrationView
) -> bool:
    """It came to its end between the looks at the one and at the other."""
    return server.task_state is None and server.host == migration.dest


def _by_server(
    found: Iterable[core_migrations.MigrationView],
) -> dict[str, core_migrations.MigrationView]:
    """The newest migration of each server that Nova works on."""
    newest: dict[str, core_migrations.MigrationView] = {}
    for one in sorted(found, key=lambda each: each.id):
        newest[one.server] = one
    return newest


def _sight(
    servers: Mapping[str, recovery.ServerView],
    gone: frozenset[str],
    moving: Mapping[str, core_migrations.MigrationView],
    asked: float,
    *,
    whole: bool,
) -> Sight:
    ours = {
        uuid: migration for uuid, migration in moving.items()
        if uuid in servers}
    return Sight(
        servers=servers, gone=gone, moving=ours, read_at=asked, whole=whole,
        occupancy={
            uuid: place(server, ours.get(uuid))
            for uuid, server in servers.items()})
