# SPDX-License-Identifier: Apache-2.0
"""Processes of the lab are found by their environment, and ended."""

from collections.abc import Iterator
import os
import pathlib
import signal
import threading
import time

import pytest

from tests.lab import process


def entry(
    proc: pathlib.Path, pid: int, environ: bytes, state: str = "S"
) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "environ").write_bytes(environ)
    (folder / "stat").write_text(f"{pid} (odd) name) {state} 1 1 1")


def test_only_processes_of_the_lab_are_found(tmp_path: pathlib.Path) -> None:
    mine = (
        b"PATH=/bin\0AACLOUD_LAB=/a\0AACLOUD_LAB_NODE=dc1-r1-h1\0"
        b"AACLOUD_LAB_SERVICE=guest\0AACLOUD_LAB_GUEST=uuid-1\0"
    )
    entry(tmp_path, 10, mine)
    entry(tmp_path, 11, b"PATH=/bin\0")
    entry(tmp_path, 12, b"")
    entry(tmp_path, 13, b"AACLOUD_LAB=/b\0AACLOUD_LAB_NODE=witness\0")
    entry(tmp_path, 14, b"AACLOUD_LAB=/a\0")  # no node: not one of ours
    (tmp_path / "self").mkdir()
    (tmp_path / "15").mkdir()  # ended while we looked
    assert process.scan("/a", tmp_path) == [
        process.Proc(10, "/a", "dc1-r1-h1", "guest", "uuid-1", False)
    ]
    assert {proc.lab for proc in process.scan(None, tmp_path)} == {
        "/a",
        "/b",
    }


@pytest.mark.parametrize(
    ("state", "alive", "paused"),
    [("S", True, False), ("T", True, True), ("Z", False, False),
     ("X", False, False)],
)  # fmt: skip
def test_states(
    tmp_path: pathlib.Path, state: str, alive: bool, paused: bool
) -> None:
    entry(
        tmp_path, 7, b"AACLOUD_LAB=/a\0AACLOUD_LAB_NODE=n\0", state=state
    )
    found = process.look(7, tmp_path)
    assert (found is not None) is alive
    if found is not None:
        assert found.paused is paused


def test_odd_variables_do_no_harm() -> None:
    raw = b"AACLOUD_LAB\0=\0\xff=\xfe\0AACLOUD_LAB_NODE=a=b\xff\0"
    assert process.parse_environ(raw) == {"AACLOUD_LAB_NODE": "a=b\ufffd"}


@pytest.fixture
def sleeper(tmp_path: pathlib.Path) -> Iterator[process.Proc]:
    pid = process.spawn(
        ["sleep", "60"],
        env={
            **process.clean_environment(),
            **process.tags(str(tmp_path), "node", "sleeper"),
        },
        log=tmp_path / "log",
    )
    found = process.look(pid)
    assert found is not None
    yield found
    process.kill(process.scan(str(tmp_path)))


def test_a_started_process_is_found_paused_and_ended(
    sleeper: process.Proc,
) -> None:
    assert sleeper.service == "sleeper"
    process.send([sleeper], signal.SIGSTOP)
    stopped = process.look(sleeper.pid)
    assert stopped is not None
    process.end([sleeper], grace=5)
    assert process.look(sleeper.pid) is None


def test_a_started_process_does_not_belong_to_its_starter(
    sleeper: process.Proc,
) -> None:
    stat = pathlib.Path(f"/proc/{sleeper.pid}/stat").read_text()
    parent = int(stat.rpartition(")")[2].split()[1])
    assert parent != os.getpid()


def test_what_cannot_be_started_leaves_its_reason_in_the_log(
    tmp_path: pathlib.Path,
) -> None:
    log = tmp_path / "log"
    process.spawn(
        ["/does/not/exist"], env=process.clean_environment(), log=log
    )
    deadline = time.monotonic() + 10
    while "not found" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        threading.Event().wait(0.01)
    assert "/does/not/exist" in log.read_text()
