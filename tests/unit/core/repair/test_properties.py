# SPDX-License-Identifier: Apache-2.0
"""What holds of every plan, and that no better one is found by trying."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import settings

from aacloud.core.repair import plan_repair
from tests.unit.core.repair.worlds import follow
from tests.unit.core.repair.worlds import LIMITS
from tests.unit.core.repair.worlds import worlds

quick = settings(
    max_examples=150, deadline=None,
    suppress_health_check=[HealthCheck.too_slow])


@quick
@given(worlds())
def test_plan_against_all_that_can_be_done(problem):
    plan = plan_repair(problem, LIMITS, time.monotonic)
    world = follow(problem, plan)
    excess, moves = world.best()
    assert plan.excess_after >= excess
    if plan.excess_after == excess:
        assert plan.lower_bound <= moves <= plan.moves
    if plan.proved_optimal:
        assert (plan.excess_after, plan.moves) == (excess, moves)
        assert plan.gap == 0
