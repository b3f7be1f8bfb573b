# SPDX-License-Identifier: Apache-2.0
"""``aacloud-api``: the REST API in one process, with threads.

A WSGI server that runs ``aacloud.wsgi.api:application`` serves the same.
"""

from collections.abc import Sequence
import logging
import threading

from oslo_config import cfg

from aacloud import conf as aacloud_conf
from aacloud.cmd import daemons
from aacloud.telemetry import health
from aacloud.telemetry import web

LOG = logging.getLogger(__name__)

#: Seconds that a client may be silent before its thread is given to another.
CLIENT_TIMEOUT_S = 30


class ApiDaemon:
    """The API under the harness of the daemons."""

    name = "api"

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._ended = threading.Event()
        self._server: web.WebServer | None = None

    def start(self) -> None:
        """Make the application and listen."""
        from aacloud.api import app
        from aacloud.db import errors as db_errors

        section = self._conf.aacloud_api
        place = f"{section.bind_host} port {section.bind_port}"
        try:
            application = app.make_app(self._conf)
        except db_errors.DatabaseError as exc:
            raise aacloud_conf.ConfigurationError([str(exc)]) from exc
        self._server = web.WebServer(
            section.bind_host,
            section.bind_port,
            application,
            threads=section.threads,
            client_timeout_s=CLIENT_TIMEOUT_S,
        )
        try:
            self._server.start()
        except OSError as exc:
            raise aacloud_conf.ConfigurationError(
                [
                    (
                        f"the API cannot listen on {place} ([aacloud_api] "
                        f"bind_host, bind_port): {exc}"
                    )
                ]
            ) from exc
        LOG.info("The API listens on %s", place)

    def stop(self) -> None:
        """Stop listening; answers under way are finished."""
        if self._server is not None:
            self._server.stop()
        self._ended.set()

    def wait(self) -> None:
        """Return when stop() was called."""
        self._ended.wait()

    def reload(self) -> None:
        """Nothing to do: the API reads its options on each request."""

    def checks(self) -> health.Checks:
        """The application brings its own checks when it is made."""
        return {"api": (False, "it is starting")}


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the API."""
    return daemons.run("aacloud-api", lambda: ApiDaemon, argv)
