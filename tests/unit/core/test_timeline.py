# SPDX-License-Identifier: Apache-2.0
"""How long servers were down."""

from __future__ import annotations

import json

import pytest

from aacloud.core.incidents import Event
from aacloud.core.incidents import ServerState
from aacloud.core.timeline import downtime
from aacloud.core.timeline import summarize
from tests.unit.core.builders import later
from tests.unit.core.builders import record

S = ServerState


def moved(uuid, down, up, state=S.VERIFIED, **changes):
    return record(uuid, state, down_since=later(down),
                  landed_at=None if up is None else later(up), **changes)


@pytest.mark.parametrize(("made", "seconds"), [
    (moved("a", 0.0, 31.5), 31.5),
    (moved("a", 0.0, None, verified_at=later(40.0)), 40.0),
    (moved("a", 0.0, 30.0, verified_at=later(40.0)), 30.0),
    (moved("a", 0.0, None), None),
    (record("a", S.MANUAL), None),
    (moved("a", 5.0, 1.0), 0.0),
    (moved("a", 0.0, 9.0, snapshot={"vm_state": "stopped"}), None),
    (moved("a", 0.0, 9.0, snapshot={}), 9.0),
])
def test_downtime(made, seconds):
    assert downtime(made) == seconds


def test_downtime_of_a_server_still_down():
    assert downtime(moved("a", 0.0, None), later(12.0)) == 12.0


def test_summary():
    records = [
        moved("a", 0.0, 30.0), moved("b", 0.0, 40.0), moved("c", 0.0, 60.0),
        moved("d", 0.0, 50.0),
        moved("e", 0.0, None, S.MANUAL, reason_code="local-disk"),
        moved("f", 0.0, None, S.MANUAL),
        moved("g", 0.0, 55.0, snapshot={"vm_state": "stopped"})]
    events = [
        Event(3, "i1", later(15.0), "fenced", "off"),
        Event(2, "i1", later(12.0), "detected", "dead"),
        Event(4, "i1", later(16.0), "fenced", "off again"),
        Event(5, "i1", later(17.0), "landed", "there", server="a")]
    summary = summarize(records, events)
    assert summary.servers == 7
    assert summary.by_state == {"verified": 5, "manual": 2}
    assert summary.by_reason == {"local-disk": 1, "unknown": 1}
    assert summary.downtime_min_s == 30.0
    assert summary.downtime_median_s == 45.0
    assert summary.downtime_max_s == 60.0
    assert summary.total_s == 60.0
    assert summary.steps == {"detected": 12.0, "fenced": 15.0}
    json.dumps(summary.as_dict())


def test_odd_number_of_downtimes_has_its_middle_one():
    summary = summarize([
        moved("a", 0.0, 1.0), moved("b", 0.0, 2.0), moved("c", 0.0, 9.0)])
    assert summary.downtime_median_s == 2.0


def test_an_incident_without_servers():
    summary = summarize([], [Event(1, "i1", later(3.0), "detected", "x")])
    assert summary.servers == 0
    assert summary.total_s is None
    assert summary.downtime_median_s is None
    assert summary.steps == {"detected": 0.0}


def test_steps_are_named_by_the_states_that_were_reached():
    events = [
        Event(1, "i1", later(12.0), "state", "x", detail={"to": "detected"}),
        Event(2, "i1", later(13.0), "plan", "2 servers"),
        Event(3, "i1", later(15.0), "state", "x", detail={
            "from": "fencing", "to": "fenced"}),
        Event(4, "i1", later(16.0), "incident", "waits", detail={
            "from": "fenced", "to": "fenced"}),
        Event(5, "i1", later(20.0), "state", "x", detail={
            "to": "evacuating"}),
        Event(6, "i1", later(25.0), "state", "x", detail={
            "to": "verifying"}),
        Event(7, "i1", later(26.0), "state", "again", detail={
            "to": "evacuating"}),
        Event(8, "i1", later(27.0), "server", "x", server="a", detail={
            "to": "landed"})]
    assert summarize([moved("a", 0.0, 27.0)], events).steps == {
        "detected": 12.0, "plan": 13.0, "fenced": 15.0, "incident": 16.0,
        "evacuating": 20.0, "verifying": 25.0}


@pytest.mark.parametrize("detail", [{}, {"to": None}, {"to": 3}])
def test_a_state_event_that_does_not_say_where_to(detail):
    events = [Event(1, "i1", later(3.0), "state", "x", detail=detail)]
    assert summarize([], events).steps == {"state": 0.0}
