# SPDX-License-Identifier: Apache-2.0
"""Fencing through Redfish, with sushy.

Options of an inventory entry:

* ``system_id``: the system behind this controller, as an id or as a path;
  when left out, the controller must have exactly one;
* ``auth``: ``auto`` (a session, else basic), ``basic`` or ``session``;
* ``verify``: true, false, or the path of a CA bundle (default true);
* ``root_prefix``: the path of the service root (default ``/redfish/v1/``).
"""

import contextlib
import threading
import urllib.parse

import sushy
from sushy import auth as sushy_auth
from sushy import connector as sushy_connector
from sushy import exceptions as sushy_exceptions
from sushy.resources.system import system as sushy_system

from aacloud.core import fences
from aacloud.fencing import base

_OPTIONS = frozenset({"system_id", "auth", "verify", "root_prefix"})
_AUTH = {
    "auto": sushy_auth.SessionOrBasicAuth,
    "basic": sushy_auth.BasicAuth,
    "session": sushy_auth.SessionAuth,
}
_ROOT = "/redfish/v1/"
_CONNECT_TIMEOUT = 5.0
"""Seconds for the TCP connection: a controller in reach accepts at once."""

_POWER = {
    sushy.POWER_STATE_ON: fences.PowerState.ON,
    sushy.POWER_STATE_OFF: fences.PowerState.OFF,
    # On its way is not there: both may still run guests.
    sushy.POWER_STATE_POWERING_ON: fences.PowerState.ON,
    sushy.POWER_STATE_POWERING_OFF: fences.PowerState.ON,
}

_CHECK_NETWORK = (
    "Check that the controller has power and that the engine reaches its"
    " address"
)


