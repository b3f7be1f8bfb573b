# SPDX-License-Identifier: Apache-2.0
"""Steps under way at once: within the limits, and never a rule made worse."""

from __future__ import annotations

import dataclasses
import time

from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.core.repair import plan_repair
from aacloud.core.repair import ready_steps
from aacloud.core.repair import RepairLimits
from aacloud.core.repair import RepairProblem
from tests.unit.core.repair.worlds import group
from tests.unit.core.repair.worlds import LIMITS
from tests.unit.core.repair.worlds import problem
from tests.unit.core.repair.worlds import topology
from tests.unit.core.repair.worlds import World
from tests.unit.core.repair.worlds import worlds

MANY = dataclasses.replace(
    LIMITS, parallel_total=99, parallel_per_host=99, parallel_per_rack=99,
    parallel_inter_dc=99)


def run(what: RepairProblem, choose) -> int:
    """Start and end steps in an order that is chosen; how many ran at once.

    :param choose: is given (ready, under way), says which and how
    """
    plan = plan_repair(what, MANY, time.monotonic)
    world = World(what)
    places = dict(world.start)
    steps = {step.number: step for step in plan.steps}
    ended: set[int] = set()
    busy: set[int] = set()
    most = 0
    while len(ended) < len(steps):
        ready = [s.number for s in ready_steps(
            plan.steps, ended, busy, what, MANY)]
        assert ready or busy
        number = choose(ready, sorted(busy))
        move = steps[number].move
        # As if it had not begun: that is what it must not make worse.
        before = world.excesses({**places, move.server: (move.source,)})
        if number in busy:
            busy.remove(number)
            ended.add(number)
            places[move.server] = (move.destination,)
        else:
            assert places[move.server] == (move.source,)
            busy.add(number)
            places[move.server] = (move.source, move.destination)
        most = max(most, len(busy))
        assert all(n <= b for n, b in zip(
            world.excesses(places), before, strict=True)), number
        assert not world.overfull(places)
    assert world.total(places) == plan.excess_after
    return most


@settings(max_examples=150, deadline=None,
          suppress_health_check=[HealthCheck.too_slow])
@given(worlds(most=7, pins=False), st.data())
def test_steps_in_any_order_that_is_allowed(what, data):
    run(what, lambda ready, busy: data.draw(
        st.sampled_from([*ready, *busy])))


def test_steps_that_have_nothing_to_do_with_each_other_run_at_once():
    where = {f"s{n}": f"dc1-r1-h{n // 2 + 1}" for n in range(8)}
    groups = [group(f"g{n}", ["spread:host"], [f"s{2 * n}", f"s{2 * n + 1}"])
              for n in range(4)]
    what = problem(where, groups, topology(2, 2, 4))
    assert run(what, lambda ready, busy: (ready or busy)[0]) == 4


def test_members_of_one_group_run_at_once_where_it_is_safe():
    where = {f"s{n}": "dc1-r1-h1" for n in range(4)}
    what = problem(where, [group("g", ["spread:host"], list(where))],
                   topology(2, 2, 4))
    assert run(what, lambda ready, busy: (ready or busy)[0]) == 3


@pytest.mark.parametrize(("limit", "started"), [
    ({"parallel_total": 1}, 1),
    ({"parallel_per_host": 1}, 3),
    ({"parallel_per_host": 9}, 6),
    ({"parallel_per_host": 9, "parallel_per_rack": 2}, 2),
    ({"parallel_per_host": 9, "parallel_inter_dc": 1}, 1),
])
def test_limits(limit, started):
    """Six servers leave three hosts of one rack for the other one."""
    where = {f"s{n}": f"dc1-r1-h{n % 3 + 1}" for n in range(6)}
    groups = [group(f"g{n}", ["fence:dc:domains=dc2"], [uuid])
              for n, uuid in enumerate(where)]
    what = problem(where, groups, topology(2, 1, 6))
    plan = plan_repair(what, LIMITS, time.monotonic)
    assert plan.moves == 6
    limits = RepairLimits(**{
        "parallel_total": 9, "parallel_per_rack": 9, "parallel_inter_dc": 9,
        **limit})
    ready = ready_steps(plan.steps, (), (), what, limits)
    assert len(ready) == started
    more = ready_steps(
        plan.steps, (), [step.number for step in ready], what, limits)
    assert more == ()
    ended = [step.number for step in ready]
    assert ready_steps(plan.steps, ended, (), what, limits) or started == 6
