# SPDX-License-Identifier: Apache-2.0
"""What Prometheus learns of the API."""

import os
import time
from typing import Any
from wsgiref import types as wsgi

import falcon
import prometheus_client
from prometheus_client import multiprocess

REQUESTS = prometheus_client.Counter(
    "aacloud_api_requests",
    "Requests that were answered",
    ["method", "route", "status"],
)
SECONDS = prometheus_client.Histogram(
    "aacloud_api_request_seconds",
    "How long the answers took",
    ["method", "route"],
)

#: Set by the operator when several processes serve the API (see the manual
#: of prometheus-client); then the figures of all of them are told.
SHARED_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"})


def application() -> wsgi.WSGIApplication:
    """Return the WSGI application behind ``/metrics``."""
    if SHARED_DIRECTORY not in os.environ:
        return prometheus_client.make_wsgi_app()
    registry = prometheus_client.CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return prometheus_client.make_wsgi_app(registry)


class Measurement:
    """Falcon middleware that counts and times."""

    def process_request(
        self, request: falcon.Request, answer: falcon.Response
    ) -> None:
        """Remember when the request came."""
        request.context.came = time.monotonic()

    def process_response(
        self,
        request: falcon.Request,
        answer: falcon.Response,
        resource: Any,
        succeeded: bool,
    ) -> None:
        """Count the answer, under the route and not under the path."""
        route = request.uri_template or "none"
        method = request.method if request.method in _METHODS else "other"
        REQUESTS.labels(method, route, str(answer.status_code)).inc()
        SECONDS.labels(method, route).observe(
            time.monotonic() - request.context.came
        )
