# SPDX-License-Identifier: Apache-2.0
"""How many moves are in flight: one pace for all movers of an engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import dataclasses
import threading
import time

from aacloud.core import concurrency


class Pace:
    """Counts moves in flight and learns how many there may be.

    Thread-safe; shared by all movers, since they share one Nova.
    """

    def __init__(
        self,
        limits: concurrency.Concurrency | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits or concurrency.Concurrency()
        self._clock = clock
        self._lock = threading.Lock()
        self._flying: Counter[str] = Counter()

    @property
    def limits(self) -> concurrency.Concurrency:
        """The limits in force, with what was learned."""
        with self._lock:
            return self._limits

    @property
    def in_flight(self) -> int:
        """Moves in flight now."""
        with self._lock:
            return self._flying.total()

    @property
    def full(self) -> bool:
        """No more moves may be started now, wherever to."""
        with self._lock:
            return self._flying.total() >= self._limits.slots

    def adjust(self, *, ceiling: int, per_destination: int) -> None:
        """Take over other bounds; what was learned stays within them."""
        with self._lock:
            self._limits = dataclasses.replace(
                self._limits, ceiling=ceiling,
                per_destination=per_destination,
            )

    def flying_to(self, destination: str) -> int:
        """Moves in flight to one destination."""
        with self._lock:
            return self._flying[destination]

    def try_start(self, destination: str) -> bool:
        """Count one more move in flight, if there may be one."""
        with self._lock:
            if not concurrency.may_start(
                self._limits,
                self._flying.total(),
                self._flying,
                destination,
            ):
                return False
            self._flying[destination] += 1
            return True

    def adopt(self, destination: str) -> None:
        """Count a move that is in flight already, limits or not."""
        with self._lock:
            self._flying[destination] += 1

    def end(self, destination: str) -> None:
        """Count a move as no longer in flight."""
        with self._lock:
            self._flying[destination] -= 1
            if self._flying[destination] <= 0:
                del self._flying[destination]

    def learn(self, latency_s: float, ok: bool) -> None:
        """Adapt to how a move (or the request for it) ended."""
        with self._lock:
            self._limits = concurrency.on_result(
                self._limits, latency_s, ok, self._clock()
            )
