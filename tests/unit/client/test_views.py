# SPDX-License-Identifier: Apache-2.0
"""What an incident that is followed looks like."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import rich.console

from aacloud.client import following
from aacloud.client.osc import live
from aacloud.client.osc import views
from tests.unit.client import answers

Outcome = following.Outcome


def picture(
    state: str = "evacuating",
    *,
    servers: tuple[answers.JSON, ...] = (),
    events: tuple[answers.JSON, ...] = (),
    **columns: Any,
) -> following.Picture:
    return following.Picture(
        answers.incident(state, **columns), servers, events
    )


DONE = picture(
    "return-wait",
    servers=(
        answers.server(0, "verified", downtime_s=31.25),
        answers.server(1, "verified", downtime_s=70.0),
    ),
)
LEFT = picture(
    "return-wait",
    servers=(
        answers.server(0, "verified", downtime_s=31.25),
        answers.server(1, "manual", reason="its disk is local"),
    ),
)
STORY = (
    picture(
        "fencing",
        events=(
            answers.event(
                1, "dc1-r1-h1 is silent", kind="state", detail={"to": "dead"}
            ),
            answers.event(2, "power read Off"),
        ),
    ),
    picture(
        servers=(answers.server(0, "migrating"), answers.server(1)),
        events=(
            answers.event(
                5,
                "web-0 moves",
                server_id="00000000-0000-0000-0000-000000000000",
            ),
        ),
    ),
    DONE,
)


HEAD = (
    f"Incident {answers.INCIDENT_ID}: host dc1-r1-h1, armed, opened "
    "2026-11-22 10:00:00"
)


def lines_of(*steps: Any) -> list[str]:
    stream = io.StringIO()
    play(views.Lines(stream), *steps)
    return stream.getvalue().splitlines()


def play(view: views.View, *steps: Any) -> None:
    with view:
        for step in steps:
            if isinstance(step, following.Picture):
                view.show(step)
            elif isinstance(step, following.Silence):
                view.silent(step)
            elif isinstance(step, Outcome):
                view.end(step)
            else:
                view.nothing(step)


def test_lines() -> None:
    *lines, last = lines_of(*STORY, Outcome.REACHED)
    assert lines == [
        HEAD,
        "10:00:01.0      +1.0 s  dead          dc1-r1-h1 is silent",
        "10:00:02.0      +2.0 s  note          power read Off",
        "10:00:05.0      +5.0 s  note          web-0 moves",
        "2 servers: 1 migrating, 1 pending",
        "2 servers: 2 verified",
    ]
    assert last == (
        f"Incident {answers.INCIDENT_ID} of host dc1-r1-h1 is return-wait; "
        "2 servers: 2 verified; downtime of 2 servers: shortest 31.2 s, "
        "median 50.6 s, longest 1 min 10 s, together 1 min 41 s."
    )


def test_lines_say_nothing_twice() -> None:
    silence = following.Silence("no answer", 0.5)
    waiting = picture("fencing", waiting="the BMC is silent")
    again = following.Silence("no answer", 1.0)
    lines = lines_of(
        None, None, waiting, waiting, silence, again, waiting, silence
    )
    assert lines == [
        "No incident is open; waiting for one.",
        HEAD,
        "Waiting: the BMC is silent",
        "no answer; asking again until it answers.",
        "The API answers again.",
        "no answer; asking again until it answers.",
    ]


def test_lines_do_not_repeat_an_event_as_a_wait() -> None:
    why = "the BMC is silent"
    told = answers.event(1, why, kind="incident")
    first = picture("fencing", waiting=why, events=(told,))
    lines = lines_of(first, picture("fencing", waiting=why))
    assert len(lines) == 2
    assert lines[1].endswith(why)


@pytest.mark.parametrize(
    ("last", "outcome", "parts"),
    [
        (None, Outcome.TIMED_OUT, ("no incident has opened",)),
        (
            picture("fencing", waiting="the BMC is silent"),
            Outcome.TIMED_OUT,
            ("time is over", "is fencing", "the BMC is silent"),
        ),
        (
            picture("evacuating"),
            Outcome.TIMED_OUT,
            ("time is over", "is evacuating", "watch again"),
        ),
        (
            LEFT,
            Outcome.PARTIAL,
            ("1 server left for you", "web-1", "its disk is local"),
        ),
        (
            picture("shadowed"),
            Outcome.NOT_RECOVERED,
            ("shadow mode", "nothing was done", "failover arm"),
        ),
        (picture("cancelled"), Outcome.NOT_RECOVERED, ("was cancelled",)),
        (picture("done"), Outcome.REACHED, ("no servers",)),
    ],
)
def test_endings(
    last: following.Picture | None, outcome: Outcome, parts: tuple[str, ...]
) -> None:
    text = views.ending(outcome, last)
    for part in parts:
        assert part in text


def test_json_lines() -> None:
    stream = io.StringIO()
    first, second, done = STORY
    quiet = following.Picture(second.incident, second.servers, ())
    play(
        views.JSONLines(stream),
        None,
        first,
        second,
        quiet,
        following.Silence("no answer", 1),
        done,
        Outcome.REACHED,
    )
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [sorted(item)[0] for item in said] == [
        "events",
        "events",
        "silence",
        "events",
        "exit_status",
    ]
    assert said[0]["incident"]["state"] == "fencing"
    assert said[1]["servers"][0]["state"] == "migrating"
    assert said[-1]["outcome"] == "reached"
    assert said[-1]["exit_status"] == 0


@pytest.fixture
def console() -> rich.console.Console:
    """A terminal of 100 columns and 30 lines that remembers."""
    return rich.console.Console(
        file=io.StringIO(), force_terminal=True, width=100, height=30
    )


def shown(console: rich.console.Console) -> str:
    stream = console.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def test_live(console: rich.console.Console) -> None:
    view = live.Live(io.StringIO(), console)
    play(view, *STORY, Outcome.REACHED)
    text = shown(console)
    for part in (
        "dc1-r1-h1 is silent",
        "power read Off",
        "web-0 moves",
        "migrating",
        "0/2 servers settled",
        "2/2 servers settled",
        "median 50.6 s",
    ):
        assert part in text
    # The cursor is visible again.
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_live_gives_the_terminal_back_after_an_error(
    console: rich.console.Console,
) -> None:
    view = live.Live(io.StringIO(), console)
    with pytest.raises(KeyboardInterrupt), view:
        view.show(STORY[1])
        raise KeyboardInterrupt
    text = shown(console)
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_live_tells_waits_and_silence(console: rich.console.Console) -> None:
    view = live.Live(io.StringIO(), console)
    play(
        view,
        "dc1-r1-h1",
        following.Silence("no answer yet", 4),
        picture("fencing", waiting="the BMC is silent"),
        following.Silence("connection refused", 8),
        Outcome.TIMED_OUT,
    )
    text = shown(console)
    for part in (
        "No incident of host dc1-r1-h1",
        "no answer yet; asking again in 4.0 s",
        "Waiting: the BMC is silent",
        "connection refused; asking again in 8.0 s",
        "The time is over",
    ):
        assert part in text


def test_live_shows_what_moves_when_there_is_no_room_for_all(
    console: rich.console.Console,
) -> None:
    servers = tuple(
        answers.server(number, "migrating" if number == 47 else "pending")
        for number in range(48)
    )
    view = live.Live(io.StringIO(), console)
    with view:
        view.show(picture(servers=servers))
        text = shown(console)
    assert "web-47" in text
    assert "web-46" not in text
    assert "… and 27 more" in text


def test_live_takes_names_for_names(console: rich.console.Console) -> None:
    """What looks like markup in the name of a server is not one."""
    odd = answers.server(0, "migrating", name="[red]web[/nothing]")
    view = live.Live(io.StringIO(), console)
    play(view, picture(servers=(odd,)), Outcome.TIMED_OUT)
    assert "[red]web[/nothing]" in shown(console)


def test_view_fits_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    assert isinstance(views.chosen("text", stream), views.Lines)
    assert isinstance(views.chosen("json", stream), views.JSONLines)
    monkeypatch.setattr(stream, "isatty", lambda: True)
    assert isinstance(views.chosen("text", stream), live.Live)
    assert isinstance(views.chosen("json", stream), views.JSONLines)
