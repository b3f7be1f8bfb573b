# SPDX-License-Identifier: Apache-2.0
"""The snapshot on disk."""

import hashlib
import json
import os
import pathlib
import time

import pytest

from aacloud.scheduler.nova import snapshot_file
from tests.unit.scheduler import stage


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    engine = stage.Engine(stage.group("a", "spread:rack", members=["s1"]))
    made = tmp_path / "groups.json"
    snapshot_file.write(made, engine.get_snapshot(None, 1))
    return made


def refused(path: pathlib.Path) -> str:
    with pytest.raises(snapshot_file.Unusable) as found:
        snapshot_file.read(path)
    assert str(path) in str(found.value)
    return found.value.reason


def test_it_is_read_as_written(path: pathlib.Path) -> None:
    snapshot, age = snapshot_file.read(path)
    assert snapshot.revision == 2
    assert snapshot.groups[0].members == {"s1"}
    assert snapshot.topology == stage.topology()
    assert 0 <= age < 60


def test_its_age_counts_from_the_last_confirmation(
    path: pathlib.Path,
) -> None:
    then = time.time() - 500
    os.utime(path, (then, then))
    assert snapshot_file.read(path)[1] == pytest.approx(500, abs=30)
    assert not snapshot_file.confirm(path, 3)
    assert snapshot_file.read(path)[1] > 400
    assert snapshot_file.confirm(path, 2)
    assert snapshot_file.read(path)[1] < 60
    assert not snapshot_file.confirm(path.parent / "nothing", 2)


def test_a_file_of_the_future_is_not_young(path: pathlib.Path) -> None:
    then = time.time() + 5000
    os.utime(path, (then, then))
    assert snapshot_file.read(path)[1] > 4000


def test_nothing_there(tmp_path: pathlib.Path) -> None:
    assert refused(tmp_path / "groups.json") == "missing"
    assert refused(tmp_path) == "unreadable"


def test_every_cut_and_every_flipped_byte_is_found(
    path: pathlib.Path,
) -> None:
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert refused(path) in ("corrupt", "version")
    for place in range(0, len(whole), 5):
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])
        try:
            snapshot, _ = snapshot_file.read(path)
        except snapshot_file.Unusable as error:
            assert error.reason in ("corrupt", "version")
        else:
            # In the head's own revision, which only names the file.
            assert snapshot.revision == 2
    path.write_bytes(whole + b" ")
    assert refused(path) == "corrupt"


@pytest.mark.parametrize("where", ["head", "body"])
def test_another_version(path: pathlib.Path, where: str) -> None:
    head, _, body = path.read_bytes().partition(b"\n")
    told = json.loads(head)
    if where == "head":
        told["format"] = 2
    else:
        body = body.replace(b'"format":1', b'"format":2')
        told["sha256"] = hashlib.sha256(body).hexdigest()
    path.write_bytes(json.dumps(told).encode() + b"\n" + body)
    assert refused(path) == "version"


@pytest.mark.parametrize("content", [
    b"", b"\n", b"[]\n", b"{}\n{}", b"null\n", b"\xff\xfe\n"])
def test_something_else_altogether(
    path: pathlib.Path, content: bytes,
) -> None:
    path.write_bytes(content)
    assert refused(path) in ("corrupt", "version")


def test_a_write_that_fails_leaves_what_was(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    other = stage.Engine(stage.group("b")).get_snapshot(None, 1)
    with pytest.raises(OSError, match="No space"):
        snapshot_file.write(path, other)
    monkeypatch.undo()
    assert snapshot_file.read(path)[0].groups[0].name == "a"
    assert [one.name for one in path.parent.iterdir()] == ["groups.json"]
