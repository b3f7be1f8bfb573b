# SPDX-License-Identifier: Apache-2.0
"""sushy-tools' Redfish emulator in front of the lab's hosts.

Each BMC listens on an address of its own and knows one system. A power-off
ends the processes of the host for real; a power-on starts them again. Fault
files make a BMC dead (it takes requests and never answers) or lying (it
says Off, whatever the host does).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import logging
import os
import pathlib
import sys
import threading
import time
from typing import Any
import uuid

import bcrypt
import flask
from sushy_tools import error
from sushy_tools.emulator import main as emulator
from sushy_tools.emulator.resources.systems import base
from werkzeug import serving

from tests.lab import hosts
from tests.lab.plan import PORTS
from tests.lab.state import State

LOG = logging.getLogger("bmc")
#: How long a dead BMC holds a request that nobody gives up on.
DEAD_SECONDS = 300.0


class LabSystems(base.AbstractSystemsDriver):
    """One system for each address the request may have come in by."""

    def __init__(self, state: State, addresses: dict[str, str]) -> None:
        self._state = state
        self._hosts = addresses

    @property
    def driver(self) -> str:
        return "<lab>"

    def _host(self) -> str:
        return self._hosts[flask.request.environ["SERVER_NAME"]]

    @property
    def systems(self) -> list[str]:
        return [system_id(self._host())]

    def uuid(self, identity: str) -> str:
        host = self._host()
        if identity == system_id(host):
            return identity
        if identity == host:
            raise error.AliasAccessError(system_id(host))
        raise error.NotFound(f"System {identity} is not behind this BMC")

    def name(self, identity: str) -> str:
        self.uuid(identity)
        return self._host()

    def _lying(self) -> bool:
        return self._state.fault(f"bmc-lying.{self._host()}").exists()

    def get_power_state(self, identity: str) -> str:
        self.uuid(identity)
        if self._lying():
            return "Off"
        return "On" if hosts.powered(self._state, self._host()) else "Off"

    def set_power_state(self, identity: str, state: str) -> None:
        self.uuid(identity)
        host = self._host()
        LOG.info("%s: %s", host, state)
        if self._lying():
            return
        if state not in (
            "On", "ForceOn", "ForceOff", "GracefulShutdown",
            "GracefulRestart", "ForceRestart",
        ):  # fmt: skip
            raise error.NotSupportedError(f"Power action {state} not here")
        if "On" not in state:
            hosts.power_off(self._state, host)
        if "Off" not in state and state != "GracefulShutdown":
            hosts.power_on(self._state, host)

    def get_boot_device(self, identity: str) -> str:
        self.uuid(identity)
        return "Hdd"

    def set_boot_device(self, identity: str, boot_source: str) -> None:
        raise error.NotSupportedError("The boot device cannot be changed")


class Mortal:
    """Takes requests and keeps them while the BMC is dead."""

    def __init__(
        self,
        inner: Callable[..., Iterable[bytes]],
        state: State,
        addresses: dict[str, str],
    ) -> None:
        self.inner = inner
        self.state = state
        self.addresses = addresses

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        host = self.addresses[environ["SERVER_NAME"]]
        fault = self.state.fault(f"bmc-dead.{host}")
        if fault.exists():
            deadline = time.monotonic() + DEAD_SECONDS
            while fault.exists() and time.monotonic() < deadline:
                time.sleep(0.2)
            # What was asked meanwhile is lost, as it is when power fails.
            raise ConnectionAbortedError("the BMC was dead")
        return self.inner(environ, start_response)


def system_id(host: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{host}.aacloud.lab"))


def main() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s %(message)s"
    )
    state = State.load(pathlib.Path(os.environ["AACLOUD_LAB"]))
    addresses = {}
    for argument in sys.argv[1:]:
        host, _, address = argument.partition("=")
        addresses[address] = host
    scratch = state.run("bmc")
    scratch.mkdir(exist_ok=True)
    users = scratch / "users"
    password = os.environ["AALAB_BMC_PASSWORD"].encode()
    digest = bcrypt.hashpw(password, bcrypt.gensalt(4)).decode()
    users.write_text(f"{os.environ['AALAB_BMC_USER']}:{digest}\n")
    app = emulator.app
    app.configure(
        extra_config={
            "SUSHY_EMULATOR_AUTH_FILE": str(users),
            "SUSHY_EMULATOR_STATE_DIR": str(scratch),
        }
    )
    driver = LabSystems(state, addresses)
    driver.initialize(app.config, app.logger)
    emulator.Application.systems = property(lambda self: driver)
    application = Mortal(app, state, addresses)
    threads = []
    for address in addresses:
        server = serving.make_server(
            address, PORTS["bmc"], application, threaded=True
        )
        threads.append(
            threading.Thread(target=server.serve_forever, daemon=True)
        )
        threads[-1].start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
