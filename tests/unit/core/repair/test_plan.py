# SPDX-License-Identifier: Apache-2.0
"""Plans of clouds in which it is known what is right."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from aacloud.core import rules
from aacloud.core.repair import BlockCode
from aacloud.core.repair import plan_repair
from aacloud.core.repair import RepairPlan
from aacloud.core.repair import RepairProblem
from tests.unit.core.repair.worlds import follow
from tests.unit.core.repair.worlds import group
from tests.unit.core.repair.worlds import LIMITS
from tests.unit.core.repair.worlds import problem
from tests.unit.core.repair.worlds import topology

A1, A2 = "dc1-r1-h1", "dc1-r1-h2"
B1, B2 = "dc2-r1-h1", "dc2-r1-h2"


def frozen() -> float:
    """A clock on which no time goes by."""
    return 100.0


def planned(what: RepairProblem, **limits: object) -> RepairPlan:
    plan = plan_repair(
        what, dataclasses.replace(LIMITS, **limits), frozen)
    follow(what, plan)
    return plan


def ends(plan: RepairPlan) -> dict[str, str]:
    return {s.move.server: s.move.destination for s in plan.steps}


def test_one_move_mends_several_levels():
    what = problem(
        {"a": A1, "b": A1, "c": B1},
        [group("web", ["spread:host", "spread:rack"], "a b c")])
    plan = planned(what)
    assert plan.moves == plan.lower_bound == 1
    assert plan.proved_optimal
    assert plan.solver == "flow"
    assert (plan.excess_before, plan.excess_after) == (2, 0)
    assert plan.left == ()
    assert "rack dc1-r1 holds 2" in " ".join(plan.steps[0].why)


def test_three_of_a_rack_are_spread_over_both_data_centres():
    what = problem(
        dict.fromkeys("abc", A1),
        [group("g", ["spread:dc:max_skew=1", "spread:host"], "a b c")])
    plan = planned(what)
    assert (plan.moves, plan.excess_after) == (2, 0)
    assert plan.proved_optimal


def test_nothing_to_do():
    plan = planned(problem(
        {"a": A1, "b": B1}, [group("g", ["spread:host"], "a b")]))
    assert plan.steps == ()
    assert plan.proved_optimal


@pytest.mark.parametrize("mode", ["off", "report", "enforce"])
def test_only_groups_to_be_mended_are(mode):
    plan = planned(problem(
        {"a": A1, "b": A1}, [group("g", ["spread:host"], "a b", mode)]))
    assert plan.steps == ()
    assert plan.excess_before == 0


def test_other_groups_are_not_made_worse():
    """b can leave its host only for one where no member of n is."""
    where = {"a": A1, "b": A1, "c": A2, "d": B1}
    groups = [group("g", ["spread:host"], "a b"),
              group("n", ["spread:host"], "a b c d", "off", native=True)]
    top = topology(2, 1, 2)
    plan = planned(problem(where, groups, top))
    assert list(ends(plan).values()) == [B2]


def test_least_moves_are_found_for_groups_that_share_servers():
    """The shared server mends both groups."""
    where = {"a": A1, "b": A1, "c": A1, "d": B1, "e": B2}
    groups = [group("g", ["spread:host"], "a b"),
              group("h", ["spread:host"], "b c")]
    plan = planned(problem(where, groups))
    assert ends(plan).keys() == {"b"}
    assert plan.proved_optimal


def test_a_circle_takes_a_stop():
    """Both hosts are full: one of the two waits on a third."""
    top = topology(2, 1, 2)
    full = {"free_memory_mb": 0}
    what = problem(
        {"a": A1, "b": B1},
        [group("g", ["fence:dc:domains=dc2"], "a"),
         group("h", ["fence:dc:domains=dc1"], "b")],
        top, hosts={A1: full, B1: full, B2: full,
                    A2: {"free_memory_mb": 1}},
        servers={"b": {"may_go": frozenset({A1})}})
    plan = planned(what)
    assert plan.excess_after == 0
    assert plan.moves == 3
    assert plan.gap == 1
    first, second, third = plan.steps
    assert (first.move.server, first.move.destination) == ("a", A2)
    assert second.after == (1,)
    assert third.after == (2,)
    assert "makes room" in first.why[-1]


def test_others_make_way():
    """The only host left is taken by a server of no group."""
    top = topology(2, 1, 1)
    hosts = {B1: {"free_memory_mb": 0}}
    what = problem(
        {"a": A1, "b": A1, "x": B1}, [group("g", ["spread:host"], "a b")],
        top, hosts=hosts)
    plan = planned(what)
    assert plan.steps[0].move.server == "x"
    assert (plan.moves, plan.excess_after) == (2, 0)
    assert plan.proved_optimal
    assert plan.steps[1].after == (1,)


def test_preferred_rules_break_ties_only():
    where = {"a": A1, "b": A1, "c": "dc1-r2-h1"}
    preferred = group(
        "g", ["spread:host", "spread:rack:prefer"], "a b c")
    plan = planned(problem(where, [preferred], topology(1, 3, 2)))
    assert plan.moves == 1
    assert ends(plan).popitem()[1].startswith("dc1-r3")
    assert plan.preferred_after == 0
    only = group("g", ["spread:rack:prefer"], "a b c")
    assert planned(problem(where, [only], topology(1, 3, 2))).moves == 0
    asked = planned(
        problem(where, [only], topology(1, 3, 2)), mend_preferences=True)
    assert (asked.moves, asked.preferred_after) == (1, 0)
    assert asked.proved_optimal


def test_preferences_are_never_bought_with_a_move():
    """With one move rack r3 would be right; the preference wants r1 empty."""
    where = {"a": A1, "b": A2, "c": A1}
    rule = group("g", ["spread:host", "spread:rack:prefer"], "a b c")
    plan = planned(problem(where, [rule], topology(1, 3, 2)))
    assert plan.moves == 1
    assert plan.preferred_after == 1


def blocked(what: RepairProblem, code: BlockCode) -> str:
    plan = planned(what)
    assert plan.moves == 0
    (found,) = plan.left
    assert found.code is code
    assert found.excess == 1
    return found.reason


TWO = topology(2, 1, 1)
PAIR = {"a": A1, "b": A1}


def test_says_what_cannot_be_moved():
    reason = blocked(problem(
        PAIR, [group("g", ["spread:host"], "a b")], TWO,
        servers={name: {"movable": False, "why_not": "has a local disk"}
                 for name in "ab"}),
        BlockCode.UNMOVABLE)
    assert "2 has a local disk" in reason


def test_says_that_room_is_missing():
    reason = blocked(problem(
        PAIR, [group("g", ["spread:host"], "a b")], TWO,
        hosts={B1: {"free_memory_mb": 0}}), BlockCode.CAPACITY)
    assert "no room for 1 MB memory" in reason


def test_says_that_room_for_local_disks_is_missing():
    reason = blocked(problem(
        PAIR, [group("g", ["spread:host"], "a b")], TWO,
        servers={name: {"disk_gb": 20} for name in "ab"},
        hosts={B1: {"free_disk_gb": 19}}), BlockCode.CAPACITY)
    assert "no room for 20 GB disk (its local disks" in reason
    assert "memory" not in reason


def test_says_that_a_host_is_closed():
    reason = blocked(problem(
        PAIR, [group("g", ["spread:host"], "a b")], TWO,
        hosts={B1: {"takes": False, "reason": "disabled"}}),
        BlockCode.CLOSED)
    assert "disabled" in reason


def test_says_that_servers_are_pinned():
    blocked(problem(
        PAIR, [group("g", ["spread:host"], "a b")], TWO,
        servers={name: {"may_go": frozenset({A1})} for name in "ab"}),
        BlockCode.PINNED)


def test_says_which_rule_is_in_the_way():
    reason = blocked(problem(
        PAIR, [group("g", ["spread:host"], "a b"),
               group("f", ["fence:dc:domains=dc1"], "a b", "enforce")],
        TWO), BlockCode.CONFLICT)
    assert "fence:dc:domains=dc1 of group f" in reason


def test_says_that_the_cloud_is_too_small():
    blocked(problem(
        {"a": A1, "b": B1, "c": B1},
        [group("g", ["spread:host"], "a b c")], TWO), BlockCode.NO_DOMAIN)


def test_members_in_a_dead_data_centre_do_not_count_for_the_skew():
    what = problem(
        {"a": A1, "b": A1, "c": "dc1-r2-h1"},
        [group("g", ["spread:dc:max_skew=1"], "a b c")],
        hosts={B1: {"takes": False}, B2: {"takes": False},
               "dc2-r2-h1": {"takes": False}, "dc2-r2-h2": {"takes": False}})
    what = dataclasses.replace(
        what, domains=rules.Domains(topology(), dead=["dc2"]))
    assert planned(what).moves == 0
    assert planned(what).excess_before == 0


def test_a_migration_under_way_counts_at_both_ends():
    plan = planned(problem(
        {"a": A1, "b": B1}, [group("g", ["spread:host"], "a b")],
        servers={"a": {"also": B1}}))
    assert plan.excess_before == 1
    assert ends(plan).keys() == {"b"}


def test_a_plan_has_no_more_moves_than_allowed():
    where = {f"s{n}": A1 for n in range(4)}
    plan = planned(problem(
        where, [group("g", ["spread:host"], list(where))]), max_moves=2)
    assert (plan.moves, plan.excess_after) == (2, 1)
    assert plan.left[0].code is BlockCode.LIMIT
    assert "2 moves" in plan.left[0].reason
    assert not plan.proved_optimal
    none = planned(problem(
        where, [group("g", ["spread:host"], list(where))]), max_moves=0)
    assert none.moves == 0


def test_without_time_there_is_a_plan_that_can_be_done():
    """The clock jumps by an hour at every look."""
    where = {f"s{n}": A1 for n in range(4)}
    what = problem(where, [group("g", ["spread:host"], list(where))])
    clock = itertools.count(0.0, 3600.0)
    plan = plan_repair(what, LIMITS, lambda: next(clock))
    follow(what, plan)


def test_the_same_question_gets_the_same_plan():
    where = {f"s{n}": A1 if n % 3 else B1 for n in range(8)}
    what = problem(
        where,
        [group("g", ["spread:host:max=2", "spread:rack:max=3"],
               list(where)[:6]),
         group("h", ["spread:dc:max_skew=1"], list(where)[3:])])
    first = planned(what)
    assert first.steps
    assert first == planned(what)
