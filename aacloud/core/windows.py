# SPDX-License-Identifier: Apache-2.0
"""Windows: when repairs may move servers, by the clocks of a time zone.

A window opens by a rule of RFC 5545 or by a cron line of five fields, and
stays open for a duration::

    cron:0 1 * * 6;duration=4h;tz=Europe/Berlin
    rrule:FREQ=WEEKLY;BYDAY=SA;BYHOUR=1;duration=4h;tz=Europe/Berlin

It opens when the clocks of its zone show the time; the duration is real time.
A time that is skipped when the clocks go forward counts as the moment after
the gap, one that comes twice opens at its first coming.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import datetime
import functools
import itertools
import re
import zoneinfo

from aacloud.core import crontab
from aacloud.core import rrules

UTC = datetime.timezone.utc

#: What INTERVAL counts from, unless ``from`` says otherwise: a Monday, and
#: the first day of its month and year.
ANCHOR = datetime.date(2024, 1, 1)
#: A rule that does not open within so many years never opens.
HORIZON_YEARS = 30
#: Seconds; too short for any move.
SHORTEST_S = 300.0
#: Seconds that touching windows are looked ahead for.
MERGED_S = 86400.0
#: Openings that are compared to find a duration longer than the period.
COMPARED = 2000

EXAMPLES = (
    "'cron:0 1 * * 6;duration=4h;tz=Europe/Berlin' or "
    "'rrule:FREQ=WEEKLY;BYDAY=SA;BYHOUR=1;duration=4h;tz=Europe/Berlin'"
)

_DAY = datetime.timedelta(days=1)
_SECOND = datetime.timedelta(seconds=1)
_DURATION = re.compile(
    r"(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?")
_UNIT_S = {"d": 86400, "h": 3600, "m": 60, "s": 1}


class WindowError(ValueError):
    """A window that cannot be used.

    :ivar window: as it was written.
    :ivar problem: what is wrong with it.
    """

    def __init__(self, window: str, problem: str) -> None:
        self.window = window
        self.problem = problem
        super().__init__(
            f"window {window!r}: {problem}. Write it like {EXAMPLES}")


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """When it opens, for how long, by which clocks; see ``parse_window``.

    :ivar start: ``cron:<five fields>`` or ``rrule:<rule>``.
    :ivar duration_s: seconds for which it stays open.
    :ivar tz: name of a time zone of the IANA database.
    :ivar anchor: the day from which INTERVAL counts.
    """

    start: str
    duration_s: float
    tz: str = "UTC"
    anchor: datetime.date = ANCHOR

    @property
    def text(self) -> str:
        """The window as ``parse_window`` takes it."""
        parts = [self.start, f"duration={_duration_text(self.duration_s)}"]
        if self.anchor != ANCHOR:
            parts.append(f"from={self.anchor.isoformat()}")
        return ";".join([*parts, f"tz={self.tz}"])


@dataclasses.dataclass(frozen=True, slots=True)
class OpenWindow:
    """One opening of a window; aware UTC.

    :ivar opens_at: names the opening: counts of moves are kept by it.
    :ivar closes_at: the end, that of the next openings included where they
        begin before this one ends (up to a day ahead).
    """

    opens_at: datetime.datetime
    closes_at: datetime.datetime

    @property
    def length_s(self) -> float:
        """Seconds from its opening to its end."""
        return (self.closes_at - self.opens_at).total_seconds()


def parse_window(
    text: str, *, now: datetime.datetime | None = None,
) -> Window:
    """Read a window.

    :param now: aware; with it a window is refused too that opened in the
        past only
    :raises WindowError: it cannot be read, names an unknown time zone,
        never opens, lasts less than five minutes, or is still open when it
        opens again
    """
    kind, colon, rest = text.strip().partition(":")
    if not colon or kind not in ("cron", "rrule"):
        raise WindowError(text, "it begins neither with cron: nor rrule:")
    parts = [part.strip() for part in rest.split(";")]
    named: dict[str, str] = {}
    rule = []
    for part in parts:
        key, equals, value = part.partition("=")
        if key in ("duration", "tz", "from") and equals:
            if key in named:
                raise WindowError(text, f"{key} is given twice")
            named[key] = value.strip()
        elif part:
            rule.append(part)
    if "duration" not in named:
        raise WindowError(text, "it has no duration")
    window = Window(
        start=f"{kind}:{';'.join(rule)}",
        duration_s=_duration(text, named["duration"]),
        tz=named.get("tz", "UTC"),
        anchor=_date(text, named["from"]) if "from" in named else ANCHOR)
    _check(window, text)
    if now is not None and next_open(window, now) is None:
        raise WindowError(text, "it does not open any more")
    return window


def is_open(window: Window, now: datetime.datetime) -> OpenWindow | None:
    """The opening that ``now`` (aware) falls into, or None."""
    length = datetime.timedelta(seconds=window.duration_s)
    at = now.astimezone(UTC)
    opens_at = None
    closes_at = at
    for opening in _openings(window, at - length - _DAY):
        if opening > at:
            if opens_at is None or opening > closes_at or (
                    closes_at - at).total_seconds() > MERGED_S:
                break
        elif opening + length > at:
            opens_at = opening
        else:
            continue
        closes_at = opening + length
    if opens_at is None:
        return None
    return OpenWindow(opens_at, closes_at)


def next_open(
    window: Window, now: datetime.datetime,
) -> OpenWindow | None:
    """The next opening after ``now`` (aware); None: it never opens again.

    While it is open this is the opening after the one that is open.
    """
    at = now.astimezone(UTC)
    for opening in _openings(window, at - _DAY):
        if opening > at:
            length = datetime.timedelta(seconds=window.duration_s)
            return OpenWindow(opening, opening + length)
    return None


def _openings(
    window: Window, since: datetime.datetime,
) -> Iterator[datetime.datetime]:
    """Openings in UTC in their order, from before ``since`` on."""
    zone = zoneinfo.ZoneInfo(window.tz)
    local = since.astimezone(zone).replace(tzinfo=None)
    for opening in _compiled(window.start, window.anchor, window.tz)(local):
        yield _moment(opening, zone)


def _moment(
    local: datetime.datetime, zone: zoneinfo.ZoneInfo,
) -> datetime.datetime:
    """When the clocks show it first, or the end of the gap it falls in."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    offset = before.astimezone(zone).utcoffset()
    while moment - before > _SECOND:
        middle = before + (moment - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            moment = middle
    return moment.replace(microsecond=0)


#: Gives the openings from a local time on, in order, within the horizon.
_Rule = Callable[[datetime.datetime], Iterator[datetime.datetime]]


@functools.lru_cache(maxsize=1024)
def _compiled(start: str, anchor: datetime.date, tz: str) -> _Rule:
    kind, _, rule = start.partition(":")
    if kind == "cron":
        return functools.partial(_cron_openings, crontab.parse(rule))
    parsed = rrules.parse(rule, anchor, zoneinfo.ZoneInfo(tz))
    return lambda since: parsed.times_from(
        since, datetime.datetime.combine(
            _horizon(since.date()), datetime.time.max))


def _cron_openings(
    cron: crontab.Crontab, since: datetime.datetime,
) -> Iterator[datetime.datetime]:
    end = _horizon(since.date())
    day = since.date()
    while day <= end:
        if cron.on(day):
            for hour, minute in itertools.product(cron.hours, cron.minutes):
                opening = datetime.datetime.combine(
                    day, datetime.time(hour, minute))
                if opening >= since:
                    yield opening
        day += _DAY


def _horizon(day: datetime.date) -> datetime.date:
    return datetime.date(day.year + HORIZON_YEARS, 12, 31)


def _check(window: Window, text: str) -> None:
    """Refuse a window that cannot work, whatever the time is."""
    try:
        zoneinfo.ZoneInfo(window.tz)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise WindowError(
            text, f"there is no time zone {window.tz!r}") from error
    try:
        rule = _compiled(window.start, window.anchor, window.tz)
    except ValueError as error:
        raise WindowError(text, str(error)) from error
    first = datetime.datetime.combine(window.anchor, datetime.time())
    # In local time: on the days when clocks are changed openings may touch.
    openings = itertools.islice(rule(first), COMPARED)
    before = next(openings, None)
    if before is None:
        raise WindowError(
            text, f"it never opens within {HORIZON_YEARS} years")
    for opening in openings:
        period = (opening - before).total_seconds()
        if period < window.duration_s:
            raise WindowError(
                text, f"it lasts {_duration_text(window.duration_s)} but "
                f"opens again after {_duration_text(period)} "
                f"({before:%A %H:%M}, then {opening:%A %H:%M})")
        before = opening


def _duration(text: str, value: str) -> float:
    found = _DURATION.fullmatch(value)
    if not value or found is None:
        raise WindowError(
            text, f"the duration {value!r} is not like 4h, 90m or 1h30m")
    seconds = float(sum(
        int(number) * _UNIT_S[unit]
        for unit, number in found.groupdict().items() if number))
    if seconds < SHORTEST_S:
        raise WindowError(
            text, f"the duration {value} is below the least of "
            f"{_duration_text(SHORTEST_S)}: no move would fit")
    return seconds


def _duration_text(seconds: float) -> str:
    left = round(seconds)
    parts = []
    for unit, size in _UNIT_S.items():
        if left >= size and (unit != "d" or left % size == 0):
            parts.append(f"{left // size}{unit}")
            left %= size
    return "".join(parts) or "0s"


def _date(text: str, value: str) -> datetime.date:
    try:
        day = datetime.date.fromisoformat(value)
    except ValueError as error:
        raise WindowError(
            text, f"from={value} is not a day like 2026-03-07") from error
    if not 1990 <= day.year <= 2200:
        raise WindowError(text, f"from={value} is not a day of our time")
    return day
