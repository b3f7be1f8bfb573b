# SPDX-License-Identifier: Apache-2.0
import os
import pathlib

import pytest

from aacloud.monitor import identity
from aacloud.monitor import state
from aacloud.rpc import replay


def test_what_was_saved_is_loaded(tmp_path: pathlib.Path) -> None:
    kept = state.StateFile(str(tmp_path / "new"), "peers", "dc1/r1 h1")
    assert kept.load() is None
    assert kept.save({"a": 1})
    assert kept.save({"a": 2})
    assert kept.load() == {"a": 2}
    assert os.listdir(tmp_path / "new") == ["agent-dc1_r1_h1-peers.json"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"7", b"\xff", b"[" * 100_000]
)
def test_a_broken_file_is_ignored_with_a_warning(
    tmp_path: pathlib.Path,
    content: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = state.StateFile(str(tmp_path), "peers", "h")
    pathlib.Path(kept.path).write_bytes(content)
    assert kept.load() is None
    assert "Ignoring" in caplog.text
    assert kept.path in caplog.text
    assert kept.save({"a": 1})
    assert kept.load() == {"a": 1}


def test_a_file_that_cannot_be_replaced_stays_whole(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = state.StateFile(str(tmp_path), "peers", "h")
    kept.save({"a": 1})

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert not kept.save({"a": 2})
    assert "No space left" in caplog.text
    assert kept.load() == {"a": 1}
    assert len(os.listdir(tmp_path)) == 1


def test_a_directory_that_cannot_be_made_is_no_end(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    kept = state.StateFile(str(tmp_path / "file" / "x"), "peers", "h")
    assert not kept.save({})
    assert kept.load() is None
    assert "state_path" in caplog.text


def test_each_life_is_later_than_the_last(tmp_path: pathlib.Path) -> None:
    stamps = []
    # The clock goes back between the second and the third life.
    for utc in (1000.0, 2000.0, 1500.0, 1500.0, 3000.0):
        boot = identity.new_boot_id(str(tmp_path), "h", utc)
        stamp = replay.boot_stamp(boot)
        assert stamp is not None
        stamps.append(stamp)
    assert stamps == [1_000_000, 2_000_000, 2_000_001, 2_000_002, 3_000_000]


def test_a_life_is_named_without_a_disk_too(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    boot = identity.new_boot_id(str(tmp_path / "file"), "h", 5.0)
    assert replay.boot_stamp(boot) == 5000
    kept = state.StateFile(str(tmp_path), "boot", "h")
    kept.save({"stamp_ms": "soon"})
    boot = identity.new_boot_id(str(tmp_path), "h", 5.0)
    assert replay.boot_stamp(boot) == 5000
