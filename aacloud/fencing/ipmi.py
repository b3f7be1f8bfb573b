# SPDX-License-Identifier: Apache-2.0
"""Fencing through IPMI 2.0 over LAN, with pyghmi.

The address is ``host`` or ``host:port`` (623 by default; an IPv6 address with
a port stands in brackets). Options of an inventory entry:

* ``privilege``: ``administrator`` (default) or ``operator``;
* ``kg``: the key of controllers that use one.
"""

import contextlib

from pyghmi import exceptions as pyghmi_exceptions
from pyghmi.ipmi import command

from aacloud.core import fences
from aacloud.fencing import base

_OPTIONS = frozenset({"privilege", "kg"})
_PRIVILEGE = {"operator": 3, "administrator": 4}
_PORT = 623
_POWER = {"on": fences.PowerState.ON, "off": fences.PowerState.OFF}


def split_address(address: str) -> tuple[str, int]:
    """Split ``host[:port]``; raise ValueError when it is neither.

    A bare IPv6 address has no port.
    """
    host, port = address, ""
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{address!r} is not [address]:port")
        port = rest[1:] if rest else ""
        if rest == ":":
            raise ValueError(f"{address!r} has an empty port")
    elif address.count(":") == 1:
        host, _, port = address.partition(":")
        if not port:
            raise ValueError(f"{address!r} has an empty port")
    if not host or "/" in host:
        raise ValueError(f"{address!r} is not host or host:port")
    if not port:
        return host, _PORT
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{port!r} is not a port")
    return host, int(port)


class IpmiDriver:
    """IPMI controllers."""

    name = "ipmi"
    strength: fences.Strength = "strong"

    def __init__(
        self, timeout: float, clock: base.Clock = base.utcnow
    ) -> None:
        # pyghmi gives up by its own schedule, after about ten seconds; the
        # fencer bounds the call by ``timeout`` all the same.
        self._timeout = timeout
        self._clock = clock

    def validate(self, target: base.FenceTarget) -> tuple[str, ...]:
        """Return what is wrong with the entry, without any I/O."""
        problems = []
        try:
            split_address(target.address)
        except ValueError as error:
            problems.append(f"address: {error}")
        problems.extend(
            f"unknown option {key!r}; known: {', '.join(sorted(_OPTIONS))}"
            for key in sorted(set(target.options) - _OPTIONS)
        )
        privilege = target.options.get("privilege", "administrator")
        if privilege not in _PRIVILEGE:
            problems.append(
                f"privilege {privilege!r} is neither operator nor"
                " administrator"
            )
        if not isinstance(target.options.get("kg", ""), str):
            problems.append("kg is not a string")
        if not target.username:
            problems.append("username is missing")
        return tuple(problems)

    def power_state(self, target: base.FenceTarget) -> fences.FenceEvidence:
        """Read the chassis power status."""
        asked = self._clock()
        step = "read the power state"
        with _Session(target, step) as bmc:
            state = bmc.get_power()["powerstate"]
        return fences.FenceEvidence(
            driver=self.name,
            strength=self.strength,
            power=_POWER.get(state, fences.PowerState.UNKNOWN),
            read_at_utc=asked,
            detail=f"{target.address}: chassis power is {state}",
        )

    def power_off(self, target: base.FenceTarget) -> None:
        """Send chassis control power down, not the soft shutdown."""
        with _Session(target, "power off") as bmc:
            bmc.set_power("off", wait=False)

    def power_on(self, target: base.FenceTarget) -> None:
        """Send chassis control power up."""
        with _Session(target, "power on") as bmc:
            bmc.set_power("on", wait=False)

    def close(self, target: base.FenceTarget) -> None:
        """Do nothing: each call logs in and out."""


class _Session:
    """A session with one controller, and pyghmi's errors explained."""

    def __init__(self, target: base.FenceTarget, step: str) -> None:
        self._target = target
        self._step = step
        self._bmc: command.Command | None = None

    def __enter__(self) -> command.Command:
        host, port = split_address(self._target.address)
        options = self._target.options
        kg = options.get("kg")
        try:
            self._bmc = command.Command(
                bmc=host,
                # As bytes: with text, pyghmi 1.6 never forgets the session it
                # was opening and hands out the dead one at the next login.
                userid=self._target.username.encode(),
                password=self._target.password.encode(),
                port=port,
                kg=str(kg) if kg else None,
                privlevel=_PRIVILEGE[
                    str(options.get("privilege", "administrator"))
                ],
            )
        except Exception as error:
            raise self._explain(error) from error
        return self._bmc

    def __exit__(
        self, kind: object, error: BaseException | None, trace: object
    ) -> None:
        if self._bmc is not None:
            with contextlib.suppress(Exception):  # it may be gone
                self._bmc.ipmi_session.logout()
        if isinstance(error, Exception):
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> base.FenceError:
        what = " ".join(str(error).split())
        # pyghmi raises a time-out without a text, or with the text "None".
        silent = what in ("", "None", "timeout", "Session no longer connected")
        if silent:
            what = "no answer"
        if isinstance(error, pyghmi_exceptions.IpmiException) and (
            "password" in what.lower() or "username" in what.lower()
        ):
            advice = (
                "Check username, password and options.privilege in the"
                " fencing inventory"
            )
        elif silent or isinstance(error, OSError):
            advice = (
                "Check that the controller has power, that IPMI over LAN is"
                " on and that the engine reaches its UDP port"
            )
        else:
            advice = "Look at the controller's own event log"
        return base.FenceError(self._target, self._step, what, f"{advice}.")
