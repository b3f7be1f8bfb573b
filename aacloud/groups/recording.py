# SPDX-License-Identifier: Apache-2.0
"""Plans that were found, put into the journal."""

from __future__ import annotations

from collections.abc import Collection
import datetime
import logging

from oslo_config import cfg

from aacloud.coordination import clock as clocks
from aacloud.core import groups as core_groups
from aacloud.core import repair
from aacloud.core import rules
from aacloud.db import plans as plan_stores
from aacloud.groups import problems
from aacloud.groups import reports
from aacloud.groups import seasons
from aacloud.groups import sight as sights
from aacloud.groups import surroundings as around

LOG = logging.getLogger(__name__)

#: Who made a plan that nobody asked for.
BY = "aacloud-groups"


class Recorder:
    """Puts plans into the journal. Safe for threads."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        plans: plan_stores.Plans,
        clock: clocks.Clock,
    ) -> None:
        self._conf = conf
        self._plans = plans
        self._clock = clock

    def record(
        self,
        plan: repair.RepairPlan,
        sight: sights.Sight,
        here: around.Surroundings,
        *,
        scope: str,
        groups: Collection[rules.Group],
        state: core_groups.PlanState,
        window: str | None,
        by: str,
        until: datetime.datetime | None,
        opening: str = "",
        project_id: str | None = None,
        replan_of: core_groups.Plan | None = None,
    ) -> core_groups.Plan:
        """Put a plan down.

        :param sight: with all servers that it moves
        :param scope: the id of the group that it mends, or ``cloud``
        :param groups: those that it mends
        :param until: when its window closes: it is not too old before
        :param opening: that of its window which it is made for
        :raises db_errors.Duplicate: a live plan mends all of these groups
        :raises db_errors.DatabaseError: the journal could not be written
        """
        expires_at = self._clock.utcnow() + datetime.timedelta(
            seconds=self._conf.aacloud_groups.plan_lifetime)
        if until is not None:
            expires_at = max(expires_at, until)
        stored = self._plans.create(
            scope, [self._step(step, sight, here) for step in plan.steps],
            state=state, expires_at=expires_at,
            revision=max((one.revision for one in groups), default=0),
            created_by=by, groups=[one.id for one in groups], window=window,
            project_id=project_id, replan_of=replan_of,
            summary={
                **reports.plan_summary(plan),
                **({seasons.OPENING: opening} if opening else {})},
            event_text=(
                f"{plan.moves} moves mend {len(groups)} groups: their excess "
                f"is {plan.excess_before}, it will be {plan.excess_after}; "
                f"at least {plan.lower_bound} moves are needed"))
        LOG.info(
            "Plan %s (%s): %d moves for %d groups, excess %d to %d, bound %d",
            stored.id, state.value, plan.moves, len(groups),
            plan.excess_before, plan.excess_after, plan.lower_bound)
        return stored

    def supersede(self, plan: core_groups.Plan, why: str) -> None:
        """Give a plan up that nobody approved; it does not count.

        :raises db_errors.DatabaseError: the journal could not be written
        """
        self._plans.advance(
            plan, core_groups.PlanState.EXPIRED, event_text=why,
            summary={**plan.summary, "superseded": True})

    def _step(
        self,
        step: repair.Step,
        sight: sights.Sight,
        here: around.Surroundings,
    ) -> core_groups.PlanStep:
        copied = problems.copied_mb(
            sight.servers[step.move.server],
            (step.move.source, step.move.destination), here)
        server = sight.servers[step.move.server]
        options = self._conf.aacloud_groups
        return core_groups.PlanStep(
            plan_id="", number=step.number, server=server.uuid,
            name=server.name, project_id=server.project_id,
            source=step.move.source, destination=step.move.destination,
            after=step.after, why=step.why, snapshot=server.snapshot(),
            predicted_s=options.move_overhead
            + copied / options.migration_rate)
