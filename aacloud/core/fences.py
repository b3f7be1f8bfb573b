# SPDX-License-Identifier: Apache-2.0
"""What a fence leg saw, and whether that proves anything."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import typing

Strength = typing.Literal["strong", "weak", "none"]

#: The driver name of a person's word that the host is off.
OPERATOR = "operator"


class PowerState(str, enum.Enum):
    """A power state as it was read back; a command's result is not one."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class FenceEvidence:
    """What one fence leg read back.

    :ivar driver: name of the fence driver, or "operator".
    :ivar strength: what its word is worth: a strong leg proves alone, two
        weak legs of different drivers prove together, "none" proves nothing.
    :ivar power: the state that was read, UNKNOWN when it could not be read.
    :ivar read_at_utc: when it was read, by the engine's clock.
    :ivar detail: what was asked and answered; for UNKNOWN, what to do.
    """

    driver: str
    strength: Strength
    power: PowerState
    read_at_utc: datetime.datetime
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Proof:
    """Whether the host is proved to be off, and why.

    :ivar proven_at_utc: when the deciding leg was read; None if unproven.
    """

    proven: bool
    reasons: tuple[str, ...]
    legs: tuple[FenceEvidence, ...] = ()
    proven_at_utc: datetime.datetime | None = None
