# SPDX-License-Identifier: Apache-2.0
"""Keeps the assignment of peers: asked for, refreshed, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
import logging
import random
import threading

from aacloud.monitor import state
from aacloud.rpc import envelope
from aacloud.rpc import peers
from aacloud.rpc import rates
from aacloud.rpc import schema

LOG = logging.getLogger(__name__)

#: Bounds of the seconds between two questions, whatever the engine wishes.
REFRESH_MIN = 1.0
REFRESH_MAX = 300.0

#: Back-off after a question without an answer, seconds.
BACKOFF_FIRST = 1.0
BACKOFF_MAX = 15.0
#: The same when an engine answered that it does not know yet.
UNKNOWN_MAX = 4.0

Ask = Callable[[], schema.Assignment]
Use = Callable[[schema.Assignment], None]


class PeerBook:
    """Asks for the peers in a thread of its own, and passes them on.

    The last assignment stays in use for as long as no engine answers, also
    over a restart of the agent.

    :param ask: asks an engine; may block for seconds, and raise
    :param use: is given each new assignment
    :param cache: where the assignment is kept
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        ask: Ask,
        use: Use,
        cache: state.StateFile,
        clock: Callable[[], float],
    ) -> None:
        self._ask = ask
        self._use = use
        self._cache = cache
        self._clock = clock
        self._pace = rates.LogPace(clock=clock)
        self._backoff = 0.0
        self._answered: float | None = None
        self._assignment: schema.Assignment | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="peers", daemon=True
        )

    def start(self) -> None:
        """Use the cached assignment, and begin to ask."""
        self.load()
        self._thread.start()

    def stop(self) -> None:
        """End; a question that is under way is left behind."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(0.5)

    def load(self) -> None:
        """Use the cached assignment, if there is a good one."""
        content = self._cache.load()
        if content is None:
            return
        try:
            assignment = schema.parse_assignment(content)
        except envelope.MessageError as error:
            LOG.warning(
                "Ignoring the cached peers in %s: %s. They will be asked "
                "for anew",
                self._cache.path,
                error,
            )
            return
        LOG.info(
            "Probing %d cached peers (assignment %s) until an engine answers",
            len(assignment.targets),
            assignment.version,
        )
        self._adopt(assignment)

    def refresh(self) -> float:
        """Ask once.

        :returns: seconds until it should be asked again
        """
        try:
            assignment = self._ask()
        except Exception as error:  # noqa: BLE001 (drivers raise anything)
            self._backoff = min(
                max(BACKOFF_FIRST, self._backoff * 2),
                UNKNOWN_MAX
                if isinstance(error, peers.AssignmentUnavailable)
                else BACKOFF_MAX,
            )
            held_back = self._pace.due(type(error).__name__)
            if held_back is not None:
                LOG.warning(
                    "No engine told whom to probe: %s. Keeping the %s; "
                    "trying again in %.0f s%s",
                    error,
                    self._known(),
                    self._backoff,
                    self._pace.text(held_back),
                )
            return self._backoff
        self._backoff = 0.0
        self._answered = self._clock()
        if assignment != self._assignment:
            LOG.info(
                "Probing %d peers now (assignment %s)",
                len(assignment.targets),
                assignment.version,
            )
            self._adopt(assignment)
            self._cache.save(
                {**schema.assignment_body(assignment), "format": 1}
            )
        return min(max(REFRESH_MIN, assignment.refresh_s), REFRESH_MAX)

    def health(self) -> tuple[bool, str]:
        """Return whether there are peers, and a sentence."""
        if self._answered is None:
            text = f"no engine has told yet whom to probe; {self._known()}"
            return self._assignment is not None, text
        age = self._clock() - self._answered
        return True, f"{self._known()}, told {age:.0f} s ago"

    def _known(self) -> str:
        if self._assignment is None:
            return "no peers known"
        return f"{len(self._assignment.targets)} peers known"

    def _adopt(self, assignment: schema.Assignment) -> None:
        self._assignment = assignment
        self._use(assignment)

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait = self.refresh()
            # Spread, so that all agents do not ask in step.
            spread = random.uniform(0.8, 1.2)  # noqa: S311 (not a secret)
            self._stopping.wait(wait * spread)
