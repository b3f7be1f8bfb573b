# SPDX-License-Identifier: Apache-2.0
"""sushy-tools' Redfish emulator as a process, with faults on request.

``python -m tests.functional.fencing.redfish_server DIR`` serves on a free
loopback port, which it prints. The file ``DIR/fault`` is read at each request:

* empty or missing: behave;
* ``lie``: answer 204 to a reset and do nothing;
* ``500`` or ``409``: answer that to a reset and do nothing;
* ``500-all``: answer 500 to everything;
* ``refuse-but-obey``: answer 500 to a reset and do it all the same;
* ``hang``: never answer;
* ``on-its-way``: say PoweringOff instead of Off.

``DIR/resets`` gets one line for each reset that arrived.
"""

import json
import os
import pathlib
import sys
import threading

from werkzeug import serving

HOST = "127.0.0.1"


class Faults:
    """WSGI middleware that makes a controller sick."""

    def __init__(self, app, directory):
        self._app = app
        self._directory = pathlib.Path(directory)

    def __call__(self, environ, start_response):
        try:
            fault = (self._directory / "fault").read_text().strip()
        except FileNotFoundError:
            fault = ""
        reset = environ["PATH_INFO"].endswith("ComputerSystem.Reset")
        if reset:
            with (self._directory / "resets").open("a") as log:
                log.write("reset\n")
        if fault == "hang":
            threading.Event().wait()
        if fault == "500-all" or (reset and fault in ("500", "409")):
            return self._error(fault[:3], start_response)
        if reset and fault == "lie":
            start_response("204 No Content", [])
            return [b""]
        if reset and fault == "refuse-but-obey":
            list(self._app(environ, lambda *args: None))
            return self._error("500", start_response)
        if fault != "on-its-way":
            return self._app(environ, start_response)
        answer = []
        body = self._app(environ, lambda *args: answer.extend(args))
        text = b"".join(body).replace(b'"Off"', b'"PoweringOff"')
        headers = [h for h in answer[1] if h[0] != "Content-Length"]
        headers.append(("Content-Length", str(len(text))))
        start_response(answer[0], headers)
        return [text]

    @staticmethod
    def _error(code, start_response):
        status = {"500": "500 Internal Server Error", "409": "409 Conflict"}
        body = json.dumps(
            {
                "error": {
                    "code": "Base.1.0.GeneralError",
                    "message": "the controller is sick",
                }
            }
        ).encode()
        start_response(
            status[code],
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
            ],
        )
        return [body]


def main():
    directory = sys.argv[1]
    os.environ["SUSHY_EMULATOR_CONFIG"] = os.path.join(
        directory, "emulator.conf"
    )
    from sushy_tools.emulator import main as emulator
    from sushy_tools.emulator.resources.systems import fakedriver

    # The emulator takes 1 to 11 s for a power change, by chance; always 1.
    fakedriver.random.randint = lambda low, high: low
    server = serving.make_server(
        HOST, 0, Faults(emulator.app, directory), threaded=True
    )
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
