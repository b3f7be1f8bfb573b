# SPDX-License-Identifier: Apache-2.0
"""Carries out plans by live migrations.

Every plan that may act now acts: one that is paused, or whose window is
closed, stands in nobody's way. All share the limits: the older plan has the
first turn, and the moves of each count for all.

It holds no state that counts: each turn reads the plans from the journal,
does what ``core.planwork`` asks for, and journals the result. So another
engine can go on from wherever this one was killed. Right before a step is
begun it is checked again against what the cloud is then.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import contextlib
import datetime
import logging
from typing import Any

from oslo_config import cfg

from aacloud.clouds import errors as cloud_errors
from aacloud.clouds import live_migration
from aacloud.clouds import mover as movers
from aacloud.clouds import moves
from aacloud.clouds import pace as paces
from aacloud.clouds import ports
from aacloud.coordination import clock as clocks
from aacloud.coordination import waits
from aacloud.core import concurrency
from aacloud.core import groups as core_groups
from aacloud.core import incidents
from aacloud.core import planwork
from aacloud.db import errors as db_errors
from aacloud.db import plans as plan_stores
from aacloud.groups import checked_migration
from aacloud.groups import gates
from aacloud.groups import ledger as ledgers
from aacloud.groups import metrics
from aacloud.groups import overtime
from aacloud.groups import policies
from aacloud.groups import rechecking
from aacloud.groups import seasons
from aacloud.groups import under_way
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

_A = planwork.PlanAct
_S = core_groups.StepState

#: Seconds between two looks while nothing is to be done.
IDLE_S = 2.0
#: Shortest pause between two turns of a plan, seconds.
SHORTEST_S = 0.05
#: Longest pause after errors in a row, seconds.
LONGEST_S = 15.0


class LeadershipEnded(Exception):
    """This engine must not act any more; another one goes on."""


class Executor:
    """All methods are called by one thread.

    :param may_act: whether this engine leads, asked right before each call
        to the cloud that changes anything
    :param epoch: the epoch that it leads with
    :param hold: why nothing may begin now, from outside
    :param recheck: is told the groups of a plan that ended
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        plans: plan_stores.Plans,
        cloud: ports.Cloud,
        checks: rechecking.Rechecker,
        *,
        may_act: Callable[[], bool],
        epoch: Callable[[], int | None],
        hold: Callable[[], Sequence[str]],
        recheck: Callable[[Collection[str]], None],
        domains: Callable[[], Mapping[str, tuple[str, str]]],
        clock: clocks.Clock | None = None,
        pool: Callable[[], futures.Executor] | None = None,
        times: moves.MoverTimes | None = None,
    ) -> None:
        self._conf = conf
        self._plans = plans
        self._cloud = cloud
        self._checks = checks
        self._may_act = may_act
        self._epoch = epoch
        self._recheck = recheck
        self._clock = clock or clocks.Clock()
        self._gates = gates.Gates(
            conf, plans, hold, checks.moot, domains, self._clock)
        self._pool = pool
        self._times = times
        self._under_way = under_way.UnderWay()
        self._failures = 0
        #: Plan -> how often in a row its turn went wrong, and when it is
        #: tried again, monotonic.
        self._retries: dict[str, tuple[int, float]] = {}
        self._log_pace = rates.LogPace(clock=self._clock.monotonic)

    def close(self) -> None:
        """Send nothing more; what is under way goes on by itself."""
        self._under_way.drop_all()

    def look(self) -> float:
        """Take a turn with each plan; never raises.

        :returns: seconds until the next look
        """
        if not self._may_act():
            self.close()
            return IDLE_S
        try:
            pause = self._look()
        except (db_errors.StaleJournal, LeadershipEnded) as error:
            LOG.info("Plans: %s", error)
            self.close()
            return self._later()
        except (db_errors.DatabaseError, cloud_errors.CloudError) as error:
            pause = self._later()
            held_back = self._log_pace.due("unreachable")
            if held_back is not None:
                LOG.warning(
                    "Plans do not go on (%s); trying again in %.1f s%s",
                    error, pause, self._log_pace.text(held_back))
            return pause
        except Exception as error:
            metrics.STEP_FAILURES.inc()
            pause = self._later()
            if self._log_pace.due(type(error).__name__) is not None:
                LOG.exception("A plan's turn failed; it is tried again")
            return pause
        self._failures = 0
        return pause

    def _later(self) -> float:
        self._failures += 1
        return float(min(LONGEST_S, 0.5 * 2 ** min(self._failures, 8)))

    def _look(self) -> float:
        plans = list(reversed(self._plans.list(is_open=True)))
        self._under_way.keep(plan.id for plan in plans)
        now = self._clock.utcnow()
        turns = [
            (plan, self._plans.steps(plan.id)) for plan in plans
            if not _rests(plan, now)]
        for plan, steps in turns:
            self._under_way.read(plan.id, steps)
        self._retries = {
            plan.id: self._retries[plan.id] for plan, _ in turns
            if plan.id in self._retries}
        return min(
            (self._try(plan, steps) for plan, steps in turns),
            default=IDLE_S)

    def _try(
        self,
        plan: core_groups.Plan,
        steps: Sequence[core_groups.PlanStep],
    ) -> float:
        """Take a turn with a plan; what is wrong with it is its own matter.

        :raises LeadershipEnded: this engine must not act any more
        :raises db_errors.DatabaseError: the database does not answer, or
            another engine leads
        """
        tried, due = self._retries.get(plan.id, (0, 0.0))
        rest = due - self._clock.monotonic()
        if tried and rest > 0.0:
            return rest
        try:
            pause = self._turn(plan, steps)
        except (LeadershipEnded, db_errors.JournalUnavailable):
            raise
        except Exception as error:
            if isinstance(error, db_errors.StaleJournal):
                if error.deposed:
                    raise
                # What its mover has in mind is not what is written.
                self._under_way.drop(plan.id)
            return self._failed(plan, error, tried + 1)
        self._retries.pop(plan.id, None)
        return pause

    def _failed(
        self, plan: core_groups.Plan, error: Exception, tried: int
    ) -> float:
        """Let a plan rest whose turn went wrong, and say so."""
        pause = float(min(LONGEST_S, 0.5 * 2 ** min(tried, 8)))
        self._retries[plan.id] = (tried, self._clock.monotonic() + pause)
        why = f"{type(error).__name__}: {error}"
        known = isinstance(
            error, (db_errors.DatabaseError, cloud_errors.CloudError))
        if not known:
            metrics.STEP_FAILURES.inc()
        if self._log_pace.due(f"{plan.id} {type(error).__name__}") is not None:
            LOG.warning(
                "Plan %s could not go on (%s); it is tried again in %.1f s",
                plan.id, why, pause, exc_info=not known)
        if tried > 1:
            with contextlib.suppress(db_errors.StaleJournal):
                self._wait(plan, [
                    f"it could not go on ({why})",
                    "it is tried again: see the log of aacloud-groups"])
        return pause

    # -- a turn -------------------------------------------------------------

    def _turn(
        self,
        plan: core_groups.Plan,
        steps: Sequence[core_groups.PlanStep],
    ) -> float:
        if plan.epoch != self._epoch():
            raise LeadershipEnded("the plans belong to another leadership")
        limits = policies.plan_limits(self._conf)
        todo = planwork.next_plan_step(
            self._gates.view(plan, self._under_way.elsewhere(plan.id)),
            steps, self._clock.utcnow(), limits)
        if todo.act is _A.ADVANCE and todo.to is not None:
            return self._advance(plan, steps, todo.to, todo.reasons)
        if todo.act is _A.SKIP:
            self._skip(steps, todo.skip)
            return SHORTEST_S
        if todo.act is _A.START:
            return self._start(plan, steps, todo)
        if todo.act is _A.TAKE_BACK:
            return self._take_back(plan, steps, todo)
        if todo.act is _A.FOLLOW:
            return self._follow(plan, steps, todo)
        if todo.act is _A.HOLD:
            self._wait(plan, todo.reasons)
        return IDLE_S

    def _advance(
        self,
        plan: core_groups.Plan,
        steps: Sequence[core_groups.PlanStep],
        to: core_groups.PlanState,
        reasons: Sequence[str],
    ) -> float:
        text = "; ".join(reasons)
        summary = dict(plan.summary)
        closing = to in core_groups.CLOSED_PLANS
        if closing:
            summary["steps"] = {
                state.value: sum(step.state is state for step in steps)
                for state in core_groups.StepState
                if any(step.state is state for step in steps)}
        columns: dict[str, Any] = {"summary": summary}
        if to is core_groups.PlanState.APPROVED:
            columns["expires_at"] = self._lasts_until(plan)
        try:
            self._plans.advance(plan, to, event_text=text, **columns)
        except db_errors.Duplicate as error:
            self._wait(plan, (f"{error}: stop one of them",))
            return IDLE_S
        LOG.info("Plan %s is %s: %s", plan.id, to.value, text)
        if closing:
            metrics.PLANS.labels(to.value).inc()
            for step in steps:
                if step.state in core_groups.SETTLED_STEPS:
                    metrics.STEPS.labels(step.state.value).inc()
            self._under_way.drop(plan.id)
            self._recheck(plan.groups)
        return SHORTEST_S

    def _lasts_until(self, plan: core_groups.Plan) -> datetime.datetime:
        """When an approved plan is too old: not before its window closes."""
        if plan.window is None:
            return plan.expires_at
        opening = seasons.opening_of(
            plan.window, self._clock.utcnow(), ahead=True)
        if opening is None:
            return plan.expires_at
        return max(plan.expires_at, opening.closes_at)

    def _skip(
        self,
        steps: Sequence[core_groups.PlanStep],
        skip: Mapping[int, str],
    ) -> None:
        """Leave steps out, each with its reason."""
        self._plans.update_steps([
            plan_stores.StepChange(
                step, _S.SKIPPED, {"reason": skip[step.number]},
                f"step {step.number}, {step.name}, is left out: "
                f"{skip[step.number]}")
            for step in steps if step.number in skip])

    def _wait(
        self, plan: core_groups.Plan, reasons: Sequence[str]
    ) -> None:
        why = "; ".join(reasons)
        if not why or waits.same_reason(
            plan.waiting or "", why):
            return
        LOG.info("Plan %s waits: %s", plan.id, why)
        self._plans.advance(plan, plan.state, event_text=why, waiting=why)

    def _goes_on(self, plan: core_groups.Plan) -> None:
        if plan.waiting:
            self._plans.advance(
                plan, plan.state, event_text="goes on", waiting=None)

    # -- moving -------------------------------------------------------------

    def _start(
        self,
        plan: core_groups.Plan,
        steps: Sequence[core_groups.PlanStep],
        todo: planwork.NextPlanStep,
    ) -> float:
        chosen = [step for step in steps if step.number in todo.start]
        flying = [
            step for step in steps
            if step.state in core_groups.STEPS_IN_FLIGHT]
        try:
            verdict = self._checks.check(
                plan, steps, chosen, self._under_way.elsewhere(plan.id))
        except (cloud_errors.CloudError, rechecking.NotKnown) as error:
            self._round(plan, steps, flying, blocked=str(error))
            self._wait(plan, (
                f"nothing is begun, the cloud cannot be read: {error}",))
            return self._later()
        if verdict.refused:
            self._skip(steps, verdict.refused)
            # What follows them is looked at anew.
            return SHORTEST_S
        if verdict.right:
            self._goes_on(plan)
        else:
            self._wait(plan, [
                f"{reason}; it is looked at again when the moves of other "
                "plans are through" for reason in verdict.not_yet.values()])
        return self._round(
            plan, steps, [*flying, *verdict.right], blocked=None)

    def _take_back(
        self,
        plan: core_groups.Plan,
        steps: Sequence[core_groups.PlanStep],
        todo: planwork.NextPlanStep,
    ) -> float:
        """Let go of steps that nothing was sent for.

        Younger plans see that at the next look only: of those that wait for
        each other the oldest then has the first turn.
        """
        why = "; ".join(todo.reasons)
        self._plans.update_steps([
            plan_stores.StepChange(
                step, _S.RETRY, {"not_before": None, "reason": why},
                f"step {step.number}, {step.name}, is not begun: {why}")
            for step in steps if step.number in todo.back])
        # The mover is to forget them, too.
        self._under_way.drop(plan.id)
        return SHORTEST_S

    def _follow(
        self,
        plan: core_groups.Plan,
        steps: Sequence[core_groups.PlanStep],
        todo: planwork.NextPlanStep,
    ) -> float:
        """Follow what Nova works on."""
        why = "; ".join(todo.reasons)
        flying = [
            step for step in steps
            if step.state in core_groups.STEPS_IN_FLIGHT]
        pause = self._round(
            plan, steps, flying, blocked=why if todo.shut else None)
        self._wait(plan, todo.reasons)
        return pause

    def _round(
        self,
        plan: core_groups.Plan,
        steps: Sequence[core_groups.PlanStep],
        given: Sequence[core_groups.PlanStep],
        *,
        blocked: str | None,
    ) -> float:
        """Let the mover go a round with some of the steps.

        :param blocked: why nothing may be sent now: what never reached Nova
            is then to be tried again
        """
        work = self._under_way.get(plan.id) or self._under_way.begin(
            under_way.Work(plan, ledgers.PlanLedger(self._plans)))
        work.plan, work.blocked = plan, blocked
        work.ledger.take(steps)
        if not given:
            return IDLE_S
        mover = self._mover_of(work)
        came_to = mover.round([step.as_server_record() for step in given])
        if came_to.stopped:
            raise LeadershipEnded("this engine does not lead any more")
        overtime.abort(
            plan, work, came_to.records, self._plans, self._cloud,
            may_act=self._may_act, now=self._clock.utcnow(),
            limit=datetime.timedelta(
                seconds=self._conf.aacloud_groups.move_timeout))
        if mover.busy:
            mover.wait(came_to.pause_s)
            return SHORTEST_S
        return max(SHORTEST_S, min(came_to.pause_s, IDLE_S))

    def _mover_of(self, work: under_way.Work) -> movers.Mover:
        if work.mover is None:
            options = self._conf.aacloud_groups
            total = options.parallel_total
            work.mover = movers.Mover(
                checked_migration.CheckedMigration(
                    self._cloud.bound(f"req-{work.plan.id}"),
                    policies.live_policy(self._conf),
                    lambda record: self._wrong(work, record)),
                work.ledger,
                paces.Pace(concurrency.Concurrency(
                    limit=total, ceiling=total, per_destination=total)),
                may_act=self._may_act,
                # Another destination is another plan's business.
                retry=live_migration.ONE_TRY,
                times=self._times or moves.MoverTimes(
                    verify=options.verify_timeout),
                pool=None if self._pool is None else self._pool(),
                word="Plan",
                clock=self._clock.monotonic, utcnow=self._clock.utcnow)
        return work.mover

    def _wrong(
        self, work: under_way.Work, record: incidents.ServerRecord
    ) -> str | None:
        """Why a move must not be made now. Called by the mover's threads.

        :raises cloud_errors.CloudError: that cannot be told now
        """
        if work.blocked is not None:
            return work.blocked
        steps = work.ledger.steps()
        chosen = [step for step in steps if step.number == record.wave]
        try:
            found = self._checks.check(
                work.plan, steps, chosen,
                self._under_way.elsewhere(work.plan.id))
            reason = {**found.not_yet, **found.refused}.get(record.wave)
            # That took its time: was it stopped meanwhile, is it too late?
            return reason or work.blocked or planwork.why_not_send(
                self._gates.of(self._plans.get(work.plan.id)), steps,
                chosen[0], self._clock.utcnow(),
                policies.plan_limits(self._conf))
        except (rechecking.NotKnown, db_errors.DatabaseError) as error:
            return str(error)


def _rests(plan: core_groups.Plan, now: datetime.datetime) -> bool:
    """Whether a plan only waits for somebody to say something."""
    return (
        not plan.orders and now < plan.expires_at
        and (plan.state is core_groups.PlanState.DRAFT or (
            plan.state is core_groups.PlanState.AWAITING_APPROVAL
            and plan.waiting is not None)))
