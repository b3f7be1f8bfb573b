# SPDX-License-Identifier: Apache-2.0
"""The leading engine is killed at each state; the other one goes on."""

from __future__ import annotations

import dataclasses

import pytest

from tests.lab import crashes
from tests.lab.plan import DCS
from tests.lab.suite import truths
from tests.lab.suite.stage import Crew
from tests.lab.suite.stage import NOTICED
from tests.lab.suite.stage import RECOVERED
from tests.lab.suite.stage import SETTLED
from tests.lab.suite.stage import Stage

#: A new leader watches for a while before it judges, and one that does not
#: know whether a request was sent looks for its trace.
REACHED = NOTICED + 90.0

pytestmark = pytest.mark.crashable
LONG = pytest.mark.long


@dataclasses.dataclass
class Story:
    """One incident during which engines are killed.

    :ivar turns: the DCs of the engines in the order in which they lead
    """

    stage: Stage
    victim: str
    turns: list[str]
    incident: str | None = None
    switched_on: bool = False

    def crashed(self, turn: int) -> crashes.Crash | None:
        """The crash of this turn's engine; lets the host return if that is
        what the story waits for."""
        crash = crashes.last(self.stage.lab.state, self.turns[turn])
        if crash is None:
            self.go_on()
        return crash

    def go_on(self) -> None:
        """Power the host on once its servers are through."""
        if self.switched_on:
            return
        found = self.stage.look.incidents(host=self.victim, limit="1")
        if found and found[0]["id"] not in self.stage.since.incidents:
            self.incident = found[0]["id"]
            if found[0]["state"] in SETTLED:
                self.stage.switch_on(self.victim)
                self.switched_on = True


def play(stage: Stage, points: tuple[str, ...], crew: Crew) -> str:
    """Kill the leading engine at each of the points; the incident's id."""
    lab, look = stage.lab, stage.look
    first = look.leader().dc
    other = DCS[1 - DCS.index(first)]
    turns = [(first, other)[turn % 2] for turn in range(len(points))]
    story = Story(stage, crew.host, turns)
    epoch = look.leader().epoch
    for turn in range(min(2, len(points))):
        lab.fault("engine-crash", turns[turn], points[turn])
    stage.crash(crew.host)
    for turn, point in enumerate(points):
        try:
            crash = lab.wait(
                f"the engine of {turns[turn]} dies {point}",
                lambda turn=turn: story.crashed(turn), REACHED)
        except RuntimeError as error:
            told = story.incident and stage.story(story.incident)
            raise AssertionError(f"{error}\n{told}") from None
        assert crash.point == point
        died = turns[turn]
        epoch += 1
        leader = lab.wait(
            f"another engine than that of {died} leads",
            lambda epoch=epoch: look.leader().epoch >= epoch and look.leader(),
            truths.TAKEOVER + 20)
        assert (leader.epoch, leader.dc != died) == (epoch, True), leader
        assert leader.taken_at - crash.at <= truths.TAKEOVER, (
            f"it led only {leader.taken_at - crash.at:.1f} s after the "
            f"crash {point}")
        # Only now: started at once, it might be elected again.
        if turn + 2 < len(points):
            lab.fault("engine-crash", died, points[turn + 2])
        else:
            crashes.make_crashable(lab.state, died)
        truths.nowhere_twice(look)
    incident = stage.incident_of(crew.host)
    stage.until(incident, SETTLED, RECOVERED)
    return incident


def pairs(*states: str) -> tuple[str, ...]:
    """Before and after each of the states."""
    return tuple(
        f"{when}:{state}" for state in states for when in crashes.WHEN)


#: Every state that is written, and what can be killed in one incident: a
#: state that the first engine has not written may be left out by the second
#: one, which finds that the world has gone on.
EDGES = {
    "detected-admitted-planned": pairs(
        "detected", "admitted", "pending", "planned"),
    "fencing-fenced-forced-down": pairs("fencing", "fenced", "forced-down"),
    "evacuating-claimed-requested": pairs(
        "evacuating", "claimed", "requested"),
    "migrating-verified": ("before:migrating", *pairs("verified")),
    "migrating-landed-verifying": (
        "after:migrating", *pairs("landed", "verifying")),
    "done-return-wait-returned": pairs("done", "return-wait", "returned"),
}


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(
            ("after:admitted", "before:fenced", "after:forced-down",
             "before:migrating", "before:done"),
            id="at-many-states"),
        pytest.param(("after:requested",), id="after-requested"),
        pytest.param(
            ("before:migrating",), id="before-migrating", marks=LONG),
        *(pytest.param(points, id=name, marks=LONG)
          for name, points in EDGES.items()),
    ],
)  # fmt: skip
def test_the_other_engine_goes_on(
    stage: Stage, points: tuple[str, ...]
) -> None:
    crew = stage.crew(stage.host(), 4)
    stage.ready()
    incident = play(stage, points, crew)
    stage.done(incident)
    stage.check_recovered(incident, crew)


@LONG
def test_an_engine_is_killed_when_servers_are_held(stage: Stage) -> None:
    victim = stage.host()
    crew = stage.crew(victim, 3)
    held = stage.crew(victim, 1, "lab.local")
    stage.ready()
    incident = play(stage, pairs("manual", "partial"), crew)
    stage.done(incident, "partial")
    stage.check_recovered(incident, crew)
    assert truths.disks(stage.look, held.ids) == held.disks


@LONG
@pytest.mark.mode("shadow")
@pytest.mark.parametrize(
    ("point", "end"),
    [("before:shadowed", "armed"), ("after:shadowed", "cancelled")])
def test_an_engine_is_killed_in_shadow_mode(
    stage: Stage, point: str, end: str
) -> None:
    lab, look = stage.lab, stage.look
    victim = stage.host()
    crew = stage.crew(victim, 3)
    stage.ready()
    leads = look.leader().dc
    lab.fault("engine-crash", leads, point)
    stage.crash(victim)
    leads = one_dies(stage, leads)
    incident = stage.incident_of(victim, REACHED)
    stage.until(incident, {"shadowed"}, REACHED)
    assert not set(look.evacuations()) - stage.since.evacuations
    assert lab.power(victim) == "On"

    if end == "armed":
        lab.fault("engine-crash", leads, "before:detected")
        look.set_mode("cloud", "cloud", "armed")
        one_dies(stage, leads)
        stage.done(incident)
        stage.check_recovered(incident, crew)
        return
    lab.fault("engine-crash", leads, "before:cancelled")
    other = DCS[1 - DCS.index(leads)]
    lab.fault("engine-crash", other, "after:cancelled")
    lab.cloud.post(
        "aacloud-api", f"/incidents/{incident}/cancel",
        {"reason": "a test of the lab"})
    assert one_dies(stage, leads) == other
    one_dies(stage, other)
    stage.until(incident, {"cancelled"}, REACHED)
    stage.keep_cancelled(incident, died=victim)


def one_dies(stage: Stage, dc: str) -> str:
    """Wait until an engine has crashed; the one that leads then."""
    lab, look = stage.lab, stage.look
    lab.wait(
        f"the engine of {dc} dies",
        lambda: crashes.last(lab.state, dc), REACHED)
    lab.wait(
        "the other one leads", lambda: look.leader().dc != dc,
        truths.TAKEOVER + 20)
    crashes.make_crashable(lab.state, dc)
    return look.leader().dc
