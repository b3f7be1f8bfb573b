# SPDX-License-Identifier: Apache-2.0
"""The driver of hosts that cannot be fenced: does nothing, proves nothing.

With it an incident waits until the operator has made sure that the host is
off and confirms it.
"""

from aacloud.core import fences
from aacloud.fencing import base


class NoopDriver:
    """No management controller at all."""

    name = "noop"
    strength: fences.Strength = "none"

    def __init__(
        self, timeout: float, clock: base.Clock = base.utcnow
    ) -> None:
        self._clock = clock

    def validate(self, target: base.FenceTarget) -> tuple[str, ...]:
        """Accept an entry that pretends nothing."""
        if target.address or target.username or target.options:
            return (
                "the noop driver takes no address, username or options",
            )
        return ()

    def power_state(self, target: base.FenceTarget) -> fences.FenceEvidence:
        """Say that nothing is known."""
        return fences.FenceEvidence(
            driver=self.name,
            strength=self.strength,
            power=fences.PowerState.UNKNOWN,
            read_at_utc=self._clock(),
            detail=(
                f"host {target.host} has the noop driver, which reads nothing:"
                " make sure that the host is off, then confirm the fence"
            ),
        )

    def power_off(self, target: base.FenceTarget) -> None:
        """Do nothing: there is nothing to switch."""

    def power_on(self, target: base.FenceTarget) -> None:
        """Do nothing: there is nothing to switch."""

    def close(self, target: base.FenceTarget) -> None:
        """Do nothing: nothing is open."""
