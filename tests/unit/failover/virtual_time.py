# SPDX-License-Identifier: Apache-2.0
"""Time that goes on only when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
import datetime
import heapq
import itertools
import threading

from aacloud.coordination import clock as clocks

START = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.timezone.utc)


class VirtualTime:
    """Seconds since the start, and what happens at which of them."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self._begin = now
        self._lock = threading.RLock()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def monotonic(self) -> float:
        return self.now

    def utcnow(self) -> datetime.datetime:
        return START + datetime.timedelta(seconds=self.now - self._begin)

    def clock(self) -> clocks.Clock:
        return clocks.Clock(self.monotonic, self.utcnow)

    def later(self, seconds: float, happen: Callable[[], None]) -> None:
        with self._lock:
            heapq.heappush(
                self._due, (self.now + seconds, next(self._number), happen))

    def go_to(self, moment: float) -> None:
        """Let time go by, and happen what is due in it."""
        with self._lock:
            while self._due and self._due[0][0] <= moment:
                at, _number, happen = heapq.heappop(self._due)
                self.now = max(self.now, at)
                happen()
            self.now = max(self.now, moment)

    def go_by(self, seconds: float) -> None:
        self.go_to(self.now + seconds)


class Inline(futures.Executor):
    """Makes the calls at once, in the caller's thread.

    What is no Exception, such as the end of a process, goes through it.
    """

    def submit(self, work, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future: futures.Future[object] = futures.Future()
        try:
            future.set_result(work(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 the caller's to judge
            future.set_exception(error)
        return future
