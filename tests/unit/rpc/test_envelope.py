# SPDX-License-Identifier: Apache-2.0
import json
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.rpc import envelope
from aacloud.rpc import signing
from tests.unit.rpc import keys

RING = keys.ring()
REPORT = signing.Purpose.REPORT

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def reason_of(message: object) -> str:
    with pytest.raises(envelope.MessageError) as caught:
        envelope.unseal(message, RING, REPORT)
    assert str(caught.value)
    return caught.value.reason


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_what_was_sealed_comes_out(body: dict[str, Any]) -> None:
    sealed = envelope.seal(body, RING, REPORT)
    travelled = json.loads(json.dumps(sealed))
    opened = envelope.unseal(travelled, RING, REPORT)
    assert opened == {**body, "version": envelope.VERSION}


@given(JSON)
@settings(max_examples=200)
def test_any_message_is_refused_without_a_traceback(message: Any) -> None:
    with pytest.raises(envelope.MessageError):
        envelope.unseal(message, RING, REPORT)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "version": JSON | st.just("1.0"),
            "key": JSON | st.just("k1"),
            "mac": JSON | st.just("00" * 32),
            "body": JSON | st.just("{}"),
        },
    )
)
def test_any_envelope_is_refused_without_a_traceback(message: Any) -> None:
    with pytest.raises(envelope.MessageError):
        envelope.unseal(message, RING, REPORT)


def test_each_kind_of_forgery_has_its_reason() -> None:
    good = envelope.seal({"a": 1}, RING, REPORT)
    assert reason_of({**good, "body": good["body"] + " "}) == "bad-signature"
    assert reason_of({**good, "mac": "00" * 32}) == "bad-signature"
    assert reason_of({**good, "mac": ""}) == "bad-signature"
    assert reason_of({**good, "mac": "zz"}) == "malformed"
    assert reason_of({**good, "body": "\ud800"}) == "malformed"
    assert reason_of({**good, "key": "k9"}) == "unknown-key"
    unsigned = {k: v for k, v in good.items() if k not in ("key", "mac")}
    assert reason_of(unsigned) == "unsigned"
    assert reason_of(None) == "malformed"
    other = keys.ring(k1=keys.WRONG)
    assert reason_of(envelope.seal({}, other, REPORT)) == "bad-signature"
    elsewhere = envelope.seal({}, RING, signing.Purpose.ASSIGNMENT)
    assert reason_of(elsewhere) == "bad-signature"


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("1.9", None),
        ("2.0", "newer-version"),
        ("0.9", "newer-version"),
        ("1", "malformed"),
        ("1.0\n", "malformed"),
        (1.0, "malformed"),
        (None, "malformed"),
        ("99999.0", "malformed"),
    ],
)
def test_minor_versions_are_taken_and_major_ones_refused(
    version: object, reason: str | None
) -> None:
    message = {**envelope.seal({}, RING, REPORT), "version": version}
    if reason is None:
        assert envelope.unseal(message, RING, REPORT)
    else:
        assert reason_of(message) == reason


def signed_text(text: str) -> dict[str, str]:
    key_id, mac = RING.sign(text.encode(), REPORT)
    return {"version": "1.0", "key": key_id, "mac": mac.hex(), "body": text}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '"x"',
        "{",
        "[" * 100_000,
        '{"version":"1.0","x":NaN}',
        '{"version":"1.0","x":Infinity}',
        "{}",
        '{"version":7}',
    ],
)
def test_a_signed_but_broken_body_is_malformed(text: str) -> None:
    assert reason_of(signed_text(text)) == "malformed"


def test_the_version_inside_is_checked_too() -> None:
    assert reason_of(signed_text('{"version":"3.1"}')) == "newer-version"
    with pytest.raises(envelope.MessageError, match=r"3\.1.*speaks 1\.0"):
        envelope.unseal(signed_text('{"version":"3.1"}'), RING, REPORT)


def test_an_oversized_body_is_refused_before_it_is_looked_at() -> None:
    message = signed_text('{"version":"1.0","x":"' + "x" * 2**20 + '"}')
    assert reason_of(message) == "malformed"


def test_what_is_not_json_cannot_be_sealed() -> None:
    with pytest.raises(ValueError, match="JSON"):
        envelope.seal({"x": float("nan")}, RING, REPORT)
