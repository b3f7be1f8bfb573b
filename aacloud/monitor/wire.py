# SPDX-License-Identifier: Apache-2.0
"""A probe on the wire: one authenticated UDP datagram each way.

::

    magic "AAPB" | major | minor | kind | 0 | nonce (16) | number (8)
    | key id | network | source | target | boot id     (length byte + UTF-8)
    | whatever a newer minor version adds
    | MAC (32): HMAC-SHA256 over all before it

Numbers are big-endian. A reply is as long as its request, so that nobody can
be flooded through a responder.
"""

from __future__ import annotations

import dataclasses
import enum
import struct

from aacloud.rpc import signing

MAGIC = b"AAPB"
MAJOR, MINOR = 1, 0
NONCE_BYTES = 16

#: Fits into one frame of every network.
MAX_PACKET = 1400

_HEAD = struct.Struct(">4sBBBB16sQ")
_FIELDS = 5


class Kind(enum.IntEnum):
    """What a datagram is."""

    REQUEST = 1
    REPLY = 2


class Drop(str, enum.Enum):
    """Why a datagram was dropped, to count by."""

    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    NEWER_VERSION = "newer-version"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"
    WRONG_TARGET = "wrong-target"
    WRONG_NETWORK = "wrong-network"
    WRONG_SOURCE = "wrong-source"
    OWN_NAME = "own-name"
    REPLAYED = "replayed"
    STALE_BOOT = "stale-boot"
    BAD_BOOT = "bad-boot"
    TOO_MANY = "too-many"
    NOT_ASKED = "not-asked"
    NOT_SENT = "not-sent"


class WireError(Exception):
    """A datagram cannot be read.

    :ivar drop: why
    """

    def __init__(self, drop: Drop, text: str) -> None:
        super().__init__(text)
        self.drop = drop


@dataclasses.dataclass(frozen=True, slots=True)
class Packet:
    """A datagram's content.

    :ivar network: the network it is to prove
    :ivar source: name of the host that sent it
    :ivar target: name of the host it is for
    :ivar boot_id: the life of the sender's agent
    :ivar seq: the request's number; a reply repeats it
    :ivar nonce: the request's nonce; a reply repeats it
    """

    kind: Kind
    network: str
    source: str
    target: str
    boot_id: str
    seq: int
    nonce: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Signed:
    """A datagram that was read, but whose sender is not proved yet."""

    packet: Packet
    key_id: str
    mac: bytes
    signed: bytes


def encode(packet: Packet, keys: signing.KeyRing) -> bytes:
    """Return the datagram, signed.

    :raises ValueError: a name is longer than 255 bytes, or all together are
        too long for a datagram
    """
    key_id, key = keys.signing_key()
    parts = [
        _HEAD.pack(
            MAGIC, MAJOR, MINOR, packet.kind, 0, packet.nonce, packet.seq
        )
    ]
    for text in (
        key_id,
        packet.network,
        packet.source,
        packet.target,
        packet.boot_id,
    ):
        raw = text.encode("utf-8")
        if len(raw) > 255:
            raise ValueError(f"the name {text[:40]!r}… is too long to probe")
        parts.append(bytes((len(raw),)))
        parts.append(raw)
    data = b"".join(parts)
    if len(data) + signing.MAC_BYTES > MAX_PACKET:
        raise ValueError("the names are too long to fit into a probe")
    return data + signing.mac_of(key, data, signing.Purpose.PROBE)


def decode(data: bytes) -> Signed:
    """Read a datagram without trusting it.

    :raises WireError: it is not a probe, or of a newer major version
    """
    if len(data) > MAX_PACKET:
        raise WireError(
            Drop.OVERSIZED, f"more than {MAX_PACKET} bytes are no probe"
        )
    end = len(data) - signing.MAC_BYTES
    if end < _HEAD.size + _FIELDS or data[:4] != MAGIC:
        raise WireError(Drop.MALFORMED, "this is no probe")
    _magic, major, _minor, kind, _flags, nonce, seq = _HEAD.unpack_from(data)
    if major != MAJOR:
        raise WireError(
            Drop.NEWER_VERSION,
            f"the probe has version {major}, this agent speaks {MAJOR}: run "
            "the same major version of aacloud on all hosts",
        )
    fields = []
    at = _HEAD.size
    for _ in range(_FIELDS):
        start = at + 1
        at = start + data[at] if at < end else end + 1
        if at > end:
            raise WireError(Drop.MALFORMED, "the probe is cut short")
        fields.append(data[start:at])
    try:
        key_id, network, source, target, boot_id = (
            field.decode("utf-8") for field in fields
        )
        packet = Packet(
            Kind(kind), network, source, target, boot_id, seq, nonce
        )
    except ValueError as error:
        raise WireError(Drop.MALFORMED, "the probe is garbled") from error
    return Signed(packet, key_id, data[end:], data[:end])


def nonce_asked(quoted: bytes) -> bytes | None:
    """Return the nonce of a request of which only the beginning is there."""
    if len(quoted) < _HEAD.size:
        return None
    magic, major, _minor, kind, _flags, nonce, _seq = _HEAD.unpack_from(quoted)
    known = magic == MAGIC and major == MAJOR and kind == Kind.REQUEST
    return nonce if known else None


def authenticate(signed: Signed, keys: signing.KeyRing) -> Packet:
    """Return the packet once its signature is checked.

    :raises WireError: it is signed with an unknown key, or wrongly
    """
    check = keys.check(
        signed.key_id, signed.mac, signed.signed, signing.Purpose.PROBE
    )
    if check is signing.Check.GOOD:
        return signed.packet
    if check is signing.Check.UNKNOWN_KEY:
        raise WireError(
            Drop.UNKNOWN_KEY,
            f"it is signed with the key {signed.key_id[:32]!r}, which is not "
            f"accepted here (accepted: {', '.join(keys.key_ids)}): compare "
            "the key files of both hosts",
        )
    raise WireError(
        Drop.BAD_SIGNATURE,
        f"its signature with key {signed.key_id[:32]!r} is wrong: it was "
        "changed or forged, or that key differs between the hosts",
    )
