# SPDX-License-Identifier: Apache-2.0
import base64
import logging
import pathlib

from hypothesis import given
from hypothesis import strategies as st
import pytest

from aacloud.conf import errors
from aacloud.rpc import signing
from tests.unit.rpc import keys

REPORT = signing.Purpose.REPORT


def test_a_signature_is_good_for_its_data_key_and_purpose_only() -> None:
    ring = keys.ring(k1=keys.FIRST)
    key_id, mac = ring.sign(b"data", REPORT)
    assert key_id == "k1"
    assert ring.check(key_id, mac, b"data", REPORT) is signing.Check.GOOD
    bad = signing.Check.BAD_SIGNATURE
    assert ring.check(key_id, mac, b"Data", REPORT) is bad
    assert ring.check(key_id, mac[:-1], b"data", REPORT) is bad
    assert ring.check(key_id, b"", b"data", REPORT) is bad
    assert ring.check(key_id, mac, b"data", signing.Purpose.PROBE) is bad
    other = keys.ring(k1=keys.WRONG)
    assert other.check(key_id, mac, b"data", REPORT) is bad
    unknown = signing.Check.UNKNOWN_KEY
    assert ring.check("k2", mac, b"data", REPORT) is unknown


def test_a_key_is_replaced_without_a_gap(tmp_path: pathlib.Path) -> None:
    here = keys.write(tmp_path / "here", old=keys.FIRST)
    there = keys.write(tmp_path / "there", old=keys.FIRST)
    ends = [signing.KeyRing.from_file(str(path)) for path in (here, there)]

    def both_understand() -> bool:
        return all(
            b.check(*a.sign(b"x", REPORT), b"x", REPORT)
            is signing.Check.GOOD
            for a, b in (ends, ends[::-1])
        )

    steps = (
        {"old": keys.FIRST, "new": keys.SECOND},
        {"new": keys.SECOND, "old": keys.FIRST},
        {"new": keys.SECOND},
    )
    for step in steps:
        for path, ring in zip((here, there), ends, strict=True):
            keys.write(path, **step)
            ring.reload()
            assert both_understand()
    assert ends[0].key_ids == ("new",)
    late = keys.ring(old=keys.FIRST)
    assert (
        ends[0].check(*late.sign(b"x", REPORT), b"x", REPORT)
        is signing.Check.UNKNOWN_KEY
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "no key"),
        ("# nothing\n\n", "no key"),
        ("just a line\n", "line 1 does not start with"),
        (": eA==\n", "line 1 does not start with"),
        ("k1: not base64!\n", "line 1 ('k1') is not base64"),
        ("k1: c2hvcnQ=\n", "has 5 bytes"),
        (f"k1: {'A' * 44}\nk1: {'A' * 44}\n", "line 2 repeats"),
    ],
)
def test_a_wrong_key_file_is_refused_with_the_line(
    tmp_path: pathlib.Path, text: str, wanted: str
) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(errors.ConfigurationError) as caught:
        signing.KeyRing.from_file(str(path))
    assert wanted in str(caught.value)
    assert str(path) in str(caught.value)


def test_every_wrong_line_is_named_and_no_key_is_shown() -> None:
    secret = base64.b64encode(b"tiny-secret").decode()
    with pytest.raises(signing.KeyFileError) as caught:
        signing.parse_keys(f"a: {secret}\nb\nc: %%%\n")
    text = str(caught.value)
    assert "line 1" in text
    assert "line 2" in text
    assert "line 3" in text
    assert secret not in text


def test_a_missing_and_a_binary_file_are_refused(
    tmp_path: pathlib.Path,
) -> None:
    with pytest.raises(signing.KeyFileError, match="No such file"):
        signing.KeyRing.from_file(str(tmp_path / "none"))
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(signing.KeyFileError, match="UTF-8"):
        signing.KeyRing.from_file(str(path))
    path.write_bytes(b"#" * 70000)
    with pytest.raises(signing.KeyFileError, match="larger"):
        signing.KeyRing.from_file(str(path))


def test_a_reload_with_a_wrong_file_keeps_the_old_keys(
    tmp_path: pathlib.Path,
) -> None:
    path = keys.write(tmp_path / "keys", k1=keys.FIRST)
    ring = signing.KeyRing.from_file(str(path))
    path.write_text("broken")
    with pytest.raises(signing.KeyFileError):
        ring.reload()
    assert ring.key_ids == ("k1",)
    assert ring.sign(b"x", REPORT)[0] == "k1"


def test_a_file_open_to_others_is_warned_about(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = keys.write(tmp_path / "keys", k1=keys.FIRST)
    with caplog.at_level(logging.WARNING):
        signing.KeyRing.from_file(str(path))
    assert not caplog.records
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        signing.KeyRing.from_file(str(path))
    assert "mode 0644" in caplog.text
    assert "chmod 600" in caplog.text


def test_a_generated_key_can_be_used() -> None:
    made = {signing.generate_key() for _ in range(10)}
    assert len(made) == 10
    for key in made:
        assert len(signing.parse_keys(f"k: {key}")["k"]) == 32


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = signing.parse_keys(text)
    except signing.KeyFileError:
        return
    assert found
