# SPDX-License-Identifier: Apache-2.0
"""The harness with real processes and real signals."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests import ports

ROOT = pathlib.Path(__file__).resolve().parents[3]

#: Seconds in which anything that is waited for must have come.
PATIENCE_S = 60.0


def until(condition: Callable[[], object], what: str) -> object:
    """Wait for ``condition`` to return something true, and return it."""
    pause = threading.Event()
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        pause.wait(0.02)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


class Process:
    """The ticker, as a process with a configuration file."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.port = ports.free_port()
        self.log = directory / "log"
        self.out = directory / "out"
        self._process: subprocess.Popen[bytes] | None = None

    def configure(
        self, behaviour: str = "good", tick: object = 1, reports: str = ""
    ) -> None:
        (self.directory / "aacloud.conf").write_text(
            f"[DEFAULT]\nlog_file = {self.log}\n"
            f"[aacloud_agent]\nhost = {behaviour}\n"
            f"[aacloud_failover]\ntick = {tick}\n"
            f"[aacloud_service]\nhealth_port = {self.port}\n"
            f"[oslo_reports]\nlog_dir = {self.directory}\n{reports}\n"
        )

    def start(self) -> None:
        with self.out.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.functional.service.ticker",
                    f"--config-file={self.directory / 'aacloud.conf'}",
                ],
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def ended(self) -> int:
        """Wait for the end, and return the exit status."""
        assert self._process is not None
        return self._process.wait(timeout=PATIENCE_S)

    def logged(self, text: str) -> bool:
        return self.log.exists() and text in self.log.read_text()

    def health(self) -> dict[str, str]:
        """Return what the ticker tells of itself; nothing if it is silent."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=5
        )
        try:
            connection.request("GET", "/healthcheck")
            answer = connection.getresponse()
            assert answer.status == 503
            return dict(re.findall(r"(\w+)=(\S+)", answer.read().decode()))
        except OSError:
            return {}
        finally:
            connection.close()

    def report(self) -> str:
        """Return the report that was written; empty if there is none."""
        for path in self.directory.glob("aacloud-ticker_gurumed*"):
            return path.read_text()
        return ""

    def worker(self) -> int:
        """Wait for a worker that answers, and return its process id."""
        until(self.health, "a worker that answers")
        return int(self.health()["pid"])

    def clean_up(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait(timeout=PATIENCE_S)


@pytest.fixture
def process(tmp_path: pathlib.Path) -> Iterator[Process]:
    process = Process(tmp_path)
    process.configure()
    yield process
    process.clean_up()


def test_sigterm_ends_it_gracefully(process: Process) -> None:
    process.start()
    process.worker()
    process.signal(signal.SIGTERM)
    assert process.ended() == 0
    assert process.out.read_text() == "stopped\n"
    assert process.health() == {}


def test_sighup_reloads_in_place(process: Process) -> None:
    process.start()
    worker = process.worker()
    process.configure(tick=2)
    process.signal(signal.SIGHUP)
    until(lambda: process.health().get("reloads") == "1", "the reload")
    assert process.health() == {
        "pid": str(worker),
        "tick": "2.0",
        "reloads": "1",
    }
    assert process.logged("aacloud_failover.tick changed from [1] to [2]")


def test_sighup_with_wrong_files_changes_nothing(process: Process) -> None:
    process.start()
    worker = process.worker()
    process.configure(tick="soon")
    process.signal(signal.SIGHUP)
    refusal = "not reloaded, the old one stays: [aacloud_failover] tick"
    until(
        lambda: process.log.read_text().count(refusal) == 2,
        "the refusal of the main process and of the worker",
    )
    assert process.health() == {
        "pid": str(worker),
        "tick": "1.0",
        "reloads": "0",
    }
    process.configure(tick=3)
    process.signal(signal.SIGHUP)
    until(lambda: process.health().get("tick") == "3.0", "the reload")
    assert process.worker() == worker


def test_a_reload_that_fails_leaves_it_running(process: Process) -> None:
    process.configure("cannot-reload")
    process.start()
    worker = process.worker()
    process.signal(signal.SIGHUP)
    until(lambda: process.logged("the stars have moved"), "the failure")
    assert process.worker() == worker


def test_sigusr2_writes_a_report_of_the_worker(process: Process) -> None:
    process.start()
    worker = process.worker()
    process.signal(signal.SIGUSR2)
    until(lambda: "\nticker = FAILED" in process.report(), "the report")
    assert f"pid={worker} " in process.report()
    assert "ticker.py" in process.report(), "the threads are not in it"
    assert process.worker() == worker


def test_a_touched_file_writes_a_report_too(process: Process) -> None:
    touched = process.directory / "touch-me"
    touched.touch()
    process.configure(
        reports=f"file_event_handler = {touched}\n"
        "file_event_handler_interval = 1"
    )
    process.start()
    worker = process.worker()
    # The watcher compares with its own start.
    later = time.time() + 60
    os.utime(touched, (later, later))
    until(lambda: f"pid={worker} " in process.report(), "the report")


def test_a_file_to_touch_that_is_not_there(process: Process) -> None:
    missing = process.directory / "touch-me"
    process.configure(reports=f"file_event_handler = {missing}")
    process.start()
    process.worker()
    assert process.logged(f"names {missing}, which does not exist")


def test_a_worker_that_dies_is_replaced(process: Process) -> None:
    process.start()
    first = process.worker()
    os.kill(first, signal.SIGKILL)
    until(
        lambda: process.health().get("pid", str(first)) != str(first),
        "another worker",
    )


def test_a_replaced_worker_has_what_was_reloaded(process: Process) -> None:
    process.start()
    first = process.worker()
    process.configure(tick=2)
    process.signal(signal.SIGHUP)
    until(lambda: process.health().get("reloads") == "1", "the reload")
    os.kill(first, signal.SIGKILL)
    until(
        lambda: process.health().get("pid", str(first)) != str(first),
        "another worker",
    )
    assert process.health()["tick"] == "2.0"


def test_the_worker_ends_with_its_main_process(process: Process) -> None:
    process.start()
    process.worker()
    process.signal(signal.SIGKILL)
    process.ended()
    until(lambda: process.out.read_text() == "stopped\n", "the worker's end")


@pytest.mark.parametrize("behaviour", ["cannot-start", "ends"])
def test_it_is_tried_again(process: Process, behaviour: str) -> None:
    process.configure(behaviour)
    process.start()
    says = {
        "cannot-start": "could not start; it is tried again",
        "ends": "ended without being asked to",
    }[behaviour]
    until(
        lambda: process.log.exists()
        and process.log.read_text().count(says) >= 2,
        "two attempts",
    )
    process.signal(signal.SIGTERM)
    assert process.ended() == 0


def test_a_refused_file_is_final(process: Process) -> None:
    process.configure("refuses")
    process.start()
    assert process.ended() == 78
    text = process.log.read_text()
    assert text.count("cannot start: no key in the file") == 1


@pytest.mark.parametrize("tick", ["soon", 600])
def test_a_refused_value_is_final(process: Process, tick: object) -> None:
    process.configure(tick=tick)
    process.start()
    assert process.ended() == 78
    text = process.out.read_text()
    assert text.startswith("aacloud-ticker: [aacloud_failover] tick in ")
    assert "Traceback" not in text


def test_a_port_that_is_taken(process: Process) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", process.port))
        taken.listen()
        process.start()
        assert process.ended() == 78
    assert process.logged(
        f"cannot be served on 127.0.0.1 port {process.port}"
    )
