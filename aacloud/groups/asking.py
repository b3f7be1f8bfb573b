# SPDX-License-Identifier: Apache-2.0
"""The plans that somebody asks for.

A plan that is carried out has one window. Of all groups together those are
mended whose window has the most broken ones; that the others are left is
said. A dry run is only looked at, so windows do not matter to it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses

from oslo_config import cfg

from aacloud.coordination import clock as clocks
from aacloud.core import groups as core_groups
from aacloud.core import repair
from aacloud.core import rules
from aacloud.db import errors as db_errors
from aacloud.db import plans as plan_stores
from aacloud.groups import recording
from aacloud.groups import seasons
from aacloud.groups import sight as sights
from aacloud.groups import surroundings as around
from aacloud.rpc import group_messages

#: Finds the plan of some of all groups, within seconds, that leaves alone
#: what other plans are to move.
Solve = Callable[
    [Iterable[rules.Group], Iterable[rules.Group], sights.Sight,
     around.Surroundings, float, Iterable[core_groups.Plan]],
    repair.RepairPlan]


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants.

    :ivar wanted: the groups to be mended
    :ivar scope: the id of the one group that is named, or ``cloud``
    :ivar by: who asks
    :ivar broken: how those of several groups stand that are broken
    """

    wanted: Sequence[rules.Group]
    scope: str
    dry_run: bool
    by: str
    project_id: str | None
    broken: Sequence[group_messages.Report] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """The answer.

    :ivar plan: as the journal has it; None: it is only to be looked at
    :ivar found: its moves
    :ivar left: what it leaves broken because it has another window
    """

    plan: core_groups.Plan | None
    found: repair.RepairPlan
    left: tuple[group_messages.LeftOver, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class _Share:
    """Groups of one window.

    :ivar window: its text; None: at any time
    """

    window: str | None
    groups: tuple[rules.Group, ...]


class Asker:
    """Makes the plans. Safe for threads."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        plans: plan_stores.Plans,
        solve: Solve,
        recorder: recording.Recorder,
        clock: clocks.Clock,
    ) -> None:
        self._conf = conf
        self._plans = plans
        self._solve = solve
        self._recorder = recorder
        self._clock = clock

    def ask(
        self,
        question: Question,
        groups: Collection[rules.Group],
        sight: sights.Sight,
        here: around.Surroundings,
        *,
        time_limit_s: float,
    ) -> Asked:
        """Make a plan, and put it down.

        That it was asked for opens no window: its moves begin in that of
        the groups; without one of their own in the configured one. Of
        several windows it is for the one with the most broken groups, of
        those for which there are moves. A dry run over several is not put
        down: no plan can be carried out over them. Plans that nobody asked
        for and nobody approved give way to it.

        :param groups: all groups
        :raises db_errors.Duplicate: live plans mend all of these groups
        :raises cloud_errors.CloudError: what is free could not be read
        """
        end = self._clock.monotonic() + time_limit_s
        live = self._plans.live()
        shares = self._shares(question)
        if question.dry_run:
            windows = {share.window for share in shares}
            found = self._solve(
                question.wanted, groups, sight, here, time_limit_s,
                [plan for plan in live
                 if not _yields(plan, question.wanted, windows)])
            return Asked(None if len(shares) > 1 else self._put_down(
                found, shares[0], question, sight, here), found)
        best: tuple[_Share, repair.RepairPlan] | None = None
        for share, others in _free(shares, live):
            left_s = end - self._clock.monotonic()
            if best is not None and left_s <= 0:
                break
            found = self._solve(
                share.groups, groups, sight, here, left_s, others)
            if best is None or found.steps:
                best = share, found
            if found.steps:
                break
        if best is None:
            group, plan = min(
                (one.id, seasons.held(live, share.window)[one.id])
                for share in shares for one in share.groups)
            raise db_errors.Duplicate(
                "live repair plan of group", group, plan.id)
        chosen, found = best
        for plan in live if found.steps else ():
            if _yields(plan, chosen.groups, {chosen.window}):
                self._recorder.supersede(
                    plan, f"{question.by} asked for another plan of its "
                    "groups. What that leaves broken is planned anew")
        return Asked(
            self._put_down(found, chosen, question, sight, here), found,
            tuple(_left(question, [
                share for share, _ in _free(shares, live)
                if share.window != chosen.window])))

    def _shares(self, question: Question) -> Sequence[_Share]:
        """The groups by their windows, that of the most broken ones first;
        at least one."""
        usual = self._conf.aacloud_groups.default_window
        broken = {report.group_id for report in question.broken}
        found: dict[str | None, list[rules.Group]] = {}
        for group in question.wanted:
            found.setdefault(group.window or usual or None, []).append(group)
        return sorted(
            (_Share(window, tuple(some)) for window, some in found.items()),
            key=lambda one: (
                -sum(group.id in broken for group in one.groups),
                -len(one.groups), one.window or ""),
        ) or [_Share(None, ())]

    def _put_down(
        self,
        found: repair.RepairPlan,
        share: _Share,
        question: Question,
        sight: sights.Sight,
        here: around.Surroundings,
    ) -> core_groups.Plan:
        if question.dry_run or not found.steps:
            # One without moves would only keep the next from being made.
            state = core_groups.PlanState.DRAFT
        elif self._conf.aacloud_groups.repair_approval:
            state = core_groups.PlanState.AWAITING_APPROVAL
        else:
            state = core_groups.PlanState.APPROVED
        opening = seasons.opening_of(
            share.window, self._clock.utcnow(), ahead=True)
        return self._recorder.record(
            found, sight, here, scope=question.scope, groups=share.groups,
            state=state, window=share.window, by=question.by,
            project_id=question.project_id,
            until=None if opening is None else opening.closes_at)


def _free(
    shares: Iterable[_Share], live: Iterable[core_groups.Plan]
) -> Iterator[tuple[_Share, Sequence[core_groups.Plan]]]:
    """What no live plan mends, with the plans that do not give way to it."""
    for share in shares:
        others = [
            plan for plan in live
            if not _yields(plan, share.groups, {share.window})]
        held = seasons.held(others, share.window)
        free = tuple(one for one in share.groups if one.id not in held)
        if free or not share.groups:
            yield dataclasses.replace(share, groups=free), others


def _left(
    question: Question, shares: Iterable[_Share]
) -> Iterator[group_messages.LeftOver]:
    """What is left broken for its other window."""
    reports = {report.group_id: report for report in question.broken}
    for share in shares:
        for group in share.groups:
            report = reports.get(group.id)
            for finding in () if report is None else report.rules:
                if finding.state == rules.GroupState.VIOLATING.value:
                    yield group_messages.LeftOver(
                        group_id=group.id,
                        rule=rules.format_rule(finding.rule),
                        reason="this plan is for another window than that of "
                        f"the group ({share.window or 'any time'}): ask once "
                        "more for the plan of the next window, or for this "
                        "group alone")


def _yields(
    plan: core_groups.Plan,
    groups: Iterable[rules.Group],
    windows: Collection[str | None],
) -> bool:
    """Whether a plan gives way to one that somebody asks for."""
    return (
        plan.state is core_groups.PlanState.AWAITING_APPROVAL
        and plan.scope == core_groups.CLOUD_SCOPE
        and plan.created_by == recording.BY
        and not plan.orders and plan.window in windows
        and not {one.id for one in groups}.isdisjoint(plan.groups))
