# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from typing import Any

import oslo_messaging
import pytest

from aacloud.core.topology import Vantage
from aacloud.rpc import envelope
from aacloud.rpc import messaging
from aacloud.rpc import peers
from aacloud.rpc import schema
from aacloud.rpc import signing
from tests.unit.rpc import bus
from tests.unit.rpc import heartbeats
from tests.unit.rpc import keys

RING = keys.ring()
WAIT = 20
ADDRESSES = {"management": "10.21.1.11"}
ASSIGNMENT = schema.Assignment(
    targets=(
        schema.PeerTarget(
            "dc2-r1-h1", Vantage.OTHER_DC, {"tenant": "10.22.2.11"}
        ),
    ),
    version="v7",
    refresh_s=3.0,
)


class Engine:
    """Answers with what it is told to."""

    def __init__(self) -> None:
        self.asked: list[schema.PeersRequest] = []
        self.error: Exception | None = None

    def __call__(self, request: schema.PeersRequest) -> schema.Assignment:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return ASSIGNMENT


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def transport() -> Iterator[messaging.RPCTransport]:
    with bus.transport() as made:
        yield made


@pytest.fixture
def serve(
    transport: messaging.RPCTransport, engine: Engine
) -> Iterator[None]:
    endpoint = peers.PeersEndpoint(RING, engine)
    server = peers.peers_server(transport, endpoint, name="engine-1")
    server.start()
    assert server.wait_listening(WAIT)
    yield
    server.stop(WAIT)


def client(
    transport: messaging.RPCTransport,
    ring: signing.KeyRing = RING,
    timeout: float = WAIT,
) -> peers.PeersClient:
    return peers.PeersClient(
        transport,
        ring,
        host="dc1-r1-h1",
        boot_id=heartbeats.BOOT,
        timeout=timeout,
    )


def test_an_agent_is_told_its_peers(
    transport: messaging.RPCTransport, engine: Engine, serve: None
) -> None:
    assert client(transport).peers(ADDRESSES) == ASSIGNMENT
    (asked,) = engine.asked
    assert (asked.host, asked.addresses) == ("dc1-r1-h1", ADDRESSES)
    assert asked.boot_id == heartbeats.BOOT


def test_an_engine_without_an_answer_says_why(
    transport: messaging.RPCTransport, engine: Engine, serve: None
) -> None:
    engine.error = peers.AssignmentUnavailable("no topology yet")
    with pytest.raises(peers.AssignmentUnavailable, match="no topology yet"):
        client(transport).peers(ADDRESSES)
    engine.error = ZeroDivisionError("secret detail")
    with pytest.raises(peers.AssignmentUnavailable, match="log says why"):
        client(transport).peers(ADDRESSES)


def test_an_agent_with_a_wrong_key_is_not_answered(
    transport: messaging.RPCTransport, engine: Engine, serve: None
) -> None:
    stranger = client(transport, keys.ring(k1=keys.WRONG))
    with pytest.raises(envelope.MessageError, match="key files"):
        stranger.peers(ADDRESSES)
    assert engine.asked == []


def test_no_engine_is_an_error_of_messaging(
    transport: messaging.RPCTransport,
) -> None:
    with pytest.raises(oslo_messaging.MessagingTimeout):
        client(transport, timeout=0.05).peers(ADDRESSES)


class Forger:
    """An engine that answers with somebody else's words."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def call(self, _context: Any, _method: str, message: Any) -> Any:
        return self.answer(message)


def forged(answer: Any) -> str:
    with bus.transport() as transport:
        asker = client(transport)
        asker._client = Forger(answer)
        with pytest.raises(envelope.MessageError) as caught:
            asker.peers(ADDRESSES)
    return caught.value.reason


def test_a_forged_or_recorded_assignment_is_refused() -> None:
    recorded = peers.PeersEndpoint(RING, Engine()).peers(
        None,
        envelope.seal(
            schema.peers_request_body(
                schema.PeersRequest(
                    "dc1-r1-h1", ADDRESSES, heartbeats.BOOT, "00" * 16
                )
            ),
            RING,
            signing.Purpose.PEERS,
        ),
    )
    assert forged(lambda _m: recorded) == "replayed"
    body = schema.assignment_body(ASSIGNMENT)
    stranger = keys.ring(k1=keys.WRONG)
    wrong = envelope.seal(body, stranger, signing.Purpose.ASSIGNMENT)
    assert forged(lambda _m: wrong) == "bad-signature"
    assert forged(lambda message: message) == "bad-signature"
    assert forged(lambda _m: body) == "malformed"
    assert forged(lambda _m: 7) == "malformed"


def test_a_broken_question_gets_an_empty_answer() -> None:
    endpoint = peers.PeersEndpoint(RING, Engine())
    for message in (None, {}, {"version": "1.0"}, "x", 7):
        assert endpoint.peers(None, message) == {}
