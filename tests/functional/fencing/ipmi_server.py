# SPDX-License-Identifier: Apache-2.0
"""pyghmi's own BMC as a process, with faults on request.

``python -m tests.functional.fencing.ipmi_server DIR PORT`` serves on that
loopback port and prints it. ``DIR/power`` holds the power state. The file
``DIR/fault`` is read at each request: ``lie`` (accepts, does nothing) or
``refuse`` (completion code 0xd5).
"""

import pathlib
import sys

from pyghmi.ipmi import bmc
from pyghmi.ipmi.private import serversession

_AUTH_ALGORITHM = 12
_HMAC_SHA1 = 1
_NO_SUCH_SUITE = 0x11


def _negotiate(accept):
    """Refuse what the server cannot do, as IPMI asks.

    pyghmi's server answers every proposal with HMAC-SHA1; its own client
    proposes HMAC-SHA256 first and takes the answer for a yes.
    """

    def create_open_session_response(self, request):
        if request[_AUTH_ALGORITHM] != _HMAC_SHA1:
            return bytearray([request[0], _NO_SUCH_SUITE, 0, 0]) + bytearray(
                request[4:8]
            )
        return accept(self, request)

    return create_open_session_response


class FileBmc(bmc.Bmc):
    """A BMC whose chassis is a file."""

    def __init__(self, directory, port):
        super().__init__(
            {"admin": "secret"}, port=port, address="127.0.0.1"
        )
        self._power = pathlib.Path(directory) / "power"
        self._fault = pathlib.Path(directory) / "fault"

    def get_power_state(self):
        return self._power.read_text().strip()

    def power_off(self):
        return self._switch("off")

    def power_on(self):
        return self._switch("on")

    def _switch(self, state):
        fault = self._fault.read_text().strip() if (
            self._fault.exists()
        ) else ""
        if fault == "refuse":
            return 0xD5
        if fault != "lie":
            self._power.write_text(state)
        return 0


def main():
    session = serversession.ServerSession
    session.create_open_session_response = _negotiate(
        session.create_open_session_response
    )
    directory, port = sys.argv[1], int(sys.argv[2])
    server = FileBmc(directory, port)
    print(port, flush=True)
    server.listen()


if __name__ == "__main__":
    main()
