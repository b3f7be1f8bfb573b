# SPDX-License-Identifier: Apache-2.0
"""What a fence leg saw, and whether that proves anything."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
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

    def as_dict(self) -> dict[str, typing.Any]:
        """The evidence as JSON-able values."""
        return {
            "driver": self.driver, "strength": self.strength,
            "power": self.power.value,
            "read_at_utc": self.read_at_utc.isoformat(),
            "detail": self.detail,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, typing.Any]) -> FenceEvidence:
        """The evidence from what as_dict() made."""
        return cls(
            driver=data["driver"], strength=data["strength"],
            power=PowerState(data["power"]),
            read_at_utc=datetime.datetime.fromisoformat(data["read_at_utc"]),
            detail=data["detail"])


@dataclasses.dataclass(frozen=True, slots=True)
class Proof:
    """Whether the host is proved to be off, and why.

    :ivar proven_at_utc: when the deciding leg was read; None if unproven.
    """

    proven: bool
    reasons: tuple[str, ...]
    legs: tuple[FenceEvidence, ...] = ()
    proven_at_utc: datetime.datetime | None = None

    def as_dict(self) -> dict[str, typing.Any]:
        """The proof as JSON-able values, kept with the incident."""
        at = self.proven_at_utc
        return {
            "proven": self.proven,
            "reasons": list(self.reasons),
            "legs": [leg.as_dict() for leg in self.legs],
            "proven_at_utc": None if at is None else at.isoformat(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, typing.Any]) -> Proof:
        """The proof from what as_dict() made."""
        at = data["proven_at_utc"]
        return cls(
            proven=data["proven"], reasons=tuple(data["reasons"]),
            legs=tuple(FenceEvidence.from_dict(leg) for leg in data["legs"]),
            proven_at_utc=(
                None if at is None
                else datetime.datetime.fromisoformat(at)))


def prove(
    legs: Sequence[FenceEvidence],
    last_sign_of_life_utc: datetime.datetime | None,
    *,
    now_utc: datetime.datetime | None = None,
    quiet_s: float = 0.0,
) -> Proof:
    """Whether what the legs read back proves the host off.

    Of each driver the newest reading counts. A strong leg that read Off, two
    weak legs of different drivers that did, or an operator's word prove it.
    A leg that reads On disproves it; only an operator's word stands against
    that, for a broken BMC may say On for ever. A sign of life at or after a
    reading makes that reading worthless, an operator's word as well. So that
    the next sign of life of a host which lives can come, nothing is proved
    before the host was silent for a while: a controller that says Off between
    two answers of the host lies.

    :param legs: all that was read for this incident, in any order
    :param last_sign_of_life_utc: the newest sign of life of the host
    :param now_utc: aware UTC; the newest reading when it is not given
    :param quiet_s: how long the host must have been silent by now, seconds;
        longer than a sign of life takes to become known
    """
    kept = tuple(legs)
    reasons: list[str] = []
    counting: list[FenceEvidence] = []
    for leg in _newest(kept):
        if leg.power is PowerState.UNKNOWN:
            reasons.append(_told(f"{leg.driver}: power state not known", leg))
        elif leg.strength == "none":
            reasons.append(
                f"{leg.driver}: its word ({leg.power.value}) proves nothing")
        elif (leg.power is PowerState.OFF
                and last_sign_of_life_utc is not None
                and last_sign_of_life_utc >= leg.read_at_utc):
            reasons.append(
                f"{leg.driver} says off at {_clock(leg.read_at_utc)}, but "
                f"the host showed life at {_clock(last_sign_of_life_utc)}: "
                f"it is not off, or not this host's; check the fencing "
                f"inventory, then power it off and confirm")
        else:
            counting.append(leg)
    off = [leg for leg in counting if leg.power is PowerState.OFF]
    on = [leg for leg in counting if leg.power is PowerState.ON]
    decided = _decided(off, on)
    reasons = [
        *(_told(f"{leg.driver} reads {leg.power.value} at "
                f"{_clock(leg.read_at_utc)}", leg) for leg in counting),
        *reasons]
    if decided is None:
        reasons.append(_missing(off, on, kept))
        return Proof(False, tuple(reasons), kept)
    moment = now_utc or max(leg.read_at_utc for leg in kept)
    if last_sign_of_life_utc is not None:
        silent_s = (moment - last_sign_of_life_utc).total_seconds()
        if silent_s < quiet_s:
            reasons.append(
                f"not proved: the host showed life {silent_s:.1f} s ago; what "
                f"says off counts once it is silent for {quiet_s:g} s")
            return Proof(False, tuple(reasons), kept)
    return Proof(True, tuple(reasons), kept, decided)


def _newest(legs: Sequence[FenceEvidence]) -> list[FenceEvidence]:
    newest: dict[str, FenceEvidence] = {}
    for leg in legs:
        known = newest.get(leg.driver)
        if known is None or _rank(leg) > _rank(known):
            newest[leg.driver] = leg
    return [newest[driver] for driver in sorted(newest)]


def _rank(leg: FenceEvidence) -> tuple[bool, datetime.datetime, bool, int]:
    # A reading that failed does not take back an earlier one that did not;
    # of two at the same moment the one that proves less counts.
    return (leg.power is not PowerState.UNKNOWN, leg.read_at_utc,
            leg.power is PowerState.ON,
            ("strong", "weak", "none").index(leg.strength))


def _decided(
    off: Sequence[FenceEvidence], on: Sequence[FenceEvidence],
) -> datetime.datetime | None:
    """When it was proved; None when it is not."""
    words = [leg for leg in off if leg.driver == OPERATOR]
    if words:
        return words[0].read_at_utc
    if on:
        return None
    strong = [leg.read_at_utc for leg in off if leg.strength == "strong"]
    if strong:
        return max(strong)
    weak = sorted(leg.read_at_utc for leg in off if leg.strength == "weak")
    # Together they hold from the moment the second one spoke.
    return weak[1] if len(weak) > 1 else None


def _missing(
    off: Sequence[FenceEvidence], on: Sequence[FenceEvidence],
    legs: Sequence[FenceEvidence],
) -> str:
    way_out = (
        "if you know that the host is off, say so with 'openstack ha "
        "incident confirm-fenced'")
    if on:
        return (f"not proved: {', '.join(leg.driver for leg in on)} reads "
                f"the host on; {way_out}")
    if off:
        return (f"not proved: {off[0].driver} alone is too weak, a second "
                f"driver has to agree; {way_out}")
    if not legs:
        return f"not proved: no fence leg was tried; {way_out}"
    return f"not proved: no fence leg reads the host off; {way_out}"


def _told(text: str, leg: FenceEvidence) -> str:
    return f"{text} ({leg.detail})" if leg.detail else text


def _clock(at: datetime.datetime) -> str:
    return at.isoformat(timespec="seconds")
