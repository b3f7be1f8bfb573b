# SPDX-License-Identifier: Apache-2.0
"""What a step waits for: enough in any order, and no more than needed."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import itertools
import time

from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.core.repair import Move
from aacloud.core.repair import plan_repair
from aacloud.core.repair import RepairPlan
from aacloud.core.repair import RepairProblem
from aacloud.core.repair.claims import Claims
from aacloud.core.repair.pictures import Budget
from aacloud.core.repair.state import State
from aacloud.core.repair.waiting import Waits
from tests.unit.core.repair.worlds import group
from tests.unit.core.repair.worlds import LIMITS
from tests.unit.core.repair.worlds import problem
from tests.unit.core.repair.worlds import RULES
from tests.unit.core.repair.worlds import topology
from tests.unit.core.repair.worlds import World
from tests.unit.core.repair.worlds import worlds

usual = settings(
    max_examples=150, deadline=None,
    suppress_health_check=[HealthCheck.too_slow])

#: For each move those that must have ended when it starts.
After = Sequence[frozenset[int]]
#: Moves that are under way, and moves that ended.
Picture = tuple[frozenset[int], frozenset[int]]


class Orders:
    """Every order in which moves can be made, any number of them at once.

    A picture names the moves that are under way and those that ended.
    """

    def __init__(self, what: RepairProblem, moves: Sequence[Move]) -> None:
        self.world = World(what)
        self.moves = moves
        self.known: dict[Picture, tuple[list[int], bool]] = {}

    def seen(self, picture: Picture) -> tuple[list[int], bool]:
        """The excess of each rule, and whether a host is overfull."""
        if picture not in self.known:
            busy, ended = picture
            places = dict(self.world.start)
            for number in sorted(ended):
                move = self.moves[number]
                places[move.server] = (move.destination,)
            for number in busy:
                move = self.moves[number]
                places[move.server] = (move.source, move.destination)
            self.known[picture] = (
                self.world.excesses(places),
                bool(self.world.overfull(places)))
        return self.known[picture]

    def troubles(self, after: After) -> Iterator[str]:
        """What goes wrong in some order that is allowed."""
        todo: list[Picture] = [(frozenset(), frozenset())]
        reached = set(todo)
        while todo:
            busy, ended = picture = todo.pop()
            for number, move in enumerate(self.moves):
                # What it is compared with: as if this one had not begun.
                if number in busy:
                    then = busy - {number}, ended | {number}
                    without = busy - {number}, ended
                elif number not in ended and after[number] <= ended:
                    then, without = (busy | {number}, ended), picture
                    if move.server in {self.moves[n].server for n in busy}:
                        yield f"{number} is being moved already"
                else:
                    continue
                before, _ = self.seen(without)
                now, overfull = self.seen(then)
                if overfull:
                    yield f"{number} beside {sorted(busy)}: no room"
                if any(n > b for n, b in zip(now, before, strict=True)):
                    yield f"{number} beside {sorted(busy)}: {before} {now}"
                if then not in reached:
                    reached.add(then)
                    todo.append(then)


def check(what: RepairProblem, moves: Sequence[Move], after: After) -> None:
    """Every order is safe, and none is forbidden that need not be."""
    orders = Orders(what, moves)
    assert next(orders.troubles(after), None) is None
    for number, behind in enumerate(after):
        for other in behind:
            if moves[number].server != moves[other].server:
                less = [*after]
                less[number] = behind - {other}
                assert next(orders.troubles(less), None), (number, other)


def checked(what: RepairProblem) -> RepairPlan:
    plan = plan_repair(what, LIMITS, time.monotonic)
    check(what, [step.move for step in plan.steps],
          [frozenset(n - 1 for n in step.after) for step in plan.steps])
    return plan


def wander(what: RepairProblem, data: st.DataObject, most: int) -> None:
    """Moves that are allowed one after the other, for no purpose."""
    world = World(what)
    places = world.start
    waits = Waits(State(what))
    moves: list[Move] = []
    after = []
    while len(moves) < most:
        moved = collections.Counter(move.server for move in moves)
        ways = [
            (uuid, host) for uuid in sorted(places) if moved[uuid] < 2
            for host in sorted(world.open(uuid))
            # No plan brings a server back to where it was.
            if host != world.start[uuid][0]
            and world.step(places, uuid, host) is not None]
        if not ways:
            break
        uuid, host = data.draw(st.sampled_from(ways))
        moves.append(Move(uuid, places[uuid][0], host))
        after.append(frozenset(waits.add(uuid, host)))
        places = {**places, uuid: (host,)}
    check(what, moves, after)


@usual
@given(worlds(most=6, pins=False))
def test_each_wait_of_a_plan(what):
    checked(what)


@usual
@given(worlds(most=6), st.data())
def test_each_wait_is_needed_and_no_other(what, data):
    wander(what, data, 5)


@usual
@given(worlds(most=7, pins=False, texts=[
    text for text in RULES if "skew" in text or "together" in text]),
    st.data())
def test_each_wait_of_groups_that_compare_domains(what, data):
    wander(what, data, 6)


@usual
@given(worlds(most=7, pins=False, texts=[
    "spread:host:max=2", "spread:rack:max=2", "spread:dc:max=3"],
    rooms=[0, 1, 2]), st.data())
def test_each_wait_where_room_is_scarce(what, data):
    wander(what, data, 6)


def test_moves_of_a_group_that_is_to_be_even_run_at_once():
    """Six in one data centre: three go, whichever first."""
    where = {f"s{n}": f"dc1-r1-h{n + 1}" for n in range(6)}
    plan = checked(problem(
        where, [group("g", ["spread:dc:max_skew=1"], list(where))],
        topology(2, 1, 6)))
    assert plan.moves == 3
    assert plan.excess_after == 0
    assert all(step.after == () for step in plan.steps)


def test_moves_of_an_uneven_group_at_three_levels_run_at_once():
    where = {f"s{n}": f"dc1-r1-h{n + 1}" for n in range(6)}
    plan = checked(problem(
        where, [group("g", [
            "spread:host", "spread:rack:max=2", "spread:dc:max_skew=1"],
            list(where))], topology(2, 3, 6)))
    assert plan.moves == 4
    assert plan.excess_after == 0
    assert all(step.after == () for step in plan.steps)


def test_an_even_group_is_not_made_uneven_on_the_way():
    """Two change places with two: four against none were too uneven."""
    where = {"a": "dc1-r1-h1", "b": "dc1-r1-h2",
             "c": "dc2-r1-h1", "d": "dc2-r1-h2"}
    what = problem(where, [
        group("g", ["spread:dc:max_skew=2"], list(where)),
        group("h", ["fence:dc:domains=dc2"], "a"),
        group("i", ["fence:dc:domains=dc2"], "b"),
        group("j", ["fence:dc:domains=dc1"], "c"),
        group("k", ["fence:dc:domains=dc1"], "d")], topology(2, 1, 4))
    plan = checked(what)
    assert plan.moves == 4
    assert plan.excess_after == 0
    assert any(step.after for step in plan.steps)


def waits(
    what: RepairProblem, moves: list[tuple[str, str]],
) -> list[tuple[int, ...]]:
    found = Waits(State(what))
    return [found.add(uuid, host) for uuid, host in moves]


def test_who_needs_more_room_waits_for_who_gives_as_much():
    """The small one that leaves first would not do."""
    full = {"free_memory_mb": 0}
    what = problem(
        {"small": "dc1-r1-h1", "large": "dc1-r1-h1", "new": "dc2-r1-h1"},
        [], topology(2, 1, 2), hosts={"dc1-r1-h1": full}, servers={
            "large": {"memory_mb": 2}, "new": {"memory_mb": 2}})
    assert waits(what, [
        ("small", "dc1-r1-h2"), ("large", "dc1-r1-h2"),
        ("new", "dc1-r1-h1")]) == [(), (), (1,)]


def test_who_comes_leaves_to_others_what_they_wait_for():
    """Room for one each: the second waits for the second that leaves."""
    full = {"free_memory_mb": 0}
    what = problem(
        {"a": "dc1-r1-h1", "b": "dc1-r1-h1", "c": "dc2-r1-h1",
         "d": "dc2-r1-h1"}, [], topology(2, 1, 2),
        hosts={"dc1-r1-h1": full})
    assert waits(what, [
        ("a", "dc1-r1-h2"), ("c", "dc1-r1-h1"), ("b", "dc1-r1-h2"),
        ("d", "dc1-r1-h1")]) == [(), (0,), (), (2,)]


def test_a_second_move_waits_for_the_first():
    what = problem({"a": "dc1-r1-h1"}, [], topology(2, 1, 2))
    assert waits(what, [("a", "dc1-r1-h2"), ("a", "dc2-r1-h1")]) == [
        (), (0,)]


def test_more_than_can_be_looked_at_is_done_one_by_one(monkeypatch):
    """Waiting for all is always right: that is the plan's own order.

    The last one empties its rack while any of two others may be empty. That
    one of the four always is, only the pictures show.
    """
    where = dict.fromkeys("abc", "dc1-r2-h1")
    what = problem(
        where, [group("g", ["spread:rack:max_skew=1"], list(where))],
        topology(2, 2, 1))
    moves = [("a", "dc2-r1-h1"), ("b", "dc1-r1-h1"), ("c", "dc2-r2-h1")]
    assert waits(what, moves) == [(), (), ()]
    monkeypatch.setattr(Budget, "has", lambda self, pictures: False)
    assert waits(what, moves) == [(), (), (0, 1)]


@pytest.mark.parametrize("free", range(3))
def test_claims_against_all_that_can_be(free):
    """Three come, each behind some of three that leave before it."""
    choices = [
        frozenset(chosen) for count in range(3)
        for chosen in itertools.combinations(range(3), count)]
    for first, second, third in itertools.product(choices, repeat=3):
        claims = Claims([free - 1])
        behind = [frozenset[int]()] * 3 + [first, second]
        bits = [sum(1 << n for n in one) for one in behind]
        for number in range(3):
            claims.leave(number, (1,))
        for number in range(3, 6):
            claims.come(number, (1,))
        fits = all(
            free - 1 - len(others) - 1 + len(
                third.union(*(behind[n] for n in others))) >= 0
            for count in range(3)
            for others in itertools.combinations((3, 4), count))
        assert claims.holds(
            sum(1 << n for n in third), bits) is fits, (
                first, second, third)
