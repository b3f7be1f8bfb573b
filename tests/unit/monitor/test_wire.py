# SPDX-License-Identifier: Apache-2.0
import dataclasses

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.monitor import wire
from aacloud.rpc import signing
from tests.unit.rpc import heartbeats
from tests.unit.rpc import keys

RING = keys.ring()
NAMES = st.text(max_size=60)
PACKETS = st.builds(
    wire.Packet,
    kind=st.sampled_from(wire.Kind),
    network=NAMES,
    source=NAMES,
    target=NAMES,
    boot_id=NAMES,
    seq=st.integers(0, 2**64 - 1),
    nonce=st.binary(min_size=16, max_size=16),
)
REQUEST = wire.Packet(
    kind=wire.Kind.REQUEST,
    network="management",
    source="dc1-r1-h1",
    target="dc1-r1-h2",
    boot_id=heartbeats.BOOT,
    seq=7,
    nonce=bytes(range(16)),
)


def drop_of(data: bytes, ring: signing.KeyRing = RING) -> wire.Drop:
    with pytest.raises(wire.WireError) as caught:
        wire.authenticate(wire.decode(data), ring)
    assert str(caught.value)
    return caught.value.drop


@given(PACKETS)
def test_a_packet_comes_back_as_it_was(packet: wire.Packet) -> None:
    data = wire.encode(packet, RING)
    assert len(data) <= wire.MAX_PACKET
    assert wire.authenticate(wire.decode(data), RING) == packet


@given(st.binary(max_size=2000))
@settings(max_examples=300)
def test_any_bytes_are_dropped_without_a_traceback(data: bytes) -> None:
    assert isinstance(drop_of(data), wire.Drop)


@given(st.binary(max_size=400), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=300)
def test_any_bytes_after_a_good_start_are_dropped(
    rest: bytes, major: int, kind: int
) -> None:
    head = wire.MAGIC + bytes((major, 0, kind, 0)) + bytes(24)
    assert isinstance(drop_of(head + rest), wire.Drop)


@given(st.data())
@settings(max_examples=200)
def test_a_changed_bit_is_always_noticed(data: st.DataObject) -> None:
    good = bytearray(wire.encode(REQUEST, RING))
    place = data.draw(st.integers(0, len(good) - 1))
    good[place] ^= 1 << data.draw(st.integers(0, 7))
    assert isinstance(drop_of(bytes(good)), wire.Drop)


@given(st.integers(0, 200))
def test_a_cut_packet_is_dropped(size: int) -> None:
    good = wire.encode(REQUEST, RING)
    assert isinstance(drop_of(good[: min(size, len(good) - 1)]), wire.Drop)


def test_each_kind_of_forgery_has_its_reason() -> None:
    good = wire.encode(REQUEST, RING)
    assert drop_of(good[:-32] + bytes(32)) is wire.Drop.BAD_SIGNATURE
    wrong = wire.encode(REQUEST, keys.ring(k1=keys.WRONG))
    assert drop_of(wrong) is wire.Drop.BAD_SIGNATURE
    other = wire.encode(REQUEST, keys.ring(k7=keys.WRONG))
    assert drop_of(other) is wire.Drop.UNKNOWN_KEY
    assert drop_of(good + bytes(1400)) is wire.Drop.OVERSIZED
    assert drop_of(b"hello") is wire.Drop.MALFORMED
    assert drop_of(good[:4] + b"\x02" + good[5:]) is wire.Drop.NEWER_VERSION


def test_a_signature_of_a_report_is_no_signature_of_a_probe() -> None:
    good = wire.encode(REQUEST, RING)
    _key, mac = RING.sign(good[:-32], signing.Purpose.REPORT)
    assert drop_of(good[:-32] + mac) is wire.Drop.BAD_SIGNATURE


def test_what_a_newer_minor_version_adds_is_left_alone() -> None:
    _key_id, key = RING.signing_key()
    good = bytearray(wire.encode(REQUEST, RING)[:-32])
    good[5] = 9
    newer = bytes(good) + b"something new"
    data = newer + signing.mac_of(key, newer, signing.Purpose.PROBE)
    assert wire.authenticate(wire.decode(data), RING) == REQUEST


def test_a_reply_is_as_long_as_its_request() -> None:
    reply = dataclasses.replace(
        REQUEST,
        kind=wire.Kind.REPLY,
        source=REQUEST.target,
        target=REQUEST.source,
    )
    sizes = {len(wire.encode(packet, RING)) for packet in (REQUEST, reply)}
    assert len(sizes) == 1


def test_names_that_do_not_fit_are_refused_at_the_sender() -> None:
    for name in ("x" * 256, "\N{SNOWMAN}" * 100):
        with pytest.raises(ValueError, match="too long"):
            wire.encode(dataclasses.replace(REQUEST, target=name), RING)
    longest = dataclasses.replace(
        REQUEST, source="s" * 255, target="t" * 255, network="n" * 255
    )
    assert len(wire.encode(longest, RING)) <= wire.MAX_PACKET
