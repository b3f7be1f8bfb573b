# SPDX-License-Identifier: Apache-2.0
import dataclasses

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.monitor import responder
from aacloud.monitor import wire
from aacloud.rpc import replay
from aacloud.rpc import signing
from tests.unit.monitor.test_wire import PACKETS
from tests.unit.monitor.test_wire import REQUEST
from tests.unit.rpc import keys

RING = keys.ring()
OWN_BOOT = replay.make_boot_id(1_700_000_000_500)


def make(ring: signing.KeyRing = RING) -> responder.Responder:
    return responder.Responder("dc1-r1-h2", OWN_BOOT, ring)


def ask(
    target: responder.Responder,
    packet: wire.Packet = REQUEST,
    *,
    ring: signing.KeyRing = RING,
    network: str = "management",
    now: float = 0.0,
) -> wire.Packet:
    signed = wire.decode(wire.encode(packet, ring))
    answer = target.answer(signed, network, now)
    return wire.authenticate(wire.decode(answer), RING)


def drop_of(*args: object, **kwargs: object) -> wire.Drop:
    with pytest.raises(wire.WireError) as caught:
        ask(*args, **kwargs)  # type: ignore[arg-type]
    return caught.value.drop


def test_a_request_is_answered_with_its_nonce_in_the_own_name() -> None:
    assert ask(make()) == wire.Packet(
        kind=wire.Kind.REPLY,
        network="management",
        source="dc1-r1-h2",
        target="dc1-r1-h1",
        boot_id=OWN_BOOT,
        seq=7,
        nonce=REQUEST.nonce,
    )


def test_a_request_is_answered_once() -> None:
    target = make()
    ask(target)
    assert drop_of(target) is wire.Drop.REPLAYED
    ask(target, dataclasses.replace(REQUEST, seq=8))
    assert drop_of(target) is wire.Drop.REPLAYED


def test_each_network_has_its_own_numbers() -> None:
    target = make()
    ask(target)
    ask(
        target,
        dataclasses.replace(REQUEST, network="tenant"),
        network="tenant",
    )


def test_an_earlier_life_gets_no_answer() -> None:
    target = make()
    later = replay.make_boot_id(1_700_000_000_001)
    ask(target)
    ask(target, dataclasses.replace(REQUEST, boot_id=later, seq=1))
    again = dataclasses.replace(REQUEST, seq=9)
    assert drop_of(target, again) is wire.Drop.STALE_BOOT
    odd = dataclasses.replace(REQUEST, boot_id="odd")
    assert drop_of(target, odd) is wire.Drop.BAD_BOOT


@pytest.mark.parametrize(
    ("change", "drop"),
    [
        ({"target": "dc1-r1-h3"}, wire.Drop.WRONG_TARGET),
        ({"network": "tenant"}, wire.Drop.WRONG_NETWORK),
        ({"source": "dc1-r1-h2"}, wire.Drop.OWN_NAME),
    ],
)
def test_a_request_for_somebody_else_gets_no_answer(
    change: dict[str, str], drop: wire.Drop
) -> None:
    packet = dataclasses.replace(REQUEST, **change)  # type: ignore[arg-type]
    assert drop_of(make(), packet) is drop


def test_who_has_no_key_gets_no_answer() -> None:
    wrong = keys.ring(k1=keys.WRONG)
    assert drop_of(make(), ring=wrong) is wire.Drop.BAD_SIGNATURE
    other = keys.ring(k2=keys.WRONG)
    assert drop_of(make(), ring=other) is wire.Drop.UNKNOWN_KEY


@given(PACKETS, st.binary(min_size=32, max_size=32))
@settings(max_examples=200)
def test_no_forged_request_is_ever_answered(
    packet: wire.Packet, mac: bytes
) -> None:
    data = wire.encode(packet, RING)[:-32] + mac
    with pytest.raises(wire.WireError):
        make().answer(wire.decode(data), "management", 0.0)


def test_who_asks_too_often_waits() -> None:
    target = make()
    burst = int(responder.ANSWER_BURST)
    for seq in range(burst):
        ask(target, dataclasses.replace(REQUEST, seq=seq))
    more = dataclasses.replace(REQUEST, seq=burst)
    assert drop_of(target, more) is wire.Drop.TOO_MANY
    neighbour = dataclasses.replace(REQUEST, source="dc2-r1-h1")
    ask(target, neighbour)
    later = dataclasses.replace(REQUEST, seq=burst + 1)
    ask(target, later, now=1.0)


def test_a_new_key_is_used_once_it_is_known() -> None:
    ring = keys.ring(k1=keys.FIRST, k2=keys.SECOND)
    ask(make(ring), ring=keys.ring(k2=keys.SECOND))
