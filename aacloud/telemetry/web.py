# SPDX-License-Identifier: Apache-2.0
"""``/healthcheck`` and ``/metrics`` of a daemon, on a small WSGI server."""

from collections.abc import Iterable
import logging
import threading
from typing import Any
from wsgiref import types as wsgi

from cheroot import wsgi as cheroot_wsgi
from oslo_config import cfg
from oslo_middleware import healthcheck
import prometheus_client

LOG = logging.getLogger(__name__)

#: Enough for a scraper, a load balancer and an operator at a time.
THREADS = 3

#: Seconds that a client may keep a thread waiting.
CLIENT_TIMEOUT_S = 5


class _Server(cheroot_wsgi.Server):
    """Writes its errors to our log instead of standard error."""

    def error_log(
        self,
        msg: str = "",
        level: int = logging.INFO,
        traceback: bool = False,
    ) -> None:
        LOG.log(level, "Web server: %s", msg, exc_info=traceback)


class WebServer:
    """A WSGI application on a port, served by threads of this process.

    :param host: the address to listen on
    :param port: the port to listen on; 0 lets the system choose
    :param application: what answers
    :param threads: how many requests are served at a time
    :param client_timeout_s: how long a silent client keeps its thread
    """

    def __init__(
        self,
        host: str,
        port: int,
        application: wsgi.WSGIApplication,
        *,
        threads: int = THREADS,
        client_timeout_s: int = CLIENT_TIMEOUT_S,
    ) -> None:
        self._server = _Server(
            (host, port),
            application,
            numthreads=threads,
            max=threads,
            timeout=client_timeout_s,
            shutdown_timeout=client_timeout_s,
            server_name="aacloud",
        )
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that the server listens on, once it was started."""
        return int(self._server.bind_addr[1])

    def start(self) -> None:
        """Listen, and serve from a thread of its own.

        :raises OSError: the address is not of this host, or the port is
            taken
        """
        self._server.prepare()
        self._thread = threading.Thread(
            target=self._server.serve, name="web", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; requests being served get their answer."""
        self._server.stop()
        if self._thread is not None:
            self._thread.join(timeout=CLIENT_TIMEOUT_S)
            self._thread = None

class Monitoring:
    """The WSGI application behind ``/healthcheck`` and ``/metrics``."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._applications: dict[str, Any] = {
            "/healthcheck": healthcheck.Healthcheck(None, conf),
            "/metrics": prometheus_client.make_wsgi_app(),
        }

    def __call__(
        self,
        environ: dict[str, Any],
        start_response: wsgi.StartResponse,
    ) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "").rstrip("/")
        application = self._applications.get(path)
        if application is None:
            start_response(
                "404 Not Found", [("Content-Type", "text/plain")]
            )
            return [b"There are /healthcheck and /metrics here.\n"]
        answer: Iterable[bytes] = application(environ, start_response)
        return answer
