# SPDX-License-Identifier: Apache-2.0
"""Plans that mend groups: made, and put into the journal.

What is planned for the broken groups of one window is one plan, of the scope
``cloud``: with the fewest moves over all of them together. Somebody may also
ask for the plan of one group, whose scope is the group's id.

Several plans may be live. Each keeps its groups and the servers that it is to
move to itself; a group that breaks later gets a plan of its own, whatever the
others wait for.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import logging

from oslo_config import cfg

from aacloud.clouds import ports
from aacloud.coordination import clock as clocks
from aacloud.core import groups as core_groups
from aacloud.core import planwork
from aacloud.core import repair
from aacloud.core import rules
from aacloud.db import errors as db_errors
from aacloud.db import plans as plan_stores
from aacloud.groups import asking
from aacloud.groups import fruitless
from aacloud.groups import metrics
from aacloud.groups import outdated
from aacloud.groups import policies
from aacloud.groups import problems
from aacloud.groups import recording
from aacloud.groups import seasons
from aacloud.groups import sight as sights
from aacloud.groups import surroundings as around
from aacloud.rpc import group_messages
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

#: The scope of a plan over many groups.
CLOUD = core_groups.CLOUD_SCOPE


class Repairer:
    """Makes plans. Safe for threads."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        plans: plan_stores.Plans,
        cloud: ports.Cloud,
        reader: sights.Reader,
        clock: clocks.Clock | None = None,
    ) -> None:
        self._conf = conf
        self._plans = plans
        self._cloud = cloud
        self._reader = reader
        self._clock = clock or clocks.Clock()
        self._fruitless = fruitless.Fruitless(self._clock.monotonic)
        self._recorder = recording.Recorder(conf, plans, self._clock)
        #: Makes the plans that somebody asks for.
        self.asker = asking.Asker(
            conf, plans, self._solved, self._recorder, self._clock)
        self._pace = rates.LogPace(clock=self._clock.monotonic)

    def prune(self) -> None:
        """Throw away plans that ended long ago.

        :raises db_errors.DatabaseError: the journal could not be written
        """
        retention = datetime.timedelta(
            seconds=self._conf.aacloud_groups.plan_retention)
        thrown = self._plans.prune(self._clock.utcnow() - retention)
        if thrown:
            LOG.info("%d old plans were thrown away", thrown)

    # -- by itself ----------------------------------------------------------

    def due(
        self,
        groups: Collection[rules.Group],
        found: Collection[group_messages.Report],
    ) -> bool:
        """Whether a plan may be due, for which the whole cloud is read.

        :param found: how the groups stand
        :raises db_errors.DatabaseError: the journal could not be read
        """
        self._fruitless.keep({group.id for group in groups})
        self._fruitless.forget({
            report.group_id for report in found
            if report.state == rules.GroupState.COMPLIANT.value})
        wanted = _to_be_mended(groups, found)
        return bool(wanted) and any(
            True for _ in self._seasons(wanted, self._plans.live()))

    def consider(
        self,
        groups: Collection[rules.Group],
        sight: sights.Sight,
        here: around.Surroundings,
        found: Iterable[group_messages.Report],
    ) -> core_groups.Plan | None:
        """Make the plan that is due, if one is. Only the leader does.

        :param sight: of the whole cloud
        :param found: how the groups stand by it
        :returns: the plan that was put into the journal
        :raises cloud_errors.CloudError: what is free could not be read
        :raises db_errors.DatabaseError: the journal could not be written
        """
        wanted = _to_be_mended(groups, found)
        if not wanted or here.dead_dcs:
            return None
        live = self._plans.live()
        for season, free in self._seasons(wanted, live):
            plan = self._mend(season, free, live, groups, sight, here)
            if plan is not None:
                return plan
        return None

    def _seasons(
        self,
        wanted: Iterable[rules.Group],
        live: Sequence[core_groups.Plan],
    ) -> Iterator[tuple[seasons.Season, list[rules.Group]]]:
        """The windows for which a plan is to be looked for, each with those
        groups that no live plan mends."""
        options = self._conf.aacloud_groups
        for season in seasons.seasons(
            wanted, options.default_window, self._clock.utcnow(),
            # So that there is time to look at it.
            ahead=options.repair_approval,
        ):
            held = seasons.held(live, season.window)
            free = [group for group in season.groups if group.id not in held]
            if any(
                self._fruitless.due(group, seasons.key(season))
                for group in free
            ):
                yield season, free

    def _mend(
        self,
        season: seasons.Season,
        wanted: Collection[rules.Group],
        live: Sequence[core_groups.Plan],
        groups: Collection[rules.Group],
        sight: sights.Sight,
        here: around.Surroundings,
    ) -> core_groups.Plan | None:
        """Make the plan of groups that no live plan mends."""
        before = self._before(season)
        free = [group for group in wanted if self._may_plan(group, before)]
        ids = {group.id for group in free}
        plan = self._sought(season, self.problem(
            groups, ids, sight, here,
            reserved=self._reserved(live, groups, sight, here)),
        ) if free else None
        if plan is None:
            self._fruitless.rest(
                wanted, seasons.key(season),
                self._conf.aacloud_groups.inspect_interval)
            return None
        self._fruitless.forget(ids)
        try:
            return self._recorder.record(
                plan, sight, here, scope=CLOUD, groups=free,
                state=core_groups.PlanState.AWAITING_APPROVAL
                if self._conf.aacloud_groups.repair_approval
                else core_groups.PlanState.APPROVED,
                window=season.window, by=recording.BY, until=season.until,
                opening=seasons.key(season),
                replan_of=next((
                    one for one in before if ids & set(one.groups)), None))
        except db_errors.Duplicate as error:
            # Somebody asked for one meanwhile.
            LOG.info("No plan is made: %s", error)
            return None

    def _sought(
        self,
        season: seasons.Season,
        problem: repair.RepairProblem,
    ) -> repair.RepairPlan | None:
        """The plan of a picture, unless there is no move in it."""
        picture = fruitless.fingerprint(
            problem, policies.repair_limits(self._conf))
        if self._fruitless.known(season.window, picture):
            return None
        plan = self.solve(problem)
        if plan.steps:
            return plan
        for left in self._fruitless.remember(
            season.window, picture, plan.left
        ):
            LOG.warning(
                "Group %s cannot be mended: %s: %s", left.group,
                rules.format_rule(left.rule), left.reason)
        return None

    def _may_plan(
        self, group: rules.Group, before: Iterable[core_groups.Plan]
    ) -> bool:
        """Whether a group may have one more plan in this opening."""
        stop = planwork.stop_of_replanning(
            sum(group.id in plan.groups for plan in before),
            policies.plan_limits(self._conf))
        if stop is None:
            return True
        held_back = self._pace.due(f"{group.id} {stop}")
        if held_back is not None:
            LOG.warning(
                "No plan is made for group %s: %s", group.id, stop)
        return False

    def _before(
        self, season: seasons.Season
    ) -> Sequence[core_groups.Plan]:
        """The plans of this opening that left something broken, the newest
        first."""
        return [
            plan for plan in self._plans.list(
                scope=CLOUD, is_open=False, window=(season.window,),
                # Those for a window may have been made long before it.
                closed_since=season.since if season.window is None else None)
            if plan.window == season.window and seasons.tried(plan, season)
            and plan.summary.get("superseded") is None
            and not _succeeded(plan)]

    def _reserved(
        self,
        live: Iterable[core_groups.Plan],
        groups: Iterable[rules.Group],
        sight: sights.Sight,
        here: around.Surroundings,
    ) -> Mapping[str, str]:
        """Server -> why it is left alone: a live plan is to move it, and
        may, and that helps."""
        known = {group.id: group for group in groups}
        return {
            step.server: f"plan {plan.id} is to move it"
            for plan in live for step in outdated.needed_steps(
                plan, self._plans.steps(plan.id), known, sight.occupancy,
                here.domains(), self._conf.aacloud_groups.default_window)}

    def drop_outdated(
        self,
        groups: Collection[rules.Group],
        found: Iterable[group_messages.Report],
        sight: sights.Sight,
        here: around.Surroundings,
    ) -> None:
        """Give up plans that nobody approved and that are not right now.

        :param groups: all groups
        :param found: how they stand
        :param sight: of their members
        :raises cloud_errors.CloudError: their servers could not be read
        :raises db_errors.DatabaseError: the journal could not be written
        """
        waiting = [
            plan for plan in self._plans.live()
            if plan.state is core_groups.PlanState.AWAITING_APPROVAL
            and not plan.orders]
        if not waiting:
            return
        known = {group.id: group for group in groups}
        broken = {
            report.group_id for report in found
            if report.state == rules.GroupState.VIOLATING.value}
        for plan in waiting:
            why = self._outdated(plan, known, broken, sight, here)
            if why is not None:
                then = (
                    "It is planned anew" if any(
                        known[one].mode is rules.GroupMode.REPAIR
                        for one in plan.groups if one in known)
                    else "It can be asked for anew")
                self._supersede(
                    plan, "the cloud is not the one that it was made for: "
                    f"{why}. {then}")

    def _supersede(self, plan: core_groups.Plan, why: str) -> None:
        """Give a plan up that nobody approved; it does not count."""
        self._recorder.supersede(plan, why)

    def _outdated(
        self,
        plan: core_groups.Plan,
        known: Mapping[str, rules.Group],
        broken: Collection[str],
        seen: sights.Sight,
        here: around.Surroundings,
    ) -> str | None:
        lost = sorted(set(plan.groups) - set(known))
        if lost:
            return f"group {lost[0]} is no more"
        if not set(plan.groups) & set(broken):
            return "its groups need no moves any more"
        for group in (known[one] for one in plan.groups):
            if plan.window != self._window([group]) or (
                plan.scope == CLOUD
                and group.mode is not rules.GroupMode.REPAIR
            ):
                return f"mode or window of group {group.id} were changed"
        steps = self._plans.steps(plan.id)
        sight = self._reader.some(sorted({step.server for step in steps}))
        for step in steps:
            # Of several moves of one server only the first begins where it
            # is now.
            if not step.after and step.source not in sight.occupancy.get(
                step.server, ()
            ):
                return f"server {step.name} is not on {step.source}"
        if here.dead_dcs:
            # Rules count on what lives; nothing is planned anew now.
            return None
        return outdated.changed(
            plan, steps, known, {**seen.occupancy, **sight.occupancy},
            here.domains())

    def _window(self, wanted: Sequence[rules.Group]) -> str | None:
        """The window that all of these groups have; None: any time."""
        (found,) = {
            group.window or self._conf.aacloud_groups.default_window or None
            for group in wanted}
        return found

    # -- both ---------------------------------------------------------------

    def problem(
        self,
        groups: Iterable[rules.Group],
        mended: Collection[str],
        sight: sights.Sight,
        here: around.Surroundings,
        *,
        reserved: Mapping[str, str] | None = None,
    ) -> repair.RepairProblem:
        """The picture to plan from.

        :param reserved: server -> why another plan wants it left alone
        :raises cloud_errors.CloudError: what is free could not be read
        :raises db_errors.DatabaseError: who moved could not be read
        """
        return problems.build(
            groups, mended, sight, here,
            self._cloud.capacity(tuple(here.topology.hosts)),
            resting={**(reserved or {}), **self.resting()},
            usual=self._conf.aacloud_groups.default_window,
            seed=self._conf.aacloud_groups.solver_seed)

    def resting(self) -> Mapping[str, str]:
        """Server -> why it is not to be moved again yet."""
        cool_down = self._conf.aacloud_groups.cool_down
        if not cool_down:
            return {}
        rest = datetime.timedelta(seconds=cool_down)
        moved = self._plans.moved_since(self._clock.utcnow() - rest)
        return {
            server: f"it was moved at {at:%H:%M:%S} UTC and stays until "
            f"{at + rest:%H:%M:%S} ([aacloud_groups] cool_down)"
            for server, at in moved.items()}

    def _solved(
        self,
        wanted: Iterable[rules.Group],
        groups: Iterable[rules.Group],
        sight: sights.Sight,
        here: around.Surroundings,
        time_limit_s: float,
        others: Iterable[core_groups.Plan],
    ) -> repair.RepairPlan:
        """Find the plan that leaves to other plans what they are to move."""
        return self.solve(
            self.problem(
                groups, {one.id for one in wanted}, sight, here,
                reserved=self._reserved(others, groups, sight, here)),
            time_limit_s)

    def solve(
        self, problem: repair.RepairProblem, time_limit_s: float | None = None
    ) -> repair.RepairPlan:
        """Find the plan."""
        with metrics.PLAN_SECONDS.time():
            return repair.plan_repair(
                problem, policies.repair_limits(self._conf, time_limit_s),
                self._clock.monotonic)


def _to_be_mended(
    groups: Iterable[rules.Group], found: Iterable[group_messages.Report]
) -> list[rules.Group]:
    """The groups that are broken, and are mended unasked."""
    broken = {
        report.group_id for report in found
        if report.state == rules.GroupState.VIOLATING.value}
    return [
        group for group in groups
        if group.id in broken and group.mode is rules.GroupMode.REPAIR]


def _succeeded(plan: core_groups.Plan) -> bool:
    """Whether all of a plan was done, and mended all that it was to."""
    steps = plan.summary.get("steps") or {}
    return (
        plan.state is core_groups.PlanState.DONE
        and set(steps) <= {core_groups.StepState.VERIFIED.value}
        and not plan.summary.get("left"))
