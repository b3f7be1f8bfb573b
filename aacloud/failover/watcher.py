# SPDX-License-Identifier: Apache-2.0
"""Reads Nova for the engine, again and again."""

from __future__ import annotations

import logging
import threading

from aacloud.clouds import errors as cloud_errors
from aacloud.clouds import ports
from aacloud.coordination import clock as clocks
from aacloud.core import topology as topologies
from aacloud.failover import world as worlds
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

#: Longest pause between two looks at a Nova that does not answer, seconds.
#: Less than what Nova said may be old, see ``overseer.NOVA_TTL``.
LONGEST_PAUSE = 10.0


class CloudWatcher:
    """Reads Nova's services and the topology again and again.

    Nova's silence changes nothing but the age of what is known.

    :param services_every: seconds between two looks at the services
    :param topology_every: seconds between two looks at the aggregates
    """

    def __init__(
        self,
        cloud: ports.Cloud,
        world: worlds.World,
        *,
        services_every: float,
        topology_every: float,
        clock: clocks.Clock | None = None,
    ) -> None:
        self._cloud = cloud
        self._world = world
        self._services_every = services_every
        self._topology_every = topology_every
        self._clock = clock or clocks.Clock()
        self._topology_due = float("-inf")
        self._failures = 0
        self._pace = rates.LogPace(clock=self._clock.monotonic)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self.trouble: str | None = "Nova was not asked yet"

    def start(self) -> None:
        """Begin to read, in a thread."""
        self._thread = threading.Thread(
            target=self._run, name="cloud-watcher", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End; a call that is under way is not waited for any longer."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def look_now(self) -> None:
        """Read again at once (something was just changed)."""
        self._wake.set()

    def look(self) -> float:
        """Read what is due; return the seconds until the next look."""
        asked = self._clock.monotonic()
        try:
            self._world.take_services(self._cloud.services(), asked)
            if (
                asked >= self._topology_due
                or not self._world.topology().hosts
            ):
                self._world.take_topology(
                    *topologies.topology_from_aggregates(
                        self._cloud.aggregates()))
                self._topology_due = asked + self._topology_every
        except cloud_errors.CloudError as error:
            return self._failed(str(error))
        except Exception as error:
            if self._pace.due(type(error).__name__) is not None:
                LOG.exception("Nova could not be read")
            return self._failed(f"{type(error).__name__}: {error}")
        if self._failures:
            LOG.info("Nova can be read again")
        self._failures = 0
        self.trouble = None
        return self._services_every

    def _failed(self, trouble: str) -> float:
        pause = min(
            self._services_every * 2 ** min(self._failures, 8),
            max(self._services_every, LONGEST_PAUSE))
        self._failures += 1
        self.trouble = trouble
        # Each answer may be worded differently: not a line for each.
        held_back = self._pace.due("unreadable")
        if held_back is not None:
            LOG.warning(
                "Nova cannot be read (%s). Nothing is decided on what it "
                "does not say; trying again in %.0f s%s",
                trouble, pause, self._pace.text(held_back))
        return pause

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            self._wake.wait(self.look())
