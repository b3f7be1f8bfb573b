# SPDX-License-Identifier: Apache-2.0
"""Windows: when they open, for how long, and which ones are refused."""

from __future__ import annotations

import datetime
import time

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.core import windows

UTC = datetime.timezone.utc


def at(*parts: int) -> datetime.datetime:
    return datetime.datetime(*parts, tzinfo=UTC)


NOW = at(2026, 11, 22, 13, 0)  # a Sunday
SATURDAY = "cron:0 1 * * 6;duration=4h;tz=Europe/Berlin"


@pytest.mark.parametrize("text", [
    SATURDAY,
    "cron:0 1 * * sat;duration=4h;tz=Europe/Berlin",
    "rrule:FREQ=WEEKLY;BYDAY=SA;BYHOUR=1;duration=4h;tz=Europe/Berlin",
    "rrule:FREQ=WEEKLY;BYDAY=SA;BYHOUR=1;BYMINUTE=0;tz=Europe/Berlin;"
    "duration=240m",
    " cron: 0  1 * * 6 ; tz=Europe/Berlin; duration=3h60m ",
])
def test_the_same_window_in_several_words(text):
    window = windows.parse_window(text)
    opening = windows.next_open(window, NOW)
    assert opening == windows.OpenWindow(
        at(2026, 11, 28, 0), at(2026, 11, 28, 4))
    assert opening.length_s == 4 * 3600
    assert windows.parse_window(window.text) == window


@pytest.mark.parametrize(("now", "is_open"), [
    (at(2026, 11, 27, 23, 59, 59), False),
    (at(2026, 11, 28, 0), True),
    (at(2026, 11, 28, 3, 59, 59), True),
    (at(2026, 11, 28, 4), False),
])
def test_it_is_open_from_its_opening_until_before_its_end(now, is_open):
    found = windows.is_open(windows.parse_window(SATURDAY), now)
    assert (found is not None) is is_open
    if found is not None:
        assert found.opens_at == at(2026, 11, 28, 0)
        assert found.closes_at == at(2026, 11, 28, 4)


def test_the_zone_of_now_does_not_matter():
    window = windows.parse_window(SATURDAY)
    tokyo = datetime.timezone(datetime.timedelta(hours=9))
    for now in (at(2026, 11, 28, 1), NOW):
        local = now.astimezone(tokyo)
        assert windows.is_open(window, now) == windows.is_open(window, local)
        assert windows.next_open(window, now) == windows.next_open(
            window, local)


def test_next_open_of_an_open_window_is_the_one_after_it():
    window = windows.parse_window(SATURDAY)
    found = windows.next_open(window, at(2026, 11, 28, 1))
    assert found is not None
    assert found.opens_at == at(2026, 12, 5, 0)


@pytest.mark.parametrize(("text", "now", "opens_at"), [
    # Clocks go from 02:00 to 03:00: it opens at the end of the gap.
    ("cron:30 2 * * *;duration=1h;tz=Europe/Berlin",
     at(2026, 3, 28, 12), at(2026, 3, 29, 1)),
    # 02:30 comes twice: it opens at the first one, once.
    ("cron:30 2 * * *;duration=1h;tz=Europe/Berlin",
     at(2026, 10, 24, 12), at(2026, 10, 25, 0, 30)),
    ("cron:30 2 * * *;duration=1h;tz=Europe/Berlin",
     at(2026, 10, 25, 0, 30), at(2026, 10, 26, 1, 30)),
    # A gap of half an hour.
    ("cron:15 2 * * *;duration=1h;tz=Australia/Lord_Howe",
     at(2026, 10, 3, 12), at(2026, 10, 3, 15, 30)),
    # The second Saturday of a month.
    ("rrule:FREQ=MONTHLY;BYDAY=2SA;BYHOUR=22;duration=4h",
     NOW, at(2026, 12, 12, 22)),
    ("rrule:FREQ=MONTHLY;BYDAY=-1SU;duration=4h",
     NOW, at(2026, 11, 29)),
    # Every second week, counted from a day.
    ("rrule:FREQ=WEEKLY;INTERVAL=2;BYDAY=SA;duration=4h;from=2026-11-21",
     NOW, at(2026, 12, 5)),
    ("rrule:FREQ=WEEKLY;INTERVAL=2;BYDAY=SA;duration=4h;from=2026-11-28",
     NOW, at(2026, 11, 28)),
    # Not before the day it counts from.
    ("rrule:FREQ=DAILY;duration=4h;from=2027-03-01", NOW, at(2027, 3, 1)),
    # Leap years only.
    ("cron:0 3 29 feb *;duration=1h", NOW, at(2028, 2, 29, 3)),
    # cron: the day of the month or the day of the week.
    ("cron:0 3 24 * 1;duration=1h", NOW, at(2026, 11, 23, 3)),
    ("cron:0 3 24 * *;duration=1h", NOW, at(2026, 11, 24, 3)),
    ("cron:0 3 */24 * 2;duration=1h", NOW, at(2026, 12, 1, 3)),
    ("cron:0 3 * * 7;duration=1h", NOW, at(2026, 11, 29, 3)),
])
def test_next_opening(text, now, opens_at):
    found = windows.next_open(windows.parse_window(text), now)
    assert found is not None
    assert found.opens_at == opens_at


