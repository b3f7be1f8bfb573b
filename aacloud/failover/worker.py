# SPDX-License-Identifier: Apache-2.0
"""One thread that carries one incident through its states.

A worker holds no state that counts: each turn it reads the incident from the
journal, does the one thing that its state asks for, and journals the result.
So another engine can go on from wherever this one was killed.
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
    _T.GIVE_UP: evacuation.give_up,
    _T.VERIFY: evacuation.verify,
    _T.ADVANCE: outcome.advance,
    _T.CHECK_RETURN: homecoming.check,
}

#: What the cloud says no with; other errors of it are no answers at all.
_ANSWERS = (cloud_errors.CloudRefused, cloud_errors.CloudNotFound)

#: Longest pause after errors in a row, seconds.
LONGEST_PAUSE = 15.0


class IncidentWorker:
    """Runs until its incident is closed or this engine no longer leads."""

    def __init__(self, context: contexts.Context, incident_id: str) -> None:
        self.incident_id = incident_id
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._leads = context.may_act
        self._context = context.of_incident(incident_id, self.may_act)
        self._failures = 0
        self._stale = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Take turns in a thread until the end."""
        self._thread = threading.Thread(
            target=self._run, name=f"incident-{self.incident_id[:8]}",
            daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; it does after the call that it is in."""
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait for its end; True when it has ended."""
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.alive

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return not self._ended.is_set()

    def may_act(self) -> bool:
        """Whether this engine leads, and wants this worker to go on."""
        return not self._stop.is_set() and self._leads()

    def end(self) -> None:
        """Take no turn any more. For the one who takes its turns."""
        self._context.memory.close()
        self._ended.set()

    def turn(self) -> float | None:
        """Do what is to be done now; never raises.

        :returns: seconds until the next turn; None when there is none
        """
        if not self.may_act():
            LOG.info(
                "Incident %s: left to the engine that leads now",
                self.incident_id)
            return None
        try:
            pause = self._step()
        except db_errors.StaleJournal as error:
            return self._after_stale(error)
        except step.LeadershipEnded:
            LOG.info(
                "Incident %s: left to the engine that leads now",
                self.incident_id)
            return None
        except db_errors.NotFound as error:
            LOG.warning("Incident %s: %s; left alone", self.incident_id, error)
            return None
        except (
            db_errors.JournalUnavailable, cloud_errors.CloudError
        ) as error:
            # Not known is neither failed nor done: look again later.
            pause = self._pause()
            if isinstance(error, _ANSWERS):
                metrics.STEP_FAILURES.inc()
            LOG.warning(
                "Incident %s: %s. Looking again in %.1f s",
                self.incident_id, error, pause)
            self._tell(str(error))
        except Exception as error:
            pause = self._pause()
            metrics.STEP_FAILURES.inc()
            LOG.exception(
                "Incident %s: this step failed and is tried again in %.1f s",
                self.incident_id, pause)
            self._tell(
                f"a step failed ({type(error).__name__}: {error}); it is "
                "tried again, the log of aacloud-failover has the details")
        else:
            self._failures = self._stale = 0
        return pause

    def _step(self) -> float | None:
        context = self._context
        incident = context.journal.incident(self.incident_id)
        if incident.state in incidents.CLOSED:
            return None
        if incident.state not in evacuation.MOVING:
            context.memory.close()
        todo = step.decide(context, incident)
        return HANDLERS[todo.step](context, incident, todo)

    def _after_stale(self, error: db_errors.StaleJournal) -> float | None:
        LOG.info("Incident %s: %s", self.incident_id, error)
        if error.deposed:
            return None
        self._stale += 1
        return float(min(LONGEST_PAUSE, 0.1 * 2 ** min(self._stale - 1, 8)))

    def _pause(self) -> float:
        self._failures += 1
        return float(min(LONGEST_PAUSE, 0.5 * 2 ** min(self._failures, 8)))

    def _tell(self, text: str) -> None:
        """Let the operator read in the incident why it does not go on."""
        try:
            incident = self._context.journal.incident(self.incident_id)
            if incident.state not in incidents.CLOSED:
                step.wait(self._context, incident, text)
        except db_errors.DatabaseError as error:
            LOG.debug("Incident %s: not journalled: %s",
                      self.incident_id, error)
        except Exception:
            LOG.exception(
                "Incident %s: it could not be told why it waits",
                self.incident_id)

    def _run(self) -> None:
        try:
            pause: float | None = 0.0
            while pause is not None and not self._stop.wait(pause):
                pause = self.turn()
        finally:
            self.end()
