# SPDX-License-Identifier: Apache-2.0
"""The engine's clocks, held in one place so that a test can turn them."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import datetime
import time


def utcnow() -> datetime.datetime:
    """The wall clock of this engine, aware."""
    return datetime.datetime.now(datetime.timezone.utc)


@dataclasses.dataclass(frozen=True, slots=True)
class Clock:
    """What time it is.

    :ivar monotonic: seconds; for ages and pauses
    :ivar utcnow: aware; for what is told and kept
    """

    monotonic: Callable[[], float] = time.monotonic
    utcnow: Callable[[], datetime.datetime] = utcnow
