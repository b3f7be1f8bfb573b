# SPDX-License-Identifier: Apache-2.0
"""How many moves may be under way at once, learned from Nova's answers.

Additive increase, multiplicative decrease: each good result raises the limit
by a share of one, a bad one halves it. Nova's own queues are the reason: a
naive burst is slower than one move after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Concurrency:
    """The limit in force, and what it was learned from.

    :ivar limit: moves that may be in flight; a float, its floor counts.
    :ivar floor: never below this, or nothing would be learned any more.
    :ivar ceiling: never above this.
    :ivar per_destination: Nova does not limit rebuilds on a host: we do.
    :ivar backoff: what the limit is multiplied by after an error.
    :ivar slow_s: a move that took longer counts as a sign of overload.
    :ivar stretch: with moves this many times slower than the fastest one
        the limit is not raised: more would only queue.
    :ivar cooldown_s: several errors within this time lower it once.
    :ivar fastest_s: the fastest move so far.
    :ivar lowered_at: when it was last lowered (monotonic), or None.
    """

    limit: float = 8.0
    floor: int = 1
    ceiling: int = 24
    per_destination: int = 4
    backoff: float = 0.5
    slow_backoff: float = 0.75
    slow_s: float = 90.0
    stretch: float = 6.0
    cooldown_s: float = 5.0
    fastest_s: float | None = None
    lowered_at: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.floor <= self.ceiling:
            raise ValueError(
                "concurrency needs 1 <= floor <= ceiling, got "
                f"{self.floor} and {self.ceiling}")
        bounded = min(max(self.limit, self.floor), self.ceiling)
        object.__setattr__(self, "limit", float(bounded))

    @property
    def slots(self) -> int:
        """The limit as a whole number of moves."""
        return int(self.limit)


def on_result(
    concurrency: Concurrency, latency_s: float, ok: bool, now: float,
) -> Concurrency:
    """The limit after one more move came to an end.

    :param latency_s: seconds from the request to the end of the move
    :param ok: False for an API error, a refusal or a failed move
    :param now: the engine's monotonic clock
    """
    if not ok:
        return _lowered(concurrency, concurrency.backoff, now)
    fastest = latency_s
    if concurrency.fastest_s is not None:
        fastest = min(fastest, concurrency.fastest_s)
    learned = dataclasses.replace(concurrency, fastest_s=fastest)
    if latency_s > concurrency.slow_s:
        return _lowered(learned, concurrency.slow_backoff, now)
    if latency_s > fastest * concurrency.stretch:
        return learned
    return dataclasses.replace(
        learned, limit=learned.limit + 1.0 / learned.limit)


def _lowered(
    concurrency: Concurrency, factor: float, now: float,
) -> Concurrency:
    last = concurrency.lowered_at
    if last is not None and now - last < concurrency.cooldown_s:
        return concurrency
    return dataclasses.replace(
        concurrency, limit=concurrency.limit * factor, lowered_at=now)


def may_start(
    concurrency: Concurrency,
    in_flight: int,
    in_flight_by_destination: Mapping[str, int],
    destination: str,
) -> bool:
    """Whether one more move to a destination may start now.

    :param in_flight: moves under way in the whole cloud
    :param in_flight_by_destination: the same, by destination host
    """
    if in_flight >= concurrency.slots:
        return False
    there = in_flight_by_destination.get(destination, 0)
    return there < concurrency.per_destination
