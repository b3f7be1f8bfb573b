# SPDX-License-Identifier: Apache-2.0
"""An incident followed while it is handled.

The API may restart meanwhile, or be unreachable for a while: the follower
asks again, with longer and longer breaks, until its time is over.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import enum
import threading
import time
from typing import Any

from aacloud.client import errors
from aacloud.client import v1

JSON = dict[str, Any]

#: Breaks after the first, second, … question without an answer, in seconds.
BACK_OFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)

#: The states from which on a goal is reached.
GOALS: dict[str, frozenset[str]] = {
    "fenced": frozenset(
        {
            "fenced",
            "forced-down",
            "evacuating",
            "verifying",
            "done",
            "partial",
            "return-wait",
            "returned",
        }
    ),
    "done": frozenset({"done", "partial", "return-wait", "returned"}),
    "returned": frozenset({"returned"}),
}


class Outcome(enum.IntEnum):
    """How the following ended; the values are exit codes."""

    REACHED = 0
    #: The goal is reached, but servers are left for the operator.
    PARTIAL = 3
    #: The time was over before.
    TIMED_OUT = 4
    #: Shadow mode, or cancelled: nothing is recovered.
    NOT_RECOVERED = 5


@dataclasses.dataclass(frozen=True)
class Picture:
    """An incident at one moment.

    :ivar events: those that came since the picture before
    """

    incident: JSON
    servers: tuple[JSON, ...]
    events: tuple[JSON, ...]


@dataclasses.dataclass(frozen=True)
class Silence:
    """The API did not answer.

    :ivar reason: what went wrong
    :ivar next_s: when it is asked again, in seconds
    """

    reason: str
    next_s: float


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def outcome_of(picture: Picture, goal: str) -> Outcome | None:
    """Return how it ended, or None while it goes on.

    :param goal: a key of GOALS
    """
    state = picture.incident["state"]
    if state in GOALS[goal]:
        left = any(server["state"] == "manual" for server in picture.servers)
        if state == "partial" or (left and goal != "fenced"):
            return Outcome.PARTIAL
        return Outcome.REACHED
    if state == "cancelled":
        return Outcome.NOT_RECOVERED
    if state == "shadowed" and goal != "returned":
        return Outcome.NOT_RECOVERED
    return None


class Follower:
    """Follows one incident.

    :param client: of the API
    :param goal: a key of GOALS
    :param timeout_s: after so many seconds the following ends; None: never
    :param poll_s: how often the API is asked, in seconds
    :param monotonic: the clock
    :param wait: waits so many seconds
    """

    def __init__(
        self,
        client: v1.Client,
        *,
        goal: str = "done",
        timeout_s: float | None = None,
        poll_s: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = _wait,
    ) -> None:
        # The breaks between questions are made here, and told.
        self._client = client.impatient()
        self._goal = goal
        self._poll_s = poll_s
        self._monotonic = monotonic
        self._wait = wait
        self._deadline = (
            None if timeout_s is None else monotonic() + timeout_s
        )
        #: How it ended; None while it goes on.
        self.outcome: Outcome | None = None

    def find(self, host: str | None = None) -> Iterator[str | Silence | None]:
        """Wait for an open incident.

        Ends with its id; before that, None for each time that there was
        none, or a silence. Ends without one when the time is over.

        :param host: only an incident of this host
        """

        def newest() -> str | None:
            found = self._client.incidents(host=host, is_open=True, limit=1)
            return found[0]["id"] if found else None

        for answer in self._asked(newest):
            yield answer
            if isinstance(answer, str):
                return

    def pictures(self, incident_id: str) -> Iterator[Picture | Silence]:
        """Follow an incident until its goal is reached or the time is over.

        :raises errors.APIError: the API refuses, as when there is no such
            incident
        """
        last = 0

        def picture() -> Picture:
            # The events come last: they then tell at least what the state
            # of the incident tells.
            incident = self._client.incident(incident_id)
            servers = self._client.servers(incident_id)
            events = self._client.events(incident_id, since=last)
            return Picture(incident, tuple(servers), tuple(events))

        for answer in self._asked(picture):
            if isinstance(answer, Picture):
                if answer.events:
                    last = answer.events[-1]["id"]
                self.outcome = outcome_of(answer, self._goal)
            yield answer
            if self.outcome is not None:
                return

    def _asked(self, question: Callable[[], Any]) -> Iterator[Any]:
        """Ask again and again; the caller stops when it has what it wants."""
        misses = 0
        while True:
            try:
                answer = question()
            except (errors.NoAnswer, errors.Unavailable) as problem:
                pause = BACK_OFF_S[min(misses, len(BACK_OFF_S) - 1)]
                misses += 1
                answer = Silence(str(problem), pause)
            else:
                misses = 0
                pause = self._poll_s
            yield answer
            if self._deadline is not None:
                left = self._deadline - self._monotonic()
                if left <= 0:
                    self.outcome = Outcome.TIMED_OUT
                    return
                pause = min(pause, left)
            self._wait(pause)
