# SPDX-License-Identifier: Apache-2.0
"""What is free on the hosts, read once for moves that begin together."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Hashable
from collections.abc import Mapping
import dataclasses
import threading

from aacloud.clouds import ports
from aacloud.coordination import clock as clocks
from aacloud.core import rules

#: Seconds for which what was read may be used.
KEPT_S = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Room:
    """What Nova and Placement showed at one look.

    :ivar hosts: what was free on each
    :ivar places: where servers counted right before: Placement holds the
        room of these, that of later moves is still to be taken off
    """

    hosts: Mapping[str, ports.HostCapacity]
    places: Mapping[str, rules.Place]

    def has(self, server: str, host: str) -> bool:
        """Whether the room of a server on a host is taken off already."""
        return host in self.places.get(server, ())


class RoomReader:
    """Reads what is free. Safe for threads: who comes meanwhile waits, and
    shares what was read."""

    def __init__(
        self, cloud: ports.Cloud, clock: clocks.Clock | None = None
    ) -> None:
        self._cloud = cloud
        self._clock = clock or clocks.Clock()
        self._lock = threading.Lock()
        self._room: Room | None = None
        self._key: Hashable = None
        self._until = float("-inf")

    def read(
        self,
        hosts: Collection[str],
        places: Mapping[str, rules.Place],
        key: Hashable,
    ) -> Room:
        """What is free on these hosts.

        :param places: where the servers count that are being moved, read
            right before
        :param key: what was read with another key is not used
        :raises cloud_errors.CloudError: it could not be read
        """
        key = (frozenset(hosts), key)
        with self._lock:
            if (
                self._room is None or key != self._key
                or self._clock.monotonic() > self._until
            ):
                self._room = None
                self._room = Room(
                    self._cloud.capacity(tuple(hosts)), dict(places))
                self._key = key
                self._until = self._clock.monotonic() + KEPT_S
            return self._room
