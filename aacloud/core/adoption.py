# SPDX-License-Identifier: Apache-2.0
"""Exactly one evacuation a server, on a Nova that has no idempotency key."""

from __future__ import annotations

import dataclasses
import typing

from aacloud.core.migrations import MigrationView
from aacloud.core.retries import FailureKind


@dataclasses.dataclass(frozen=True, slots=True)
class AdoptionPolicy:
    """When a silent request may be sent again.

    :ivar request_grace_s: seconds to wait for the trace of a request that
        may have reached Nova. Longer than the HTTP time-out of a call.
    :ivar stuck_after_s: an evacuation that did not move for so long is
        given to the operator.
    """

    request_grace_s: float = 20.0
    stuck_after_s: float = 1800.0


@dataclasses.dataclass(frozen=True, slots=True)
class Adopt:
    """Nova is working on an evacuation: follow it, send nothing."""

    migration: MigrationView
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Send:
    """Nothing is under way and nothing can be: send the evacuation."""

    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """It is not known what happened: look again later, send nothing."""

    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Landed:
    """The server is on another host and nothing is under way."""

    host: str
    migration: MigrationView | None
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """This attempt is over, without success: see core/retries.

    The ids in ``settled`` belong into ServerRecord.past_migrations.
    """

    kind: FailureKind
    reason: str
    settled: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Manual:
    """The engine keeps its hands off; an operator has to look."""

    reason_code: str
    reason: str


Outcome: typing.TypeAlias = Adopt | Send | Wait | Landed | Failed | Manual
