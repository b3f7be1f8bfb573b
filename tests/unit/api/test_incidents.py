# SPDX-License-Identifier: Apache-2.0
"""Incidents and what operators ask of them."""

from __future__ import annotations

import datetime
import logging
from typing import Any
import uuid

import pytest

from aacloud.core import incidents as core_incidents
from tests.unit.api import stage as stages
from tests.unit.api.stage import Stage
from tests.unit.api.stage import State

NOBODY = str(uuid.UUID(int=0))
REASON = {"reason": "both cords pulled"}


def ids(answer: stages.Answer) -> list[str]:
    return [incident["id"] for incident in answer.json["incidents"]]


def ask(stage: Stage, incident_id: str, command: str) -> stages.Answer:
    path = f"/v1/incidents/{incident_id}/{command}"
    return stage.call("POST", path, json=REASON)


def test_incident(stage: Stage) -> None:
    opened = stage.add_incident(State.FENCING, waiting="the BMC is silent")
    answer = stage.call("GET", f"/v1/incidents/{opened.id}")
    assert answer.status == 200
    incident = answer.json["incident"]
    assert incident["host"] == "dc1-r1-h1"
    assert incident["state"] == "fencing"
    assert incident["mode"] == "armed"
    assert incident["waiting"] == "the BMC is silent"
    assert incident["proof"] is None
    assert incident["verdict"]["reasons"] == ["silent on all networks"]
    assert incident["closed_at"] is None
    assert incident["opened_at"].endswith("Z")


def test_incidents_come_newest_first(stage: Stage) -> None:
    opened = [
        stage.add_incident(host=host).id for host in stages.HOSTS[:3]
    ]
    answer = stage.call("GET", "/v1/incidents")
    assert ids(answer) == opened[::-1]
    assert answer.json["incidents_links"] == []


def test_filters(stage: Stage) -> None:
    closed = stage.add_incident(State.CANCELLED, host="dc1-r1-h1").id
    again = stage.add_incident(State.FENCING, host="dc1-r1-h1").id
    other = stage.add_incident(host="dc2-r1-h1").id

    def listed(**query: Any) -> list[str]:
        return ids(stage.call("GET", "/v1/incidents", params=query))

    assert listed(host="dc1-r1-h1") == [again, closed]
    assert listed(open="true") == [other, again]
    assert listed(open="FALSE") == [closed]
    assert listed(state="fencing") == [again]
    assert listed(state="fencing", host="dc2-r1-h1") == []
    assert listed(host="never-seen") == []


def test_pages(stage: Stage) -> None:
    opened = [stage.add_incident(host=host).id for host in stages.HOSTS]
    query = "limit=3"
    found: list[str] = []
    pages = 0
    while True:
        answer = stage.call("GET", "/v1/incidents", query_string=query)
        found += ids(answer)
        pages += 1
        if not answer.json["incidents_links"]:
            break
        (link,) = answer.json["incidents_links"]
        assert link["rel"] == "next"
        query = link["href"].partition("?")[2]
    assert (pages, found) == (3, opened[::-1])


def test_next_page_keeps_the_filters(stage: Stage) -> None:
    for host in stages.HOSTS:
        stage.add_incident(host=host)
    answer = stage.call(
        "GET", "/v1/incidents", params={"open": "true", "limit": "2"}
    )
    (link,) = answer.json["incidents_links"]
    assert "open=true" in link["href"]
    assert "limit=2" in link["href"]


def test_limit_is_bounded(stage: Stage) -> None:
    stage.conf.set_override("max_limit", 2, "aacloud_api")
    for host in stages.HOSTS[:4]:
        stage.add_incident(host=host)
    answer = stage.call("GET", "/v1/incidents", params={"limit": "1000"})
    assert len(ids(answer)) == 2
    assert answer.json["incidents_links"]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "'limit'"),
        ("limit=-1", "'limit'"),
        ("limit=ten", "'limit'"),
        ("limit=1e3", "'limit'"),
        ("limit=", "'limit'"),
        ("limit=99999999999999999999", "'limit'"),
        ("limit=%D9%A3", "'limit'"),
        ("open=maybe", "'open'"),
        ("state=lost", "'state'"),
        ("marker=x", "'marker'"),
        (f"marker={NOBODY}", NOBODY),
        ("sort=host", '"sort"'),
        ("limit=1&limit=2", "'limit'"),
    ],
)
def test_wrong_queries_name_the_key(
    stage: Stage, query: str, named: str
) -> None:
    answer = stage.call("GET", "/v1/incidents", query_string=query)
    assert answer.status == 400
    assert named in answer.json["error"]["message"]