def test_openings_that_touch_are_one_for_a_day_ahead():
    window = windows.parse_window("cron:0 */6 * * *;duration=6h")
    found = windows.is_open(window, at(2026, 11, 22, 13))
    assert found is not None
    assert found.opens_at == at(2026, 11, 22, 12)
    assert found.closes_at >= at(2026, 11, 23, 13)
    assert found.closes_at <= at(2026, 11, 23, 18)


def test_it_is_open_through_the_day_on_which_clocks_go_back():
    """A day of 25 hours is longer than its window of 24."""
    window = windows.parse_window("cron:0 0 * * *;duration=1d;tz=Europe/Paris")
    assert windows.is_open(window, at(2026, 10, 25, 21, 59)) is not None
    assert windows.is_open(window, at(2026, 10, 25, 22, 30)) is None
    assert windows.is_open(window, at(2026, 10, 25, 23)) is not None


@pytest.mark.parametrize(("text", "says"), [
    ("", "neither with cron: nor rrule:"),
    ("0 1 * * 6;duration=4h", "neither with cron: nor rrule:"),
    ("cron:0 1 * * 6", "it has no duration"),
    ("cron:0 1 * * 6;duration=", "not like 4h"),
    ("cron:0 1 * * 6;duration=4", "not like 4h"),
    ("cron:0 1 * * 6;duration=0h", "below the least of 5m"),
    ("cron:0 1 * * 6;duration=299s", "below the least of 5m"),
    ("cron:0 1 * * 6;duration=4h;duration=5h", "duration is given twice"),
    ("cron:0 1 * * 6;duration=4h;tz=Mars/Olympus", "no time zone"),
    ("cron:0 1 * * 6;duration=4h;tz=../../etc/passwd", "no time zone"),
    ("cron:0 1 * * 6;duration=4h;from=soon", "not a day like"),
    ("cron:0 1 * *;duration=4h", "has 4 fields"),
    ("cron:60 1 * * 6;duration=4h", "'60' is not 0 to 59"),
    ("cron:0 1 * * fry;duration=4h", "is not 0 to 7"),
    ("cron:0 3-1 * * 6;duration=4h", "goes backwards"),
    ("cron:0 */0 * * 6;duration=4h", "a step of 0"),
    ("cron:0 *-3 * * 6;duration=4h", "cannot be read"),
    ("cron:0 0 30 2 *;duration=4h", "never opens within 30 years"),
    ("cron:0 0 * * *;duration=25h", "lasts 25h but opens again after 1d"),
    ("cron:0 1,4 * * 6;duration=4h", "opens again after 3h"),
    ("rrule:duration=4h", "NAME=VALUE"),
    ("rrule:FREQ=HOURLY;duration=1h", "FREQ must be one of YEARLY"),
    ("rrule:FREQ=SECONDLY;BYMONTHDAY=31;duration=1h", "FREQ must be one"),
    ("rrule:FREQ=WEEKLY;duration=4h", "add BYDAY"),
    ("rrule:FREQ=MONTHLY;BYHOUR=3;duration=4h", "BYMONTHDAY or BYDAY"),
    ("rrule:FREQ=WEEKLY;BYDAY=2SA;duration=4h", "MONTHLY and YEARLY only"),
    ("rrule:FREQ=WEEKLY;BYDAY=XX;duration=4h", "not a day like SA"),
    ("rrule:FREQ=DAILY;BYHOUR=24;duration=4h", "BYHOUR=24"),
    ("rrule:FREQ=DAILY;COUNT=3;duration=4h", "COUNT is not known"),
    ("rrule:FREQ=DAILY;BYYEARDAY=3;duration=4h", "fits FREQ=YEARLY only"),
    ("rrule:FREQ=DAILY;INTERVAL=0;duration=4h", "INTERVAL=0"),
    ("rrule:FREQ=DAILY;INTERVAL=99999;duration=4h", "INTERVAL=99999"),
    ("rrule:FREQ=DAILY;UNTIL=tomorrow;duration=4h", "UNTIL=tomorrow"),
    ("rrule:FREQ=DAILY;FREQ=DAILY;duration=4h", "FREQ is given twice"),
    ("rrule:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;duration=4h", "never opens"),
    ("rrule:FREQ=DAILY;INTERVAL=7;BYDAY=TU;duration=4h", "never opens"),
    ("rrule:FREQ=DAILY;UNTIL=20230101;duration=4h", "never opens"),
])
def test_a_bad_window_is_refused_soon_and_clearly(text, says):
    begin = time.monotonic()
    with pytest.raises(windows.WindowError) as refused:
        windows.parse_window(text)
    # Users send these: none may keep the processor busy.
    assert time.monotonic() - begin < 1
    assert says in refused.value.problem
    assert "Write it like 'cron:" in str(refused.value)


