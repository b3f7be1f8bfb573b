# SPDX-License-Identifier: Apache-2.0
"""The fencing port: what a driver is given and what it must do.

A driver talks to one kind of management controller (BMC). It holds no policy:
when to power off, how long to wait for the proof and what to do when a
controller does not answer is the fencer's work (``fencing/fencer.py``).
"""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import datetime
import types
import typing

from aacloud.core import fences

NAMESPACE = "aacloud.fencing"
"""The stevedore namespace of the drivers."""

Clock = Callable[[], datetime.datetime]


def utcnow() -> datetime.datetime:
    """Return the wall clock, aware, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


class FenceError(Exception):
    """A management controller could not be talked to, or refused.

    It says which host and controller, at which step, what happened and what
    the operator can do. It never holds a password.
    """

    def __init__(
        self, target: "FenceTarget", step: str, what: str, advice: str
    ) -> None:
        self.target = target
        self.step = step
        self.what = what
        self.advice = advice
        super().__init__(
            f"{target.driver} of host {target.host} at {target.address}: "
            f"could not {step}: {what}. {advice}"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class FenceTarget:
    """How one host is fenced: one leg of its entry in the inventory."""

    host: str
    driver: str
    address: str = ""
    username: str = ""
    password: str = dataclasses.field(default="", repr=False)
    options: Mapping[str, object] = dataclasses.field(
        default_factory=lambda: types.MappingProxyType({})
    )


class FenceDriver(typing.Protocol):
    """One kind of management controller.

    Made once with the seconds that one call may take; used by several
    threads at a time, but for one target by one thread only.
    """

    name: str
    strength: fences.Strength
    """What its reading of ``off`` is worth: strong, weak or none."""

    def __init__(self, timeout: float, clock: Clock = utcnow) -> None: ...

    def validate(self, target: FenceTarget) -> tuple[str, ...]:
        """Return what is wrong with the entry, without any I/O."""

    def power_state(self, target: FenceTarget) -> fences.FenceEvidence:
        """Read the power state anew; raise FenceError when it cannot be."""

    def power_off(self, target: FenceTarget) -> None:
        """Ask for an immediate power-off; its success proves nothing."""

    def power_on(self, target: FenceTarget) -> None:
        """Ask for power-on."""

    def close(self, target: FenceTarget) -> None:
        """Forget what is open to this target. Never raises."""
