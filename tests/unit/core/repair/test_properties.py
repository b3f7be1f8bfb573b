# SPDX-License-Identifier: Apache-2.0
"""What holds of every plan, and that no better one is found by trying."""

from __future__ import annotations

import dataclasses
import random
import time
from unittest import mock

from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.core import rules
from aacloud.core.repair import improving
from aacloud.core.repair import plan_repair
from aacloud.core.repair.components import components
from aacloud.core.repair.components import set_goals
from aacloud.core.repair.greedy import mend
from aacloud.core.repair.rooms import Rooms
from aacloud.core.repair.state import State
from aacloud.core.repair.tree import Places
from aacloud.core.repair.tree import solve_group
from tests.benchmarks.repair_cloud import random_cloud
from tests.unit.core.repair.worlds import follow
from tests.unit.core.repair.worlds import LIMITS
from tests.unit.core.repair.worlds import World
from tests.unit.core.repair.worlds import worlds

usual = settings(
    max_examples=150, deadline=None,
    suppress_health_check=[HealthCheck.too_slow])


@usual
@given(worlds())
def test_plan_against_all_that_can_be_done(problem):
    plan = plan_repair(problem, LIMITS, time.monotonic)
    excess, moves = follow(problem, plan).best()
    assert plan.excess_after >= excess
    if plan.excess_after == excess:
        assert plan.lower_bound <= moves <= plan.moves
    if plan.proved_optimal:
        assert (plan.excess_after, plan.moves) == (excess, moves)
        assert plan.gap == 0


@usual
@given(worlds())
def test_part_by_part_as_in_a_large_cloud(problem):
    with mock.patch.object(improving, "WHOLE", 0):
        plan = plan_repair(problem, LIMITS, time.monotonic)
    excess, moves = follow(problem, plan).best()
    assert plan.excess_after >= excess
    if plan.excess_after == excess:
        assert plan.lower_bound <= moves <= plan.moves
    if plan.proved_optimal:
        assert (plan.excess_after, plan.moves) == (excess, moves)


@usual
@given(worlds())
def test_group_by_group_as_in_a_large_component(problem):
    with mock.patch.object(improving, "WHOLE", 0), mock.patch.object(
            improving, "LARGEST", 12):
        plan = plan_repair(problem, LIMITS, time.monotonic)
    excess, moves = follow(problem, plan).best()
    assert plan.excess_after >= excess
    if plan.excess_after == excess:
        assert plan.lower_bound <= moves <= plan.moves


@usual
@given(worlds(), st.booleans())
def test_greedy_never_does_what_must_not_be_done(problem, preferences):
    """It is what is left when there is no time for anything else."""
    state = State(problem, preferences)
    places = Places(state)
    world = World(problem)
    now = world.start
    for component in components(state):
        set_goals(state, places, component)
        for uuid, host in mend(state, Rooms(state), component.groups):
            now = world.step(now, uuid, host)
            assert now is not None
    assert [u.excess for u in state.units if u.hard] == world.excesses(now)
    exact = plan_repair(problem, LIMITS, time.monotonic)
    if not preferences:
        assert exact.excess_after <= world.total(now)


@usual
@given(worlds(), st.booleans())
def test_plan_without_time_and_with_preferences(problem, preferences):
    quick = dataclasses.replace(
        LIMITS, time_limit_s=0.0, mend_preferences=preferences)
    plan = plan_repair(problem, quick, time.monotonic)
    world = follow(problem, plan)
    excess, moves = world.best()
    if plan.proved_optimal and not preferences:
        assert (plan.excess_after, plan.moves) == (excess, moves)


@usual
@given(worlds())
def test_mending_preferences_leaves_no_more_of_either(problem):
    """And what is told of the preferred rules is true."""
    limits = dataclasses.replace(LIMITS, mend_preferences=True)
    plan = plan_repair(problem, limits, time.monotonic)
    world = follow(problem, plan)
    assert plan.excess_after <= plan.excess_before
    places = dict(world.start)
    for step in plan.steps:
        places[step.move.server] = (step.move.destination,)
    soft = 0
    for group in problem.groups:
        if group.mode is rules.GroupMode.REPAIR:
            domains = problem.domains.within(group.rules)
            soft += sum(
                rules.excess(rule, rules.count(
                    rule, group.members, places, domains), domains)
                for rule in group.rules if not rule.required)
    assert plan.preferred_after == soft
    if plan.excess_after == plan.excess_before:
        assert plan.preferred_after <= plan.preferred_before


@usual
@given(worlds())
def test_bound_of_one_group_is_never_above_the_best(problem):
    """Each group by itself, in a cloud without the others."""
    for group in problem.groups:
        if group.mode is not rules.GroupMode.REPAIR:
            continue
        alone = dataclasses.replace(problem, groups=(group,))
        state = State(alone)
        bound = solve_group(state, state.by_group[group.id], Places(state))
        if bound.exact:
            assert (bound.excess, bound.moves) <= World(alone).best()


@pytest.mark.parametrize("seed", range(4))
def test_plan_of_a_middling_cloud(seed):
    """Many groups that share servers, hosts nearly full, racks, pins."""
    problem = random_cloud(
        100, 700, 12, seed, most=12, shared=0.5, fill=0.8)
    rand = random.Random(seed)
    half = frozenset(rand.sample(sorted(problem.hosts), 50))
    problem = dataclasses.replace(problem, servers={
        uuid: dataclasses.replace(
            server, may_go=half if rand.random() < 0.2 else None)
        for uuid, server in problem.servers.items()})
    limits = dataclasses.replace(LIMITS, time_limit_s=10.0)
    plan = plan_repair(problem, limits, time.monotonic)
    assert plan.excess_after < plan.excess_before
    assert plan.lower_bound <= plan.moves
    state = State(problem)
    for step in plan.steps:
        assert state.allowed(step.move.server, step.move.destination)
        state.move(step.move.server, step.move.destination)
    places = {uuid: (host,) for uuid, host in state.place.items()}
    world = World(dataclasses.replace(problem, servers={
        uuid: problem.servers[uuid] for group in problem.groups
        for uuid in group.members}))
    assert world.total(places) == plan.excess_after


@pytest.mark.parametrize("seed", range(3))
def test_same_seed_same_plan(seed):
    problem = random_cloud(100, 500, 6, seed, most=8, shared=0.6)
    limits = dataclasses.replace(LIMITS, workers=2)
    plans = [plan_repair(problem, limits, lambda: 0.0) for _ in range(2)]
    assert plans[0].steps
    assert plans[0] == plans[1]