@pytest.mark.parametrize("incident_id", [NOBODY, "latest", "%00", "ж"])
@pytest.mark.parametrize("part", ["", "/servers", "/events"])
def test_unknown_incident_is_named(
    stage: Stage, incident_id: str, part: str
) -> None:
    answer = stage.call("GET", f"/v1/incidents/{incident_id}{part}")
    assert answer.status == 404
    assert "there is no incident" in answer.json["error"]["message"]


def test_servers_with_their_downtime(stage: Stage) -> None:
    incident = stage.add_incident(State.EVACUATING)
    servers = stage.add_servers(incident, 3)
    recovered = next(item for item in servers if item.name == "web-0")
    assert recovered.down_since is not None
    after = recovered.down_since + datetime.timedelta(seconds=42.5)
    for state, columns in (
        (stages.ServerState.CLAIMED, {"destination": "dc1-r2-h1"}),
        (stages.ServerState.REQUESTED, {"requested_at": after}),
        (stages.ServerState.MIGRATING, {"migration_id": 7}),
        (stages.ServerState.LANDED, {"landed_at": after}),
        (stages.ServerState.VERIFIED, {"verified_at": after}),
    ):
        recovered = stage.journal.update_server(recovered, state, **columns)
    answer = stage.call("GET", f"/v1/incidents/{incident.id}/servers")
    assert answer.status == 200
    found = {server["name"]: server for server in answer.json["servers"]}
    assert list(found) == ["web-0", "web-2", "web-1"]
    assert found["web-0"]["state"] == "verified"
    assert found["web-0"]["destination"] == "dc1-r2-h1"
    assert found["web-0"]["migration_id"] == 7
    assert found["web-0"]["downtime_s"] == pytest.approx(42.5)
    assert found["web-1"]["downtime_s"] is None
    assert found["web-1"]["snapshot"]["vm_state"] == "active"


def test_no_servers_before_the_plan(stage: Stage) -> None:
    incident = stage.add_incident()
    answer = stage.call("GET", f"/v1/incidents/{incident.id}/servers")
    assert answer.json == {"servers": []}


def test_events_are_followed_by_their_ids(stage: Stage) -> None:
    incident = stage.add_incident(State.PLANNED)
    path = f"/v1/incidents/{incident.id}/events"
    events = stage.call("GET", path).json["events"]
    assert [event["text"] for event in events] == [
        "dc1-r1-h1 is held dead",
        "it is admitted",
        "it is planned",
    ]
    numbers = [event["id"] for event in events]
    assert numbers == sorted(set(numbers))

    first = stage.call("GET", path, params={"limit": "1"}).json["events"]
    assert first == events[:1]
    since = {"since": str(events[0]["id"]), "limit": "1"}
    assert stage.call("GET", path, params=since).json["events"] == events[1:2]
    since = {"since": str(events[-1]["id"])}
    assert stage.call("GET", path, params=since).json["events"] == []

    stage.journal.note(incident, "BMC answers", "fence", detail={"try": 2})
    (news,) = stage.call("GET", path, params=since).json["events"]
    assert (news["kind"], news["text"]) == ("fence", "BMC answers")
    assert news["detail"] == {"try": 2}


