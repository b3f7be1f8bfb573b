# SPDX-License-Identifier: Apache-2.0
"""An incident followed through thick and thin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aacloud.client import errors
from aacloud.client import following
from tests.unit.client import answers

GONE = errors.NoAnswer("no answer from the aacloud API: refused")
BUSY = errors.Unavailable(503, "Service Unavailable", "database", "req-1")


class World:
    """A clock, and an API that tells the next thing at each look."""

    def __init__(self, *looks: Any) -> None:
        self.looks = list(looks)
        self.now = 1000.0
        self.pauses: list[float] = []
        self.since: list[int] = []
        self.events_so_far: list[answers.JSON] = []

    def wait(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    # What the follower asks of the client

    def impatient(self) -> World:
        return self

    def incident(self, incident_id: str) -> answers.JSON:
        assert incident_id == answers.INCIDENT_ID
        self.look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(self.look, Exception):
            raise self.look
        state, _, *rest = self.look
        if rest:
            self.events_so_far += rest[0]
        return answers.incident(state)

    def servers(self, incident_id: str) -> list[answers.JSON]:
        return [
            answers.server(number, state)
            for number, state in enumerate(self.look[1])
        ]

    def events(self, incident_id: str, since: int) -> list[answers.JSON]:
        self.since.append(since)
        return [item for item in self.events_so_far if item["id"] > since]

    def incidents(self, **filters: Any) -> list[answers.JSON]:
        self.filters = filters
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        return look

    def follower(self, **options: Any) -> following.Follower:
        client: Any = self
        return following.Follower(
            client, monotonic=lambda: self.now, wait=self.wait, **options
        )


def follow(
    world: World, **options: Any
) -> tuple[following.Outcome | None, list[Any]]:
    follower = world.follower(**options)
    seen = list(follower.pictures(answers.INCIDENT_ID))
    return follower.outcome, seen


def test_until_every_server_is_back() -> None:
    world = World(
        ("fencing", []),
        ("evacuating", ["migrating", "pending"]),
        ("return-wait", ["verified", "verified"]),
    )
    outcome, seen = follow(world)
    assert outcome is following.Outcome.REACHED
    assert [picture.incident["state"] for picture in seen] == [
        "fencing",
        "evacuating",
        "return-wait",
    ]
    assert world.pauses == [1.0, 1.0]


def test_each_event_comes_once() -> None:
    one, two, three = (answers.event(n, f"event {n}") for n in (1, 2, 5))
    world = World(
        ("fencing", [], [one, two]),
        ("fencing", []),
        ("done", [], [three]),
    )
    _, seen = follow(world)
    assert [picture.events for picture in seen] == [(one, two), (), (three,)]
    assert world.since == [0, 2, 2]


@pytest.mark.parametrize(
    ("goal", "state", "servers", "outcome"),
    [
        ("done", "fenced", [], None),
        ("done", "verifying", ["manual"], None),
        ("done", "done", ["verified"], 0),
        ("done", "done", [], 0),
        ("done", "partial", [], 3),
        ("done", "return-wait", ["verified", "manual"], 3),
        ("done", "returned", ["verified"], 0),
        ("done", "shadowed", [], 5),
        ("done", "cancelled", [], 5),
        ("fenced", "fencing", [], None),
        ("fenced", "fenced", [], 0),
        ("fenced", "evacuating", ["manual"], 0),
        ("fenced", "shadowed", [], 5),
        ("returned", "done", ["verified"], None),
        ("returned", "return-wait", ["manual"], None),
        ("returned", "returned", ["verified"], 0),
        ("returned", "returned", ["manual"], 3),
        ("returned", "shadowed", [], None),
        ("returned", "cancelled", [], 5),
    ],
)
def test_how_it_ends(
    goal: str, state: str, servers: list[str], outcome: int | None
) -> None:
    picture = following.Picture(
        answers.incident(state),
        tuple(answers.server(n, s) for n, s in enumerate(servers)),
        (),
    )
    assert following.outcome_of(picture, goal) == outcome


@pytest.mark.parametrize("trouble", [GONE, BUSY])
def test_restart_of_the_api_is_waited_out(trouble: Exception) -> None:
    world = World(
        ("fencing", []), *[trouble] * 7, ("fencing", []), trouble, ("done", [])
    )
    outcome, seen = follow(world)
    assert outcome is following.Outcome.REACHED
    silences = [
        item for item in seen if isinstance(item, following.Silence)
    ]
    assert len(silences) == 8
    # Longer and longer, bounded, and from the start again.
    assert world.pauses == [1, 0.5, 1, 2, 4, 8, 8, 8, 1, 0.5]


def test_other_errors_end_it() -> None:
    missing = errors.NotFound(404, "Not Found", "there is no incident", "r")
    with pytest.raises(errors.NotFound):
        follow(World(missing))


def test_time_is_over() -> None:
    world = World(("fencing", []))
    outcome, seen = follow(world, timeout_s=2.5)
    assert outcome is following.Outcome.TIMED_OUT
    # The last look is when the time is over, not before.
    assert world.pauses == [1.0, 1.0, 0.5]
    assert len(seen) == 4


def test_time_is_over_while_the_api_is_silent() -> None:
    world = World(GONE)
    outcome, _ = follow(world, timeout_s=3)
    assert outcome is following.Outcome.TIMED_OUT
    assert sum(world.pauses) == pytest.approx(3)


def test_goal_reached_with_the_last_look_counts() -> None:
    world = World(("fencing", []), ("done", []))
    outcome, _ = follow(world, timeout_s=1)
    assert outcome is following.Outcome.REACHED


def test_wait_for_an_incident() -> None:
    world = World([], GONE, [], [answers.incident("detected")])
    follower = world.follower()
    found = list(follower.find("dc1-r1-h1"))
    assert found[0] is None
    assert isinstance(found[1], following.Silence)
    assert found[2:] == [None, answers.INCIDENT_ID]
    assert world.filters == {"host": "dc1-r1-h1", "is_open": True, "limit": 1}
    assert follower.outcome is None


def test_no_incident_opens() -> None:
    world = World([])
    follower = world.follower(timeout_s=5, poll_s=2)
    assert set(follower.find()) == {None}
    assert follower.outcome is following.Outcome.TIMED_OUT
    assert world.pauses == [2, 2, 1]


def test_both_waits_share_one_timeout() -> None:
    world = World([], [answers.incident("fencing")])
    follower = world.follower(timeout_s=3)
    *_, incident_id = follower.find()
    world.looks = [("fencing", [])]
    assert isinstance(incident_id, str)
    pictures: Callable[[str], Any] = follower.pictures
    assert len(list(pictures(incident_id))) == 3
    assert sum(world.pauses) == pytest.approx(3)
