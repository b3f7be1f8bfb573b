# SPDX-License-Identifier: Apache-2.0
"""Recurrence rules of RFC 5545, as far as windows need them.

An own reading, because users give these rules: the library's search for the
next time of a rule that has none ends in the year 9999 and takes seconds.
Here a search ends at a horizon. Left out are times closer than a day (BYHOUR
and BYMINUTE name them), COUNT, BYWEEKNO and other begins of the week.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
import dataclasses
import datetime
import itertools
import re
import zoneinfo

_DAY = datetime.timedelta(days=1)
#: The greatest INTERVAL of each frequency.
_FREQUENCIES = {"YEARLY": 10, "MONTHLY": 60, "WEEKLY": 260, "DAILY": 1830}
#: What a rule has to say, so that it does not open on a day that nobody
#: named. Any one of them will do.
_NEEDED = {
    "YEARLY": ("BYMONTHDAY", "BYDAY", "BYYEARDAY"),
    "MONTHLY": ("BYMONTHDAY", "BYDAY"),
    "WEEKLY": ("BYDAY",),
    "DAILY": (),
}
#: Number lists of a rule: least and greatest value, negative ones too.
_NUMBERS = {
    "BYMONTH": (1, 12, False), "BYMONTHDAY": (1, 31, True),
    "BYYEARDAY": (1, 366, True), "BYHOUR": (0, 23, False),
    "BYMINUTE": (0, 59, False), "BYSETPOS": (1, 366, True),
}
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BYDAY = re.compile(rf"([+-]?\d{{1,2}})?({'|'.join(_WEEKDAYS)})")


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """A rule; empty means: any.

    :ivar weekdays: which one (0: each) and the day, 0 is Monday.
    :ivar until: the last moment, local time.
    :ivar anchor: the day from which INTERVAL counts; before it the rule
        names nothing.
    """

    frequency: str
    interval: int
    months: frozenset[int]
    month_days: frozenset[int]
    year_days: frozenset[int]
    weekdays: frozenset[tuple[int, int]]
    times: tuple[datetime.time, ...]
    positions: frozenset[int]
    until: datetime.datetime | None
    anchor: datetime.date

    def times_from(
        self, since: datetime.datetime, until: datetime.datetime,
    ) -> Iterator[datetime.datetime]:
        """The times from ``since`` until ``until``, local, in order."""
        first = max(
            since, datetime.datetime.combine(self.anchor, datetime.time()))
        last = until if self.until is None else min(until, self.until)
        for number in itertools.count(self._number(first.date())):
            period = self._period(number)
            if period[0] > last.date():
                return
            for time in self._within(period):
                if time > last:
                    return
                if time >= first:
                    yield time

    def _number(self, day: datetime.date) -> int:
        """Of the last period that the rule counts and that began by then."""
        if self.frequency == "DAILY":
            gone = (day - self.anchor).days
        elif self.frequency == "WEEKLY":
            gone = (day - self._monday()).days // 7
        elif self.frequency == "MONTHLY":
            gone = 12 * (day.year - self.anchor.year)
            gone += day.month - self.anchor.month
        else:
            gone = day.year - self.anchor.year
        return gone // self.interval

    def _period(self, number: int) -> tuple[datetime.date, int]:
        """First day and length in days of a period."""
        gone = number * self.interval
        if self.frequency == "DAILY":
            return self.anchor + gone * _DAY, 1
        if self.frequency == "WEEKLY":
            return self._monday() + 7 * gone * _DAY, 7
        if self.frequency == "MONTHLY":
            month = 12 * self.anchor.year + self.anchor.month - 1 + gone
            first = datetime.date(month // 12, month % 12 + 1, 1)
            return first, calendar.monthrange(first.year, first.month)[1]
        year = self.anchor.year + gone
        return datetime.date(year, 1, 1), 365 + calendar.isleap(year)

    def _monday(self) -> datetime.date:
        return self.anchor - self.anchor.weekday() * _DAY

    def _within(
        self, period: tuple[datetime.date, int],
    ) -> Iterator[datetime.datetime]:
        first, length = period
        days = filter(
            self._fits, (first + number * _DAY for number in range(length)))
        times = (
            datetime.datetime.combine(day, time)
            for day in days for time in self.times)
        if not self.positions:
            yield from times
            return
        found = list(times)
        for number, one in enumerate(found):
            if {number + 1, number - len(found)} & self.positions:
                yield one

    def _fits(self, day: datetime.date) -> bool:
        if self.months and day.month not in self.months:
            return False
        if self.month_days:
            length = calendar.monthrange(day.year, day.month)[1]
            if not {day.day, day.day - length - 1} & self.month_days:
                return False
        of_year = day.timetuple().tm_yday
        days = 365 + calendar.isleap(day.year)
        if self.year_days and not (
                {of_year, of_year - days - 1} & self.year_days):
            return False
        if not self.weekdays or (0, day.weekday()) in self.weekdays:
            return True
        if self.frequency == "YEARLY" and not self.months:
            number, length = of_year, days
        else:
            number = day.day
            length = calendar.monthrange(day.year, day.month)[1]
        which = {(number - 1) // 7 + 1, -((length - number) // 7 + 1)}
        return any((one, day.weekday()) in self.weekdays for one in which)


def parse(
    text: str, anchor: datetime.date, zone: zoneinfo.ZoneInfo,
) -> Rule:
    """Read a rule.

    :param anchor: the day from which INTERVAL counts
    :param zone: of an UNTIL that is given in UTC
    :raises ValueError: says what is wrong with it
    """
    given: dict[str, str] = {}
    for part in text.split(";"):
        key, equals, value = part.partition("=")
        if not equals or not value:
            raise ValueError(f"{part!r} is not NAME=VALUE")
        if key in given:
            raise ValueError(f"{key} is given twice")
        given[key] = value
    frequency = given.pop("FREQ", "")
    if frequency not in _FREQUENCIES:
        raise ValueError(
            f"FREQ must be one of {', '.join(_FREQUENCIES)}, with BYHOUR "
            f"and BYMINUTE for the time of the day")
    needed = _NEEDED[frequency]
    if needed and not any(name in given for name in needed):
        raise ValueError(
            f"FREQ={frequency} does not say on which days: add "
            f"{' or '.join(needed)}")
    if "BYYEARDAY" in given and frequency != "YEARLY":
        raise ValueError("BYYEARDAY fits FREQ=YEARLY only")
    interval = _number(
        "INTERVAL", given.pop("INTERVAL", "1"), 1, _FREQUENCIES[frequency])
    until = given.pop("UNTIL", None)
    weekdays = given.pop("BYDAY", None)
    numbers = {
        name: _numbers(name, value) for name, value in given.items()}
    nothing: frozenset[int] = frozenset()
    return Rule(
        frequency=frequency, interval=interval, anchor=anchor,
        months=numbers.get("BYMONTH", nothing),
        month_days=numbers.get("BYMONTHDAY", nothing),
        year_days=numbers.get("BYYEARDAY", nothing),
        weekdays=(
            frozenset() if weekdays is None
            else _weekdays(weekdays, frequency)),
        times=tuple(
            datetime.time(hour, minute)
            for hour in sorted(numbers.get("BYHOUR", {0}))
            for minute in sorted(numbers.get("BYMINUTE", {0}))),
        positions=numbers.get("BYSETPOS", nothing),
        until=None if until is None else _until(until, zone))


def _until(value: str, zone: zoneinfo.ZoneInfo) -> datetime.datetime:
    form = {8: "%Y%m%d", 15: "%Y%m%dT%H%M%S", 16: "%Y%m%dT%H%M%SZ"}.get(
        len(value))
    try:
        if form is None:
            raise ValueError(value)
        moment = datetime.datetime.strptime(value, form)  # noqa: DTZ007
    except ValueError as error:
        raise ValueError(
            f"UNTIL={value} is not like 20271231 or 20271231T220000Z"
        ) from error
    if len(value) == 8:
        return datetime.datetime.combine(moment, datetime.time.max)
    if value.endswith("Z"):
        moment = moment.replace(
            tzinfo=datetime.timezone.utc).astimezone(zone)
    return moment.replace(tzinfo=None)


def _number(name: str, value: str, least: int, most: int) -> int:
    if not re.fullmatch(r"\+?[0-9]{1,4}", value) or not (
            least <= int(value) <= most):
        raise ValueError(f"{name}={value} is not a number {least} to {most}")
    return int(value)


def _numbers(name: str, value: str) -> frozenset[int]:
    if name not in _NUMBERS:
        raise ValueError(
            f"{name} is not known; there are FREQ, INTERVAL, UNTIL, BYDAY, "
            f"{', '.join(_NUMBERS)}")
    least, most, negative = _NUMBERS[name]
    found = set()
    for one in value.split(","):
        if negative and one.startswith("-"):
            found.add(-_number(name, one[1:], least, most))
        else:
            found.add(_number(name, one, least, most))
    return frozenset(found)


def _weekdays(value: str, frequency: str) -> frozenset[tuple[int, int]]:
    found = set()
    for one in value.split(","):
        match = _BYDAY.fullmatch(one)
        if match is None:
            raise ValueError(
                f"BYDAY={value}: {one!r} is not a day like SA or 1SA")
        which, name = match.groups()
        if which is not None and (
                frequency not in ("MONTHLY", "YEARLY") or int(which) == 0):
            raise ValueError(
                f"BYDAY={value}: {one!r} fits FREQ=MONTHLY and YEARLY only")
        found.add((int(which or 0), _WEEKDAYS.index(name)))
    return frozenset(found)
