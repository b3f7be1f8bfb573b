# SPDX-License-Identifier: Apache-2.0
"""One thread that carries one incident through its states.

A worker holds no state of its own: each round it reads the incident from
the journal, does the one thing that its state asks for, and journals the
result. So another engine can go on from wherever this one was killed.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import logging
import threading

from aacloud.clouds import errors as cloud_errors
from aacloud.core import incidents
from aacloud.core import steps
from aacloud.db import errors as db_errors
from aacloud.failover import context as contexts
from aacloud.failover import metrics
from aacloud.failover.steps import admission
from aacloud.failover.steps import evacuation
from aacloud.failover.steps import fencing
from aacloud.failover.steps import homecoming
from aacloud.failover.steps import outcome
from aacloud.failover.steps import planning
from aacloud.failover.steps import step

LOG = logging.getLogger(__name__)

_T = steps.Step

Handler = Callable[
    [contexts.Context, incidents.Incident, steps.NextStep], float]

#: Who does what ``core.steps.next_step`` asks for. Each handler returns the
#: seconds until the worker should look again.
HANDLERS: Mapping[steps.Step, Handler] = {
    _T.ADMIT: admission.admit,
    _T.WATCH: admission.watch,
    _T.HOLD: admission.hold,
    _T.CANCEL: admission.cancel,
    _T.PLAN: planning.plan,
    _T.FENCE: fencing.fence,
    _T.LOOK: fencing.look,
    _T.FORCE_DOWN: fencing.force_down,
    _T.MOVE: evacuation.move,
    _T.FOLLOW: evacuation.follow,
    _T.VERIFY: evacuation.verify,
    _T.ADVANCE: outcome.advance,
    _T.CHECK_RETURN: homecoming.check,
}

#: Longest pause after errors in a row, seconds.
LONGEST_PAUSE = 15.0


class IncidentWorker:
    """Runs until its incident is closed or this engine no longer leads."""

    def __init__(self, context: contexts.Context, incident_id: str) -> None:
        self.incident_id = incident_id
        self._context = context
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"incident-{incident_id[:8]}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; it does after the call that it is in."""
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait for its end; True when it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def may_act(self) -> bool:
        return not self._stop.is_set() and self._context.may_act()

    def _run(self) -> None:
        context = self._context.of_incident(self.incident_id, self.may_act)
        try:
            self._carry(context)
        finally:
            for mover in context.movers.values():
                mover.close()

    def _carry(self, context: contexts.Context) -> None:
        pause, failures = 0.0, 0
        while not self._stop.wait(pause):
            if not self.may_act():
                LOG.info(
                    "Incident %s: left to the engine that leads now",
                    self.incident_id)
                return
            try:
                incident = context.journal.incident(self.incident_id)
                if incident.state in incidents.CLOSED:
                    return
                todo = step.decide(context, incident)
                pause = HANDLERS[todo.step](context, incident, todo)
                failures = 0
            except db_errors.StaleJournal as error:
                LOG.info("Incident %s: %s", self.incident_id, error)
                if error.deposed:
                    return
                pause = 0.1
            except step.LeadershipEnded:
                pause = 0.1
            except (
                db_errors.JournalUnavailable, cloud_errors.CloudUnknown
            ) as error:
                # Not known is neither failed nor done: look again later.
                failures += 1
                pause = self._pause(failures)
                LOG.warning(
                    "Incident %s: %s. Looking again in %.1f s",
                    self.incident_id, error, pause)
                self._tell(context, str(error))
            except Exception as error:
                failures += 1
                pause = self._pause(failures)
                metrics.STEP_FAILURES.inc()
                LOG.exception(
                    "Incident %s: this step failed and is tried again in "
                    "%.1f s", self.incident_id, pause)
                self._tell(
                    context,
                    f"a step failed ({type(error).__name__}: {error}); it is "
                    "tried again, the log of aacloud-failover has the details")

    def _pause(self, failures: int) -> float:
        return float(min(LONGEST_PAUSE, 0.5 * 2 ** min(failures, 8)))

    def _tell(self, context: contexts.Context, text: str) -> None:
        """Let the operator read in the incident why it does not go on."""
        try:
            incident = context.journal.incident(self.incident_id)
            if incident.state not in incidents.CLOSED:
                step.wait(context, incident, text)
        except db_errors.DatabaseError as error:
            LOG.debug("Incident %s: not journalled: %s",
                      self.incident_id, error)
