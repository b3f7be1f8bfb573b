# SPDX-License-Identifier: Apache-2.0
"""A BMC that says Off of a host that answered a moment ago."""

import datetime

import pytest

from aacloud.core import fences

READ = datetime.datetime(2026, 1, 1, 12, 0, tzinfo=datetime.timezone.utc)


def seconds(count):
    return datetime.timedelta(seconds=count)


def off(driver="redfish"):
    return fences.FenceEvidence(
        driver=driver, strength="strong", power=fences.PowerState.OFF,
        read_at_utc=READ)


@pytest.mark.parametrize("life, now, proven", [
    # It answered just before the reading: the next answer may be under way.
    (-0.5, 0.5, False),
    # It was silent ever since, and for long enough by now.
    (-0.5, 7.6, True),
    # It was silent long before.
    (-9.0, 0.1, True),
    # It answered after the reading, whatever the time.
    (0.5, 60.0, False),
])
def test_off_counts_once_the_host_is_silent(life, now, proven):
    found = fences.prove(
        (off(),), READ + seconds(life),
        now_utc=READ + seconds(now), quiet_s=8.0)
    assert found.proven is proven
    if not proven:
        assert any("showed life" in reason for reason in found.reasons)


def test_the_same_holds_for_an_operators_word():
    found = fences.prove(
        (off(fences.OPERATOR),), READ - seconds(1),
        now_utc=READ + seconds(1), quiet_s=8.0)
    assert not found.proven


def test_a_host_that_never_showed_life_needs_no_silence():
    assert fences.prove((off(),), None, now_utc=READ, quiet_s=8.0).proven
