# SPDX-License-Identifier: Apache-2.0
import copy
import dataclasses
import json
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.core.observations import Observation
from aacloud.core.observations import Reach
from aacloud.core.observations import Report
from aacloud.core.topology import Vantage
from aacloud.rpc import envelope
from aacloud.rpc import schema
from tests.unit.rpc import heartbeats
from tests.unit.rpc.test_envelope import JSON

NAMES = st.text(
    st.characters(categories=("L", "N", "P")), min_size=1, max_size=40
)
WORDS = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
SECONDS = st.integers(0, 10**9).map(lambda ms: ms / 1000)
OBSERVATIONS = st.builds(
    Observation,
    observer=st.just("here"),
    target=NAMES,
    network=WORDS,
    vantage=st.sampled_from(Vantage),
    reach=st.sampled_from(Reach),
    misses=st.integers(0, 2**40),
    silent_s=st.none() | SECONDS,
    rtt_ms=st.none() | SECONDS,
    refused=st.booleans(),
)
ADDRESSES = st.dictionaries(
    WORDS, st.ip_addresses().map(str), max_size=4
)
HEARTBEATS = st.builds(
    schema.Heartbeat,
    report=st.builds(
        Report,
        observer=st.just("here"),
        boot_id=NAMES,
        seq=st.integers(0, 2**63 - 1),
        interval_s=SECONDS,
        observations=st.lists(OBSERVATIONS, max_size=5).map(tuple),
        received=st.just(0.0),
        facts=st.dictionaries(NAMES, NAMES, max_size=4),
    ),
    addresses=ADDRESSES,
    uptime_s=SECONDS,
    at=SECONDS,
)
TARGETS = st.builds(
    schema.PeerTarget,
    host=NAMES,
    vantage=st.sampled_from(Vantage),
    addresses=ADDRESSES,
)
ASSIGNMENTS = st.builds(
    schema.Assignment,
    targets=st.lists(
        TARGETS, max_size=5, unique_by=lambda target: target.host
    ).map(tuple),
    version=NAMES,
    refresh_s=SECONDS,
)


def body() -> dict[str, Any]:
    made = schema.report_body(heartbeats.heartbeat())
    return copy.deepcopy(json.loads(json.dumps(made)))


@given(HEARTBEATS)
def test_a_report_comes_back_as_it_was(sent: schema.Heartbeat) -> None:
    travelled = json.loads(json.dumps(schema.report_body(sent)))
    assert schema.parse_report(travelled) == sent


@given(ASSIGNMENTS)
def test_an_assignment_comes_back_as_it_was(sent: schema.Assignment) -> None:
    travelled = json.loads(json.dumps(schema.assignment_body(sent)))
    assert schema.parse_assignment(travelled) == sent


@given(NAMES, ADDRESSES, NAMES)
def test_a_question_comes_back_as_it_was(
    host: str, addresses: dict[str, str], nonce: str
) -> None:
    sent = schema.PeersRequest(host, addresses, heartbeats.BOOT, nonce)
    travelled = json.loads(json.dumps(schema.peers_request_body(sent)))
    assert schema.parse_peers_request(travelled) == sent


PARSERS = (
    schema.parse_report,
    schema.parse_assignment,
    schema.parse_peers_request,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=6))
def test_any_body_is_refused_without_a_traceback(made: Any) -> None:
    for parse in PARSERS:
        with pytest.raises(envelope.MessageError):
            parse(made)


