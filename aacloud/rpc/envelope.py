# SPDX-License-Identifier: Apache-2.0
"""Signed messages: a JSON text, and who signed exactly these bytes.

An envelope on the bus is ``{"version", "key", "mac", "body"}``. ``body`` is
canonical JSON *as text*, and the MAC is made over its bytes: so nothing
depends on two ends writing a number in the same way, and nothing is parsed
before it is known who wrote it.

Versions are ``major.minor``. A message of a newer minor version may carry
keys that are not known here: they are left alone. A newer major version is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
import ipaddress
import json
import math
import re
from typing import Any

from aacloud.rpc import signing

#: The version of everything that is signed on the bus.
MAJOR, MINOR = 1, 0
VERSION = f"{MAJOR}.{MINOR}"

#: Longer texts are not looked at; a report on 1000 paths has 150 kB.
MAX_BODY = 1024 * 1024
MAX_NAME = 255

_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\Z")
_WORD = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")


class MessageError(Exception):
    """A message is refused.

    :ivar reason: a short word to count by, such as ``bad-signature``
    :ivar sender: who it claims to be from, when that is known
    """

    def __init__(
        self, reason: str, text: str, sender: str | None = None
    ) -> None:
        super().__init__(text)
        self.reason = reason
        self.sender = sender


def malformed(text: str) -> MessageError:
    """Return the error for a message that is not as it should be."""
    return MessageError("malformed", text)


def seal(
    body: Mapping[str, Any], keys: signing.KeyRing, purpose: signing.Purpose
) -> dict[str, Any]:
    """Sign a body.

    :param body: JSON-able; its ``version`` is set here
    :raises ValueError: it is not JSON-able (a NaN, for instance)
    """
    text = json.dumps(
        {**body, "version": VERSION},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
    )
    key_id, mac = keys.sign(text.encode("ascii"), purpose)
    return {"version": VERSION, "key": key_id, "mac": mac.hex(), "body": text}


def unseal(
    message: object, keys: signing.KeyRing, purpose: signing.Purpose
) -> Mapping[str, Any]:
    """Check an envelope and return its body.

    :raises MessageError: ``malformed``, ``newer-version``, ``unsigned``,
        ``unknown-key`` or ``bad-signature``
    """
    if not isinstance(message, Mapping):
        raise malformed(
            f"a message is an object, not {type(message).__name__}"
        )
    check_version(message.get("version"))
    key_id, mac, text = (message.get(name) for name in ("key", "mac", "body"))
    if not isinstance(text, str) or len(text) > MAX_BODY:
        raise malformed("the body is not a text, or too long")
    if not isinstance(key_id, str) or not isinstance(mac, str):
        raise MessageError("unsigned", "the message carries no signature")
    try:
        raw_mac, raw = bytes.fromhex(mac), text.encode("utf-8")
    except ValueError as error:
        raise malformed("the signature or the body is not text") from error
    check = keys.check(key_id, raw_mac, raw, purpose)
    if check is signing.Check.UNKNOWN_KEY:
        raise MessageError(
            "unknown-key",
            f"the message is signed with the key {key_id[:32]!r}, which is "
            f"not accepted here (accepted: {', '.join(keys.key_ids)}); "
            "compare the key files of both hosts",
        )
    if check is not signing.Check.GOOD:
        raise MessageError(
            "bad-signature",
            f"the signature with key {key_id!r} is wrong: the message was "
            "changed or forged, or that key differs between the hosts",
        )
    try:
        body = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise malformed(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise malformed("the body is not an object")
    check_version(body.get("version"))
    return body


def check_version(version: object) -> None:
    """Refuse what is not a version, or a newer major one.

    :raises MessageError: ``malformed`` or ``newer-version``
    """
    match = _VERSION.match(version) if isinstance(version, str) else None
    if match is None:
        raise malformed("the message names no version such as '1.0'")
    if int(match.group(1)) != MAJOR:
        raise MessageError(
            "newer-version",
            f"the message has version {version}, this aacloud speaks "
            f"{VERSION}; run the same major version on engines and agents",
        )


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def text_of(
    source: Mapping[str, Any], key: str, limit: int = MAX_NAME
) -> str:
    """Return a text of 1 to ``limit`` printable characters."""
    value = source.get(key)
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= limit
        or not value.isprintable()
    ):
        raise malformed(f"{key!r} is not a text of 1 to {limit} characters")
    return value


def word_of(source: Mapping[str, Any], key: str) -> str:
    """Return a short lower-case word, such as the name of a network."""
    value = source.get(key)
    if not isinstance(value, str) or not _WORD.match(value):
        raise malformed(f"{key!r} is not a lower-case word")
    return value


def count_of(source: Mapping[str, Any], key: str) -> int:
    """Return a whole number from 0 to 2**63."""
    value = source.get(key)
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or not 0 <= value < 2**63
    ):
        raise malformed(f"{key!r} is not a whole number from 0")
    return value


def number_of(source: Mapping[str, Any], key: str) -> float:
    """Return a finite number from 0."""
    value = maybe_number_of(source, key)
    if value is None:
        raise malformed(f"{key!r} is not a number from 0")
    return value


def maybe_number_of(source: Mapping[str, Any], key: str) -> float | None:
    """Return a finite number from 0, or None when it is null or missing."""
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise malformed(f"{key!r} is not a number from 0")
    try:
        number = float(value)
    except OverflowError as error:
        raise malformed(f"{key!r} is too large a number") from error
    if not math.isfinite(number) or number < 0:
        raise malformed(f"{key!r} is not a number from 0")
    return number


def flag_of(source: Mapping[str, Any], key: str) -> bool:
    """Return a truth value, False when it is missing."""
    value = source.get(key, False)
    if not isinstance(value, bool):
        raise malformed(f"{key!r} is neither true nor false")
    return value


def list_of(source: Mapping[str, Any], key: str, limit: int) -> list[Any]:
    """Return a list of at most ``limit`` entries."""
    value = source.get(key)
    if not isinstance(value, list) or len(value) > limit:
        raise malformed(f"{key!r} is not a list of at most {limit} entries")
    return value


def addresses_of(source: Mapping[str, Any], key: str) -> dict[str, str]:
    """Return network to IP address, the addresses in their usual form."""
    value = source.get(key)
    if not isinstance(value, Mapping) or len(value) > 32:
        raise malformed(f"{key!r} is not a map of networks to addresses")
    found = {}
    for network, address in value.items():
        if not isinstance(network, str) or not _WORD.match(network):
            raise malformed(f"{key!r} names a network that is not a word")
        if not isinstance(address, str):
            raise malformed(f"{key!r} holds no IP address for {network}")
        try:
            found[network] = str(ipaddress.ip_address(address))
        except ValueError as error:
            raise malformed(
                f"{key!r} holds no IP address for {network}"
            ) from error
    return found


def strings_of(
    source: Mapping[str, Any], key: str, limit: int
) -> dict[str, str]:
    """Return a map of short texts to short texts."""
    value = source.get(key, {})
    if not isinstance(value, Mapping) or len(value) > limit:
        raise malformed(f"{key!r} is not a map of at most {limit} entries")
    return {
        name: text_of(value, name) for name in value if _named(key, name)
    }


def _named(key: str, name: object) -> bool:
    if isinstance(name, str) and 0 < len(name) <= MAX_NAME:
        return True
    raise malformed(f"{key!r} has a name that is not a short text")
