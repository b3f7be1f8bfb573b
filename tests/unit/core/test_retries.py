# SPDX-License-Identifier: Apache-2.0
"""What follows a failed attempt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import pytest

from aacloud.core.retries import FailureKind
from aacloud.core.retries import GiveUp
from aacloud.core.retries import next_try
from aacloud.core.retries import Retry
from aacloud.core.retries import RetryPolicy
from tests.unit.core.builders import later
from tests.unit.core.builders import record
from tests.unit.core.builders import UTC_NOW

COUNTED = [kind for kind in FailureKind
           if kind is not FailureKind.SOURCE_NOT_DOWN]


@pytest.mark.parametrize("kind", COUNTED)
def test_three_tries_each_elsewhere_and_later(kind):
    after = next_try(record(), kind, UTC_NOW, detail="no valid host")
    assert isinstance(after, Retry)
    assert (after.destination, after.spares, after.tries) == (
        "dc1-r2-h1", ("dc1-r2-h2",), 1)
    assert after.at == later(5.0)
    assert "no valid host" in after.reason
    second = next_try(
        record(destination=after.destination, spares=after.spares,
               tries=after.tries), kind, UTC_NOW)
    assert isinstance(second, Retry)
    assert (second.destination, second.spares) == ("dc1-r2-h2", ())
    assert second.at == later(20.0)
    last = next_try(record(tries=second.tries), kind, UTC_NOW)
    assert isinstance(last, GiveUp)
    assert last.reason_code == "tries-exhausted"
    assert "openstack server evacuate" in last.reason


def test_without_spares_it_is_planned_anew():
    after = next_try(
        record(spares=()), FailureKind.MIGRATION_FAILED, UTC_NOW)
    assert isinstance(after, Retry)
    assert after.destination is None
    assert "plans anew" in after.reason


def test_a_source_not_yet_down_costs_neither_try_nor_spare():
    before = record(tries=2)
    after = next_try(before, FailureKind.SOURCE_NOT_DOWN, UTC_NOW)
    assert isinstance(after, Retry)
    assert (after.destination, after.spares, after.tries) == (
        before.destination, before.spares, 2)
    assert after.at == later(2.0)


def test_the_last_pause_counts_for_all_that_follow():
    policy = RetryPolicy(tries=9, backoff_s=(1.0, 2.0))
    pauses = [
        (next_try(record(tries=n), FailureKind.REFUSED, UTC_NOW,
                  policy).at - UTC_NOW).total_seconds()
        for n in range(4)]
    assert pauses == [1.0, 2.0, 2.0, 2.0]


@given(
    st.integers(0, 5), st.lists(st.sampled_from("abcd"), unique=True),
    st.sampled_from("abcd"), st.sampled_from(COUNTED))
def test_it_ends_and_never_repeats_a_destination(tries, spares, dest, kind):
    current = record(tries=tries, spares=tuple(spares), destination=dest)
    used = [dest]
    for _ in range(10):
        after = next_try(current, kind, UTC_NOW, RetryPolicy(tries=5))
        if isinstance(after, GiveUp):
            break
        assert after.at > UTC_NOW
        if after.destination is None:
            break
        assert after.destination not in used
        used.append(after.destination)
        current = record(tries=after.tries, spares=after.spares,
                         destination=after.destination)
    else:
        pytest.fail("it went on for ever")
