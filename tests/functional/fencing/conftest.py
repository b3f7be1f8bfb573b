# SPDX-License-Identifier: Apache-2.0
"""Real controllers on loopback, each a process of its own."""

import dataclasses
import pathlib
import socket
import subprocess
import sys

import bcrypt
import pytest

from aacloud.fencing import base
from tests import ports

USER = "admin"
PASSWORD = "secret"
SYSTEM = "3f2b8d0a-9d0c-4f6e-8f53-5a6f6f1d0001"
OTHER_SYSTEM = "3f2b8d0a-9d0c-4f6e-8f53-5a6f6f1d0002"


@dataclasses.dataclass
class Controller:
    """A running controller and its fault switch."""

    directory: pathlib.Path
    process: subprocess.Popen
    port: int

    def fault(self, name: str) -> None:
        (self.directory / "fault").write_text(name)

    @property
    def resets(self) -> int:
        try:
            return len((self.directory / "resets").read_text().split())
        except FileNotFoundError:
            return 0

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


def _spawn(module, directory, *arguments):
    log = (directory / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(directory), *arguments],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    log.close()
    line = process.stdout.readline().strip()
    if not line:
        process.wait(10)
        raise AssertionError((directory / "log").read_text())
    return Controller(directory, process, int(line))


@pytest.fixture
def redfish(tmp_path):
    """Start Redfish emulators: redfish(power="On", systems=1)."""
    started = []

    def start(power="On", systems=1):
        directory = tmp_path / f"redfish{len(started)}"
        directory.mkdir()
        auth = directory / "htpasswd"
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4))
        auth.write_text(f"{USER}:{hashed.decode()}\n")
        fakes = [
            {
                "uuid": uuid,
                "name": uuid[-4:],
                "power_state": power,
                "external_notifier": False,
                "nics": [],
            }
            for uuid in (SYSTEM, OTHER_SYSTEM)[:systems]
        ]
        (directory / "emulator.conf").write_text(
            "SUSHY_EMULATOR_FAKE_DRIVER = True\n"
            f"SUSHY_EMULATOR_AUTH_FILE = {str(auth)!r}\n"
            f"SUSHY_EMULATOR_STATE_DIR = {str(directory)!r}\n"
            f"SUSHY_EMULATOR_FAKE_SYSTEMS = {fakes!r}\n"
        )
        controller = _spawn(
            "tests.functional.fencing.redfish_server", directory
        )
        started.append(controller)
        return controller

    yield start
    for controller in started:
        controller.stop()


@pytest.fixture
def ipmi(tmp_path):
    """Start IPMI controllers: ipmi(power="on")."""
    started = []

    def start(power="on"):
        directory = tmp_path / f"ipmi{len(started)}"
        directory.mkdir()
        (directory / "power").write_text(power)
        controller = _spawn(
            "tests.functional.fencing.ipmi_server",
            directory,
            str(ports.free_port(socket.SOCK_DGRAM)),
        )
        started.append(controller)
        return controller

    yield start
    for controller in started:
        controller.stop()


def redfish_target(port, host="h1", **changes):
    """Return the entry of a host behind an emulator on this port."""
    values = {
        "host": host,
        "driver": "redfish",
        "address": f"http://127.0.0.1:{port}",
        "username": USER,
        "password": PASSWORD,
        "options": {},
        **changes,
    }
    return base.FenceTarget(**values)


def ipmi_target(port, host="h1", **changes):
    """Return the entry of a host behind an IPMI controller."""
    values = {
        "host": host,
        "driver": "ipmi",
        "address": f"127.0.0.1:{port}",
        "username": USER,
        "password": PASSWORD,
        "options": {},
        **changes,
    }
    return base.FenceTarget(**values)
