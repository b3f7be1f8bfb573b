# SPDX-License-Identifier: Apache-2.0
"""SIGKILL for the leading group engine at each state of a repair: the other
one goes on.

It must lead soon, know what was done, and move no server a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
import dataclasses

import pytest

from tests.lab import crashes
from tests.lab.plan import DCS
from tests.lab.suite import truths
from tests.lab.suite.grouping import Grouping
from tests.lab.suite.grouping import REPAIRED
from tests.lab.suite.looking import answered
from tests.lab.suite.stage import Stage

#: A new leader reconciles before it plans, and one that does not know whether
#: a migration was ordered looks for its trace.
REACHED = 150.0
#: For a new leader, on a busy machine.
TAKEOVER = truths.TAKEOVER + 10.0

pytestmark = [
    pytest.mark.crashable(crashes.GROUPS.name), pytest.mark.timeout(900)]
LONG = pytest.mark.long


@dataclasses.dataclass
class Repair:
    """A repair during which engines are killed.

    :ivar ids: the members
    :ivar act: what an operator does meanwhile, again and again
    :ivar plans: of the group, as far as they were seen
    """

    stage: Stage
    groups: Grouping
    group: str
    ids: Collection[str]
    act: Callable[[Repair], object]
    plans: dict[str, None] = dataclasses.field(default_factory=dict)

    def go_on(self) -> None:
        """Look which plans there are, and do what an operator does."""
        for plan in self.groups.open_plans(self.group):
            self.plans.setdefault(plan["id"])
        self.act(self)
        truths.nowhere_twice(self.stage.look)

    def crashed(self, dc: str) -> crashes.Crash | None:
        """The crash of an engine, once it has happened."""
        found = crashes.last(self.stage.lab.state, dc, crashes.GROUPS)
        if found is None:
            self.go_on()
        return found

    def story(self) -> str:
        return "\n".join(map(self.groups.story, self.plans)) or "no plan"


def approve(repair: Repair) -> None:
    """Approve all that waits for it."""
    repair.groups.approve_waiting(repair.group)


def pairs(*states: str) -> tuple[str, ...]:
    """Before and after each of the states."""
    return tuple(
        f"{when}:{state}" for state in states for when in crashes.WHEN)


def begin(
    stage: Stage, groups: Grouping, act: Callable[[Repair], object],
    points: tuple[str, ...],
) -> tuple[Repair, list[str]]:
    """Form a group that three moves mend; the engines are armed before.

    :returns: and the DCs of the engines in the order in which they lead
    """
    crew = stage.crew(stage.host(), 4)
    stage.ready()
    first = stage.look.group_leaders()[0]
    other = DCS[1 - DCS.index(first)]
    turns = [(first, other)[turn % 2] for turn in range(len(points))]
    for turn in range(min(2, len(points))):
        stage.lab.fault(crashes.GROUPS.fault, turns[turn], points[turn])
    # An engine that had to be started anew for it leads no more.
    stage.lab.wait(
        f"the group engine of {first} leads",
        lambda: stage.look.group_leaders() == [first], TAKEOVER)
    group = groups.make("spread:host", mode="repair", members=crew.ids)
    return Repair(stage, groups, group, crew.ids, act), turns


def play(
    repair: Repair, turns: list[str], points: tuple[str, ...]
) -> None:
    """Kill the leading engine at each of the points."""
    lab, look = repair.stage.lab, repair.stage.look
    epoch = look.leader("groups").epoch
    for turn, point in enumerate(points):
        died = turns[turn]
        try:
            crash = lab.wait(
                f"the group engine of {died} dies {point}",
                lambda died=died: repair.crashed(died), REACHED)
        except RuntimeError as error:
            raise AssertionError(f"{error}\n{repair.story()}") from None
        assert crash.point == point
        epoch += 1
        leader = lab.wait(
            f"another group engine than that of {died} leads",
            lambda epoch=epoch: look.leader("groups").epoch >= epoch
            and look.leader("groups"), TAKEOVER + 20)
        assert (leader.epoch, leader.dc != died) == (epoch, True), leader
        assert leader.taken_at - crash.at <= TAKEOVER, (
            f"it led only {leader.taken_at - crash.at:.1f} s after the "
            f"crash {point}")
        # Only now: started at once, it might be elected again.
        if turn + 2 < len(points):
            lab.fault(crashes.GROUPS.fault, died, points[turn + 2])
        else:
            crashes.make_crashable(lab.state, died, crashes.GROUPS)
        truths.nowhere_twice(look)


def check_mended(repair: Repair) -> None:
    """It is mended by the fewest moves, each server moved at most once."""
    groups = repair.groups

    def mended() -> bool:
        repair.go_on()
        return not groups.open_plans(repair.group) and answered(
            lambda: groups.excess(repair.group)
        ) == {"spread:host:max=1": 0}

    try:
        repair.stage.lab.wait("the group is mended", mended, REPAIRED, 1.0)
    except RuntimeError as error:
        raise AssertionError(f"{error}\n{repair.story()}") from None
    moves = groups.moves(repair.ids)
    assert len(moves) == 3, (moves, repair.story())
    assert all(
        len(one) == 1 and one[0][0] == "completed" for one in moves.values()
    ), (moves, repair.story())
    groups.check_once(repair.ids)
    groups.check_still(repair.group, repair.ids)


#: Every state that a repair which goes well writes; what was not written by
#: the first engine may be left out by the second one, which finds that the
#: world has gone on.
EDGES = {
    "planned-approved-running": pairs(
        "awaiting-approval", "approved", "running"),
    "claimed-requested": pairs("claimed", "requested"),
    "migrating": pairs("migrating"),
    "landed-verified": pairs("landed", "verified"),
    "done": pairs("done"),
}


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(
            ("after:approved", "before:requested", "after:requested",
             "before:done"),
            id="at-many-states"),
        *(pytest.param(points, id=name, marks=LONG)
          for name, points in EDGES.items()),
    ],
)  # fmt: skip
def test_the_other_group_engine_goes_on(
    stage: Stage, groups: Grouping, points: tuple[str, ...]
) -> None:
    repair, turns = begin(stage, groups, approve, points)
    play(repair, turns, points)
    check_mended(repair)


def _once(command: str) -> Callable[[Repair], None]:
    """Approve a plan, and tell it something once its first move is begun."""
    told: set[str] = set()

    def act(repair: Repair) -> None:
        approve(repair)
        for plan in repair.groups.open_plans(repair.group):
            if plan["state"] != "running" or plan["id"] in told:
                continue
            seen = answered(
                lambda plan=plan: repair.stage.look.plan(plan["id"]))
            if seen and any(
                step["state"] != "pending" for step in seen["steps"]
            ):
                answered(lambda plan=plan: repair.stage.look.tell(
                    f"/plans/{plan['id']}/{command}",
                    {"reason": "a test of the lab"}))
                told.add(plan["id"])

    return act


@LONG
def test_a_group_engine_is_killed_when_a_plan_is_paused(
    stage: Stage, groups: Grouping
) -> None:
    points = pairs("paused")
    repair, turns = begin(stage, groups, _once("pause"), points)
    play(repair, turns, points)
    (plan,) = repair.plans
    stage.lab.wait(
        "it is paused",
        lambda: stage.look.plan(plan)["plan"]["state"] == "paused", REACHED)
    before = groups.moves(repair.ids)
    assert len(before) < 3, "it was paused too late to show anything"
    stage.look.tell(f"/plans/{plan}/resume", {"reason": "a test of the lab"})
    repair.act = approve
    check_mended(repair)
    assert list(repair.plans) == [plan], repair.story()


@LONG
def test_a_group_engine_is_killed_when_a_plan_is_stopped(
    stage: Stage, groups: Grouping
) -> None:
    points = (*pairs("skipped"), *pairs("stopped"))
    repair, turns = begin(stage, groups, _once("stop"), points)
    play(repair, turns, points)
    (plan,) = list(repair.plans)[:1]
    ended = groups.carried_out(plan)
    assert ended["plan"]["state"] == "stopped", groups.story(plan)
    assert {step["state"] for step in ended["steps"]} <= {
        "verified", "skipped"}, groups.story(plan)
    # What is left is planned anew; whoever has been moved stays.
    repair.act = approve
    check_mended(repair)
