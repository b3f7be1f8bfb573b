# SPDX-License-Identifier: Apache-2.0
"""A plan that may not have all moves has those that mend the most."""

from __future__ import annotations

import dataclasses
import itertools
import time
from unittest import mock

from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.core import rules
from aacloud.core.repair import BlockCode
from aacloud.core.repair import improving
from aacloud.core.repair import plan_repair
from aacloud.core.repair.cutting import choose
from aacloud.core.repair.cutting import Part
from tests.benchmarks import repair as benchmark
from tests.benchmarks.repair_cloud import random_cloud
from tests.unit.core.repair.worlds import follow
from tests.unit.core.repair.worlds import group
from tests.unit.core.repair.worlds import LIMITS
from tests.unit.core.repair.worlds import problem
from tests.unit.core.repair.worlds import topology

A1 = "dc1-r1-h1"


def parts(*ends: tuple[int, int]) -> list[Part]:
    return [Part([(f"s{n}", A1) for n in range(moves)], left)
            for moves, left in ends]


@given(st.lists(st.lists(
    st.integers(1, 5), min_size=0, max_size=4), min_size=1, max_size=3),
    st.integers(0, 12))
def test_the_most_is_mended_where_each_move_mends_less(gains, most):
    """Then taking the best next move is best of all: against trying all."""
    choices = []
    for gain in gains:
        gain.sort(reverse=True)
        choices.append(parts(*enumerate(
            sum(gain[n:]) for n in range(len(gain) + 1))))
    found = choose(choices, most)
    ways = [
        sum(options[index].left
            for options, index in zip(choices, way, strict=True))
        for way in itertools.product(*(range(len(c)) for c in choices))
        if sum(way) <= most]
    assert sum(found) <= most
    assert sum(options[index].left for options, index in zip(
        choices, found, strict=True)) == min(ways)


def test_moves_that_are_good_together_are_taken_together():
    """Two moves that mend five, before two that mend two each."""
    choices = [parts((0, 5), (2, 0)), parts((0, 4), (1, 2), (2, 0))]
    assert choose(choices, 1) == [0, 1]
    assert choose(choices, 2) == [1, 0]
    assert choose(choices, 3) == [1, 1]
    assert choose(choices, 9) == [1, 2]


def test_fewer_moves_are_taken_where_more_do_not_fit():
    choices = [parts((0, 9), (1, 8), (3, 0)), parts((0, 1), (1, 0))]
    assert choose(choices, 1) == [1, 0]
    assert choose(choices, 2) == [1, 1]
    assert choose(choices, 3) == [2, 0]


@pytest.mark.parametrize("whole", [0, improving.WHOLE])
def test_the_best_move_comes_first_whatever_follows_it(monkeypatch, whole):
    """Of five the first mends four pairs, of a star the only one three."""
    monkeypatch.setattr(improving, "WHOLE", whole)
    five, star = "abcde", "pqrs"
    pairs = [*itertools.combinations(five, 2), *itertools.product("p", "qrs")]
    what = problem(
        dict.fromkeys(five, A1) | dict.fromkeys(star, "dc2-r1-h1"),
        [group(f"g{n}", ["spread:host"], [*pair])
         for n, pair in enumerate(pairs)], topology(2, 2, 4))
    left = []
    for most in (1, 2, 3, 4, 5):
        plan = plan_repair(
            what, dataclasses.replace(LIMITS, max_moves=most),
            time.monotonic)
        follow(what, plan)
        assert plan.moves == most
        left.append(plan.excess_before - plan.excess_after)
    assert left == [4, 7, 10, 12, 13]


def test_gathering_elsewhere_is_better_for_few_moves():
    """Of 21, five moves leave 14. None of them alone leaves less than 19.

    A move that gathers the members in the other data centre leaves 18.
    """
    texts = ("spread:host", "spread:rack:max=3", "together:dc")
    what = random_cloud(
        100, 500, 2, 46, most=12, pinned=0.1, fill=0.8, shared=0.0)
    what = dataclasses.replace(what, groups=tuple(
        dataclasses.replace(
            one, rules=tuple(rules.parse_rule(text) for text in texts))
        for one in what.groups if not one.native))
    left = [
        plan_repair(what, dataclasses.replace(LIMITS, max_moves=most),
                    lambda: 0.0).excess_after
        for most in (0, 1, 5)]
    assert left == [21, 18, 14]


@settings(max_examples=10, deadline=None,
          suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.data())
def test_a_limit_never_costs_more_than_the_greedy_moves(seed, data):
    """With as many moves, what the solver found leaves no more.

    And what is left does not grow with the moves that are allowed.
    """
    what = random_cloud(
        75, 400, 8, seed, most=6, shared=0.3, fill=0.8)
    with mock.patch.object(improving, "WORK", 0.2):
        full = plan_repair(what, LIMITS, lambda: 0.0)
        most = data.draw(st.integers(0, full.moves))
        cut, more, greedy = (
            plan_repair(what, dataclasses.replace(
                LIMITS, max_moves=limit, time_limit_s=seconds),
                lambda: 0.0)
            for limit, seconds in (
                (most, 1.0), (most + 1, 1.0), (most, 0.0)))
    assert cut.moves <= most
    assert full.excess_after <= more.excess_after <= cut.excess_after
    assert cut.excess_after <= greedy.excess_after


def rivals(what, most):
    """What is left when the rival may have so many moves."""
    rival = benchmark.Rival(what)
    rival.run()
    return min(rival.lefts[:most + 1])


@pytest.fixture(scope="module")
def crowded():
    """A cloud in which moves need the room that others leave."""
    return random_cloud(50, 300, 10, 1014)


@pytest.mark.parametrize("part", [0.4, 0.62, 0.7, 0.9, 0.98])
def test_moves_are_made_in_an_order_that_can_be_done(crowded, part):
    """No fewer are made only because the best of them has no room yet."""
    full = benchmark.steady(crowded)
    most = int(part * full.moves)
    cut = benchmark.steady(crowded, most)
    follow(crowded, cut)
    assert cut.moves <= most
    assert cut.excess_after <= min(
        benchmark.lefts(crowded, full)[:most + 1])
    assert cut.excess_after <= rivals(crowded, most)


def test_what_is_left_for_want_of_moves_says_so(crowded):
    """Whatever may be in the way of the next move just now."""
    full = benchmark.steady(crowded)
    cut = benchmark.steady(crowded, 20)
    for_good = {(one.group, one.rule): one for one in full.left}
    limited = [one for one in cut.left if one.excess > (
        for_good[one.group, one.rule].excess
        if (one.group, one.rule) in for_good else 0)]
    assert limited
    assert {one.code for one in limited} == {BlockCode.LIMIT}
    assert {one.reason for one in limited} == {
        "a plan may have 20 moves: the next one goes on"}
    # What no number of moves would mend does not say so.
    for one in cut.left:
        if one not in limited:
            assert one.code is for_good[one.group, one.rule].code
    assert {one.group for one in cut.left if one not in limited}


@settings(max_examples=10, deadline=None,
          suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.sampled_from([8, 50]), st.data())
def test_a_limit_leaves_no_more_than_so_many_moves_of_all(seed, members, data):
    """Nor than the rival, which stops after as many."""
    what = random_cloud(50, 300, 10, seed, most=members)
    full = benchmark.steady(what)
    most = data.draw(st.integers(0, full.moves))
    cut = benchmark.steady(what, most)
    follow(what, cut)
    assert cut.moves <= most
    assert cut.excess_after <= min(
        benchmark.lefts(what, full)[:most + 1])
    assert cut.excess_after <= rivals(what, most)
