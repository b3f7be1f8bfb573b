# SPDX-License-Identifier: Apache-2.0
"""How times, states and counts are written for people."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Sequence
import datetime
import statistics
from typing import Any

from cliff import columns

JSON = dict[str, Any]


def parsed(moment: str) -> datetime.datetime:
    """Return a time of the API."""
    return datetime.datetime.strptime(
        moment, "%Y-%m-%dT%H:%M:%S.%fZ"
    ).replace(tzinfo=datetime.timezone.utc)


def clock(moment: str | None) -> str:
    """Return the time of the day, in UTC, to a tenth of a second."""
    if moment is None:
        return "-"
    found = parsed(moment)
    return f"{found:%H:%M:%S}.{found.microsecond // 100_000}"


def date(moment: str | None) -> str:
    """Return date and time, in UTC, to the second."""
    return "-" if moment is None else f"{parsed(moment):%Y-%m-%d %H:%M:%S}"


def seconds_between(first: str, second: str) -> float:
    """Return how much later ``second`` is."""
    return (parsed(second) - parsed(first)).total_seconds()


def duration(seconds: float | None) -> str:
    """Return a span of time: "4.2 s", "3 min 05 s", "2 h 10 min"."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def counted(number: int, noun: str) -> str:
    """Return "1 server", "2 servers"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return names with commas, the first few of them."""
    every = list(names)
    shown = ", ".join(every[:most])
    if len(every) > most:
        return f"{shown} and {len(every) - most} more"
    return shown


def states(items: Iterable[JSON], key: str = "state") -> str:
    """Return how many are in each state, the most frequent first."""
    counts = collections.Counter(item[key] for item in items)
    return ", ".join(
        f"{count} {state}" for state, count in counts.most_common()
    )


def downtimes(servers: Sequence[JSON]) -> str:
    """Return one line on how long the servers were down."""
    known = sorted(
        server["downtime_s"]
        for server in servers
        if server["downtime_s"] is not None
    )
    if not known:
        return "no downtime is known yet"
    return (
        f"downtime of {counted(len(known), 'server')}: shortest "
        f"{duration(known[0])}, median "
        f"{duration(statistics.median(known))}, longest "
        f"{duration(known[-1])}, together {duration(sum(known))}"
    )


def event_line(event: JSON, opened_at: str) -> str:
    """Return one event of an incident as one line.

    :param opened_at: when the incident was opened, where its clock starts
    """
    after = seconds_between(opened_at, event["at"])
    # Of a new state its name says more than that it is one.
    kind = event["kind"]
    if kind == "state":
        kind = event["detail"].get("to", kind)
    return (
        f"{clock(event['at'])}  {after:+8.1f} s  {kind:<12}  {event['text']}"
    )


class LinesColumn(columns.FormattableColumn[list[str]]):
    """A list of texts: a line each for people, a list for programs."""

    def human_readable(self) -> str:
        return "\n".join(self._value) or "-"