def test_a_window_of_the_past_is_refused_when_the_time_is_known():
    text = "rrule:FREQ=DAILY;UNTIL=20250101T120000Z;duration=4h"
    window = windows.parse_window(text)
    assert windows.next_open(window, NOW) is None
    assert windows.is_open(window, NOW) is None
    with pytest.raises(windows.WindowError, match="not open any more"):
        windows.parse_window(text, now=NOW)
    assert windows.parse_window(SATURDAY, now=NOW)


TIMES = st.datetimes(
    at(2024, 1, 3).replace(tzinfo=None), at(2050, 1, 1).replace(tzinfo=None),
    timezones=st.just(UTC))
TEXTS = st.sampled_from([
    SATURDAY,
    "cron:30 2 * * *;duration=90m;tz=America/New_York",
    "cron:0 22 * * 1-5;duration=5h;tz=Australia/Lord_Howe",
    "cron:*/20 * * * *;duration=20m;tz=Asia/Tehran",
    "rrule:FREQ=MONTHLY;INTERVAL=3;BYDAY=MO,2SA,-1FR;BYHOUR=1,13;"
    "duration=6h;tz=Europe/Berlin",
    "rrule:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;duration=2d",
    "rrule:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;duration=3h",
])


@settings(max_examples=200, deadline=None)
@given(TEXTS, TIMES)
def test_open_and_next_agree(text, now):
    window = windows.parse_window(text)
    after = windows.next_open(window, now)
    assert after is not None
    assert after.opens_at > now
    assert after.length_s == window.duration_s
    # At the next opening it is open, and right before it is that one that
    # is still open, if any.
    then = windows.is_open(window, after.opens_at)
    assert then is not None
    assert then.opens_at == after.opens_at
    assert then.closes_at >= after.closes_at
    here = windows.is_open(window, now)
    if here is not None:
        assert here.opens_at <= now < here.closes_at
        assert (now - here.opens_at).total_seconds() < window.duration_s
        # Until it closes it stays open.
        last = here.closes_at - datetime.timedelta(seconds=1)
        if (last - now).total_seconds() < windows.MERGED_S:
            assert windows.is_open(window, last) is not None
