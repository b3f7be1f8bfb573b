# SPDX-License-Identifier: Apache-2.0
"""What must be so for a plan to move anything, as it is now."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime

from oslo_config import cfg

from aacloud.coordination import clock as clocks
from aacloud.core import groups as core_groups
from aacloud.core import planwork
from aacloud.core import windows
from aacloud.db import plans as plan_stores
from aacloud.groups import seasons


class Gates:
    """Safe for threads, as far as what it is given is.

    :param hold: why nothing may begin now, from outside
    :param moot: why a plan may mend none of its groups any more, or None
    :param domains: host -> its rack and DC
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        plans: plan_stores.Plans,
        hold: Callable[[], Sequence[str]],
        moot: Callable[[core_groups.Plan], str | None],
        domains: Callable[[], Mapping[str, tuple[str, str]]],
        clock: clocks.Clock,
    ) -> None:
        self._conf = conf
        self._plans = plans
        self._hold = hold
        self._moot = moot
        self._domains = domains
        self._clock = clock

    def of(self, plan: core_groups.Plan) -> planwork.PlanView:
        """What must be open for a plan to move anything.

        :raises db_errors.DatabaseError: its groups could not be read
        """
        opening = following = None
        hold = tuple(self._hold())
        if plan.window is not None:
            now = self._clock.utcnow()
            try:
                window = windows.parse_window(plan.window)
                opening = windows.is_open(window, now)
                coming = windows.next_open(window, now)
            except windows.WindowError as error:
                # It can be stopped all the same.
                hold, coming = (str(error), *hold), None
            following = None if coming is None else coming.opens_at
        return planwork.PlanView(
            plan=plan, window=opening, next_open=following, hold=hold,
            moot=self._moot(plan))

    def view(
        self,
        plan: core_groups.Plan,
        elsewhere: tuple[core_groups.PlanStep, ...],
    ) -> planwork.PlanView:
        """The same, with what the limits are about.

        :param elsewhere: the moves of other plans under way
        :raises db_errors.DatabaseError: groups or plans could not be read
        """
        gates = self.of(plan)
        now = self._clock.utcnow()
        since = (
            gates.window.opens_at if gates.window is not None
            else now - seasons.A_DAY)
        rest = datetime.timedelta(
            seconds=self._conf.aacloud_groups.cool_down)
        return dataclasses.replace(
            gates,
            moves_in_window=self._plans.moves_begun_since(since),
            moved_at=self._plans.moved_since(now - rest, but_plan=plan.id),
            domains=self._domains(),
            elsewhere=elsewhere)
