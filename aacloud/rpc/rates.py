# SPDX-License-Identifier: Apache-2.0
"""Not too often: allowances for answers and for lines in the log."""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Hashable
import threading
import time


class Allowance:
    """How much each of many senders may have: so much a second, and a burst.

    Not locked: it belongs to one thread.

    :param rate: tokens a second
    :param burst: tokens at most
    :param size: how many senders are remembered; the one not heard for
        longest is forgotten (and starts with a full burst again)
    """

    def __init__(self, rate: float, burst: float, size: int) -> None:
        self._rate = rate
        self._burst = burst
        self._size = size
        self._left: collections.OrderedDict[
            Hashable, tuple[float, float]
        ] = collections.OrderedDict()

    def take(self, sender: Hashable, now: float) -> bool:
        """Take a token of ``sender``; False when none is left."""
        tokens, since = self._left.pop(sender, (self._burst, now))
        passed = max(0.0, now - since)
        tokens = min(self._burst, tokens + passed * self._rate)
        granted = tokens >= 1.0
        self._left[sender] = (tokens - 1.0 if granted else tokens, now)
        if len(self._left) > self._size:
            self._left.popitem(last=False)
        return granted


class LogPace:
    """Says when a kind of line may be logged again. Safe for threads.

    :param interval: seconds between two lines of one kind
    :param size: how many kinds are remembered; beyond it all share one
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        interval: float = 60.0,
        size: int = 256,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = interval
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[Hashable, tuple[float, int]] = {}

    def due(self, kind: Hashable) -> int | None:
        """Return how many were held back, or None when it is too early."""
        now = self._clock()
        with self._lock:
            if kind not in self._last and len(self._last) >= self._size:
                kind = None
            last = self._last.get(kind)
            if last is not None and now - last[0] < self._interval:
                self._last[kind] = (last[0], last[1] + 1)
                return None
            self._last[kind] = (now, 0)
            return 0 if last is None else last[1]

    def text(self, held_back: int) -> str:
        """Return what to append to a line about those held back."""
        if not held_back:
            return ""
        return f" ({held_back} more of this kind since the last such line)"
