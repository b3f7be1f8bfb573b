# SPDX-License-Identifier: Apache-2.0
"""A RabbitMQ of our own, in a temporary directory, on loopback only."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import threading
import time

import kombu

from tests import ports

#: Seconds to come up or go down on a busy machine.
START_TIMEOUT = 180

#: Debian keeps the program itself here; the one on the path is a wrapper.
PLACES = ("/usr/lib/rabbitmq/bin", "/usr/lib/rabbitmq/sbin")


def find(name: str) -> str | None:
    """The program, if it is installed."""
    path = os.pathsep.join((*PLACES, os.environ.get("PATH", "")))
    return shutil.which(name, path=path)


def missing() -> str | None:
    """Why there can be no server here, or None."""
    for name in ("rabbitmq-server", "rabbitmqctl", "epmd"):
        if find(name) is None:
            return f"{name} is not installed (package rabbitmq-server)"
    return None


def server_user() -> str | None:
    """Who the server runs as: root steps down to rabbitmq."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("rabbitmq").pw_name
    return None


class RabbitMQ:
    """One broker; it can be killed and started again, with its data.

    :param directory: empty
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.port = ports.free_port()
        self.url = f"rabbit://guest:guest@127.0.0.1:{self.port}//"
        self.user = server_user()
        self._epmd_port = ports.free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        (directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{self.port}\n"
            "log.console = true\n"
            "log.console.level = warning\n"
            "log.file = false\n"
            "disk_free_limit.absolute = 10MB\n"
        )
        (directory / "enabled_plugins").write_text("[].\n")
        if self.user:
            for path in (directory, *directory.iterdir()):
                shutil.chown(path, self.user, self.user)
        self._environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(directory),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(
                directory / "enabled_plugins"
            ),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_GENERATED_CONFIG_DIR": str(directory / "config"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none "
                "-kernel inet_dist_use_interface {127,0,0,1}"
            ),
            "RABBITMQ_DIST_PORT": str(ports.free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
        }

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        if self._epmd is None:
            self._epmd = self._run(
                "epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"
            )
        self._server = self._run("rabbitmq-server")
        deadline = time.monotonic() + START_TIMEOUT
        pause = threading.Event()
        while not self.answers():
            log = (self.directory / "log.txt").read_text(errors="replace")
            assert self._server.poll() is None, log[-2000:]
            assert time.monotonic() < deadline, log[-2000:]
            pause.wait(0.1)

    def answers(self) -> bool:
        """Whether a client can connect."""
        url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        with kombu.Connection(url, connect_timeout=2) as connection:
            try:
                connection.connect()
            except (OSError, *connection.connection_errors):
                return False
            return True

    def kill(self) -> None:
        """End it the hard way; its durable data stays."""
        server, self._server = self._server, None
        if server is not None:
            _kill(server)

    def close(self) -> None:
        """End it and all that belongs to it."""
        self.kill()
        if self._epmd is not None:
            _kill(self._epmd)
            self._epmd = None

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl and return what it prints."""
        program = find("rabbitmqctl")
        assert program is not None
        return subprocess.run(
            [program, "-q", *arguments],
            env=self._environment,
            user=self.user,
            check=True,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT,
        ).stdout

    def queues(self) -> dict[str, int]:
        """Queue to the number of messages that wait in it."""
        lines = self.control(
            "list_queues", "--no-table-headers", "name", "messages"
        ).splitlines()
        return {
            name: int(count)
            for name, count in (line.rsplit(None, 1) for line in lines)
        }

    def _run(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        program = find(name)
        assert program is not None
        with (self.directory / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [program, *arguments],
                env=self._environment,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(START_TIMEOUT)