def _root_cause(error: BaseException) -> str:
    """Return the system's own words when it was the network, else sushy's."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, TimeoutError):
            return "no answer in time"
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
        link = link.__cause__ or link.__context__
    return " ".join(str(error).split()) or type(error).__name__


class _Open:
    """What is kept open to one controller between calls."""

    __slots__ = ("auth", "connector", "root", "system")

    def __init__(
        self,
        auth: sushy_auth.AuthBase,
        connector: sushy_connector.Connector,
        root: sushy.Sushy,
        system: sushy_system.System,
    ) -> None:
        self.auth = auth
        self.connector = connector
        self.root = root
        self.system = system


class RedfishDriver:
    """Redfish controllers."""

    name = "redfish"
    strength: fences.Strength = "strong"

    def __init__(
        self, timeout: float, clock: base.Clock = base.utcnow
    ) -> None:
        self._timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], _Open] = {}
        self._without_sessions: set[tuple[str, str]] = set()

    def validate(self, target: base.FenceTarget) -> tuple[str, ...]:
        """Return what is wrong with the entry, without any I/O."""
        problems = []
        parts = urllib.parse.urlsplit(target.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            problems.append(
                f"address {target.address!r} is not a URL like"
                " https://192.0.2.1"
            )
        problems.extend(
            f"unknown option {key!r}; known: {', '.join(sorted(_OPTIONS))}"
            for key in sorted(set(target.options) - _OPTIONS)
        )
        auth = target.options.get("auth", "auto")
        if auth not in _AUTH:
            problems.append(f"auth {auth!r} is none of auto, basic, session")
        if not isinstance(target.options.get("verify", True), bool | str):
            problems.append("verify is neither true, false nor a path")
        problems.extend(
            f"{key} is not a string"
            for key in ("system_id", "root_prefix")
            if not isinstance(target.options.get(key, ""), str)
        )
        if not target.username:
            problems.append("username is missing")
        return tuple(problems)

    def power_state(self, target: base.FenceTarget) -> fences.FenceEvidence:
        """Read the power state anew from the controller."""
        # The time before the question: a sign of life that comes later than
        # this must void the answer, even one that crossed it on the way.
        asked = self._clock()
        try:
            opened, fresh = self._connect(target)
            if not fresh:
                opened.system.refresh(force=True)
            state = opened.system.power_state
        except Exception as error:
            self.close(target)
            raise self._explain(
                target, "read the power state", error
            ) from error
        return fences.FenceEvidence(
            driver=self.name,
            strength=self.strength,
            power=_POWER.get(state, fences.PowerState.UNKNOWN),
            read_at_utc=asked,
            detail=(
                f"{target.address}{opened.system.path}: PowerState "
                f"{state.value if state is not None else 'missing'}"
            ),
        )

    def power_off(self, target: base.FenceTarget) -> None:
        """Send ForceOff; never a graceful shutdown, which a guest can stop."""
        self._reset(target, sushy.RESET_FORCE_OFF, "power off")

    def power_on(self, target: base.FenceTarget) -> None:
        """Send On."""
        self._reset(target, sushy.RESET_ON, "power on")

    def close(self, target: base.FenceTarget) -> None:
        """End the session with the controller, if there is one."""
        with self._lock:
            opened = self._open.pop((target.host, target.address), None)
        if opened is not None:
            self._end(opened.auth, opened.connector)

    def _reset(
        self, target: base.FenceTarget, value: object, step: str
    ) -> None:
        try:
            opened, _ = self._connect(target)
            opened.system.reset_system(value)
        except Exception as error:
            if not isinstance(error, sushy_exceptions.HTTPError):
                self.close(target)
            raise self._explain(target, step, error) from error

    def _connect(self, target: base.FenceTarget) -> tuple[_Open, bool]:
        """Return the open connection and whether it was made just now."""
        key = (target.host, target.address)
        with self._lock:
            known = self._open.get(key)
        if known is not None:
            return known, False
        kind = str(target.options.get("auth", "auto"))
        if kind == "auto" and key in self._without_sessions:
            kind = "basic"
        auth = _AUTH[kind](
            username=target.username, password=target.password
        )
        # One retry: the connector takes none for its own, longer default.
        connector = sushy_connector.Connector(
            target.address,
            verify=target.options.get("verify", True),
            server_side_retries=1,
            server_side_retries_delay=0.2,
            default_request_timeout=self._timeout,
            connect_timeout=min(_CONNECT_TIMEOUT, self._timeout),
        )
        try:
            root = sushy.Sushy(
                target.address,
                root_prefix=str(target.options.get("root_prefix", _ROOT)),
                auth=auth,
                connector=connector,
            )
            system = root.get_system(self._system_path(target))
        except Exception:
            self._end(auth, connector)
            raise
        opened = _Open(auth, connector, root, system)
        with self._lock:
            self._open[key] = opened
            if kind == "auto" and not auth.can_refresh_session():
                # It fell back to basic: do not try a session each time.
                self._without_sessions.add(key)
        return opened, True

    @staticmethod
    def _end(
        auth: sushy_auth.AuthBase, connector: sushy_connector.Connector
    ) -> None:
        # Controllers keep few sessions: one that is left open blocks the next.
        with contextlib.suppress(Exception):  # the controller may be gone
            auth.close()
        connector.close()

    @staticmethod
    def _system_path(target: base.FenceTarget) -> str | None:
        system_id = str(target.options.get("system_id", ""))
        if not system_id:
            return None
        if system_id.startswith("/"):
            return system_id
        root = str(target.options.get("root_prefix", _ROOT)).rstrip("/")
        return f"{root}/Systems/{system_id}"

    @staticmethod
    def _explain(
        target: base.FenceTarget, step: str, error: Exception
    ) -> base.FenceError:
        """Turn what sushy raised into what an operator can act on."""
        what = _root_cause(error)
        if isinstance(error, sushy_exceptions.AccessError):
            advice = (
                "Check username and password in the fencing inventory, and"
                " that the account may control power"
            )
        elif isinstance(error, sushy_exceptions.UnknownDefaultError):
            advice = (
                "Set options.system_id of this host in the fencing inventory"
            )
        elif isinstance(error, sushy_exceptions.ResourceNotFoundError):
            advice = (
                "Check address, options.root_prefix and options.system_id of"
                " this host in the fencing inventory"
            )
        elif isinstance(error, sushy_exceptions.InvalidParameterValueError):
            advice = (
                "This controller does not offer that reset type: fence this"
                " host by another driver"
            )
        elif isinstance(error, sushy_exceptions.HTTPError):
            advice = (
                "The controller refused or failed: look at its own log, or"
                " restart it"
            )
        else:
            advice = _CHECK_NETWORK
        return base.FenceError(target, step, what, f"{advice}.")
