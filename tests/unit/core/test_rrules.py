# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: DTZ001 rules speak of local times
"""Recurrence rules: the same days as python-dateutil finds."""

from __future__ import annotations

import datetime
import itertools
import zoneinfo

from dateutil import rrule
from hypothesis import assume
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from aacloud.core import rrules

ANCHOR = datetime.date(2024, 1, 1)
UTC = zoneinfo.ZoneInfo("UTC")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def numbers(least, most, *, negative=False):
    one = st.integers(least, most)
    if negative:
        one |= st.integers(-most, -least)
    return st.lists(one, min_size=1, max_size=4, unique=True).map(
        lambda found: ",".join(map(str, found)))


@st.composite
def texts(draw):
    frequency = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY"]))
    parts = {"FREQ": frequency}
    if draw(st.booleans()):
        parts["INTERVAL"] = str(draw(st.integers(1, 4)))
    days = st.sampled_from(DAYS)
    # The library takes each AND numbered days where both are given.
    if frequency in ("YEARLY", "MONTHLY") and draw(st.booleans()):
        days = st.tuples(
            st.sampled_from(["1", "2", "-1", "+3", "5"]), days
        ).map("".join)
    choices = {
        "BYDAY": st.lists(days, min_size=1, max_size=3, unique=True).map(
            ",".join),
        "BYMONTHDAY": numbers(1, 31, negative=True),
        "BYMONTH": numbers(1, 12),
        "BYHOUR": numbers(0, 23),
        "BYMINUTE": numbers(0, 59),
        "BYSETPOS": numbers(1, 5, negative=True),
    }
    if frequency == "YEARLY":
        choices["BYYEARDAY"] = numbers(1, 366, negative=True)
    if frequency == "WEEKLY":
        # RFC 5545 does not let them meet.
        del choices["BYMONTHDAY"]
    for name in draw(st.sets(st.sampled_from(sorted(choices)))):
        parts[name] = draw(choices[name])
    needed = {"YEARLY": "BYMONTHDAY", "MONTHLY": "BYMONTHDAY",
              "WEEKLY": "BYDAY"}
    if frequency in needed and not parts.keys() & {
            "BYDAY", "BYMONTHDAY", "BYYEARDAY"}:
        parts[needed[frequency]] = draw(choices[needed[frequency]])
    return ";".join(f"{name}={value}" for name, value in parts.items())


@settings(max_examples=100, deadline=None)
@given(texts(), st.datetimes(
    datetime.datetime(2024, 1, 1), datetime.datetime(2031, 1, 1)))
def test_the_library_finds_the_same(text, since):
    end = datetime.datetime(2035, 12, 31, 23, 59)
    own = list(itertools.islice(
        rrules.parse(text, ANCHOR, UTC).times_from(since, end), 20))
    # Without any time the library would look for one until the year 9999.
    assume(own)
    plain = text
    for name in ("BYHOUR", "BYMINUTE"):
        if name not in text:
            plain += f";{name}=0"
    theirs = rrule.rrulestr(
        f"{plain};BYSECOND=0",
        dtstart=datetime.datetime.combine(ANCHOR, datetime.time()))
    assert own == list(itertools.islice(
        theirs.xafter(since, inc=True), len(own)))


def test_each_and_numbered_days_may_be_mixed():
    """RFC 5545 means either of them."""
    rule = rrules.parse("FREQ=MONTHLY;BYDAY=MO,1TU", ANCHOR, UTC)
    found = rule.times_from(
        datetime.datetime(2024, 2, 1), datetime.datetime(2024, 2, 29))
    assert [one.day for one in found] == [5, 6, 12, 19, 26]


def test_until_is_the_last_moment_by_the_local_clock():
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    for until, last in (
        ("20240103", datetime.datetime(2024, 1, 3, 12)),
        ("20240103T120000", datetime.datetime(2024, 1, 3, 12)),
        ("20240103T115959", datetime.datetime(2024, 1, 2, 12)),
        ("20240103T110000Z", datetime.datetime(2024, 1, 3, 12)),
        ("20240103T105959Z", datetime.datetime(2024, 1, 2, 12)),
    ):
        rule = rrules.parse(f"FREQ=DAILY;BYHOUR=12;UNTIL={until}",
                            ANCHOR, berlin)
        found = list(rule.times_from(
            datetime.datetime(2024, 1, 1), datetime.datetime(2025, 1, 1)))
        assert found[-1] == last, until
