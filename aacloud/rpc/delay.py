# SPDX-License-Identifier: Apache-2.0
"""How long a message was under way, with no clock shared by both ends.

Each message carries the sender's steady clock. The receiver's clock minus
the sender's is a constant plus the delay; the smallest difference seen of
late stands for a message that was not delayed. Without this, reports that
waited in a queue (for an engine that was paused, say) would look fresh.
"""

from __future__ import annotations

#: Messages over which the smallest difference is kept. Clocks drift apart by
#: less than 0.1 s over that many seconds. It is longer than what a queue
#: holds that dies after a minute or two, so that a backlog cannot move it.
SPAN = 300


class DelayMeter:
    """The delay of the messages of one sender.

    The smallest difference is that of the last ``span`` to 2 x ``span``
    messages, kept in two halves.
    """

    __slots__ = ("_count", "_old", "_span", "_young")

    def __init__(self, span: int = SPAN) -> None:
        self._span = span
        self._old = float("inf")
        self._young = float("inf")
        self._count = 0

    def delay(self, sent: float, now: float) -> float:
        """Note a message and return its delay in seconds, at least 0.

        :param sent: the sender's steady clock when it sent
        :param now: the receiver's steady clock
        """
        difference = now - sent
        if self._count >= self._span:
            self._old, self._young = self._young, float("inf")
            self._count = 0
        self._count += 1
        self._young = min(self._young, difference)
        return difference - min(self._old, self._young)