def test_confirm_fenced(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    incident = stage.add_incident(State.FENCING, waiting="no proof")
    with caplog.at_level(logging.WARNING):
        answer = ask(stage, incident.id, "confirm-fenced")
    assert answer.status == 202
    (command,) = answer.json["incident"]["commands"]
    assert command["command"] == "confirm-fenced"
    assert command["by"] == "joe (8f2a)"
    assert command["reason"] == "both cords pulled"
    (stored,) = stage.incidents.get(incident.id).commands
    assert stored.command is core_incidents.Command.CONFIRM_FENCED
    for part in (incident.id, "joe (8f2a)", "both cords pulled"):
        assert part in caplog.text


def test_confirmation_can_be_repeated(stage: Stage) -> None:
    incident = stage.add_incident(State.FENCING, waiting="no proof")
    ask(stage, incident.id, "confirm-fenced")
    answer = ask(stage, incident.id, "confirm-fenced")
    assert answer.status == 202
    assert len(answer.json["incident"]["commands"]) == 2


@pytest.mark.parametrize(
    "state", [state for state in State if state is not State.FENCING]
)
def test_confirmation_of_what_does_not_wait_for_a_fence(
    stage: Stage, state: State
) -> None:
    if state is State.PARTIAL:
        incident = stage.advance(
            stage.add_incident(State.VERIFYING), State.PARTIAL
        )
    else:
        incident = stage.add_incident(state)
    answer = ask(stage, incident.id, "confirm-fenced")
    assert answer.status == 409
    message = answer.json["error"]["message"]
    assert "does not wait for a fence" in message
    assert state.value in message
    assert stage.incidents.get(incident.id).commands == ()


@pytest.mark.parametrize(
    "state", [State.FENCED, State.FORCED_DOWN, State.EVACUATING]
)
def test_confirmation_after_the_proof_did_not_hold(
    stage: Stage, state: State
) -> None:
    incident = stage.add_incident(state, waiting="it showed life")
    answer = ask(stage, incident.id, "confirm-fenced")
    assert answer.status == 202
    (stored,) = stage.incidents.get(incident.id).commands
    assert stored.command is core_incidents.Command.CONFIRM_FENCED


def test_confirmation_while_the_engine_still_fences(stage: Stage) -> None:
    incident = stage.add_incident(State.FENCING)
    answer = ask(stage, incident.id, "confirm-fenced")
    assert answer.status == 409
    assert "still fencing" in answer.json["error"]["message"]


def test_confirmation_of_what_was_cancelled(stage: Stage) -> None:
    incident = stage.add_incident(State.EVACUATING, waiting="it showed life")
    assert ask(stage, incident.id, "cancel").status == 202
    answer = ask(stage, incident.id, "confirm-fenced")
    assert answer.status == 409
    assert "was cancelled" in answer.json["error"]["message"]
    (stored,) = stage.incidents.get(incident.id).commands
    assert stored.command is core_incidents.Command.CANCEL


@pytest.mark.parametrize(
    "state",
    sorted(
        core_incidents.BEFORE_PROOF
        | {State.FENCED, State.FORCED_DOWN, State.EVACUATING},
        key=str,
    ),
)
def test_cancel(stage: Stage, state: State) -> None:
    incident = stage.add_incident(state)
    answer = ask(stage, incident.id, "cancel")
    assert answer.status == 202
    (stored,) = stage.incidents.get(incident.id).commands
    assert stored.command is core_incidents.Command.CANCEL


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (State.VERIFYING, "is verifying: no server is sent"),
        (State.RETURN_WAIT, "return-wait"),
        (State.RETURNED, "closed already"),
        (State.CANCELLED, "closed already"),
    ],
)
def test_too_late_to_cancel(stage: Stage, state: State, why: str) -> None:
    incident = stage.add_incident(state)
    answer = ask(stage, incident.id, "cancel")
    assert answer.status == 409
    assert why in answer.json["error"]["message"]
    assert stage.incidents.get(incident.id).commands == ()


def test_engine_was_faster_than_the_operator(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is looked at again where the command is written."""
    incident = stage.add_incident(State.EVACUATING)
    real = type(stage.incidents).get

    def slow(store: Any, incident_id: str) -> Any:
        found = real(store, incident_id)
        if found.state is State.EVACUATING:
            stage.advance(found, State.VERIFYING)
        return found

    monkeypatch.setattr(type(stage.incidents), "get", slow)
    answer = ask(stage, incident.id, "cancel")
    assert answer.status == 409
    assert "verifying" in answer.json["error"]["message"]
    assert real(stage.incidents, incident.id).commands == ()


@pytest.mark.parametrize("command", ["confirm-fenced", "cancel"])
@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": 1}, {"reason": "x", "yes": 1}]
)
def test_wrong_bodies(stage: Stage, command: str, body: Any) -> None:
    incident = stage.add_incident(State.FENCING, waiting="no proof")
    answer = stage.call(
        "POST", f"/v1/incidents/{incident.id}/{command}", json=body
    )
    assert answer.status == 400
    assert stage.incidents.get(incident.id).commands == ()


@pytest.mark.parametrize("command", ["confirm-fenced", "cancel"])
def test_commands_to_an_unknown_incident(stage: Stage, command: str) -> None:
    answer = ask(stage, NOBODY, command)
    assert answer.status == 404
    assert NOBODY in answer.json["error"]["message"]
