# SPDX-License-Identifier: Apache-2.0
"""Cron lines of five fields: minute, hour, day, month, day of the week."""

from __future__ import annotations

import dataclasses
import datetime
import re

_MONTHS = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct",
    "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: Name of each field, its least and greatest number, its words.
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: n for n, name in enumerate(_MONTHS, start=1)}),
    ("day of the week", 0, 7, {
        name: n for n, name in enumerate(_WEEKDAYS)}),
)
_ITEM = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?")


@dataclasses.dataclass(frozen=True, slots=True)
class Crontab:
    """The times that a line names.

    :ivar weekdays: 0 is Sunday, 6 is Saturday.
    :ivar either: both the day of the month and the day of the week are
        restricted; then one of them is enough, as cron has it.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def on(self, day: datetime.date) -> bool:
        """Whether the line names times of this day."""
        if day.month not in self.months:
            return False
        of_month = day.day in self.days
        of_week = day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either else of_month and of_week


def parse(line: str) -> Crontab:
    """Read a line.

    :raises ValueError: says which field is wrong, and why
    """
    fields = line.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"the cron line {line!r} has {len(fields)} fields, it needs five "
            f"(minute, hour, day of the month, month, day of the week)")
    found = [
        _field(text, *known)
        for text, known in zip(fields, _FIELDS, strict=True)]
    return Crontab(
        minutes=tuple(sorted(found[0])), hours=tuple(sorted(found[1])),
        days=found[2], months=found[3],
        weekdays=frozenset(day % 7 for day in found[4]),
        either=not (fields[2].startswith("*") or fields[4].startswith("*")))


def _field(
    text: str, name: str, least: int, most: int, words: dict[str, int],
) -> frozenset[int]:
    found: set[int] = set()
    for item in text.lower().split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"{name} {text!r}: {item!r} cannot be read")
        first, last, step = match.groups()
        if first == "*":
            if last is not None:
                raise ValueError(f"{name} {text!r}: {item!r} cannot be read")
            low, high = least, most
        else:
            low = _number(first, text, name, least, most, words)
            if last is not None:
                high = _number(last, text, name, least, most, words)
            else:
                high = most if step else low
        if low > high:
            raise ValueError(f"{name} {text!r}: {item!r} goes backwards")
        if step is not None and int(step) == 0:
            raise ValueError(f"{name} {text!r}: a step of 0 never arrives")
        found.update(range(low, high + 1, int(step or 1)))
    return frozenset(found)


def _number(
    word: str, text: str, name: str, least: int, most: int,
    words: dict[str, int],
) -> int:
    if word in words:
        return words[word]
    if not re.fullmatch(r"[0-9]{1,2}", word) or not (
            least <= int(word) <= most):
        known = f" or {', '.join(words)}" if words else ""
        raise ValueError(
            f"{name} {text!r}: {word!r} is not {least} to {most}{known}")
    return int(word)
