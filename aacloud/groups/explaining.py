# SPDX-License-Identifier: Apache-2.0
"""Why broken groups cannot be mended: capacity, a pin, another rule, ...

A plan is looked for, with what is free on all hosts and with the other groups
that the members are in; what such a plan leaves broken says why. That takes a
while, so it is done when somebody asks, and by the leading engine now and
then; what was found is remembered as long as neither the group nor its
surroundings change.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime
import itertools
import logging
import threading

from oslo_config import cfg

from aacloud.clouds import errors as cloud_errors
from aacloud.clouds import ports
from aacloud.coordination import clock as clocks
from aacloud.core import repair
from aacloud.core import rules
from aacloud.groups import catalogue as catalogues
from aacloud.groups import policies
from aacloud.groups import problems
from aacloud.groups import repairer as repairers
from aacloud.groups import sight as sights
from aacloud.groups import surroundings as around
from aacloud.rpc import group_messages
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

#: Seconds for which a plan is looked for.
EACH_S = 2.0
#: With less time than this none is looked for.
LEAST_S = 0.2
#: With so much of it all was tried that there is time for.
ENOUGH = 0.9
#: Groups of one such plan, to begin with and at most.
AT_ONCE = 4
MOST_AT_ONCE = 64
#: Of the time for a plan: was so much gone before the first one was complete,
#: it was too much at once; was it less than the other, it may be more.
TOO_LATE = 0.8
EARLY = 0.1
#: Seconds for which what was found is remembered: hosts fill and empty.
REMEMBERED_S = 900.0
#: Groups of which it is remembered.
MOST = 10_000

_Hindrances = Mapping[str, group_messages.Hindrance]


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    """What was found of a group.

    :ivar key: of what it was found; see ``_key``
    :ivar at: when, monotonic seconds
    :ivar sought_at: the same, aware UTC
    :ivar found: rule as text -> why it stays broken
    """

    key: object
    at: float
    sought_at: datetime.datetime
    found: _Hindrances


class Explainer:
    """Says what keeps groups from being mended. Safe for threads."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        catalogue: catalogues.Catalogue,
        reader: sights.Reader,
        cloud: ports.Cloud,
        repairer: repairers.Repairer,
        clock: clocks.Clock | None = None,
    ) -> None:
        self._conf = conf
        self._catalogue = catalogue
        self._reader = reader
        self._cloud = cloud
        self._repairer = repairer
        self._clock = clock or clocks.Clock()
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        #: Groups of one plan, whose begin takes a while in a large cloud.
        self._at_once = AT_ONCE
        #: Groups that took too long together with others: each of them is
        #: looked at alone, so that it holds up no others, nor they it.
        self._alone: set[str] = set()
        self._pace = rates.LogPace(clock=self._clock.monotonic)

    def remembered(
        self,
        reports: Iterable[group_messages.Report],
        here: around.Surroundings,
    ) -> list[group_messages.Report]:
        """The reports, with what is known of them; asks nobody."""
        return [self._with_known(report, here) for report in reports]

    def explain(
        self,
        groups: Mapping[str, rules.Group],
        reports: Iterable[group_messages.Report],
        sight: sights.Sight,
        here: around.Surroundings,
        *,
        seconds: float,
        anew: bool,
    ) -> list[group_messages.Report]:
        """The reports, with why broken rules cannot be mended.

        What cannot be read, or not in the time, is left out: a report
        without reasons is better than none.

        :param groups: those of the reports, by id
        :param sight: what the reports were made of; unless it is of the
            whole cloud, the members are read again, with zone and native
            group
        :param seconds: about so long plans may be looked for, when all that
            they are made of was read
        :param anew: also what is remembered
        :raises db_errors.DatabaseError: who was moved could not be read
        """
        given = list(reports)
        wanted = [
            report for report in given if _broken(report)
            and (anew or self._fresh(report, here) is None)]
        # Those that were not looked at for longest come first.
        wanted.sort(key=self._looked_at)
        if wanted:
            try:
                self._look(
                    [(groups[report.group_id], report) for report in wanted],
                    sight, here, seconds)
            except cloud_errors.CloudError as error:
                held_back = self._pace.due("unread")
                if held_back is not None:
                    LOG.warning(
                        "Why groups cannot be mended is not known now: %s%s",
                        error, self._pace.text(held_back))
        return self.remembered(given, here)

    # -- what is known ------------------------------------------------------

    def _fresh(
        self, report: group_messages.Report, here: around.Surroundings
    ) -> _Known | None:
        with self._lock:
            known = self._known.get(report.group_id)
        if (
            known is None
            or self._clock.monotonic() - known.at > REMEMBERED_S
            or known.key != _key(report, here)
        ):
            return None
        return known

    def _looked_at(self, report: group_messages.Report) -> float:
        with self._lock:
            known = self._known.get(report.group_id)
        return float("-inf") if known is None else known.at

    def _with_known(
        self, report: group_messages.Report, here: around.Surroundings
    ) -> group_messages.Report:
        known = self._fresh(report, here) if _broken(report) else None
        if known is None:
            return report
        return dataclasses.replace(
            report, sought_at=known.sought_at, rules=tuple(
                dataclasses.replace(
                    one, hindrance=known.found.get(
                        rules.format_rule(one.rule)) if one.excess else None)
                for one in report.rules))

    def _remember(
        self,
        report: group_messages.Report,
        here: around.Surroundings,
        found: _Hindrances,
    ) -> None:
        now = self._clock.monotonic()
        with self._lock:
            self._alone.discard(report.group_id)
            # The one that was put in last stands last.
            self._known.pop(report.group_id, None)
            while len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
            self._known[report.group_id] = _Known(
                _key(report, here), now, self._clock.utcnow(), found)

    # -- looking ------------------------------------------------------------

    def _look(
        self,
        wanted: Collection[tuple[rules.Group, group_messages.Report]],
        sight: sights.Sight,
        here: around.Surroundings,
        seconds: float,
    ) -> None:
        members = {
            member for group, _ in wanted for member in group.members}
        near = self._catalogue.neighbours(members)
        if not sight.whole:
            sight = self._reader.some(sorted(members.union(
                *(group.members for group in near))), full=True)
        room = self._cloud.capacity(tuple(here.topology.hosts))
        resting = self._repairer.resting()
        # However long the reading took, something is found each time.
        deadline = self._clock.monotonic() + seconds
        waiting = list(wanted)
        while waiting:
            left = deadline - self._clock.monotonic()
            if left < LEAST_S:
                return
            now = self._next(waiting)
            del waiting[:len(now)]
            mended = {group.id: group for group, _ in now}
            members = {
                one for group in mended.values() for one in group.members}
            concerned = [*mended.values(), *(
                one for one in near if one.id not in mended
                and not one.members.isdisjoint(members))]
            problem = problems.build(
                concerned, mended, _narrowed(sight, concerned), here,
                room, resting=resting,
                usual=self._conf.aacloud_groups.default_window,
                seed=self._conf.aacloud_groups.solver_seed)
            # How many moves one plan may have keeps nothing broken.
            limits = dataclasses.replace(
                policies.repair_limits(self._conf, EACH_S), max_moves=None)
            each = limits.time_limit_s
            limits = dataclasses.replace(
                limits, time_limit_s=min(each, left))
            plan = repair.plan_repair(problem, limits, self._clock.monotonic)
            late = plan.first_s > TOO_LATE * limits.time_limit_s
            if late and limits.time_limit_s < ENOUGH * each:
                # They come first the next time, and have all of it then.
                return
            if late and len(now) > 1:
                # Not all was tried, so not all that is left is hopeless.
                self._at_once = max(1, self._at_once // 2)
                self._part(mended)
                continue
            if plan.first_s < EARLY * limits.time_limit_s:
                self._at_once = min(MOST_AT_ONCE, 2 * self._at_once)
            for _, report in now:
                self._remember(report, here, {
                    rules.format_rule(one.rule): _hindrance(
                        one, each if late else None)
                    for one in plan.left if one.group == report.group_id})

    def _next(
        self, waiting: list[tuple[rules.Group, group_messages.Report]],
    ) -> list[tuple[rules.Group, group_messages.Report]]:
        """The first ones, as many as are looked at together."""
        with self._lock:
            alone = frozenset(self._alone)
        return list(itertools.takewhile(
            lambda one: one[0].id not in alone,
            waiting[:self._at_once])) or waiting[:1]

    def _part(self, groups: Iterable[str]) -> None:
        """Look at each of the groups alone from now on."""
        with self._lock:
            if len(self._alone) > MOST:
                # Most of them are gone, or were mended meanwhile.
                self._alone.clear()
            self._alone.update(groups)


def _hindrance(
    blocked: repair.Blocked, within_s: float | None
) -> group_messages.Hindrance:
    """Why a rule stays broken.

    :param within_s: seconds in which not all could be tried; None: it was
    """
    reason = blocked.reason
    if within_s is not None:
        reason = (
            f"no way to mend it was found within {within_s:g} s; a repair "
            f"looks for longer"
            if blocked.code is repair.BlockCode.LIMIT else
            f"{reason}; not all was tried within {within_s:g} s")
    return group_messages.Hindrance(
        blocked.code.value, reason, blocked.excess)


def _broken(report: group_messages.Report) -> bool:
    return any(one.excess and one.rule.required for one in report.rules)


def _key(
    report: group_messages.Report, here: around.Surroundings
) -> tuple[object, ...]:
    """What an explanation hangs on, besides what is free on the hosts."""
    return (
        report.revision, dict(report.places), here.topology, here.closed,
        here.dead_dcs)


def _narrowed(
    sight: sights.Sight, groups: Iterable[rules.Group]
) -> sights.Sight:
    """What was seen of the members of groups."""
    members = {member for group in groups for member in group.members}
    return dataclasses.replace(
        sight,
        servers={
            uuid: sight.servers[uuid] for uuid in members
            if uuid in sight.servers},
        occupancy={
            uuid: sight.occupancy[uuid] for uuid in members
            if uuid in sight.occupancy})