@given(st.data())
@settings(max_examples=300)
def test_any_change_is_read_or_refused(data: st.DataObject) -> None:
    made = body()
    made["observations"] *= 2
    place: Any = made
    while True:
        key = data.draw(
            st.sampled_from(
                sorted(place)
                if isinstance(place, dict)
                else range(len(place))
            )
        )
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner:
            break
        if data.draw(st.booleans()):
            break
        place = inner
    place[key] = data.draw(JSON)
    try:
        found = schema.parse_report(made)
    except envelope.MessageError as error:
        assert error.reason == "malformed"
    else:
        assert isinstance(found, schema.Heartbeat)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "peers"),
        ("observer", ""),
        ("observer", "x" * 256),
        ("observer", "a\nb"),
        ("boot", None),
        ("seq", -1),
        ("seq", True),
        ("seq", 1.5),
        ("seq", 2**63),
        ("uptime_s", "1"),
        ("uptime_s", -0.1),
        ("at", None),
        ("interval_s", 10**400),
        ("addresses", {"management": "10.0.0"}),
        ("addresses", {"Management": "10.0.0.1"}),
        ("addresses", ["10.0.0.1"]),
        ("observations", {}),
        ("observations", ["x"]),
        ("observations", [{}]),
        ("facts", {"a": 1}),
        ("facts", []),
        (
            "facts",
            {str(n): "x" for n in range(schema.MAX_FACTS + 1)},
        ),
    ],
)
def test_a_wrong_value_is_refused_by_name(key: str, value: object) -> None:
    made = {**body(), key: value}
    with pytest.raises(envelope.MessageError) as caught:
        schema.parse_report(made)
    assert caught.value.reason == "malformed"


def test_unknown_keys_of_a_newer_minor_version_are_left_alone() -> None:
    made = body()
    made["mood"] = {"good": True}
    made["observations"][0]["jitter_ms"] = 0.1
    assert schema.parse_report(made).report.observations == (
        heartbeats.observation(),
    )


def test_what_an_older_agent_reports_is_not_refused() -> None:
    made = body()
    assert "refused" not in made["observations"][0]
    assert not schema.parse_report(made).report.observations[0].refused


@pytest.mark.parametrize("value", [None, 0, 1, "true", []])
def test_refused_is_true_or_false(value: object) -> None:
    made = body()
    made["observations"][0]["refused"] = value
    with pytest.raises(envelope.MessageError) as caught:
        schema.parse_report(made)
    assert "'refused' is neither true nor false" in str(caught.value)


def test_facts_and_observations_of_later_probes_are_taken() -> None:
    made = body()
    made["facts"]["libvirt"] = "up"
    made["observations"].append(
        {**made["observations"][0], "network": "storage-io"}
    )
    found = schema.parse_report(made).report
    assert found.facts["libvirt"] == "up"
    assert found.observations[1].network == "storage-io"


def test_an_unknown_vantage_is_skipped_and_an_unknown_reach_unknown() -> None:
    made = body()
    first = made["observations"][0]
    made["observations"] = [
        {**first, "vantage": "witness"},
        {**first, "reach": "flapping"},
    ]
    found = schema.parse_report(made)
    assert found.skipped == 1
    assert [o.reach for o in found.report.observations] == [Reach.UNKNOWN]


def test_addresses_are_brought_into_their_usual_form() -> None:
    made = {**body(), "addresses": {"tenant": "FD00:0:0::1"}}
    assert schema.parse_report(made).addresses == {"tenant": "fd00::1"}


def test_a_host_that_stands_twice_is_refused() -> None:
    target = schema.PeerTarget("a", Vantage.OWN_RACK, {})
    made = schema.assignment_body(schema.Assignment((target, target), "1"))
    with pytest.raises(envelope.MessageError, match="twice"):
        schema.parse_assignment(made)


def test_an_assignment_to_an_unknown_vantage_is_left_out() -> None:
    target = schema.PeerTarget("a", Vantage.OWN_RACK, {})
    made = schema.assignment_body(schema.Assignment((target,), "1"))
    made["targets"].append(
        {"host": "w", "vantage": "witness", "addresses": {}}
    )
    assert schema.parse_assignment(made).targets == (target,)


def test_numbers_are_rounded_for_the_wire() -> None:
    sent = heartbeats.heartbeat(
        observations=(
            dataclasses.replace(
                heartbeats.observation(), silent_s=1 / 3, rtt_ms=2 / 3
            ),
        )
    )
    made = schema.report_body(sent)["observations"][0]
    assert (made["silent_s"], made["rtt_ms"]) == (0.333, 0.667)
