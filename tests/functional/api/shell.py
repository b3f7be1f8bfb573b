# SPDX-License-Identifier: Apache-2.0
"""A server thread for the API, and runs of the openstack command."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import json
import multiprocessing
import os
import pathlib
import pty
import subprocess
import sys
import threading
import time
from typing import Any

from aacloud.telemetry import web
from tests import ports
from tests.functional.api import forked
from tests.unit.api import stage as stages

#: How long anything in these tests may take, in seconds.
DEADLINE_S = 60.0

#: Forks processes from one that has imported the client already.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([forked.__name__])

COMMAND = pathlib.Path(sys.executable).with_name("openstack")


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Return what the condition gives once it is true.

    :raises AssertionError: it was not true in time
    """
    deadline = time.monotonic() + DEADLINE_S
    tick = threading.Event()
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        tick.wait(0.05)
    raise AssertionError(f"not in {DEADLINE_S} s: {what}")


class Server:
    """The API of a stage on a port; it can be stopped and started."""

    def __init__(self, stage: stages.Stage) -> None:
        self._stage = stage
        self._web: web.WebServer | None = None
        self.port = ports.free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._web = web.WebServer(
            "127.0.0.1", self.port, self._stage.application, threads=4
        )
        self._web.start()

    def stop(self) -> None:
        if self._web is not None:
            self._web.stop()
            self._web = None


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run of the command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Run:
    """A run of the command that goes on; its output grows.

    :param master: the terminal, when the command has one
    """

    def __init__(
        self, process: subprocess.Popen[bytes], master: int | None = None
    ) -> None:
        self.process = process
        self._master = master
        self._parts: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        if self._master is None:
            assert self.process.stdout is not None
            fd = self.process.stdout.fileno()
        else:
            fd = self._master
        while True:
            try:
                part = os.read(fd, 65536)
            except OSError:  # the terminal was closed at the other end
                return
            if not part:
                return
            self._parts.append(part)

    @property
    def output(self) -> str:
        return b"".join(self._parts).decode("utf-8", "replace")

    def until(self, text: str) -> None:
        """Return when the command has said this."""

        def said() -> bool:
            if text in self.output:
                return True
            assert self.process.poll() is None or text in self.output, (
                f"it ended without {text!r}: {self.output}"
            )
            return False

        eventually(said, f"{text!r} in {self.output!r}")

    def wait(self) -> int:
        """Return the exit status when the command has ended."""
        status = self.process.wait(timeout=DEADLINE_S)
        self._reader.join(timeout=DEADLINE_S)
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=DEADLINE_S)
        self._reader.join(timeout=DEADLINE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        if self._master is not None:
            os.close(self._master)


class Shell:
    """Runs the openstack command against one endpoint.

    :param url: of the API
    :param home: an empty directory, so that nobody's clouds.yaml is read
    """

    def __init__(self, url: str, home: pathlib.Path) -> None:
        self._home = home
        self._runs: list[Run] = []
        self._options = {
            "OS_AUTH_TYPE": "admin_token",
            "OS_ENDPOINT": url,
            "OS_TOKEN": "admin",
        }

    def _environ(self, changes: Mapping[str, str]) -> dict[str, str]:
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("OS_") and "proxy" not in key.lower()
        }
        return {
            **clean,
            "HOME": str(self._home),
            "LANG": "C.UTF-8",
            "COLUMNS": "200",
            "PYTHONWARNINGS": "ignore",
            **self._options,
            **changes,
        }

    def __call__(self, *arguments: str, **changes: str) -> Result:
        """Run ``openstack ha …`` to its end, in a fork of a warm process.

        The client takes seconds to start; nearly all of it is imports.

        :param changes: of the environment
        """
        out, err = self._home / "stdout", self._home / "stderr"
        process = FORKS.Process(
            target=forked.run,
            args=(["ha", *arguments], self._environ(changes), out, err),
        )
        process.start()
        process.join(timeout=DEADLINE_S)
        if process.exitcode is None:
            process.kill()
            process.join(timeout=DEADLINE_S)
            raise AssertionError(f"{arguments} did not end: {err.read_text()}")
        return Result(
            process.exitcode,
            out.read_text(encoding="utf-8"),
            err.read_text(encoding="utf-8"),
        )

    def run(self, *arguments: str, **changes: str) -> Result:
        """Run the command to its end, in a process of its own."""
        done = subprocess.run(
            [str(COMMAND), "ha", *arguments],
            env=self._environ(changes),
            cwd=self._home,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return Result(
            done.returncode,
            done.stdout.decode("utf-8"),
            done.stderr.decode("utf-8"),
        )

    def start(self, *arguments: str, terminal: bool = False) -> Run:
        """Start ``openstack ha …``.

        :param terminal: give it a terminal for its output
        """
        command = [str(COMMAND), "ha", *arguments]
        environ = self._environ({"TERM": "xterm-256color"})
        if terminal:
            master, slave = pty.openpty()
            process = subprocess.Popen(
                command,
                env=environ,
                cwd=self._home,
                stdin=slave,
                stdout=slave,
                stderr=slave,
            )
            os.close(slave)
            run = Run(process, master)
        else:
            process = subprocess.Popen(
                command,
                env=environ,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            run = Run(process)
        self._runs.append(run)
        return run

    def close(self) -> None:
        """End what still runs."""
        for run in self._runs:
            run.close()
