# SPDX-License-Identifier: Apache-2.0
"""The WSGI application of the API, put together.

From the outside to the inside: ``/metrics`` and ``/healthcheck``, the scheme
and host that a proxy saw, the request id, one shape for all errors, the size
limit, Keystone's token, and then falcon with the resources.
"""

from collections.abc import Callable
import http
import threading
import time
from typing import Any
from wsgiref import types as wsgi

import falcon
from keystonemiddleware import auth_token
from oslo_config import cfg
from oslo_log import log
from oslo_middleware import http_proxy_to_wsgi
from oslo_middleware import request_id
from oslo_middleware import sizelimit

from aacloud.api import engine as api_engine
from aacloud.api import errors
from aacloud.api import metrics
from aacloud.api import middleware
from aacloud.api import openapi
from aacloud.api import policy
from aacloud.api import services
from aacloud.api import versions
from aacloud.api.v1 import failover
from aacloud.api.v1 import group_actions
from aacloud.api.v1 import group_servers
from aacloud.api.v1 import groups
from aacloud.api.v1 import hosts
from aacloud.api.v1 import incidents
from aacloud.api.v1 import plans
from aacloud.api.v1 import topology
from aacloud.db import api as db_api
from aacloud.db import engine
from aacloud.db import errors as db_errors
from aacloud.db import groups as db_groups
from aacloud.db import inspections as db_inspections
from aacloud.db import plans as db_plans
from aacloud.db import quotas as db_quotas
from aacloud.telemetry import health
from aacloud.telemetry import web

LOG = log.getLogger(__name__)

#: Wraps the application into one that knows who calls.
Authenticate = Callable[[wsgi.WSGIApplication], wsgi.WSGIApplication]

#: Every resource of the API, in the order of the reference.
RESOURCES: tuple[type, ...] = (
    versions.Root,
    versions.Version,
    openapi.Document,
    topology.Topology,
    hosts.Hosts,
    hosts.Host,
    incidents.Incidents,
    incidents.Incident,
    incidents.Servers,
    incidents.Events,
    incidents.ConfirmFenced,
    incidents.Cancel,
    failover.Modes,
    failover.Mode,
    groups.Groups,
    group_actions.Import,
    groups.Group,
    group_servers.Servers,
    group_servers.Server,
    group_actions.Inspection,
    group_actions.Quota,
    plans.Plans,
    plans.Plan,
    plans.Events,
    plans.Approve,
    plans.Pause,
    plans.Resume,
    plans.Stop,
)

#: The paths that answer without a token.
PUBLIC = ("", "/v1", "/v1/openapi.json")

#: What was found of the database is told again for so long, in seconds.
HEALTH_AGE_S = 2.0

#: How long the health check insists on an answer of the database, in
#: seconds; shorter than a load balancer waits.
HEALTH_PATIENCE_S = 1.0



def _tell(
    request: falcon.Request,
    answer: falcon.Response,
    status: int,
    message: str,
    extra: dict[str, Any] | None = None,
) -> None:
    answer.status = status
    answer.data = errors.encoded(
        errors.body(status, message, request.env, extra)
    )
    answer.content_type = "application/json"


def _api_error(
    request: falcon.Request,
    answer: falcon.Response,
    problem: errors.APIError,
    names: Any,
) -> None:
    LOG.info(
        "%s %s: %d %s",
        request.method,
        request.path,
        problem.status,
        problem.message,
    )
    answer.set_headers(problem.headers)
    _tell(request, answer, problem.status, problem.message, problem.extra)


def _falcon_error(
    request: falcon.Request,
    answer: falcon.Response,
    problem: falcon.HTTPError,
    names: Any,
) -> None:
    status = problem.status_code
    if status == http.HTTPStatus.NOT_FOUND:
        message = (
            f"there is no resource at {errors.echo(request.path)}; see "
            "/v1/openapi.json for those that there are"
        )
    elif status == http.HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = dict(problem.headers or {}).get("Allow", "nothing")
        message = (
            f"{errors.echo(request.method)} is not for this resource; it "
            f"takes {allowed}"
        )
    else:
        message = problem.description or problem.title or "refused"
    answer.set_headers(dict(problem.headers or {}))
    _tell(request, answer, status, message)


def _no_database(
    request: falcon.Request,
    answer: falcon.Response,
    problem: db_errors.JournalUnavailable,
    names: Any,
) -> None:
    LOG.error("%s %s: %s", request.method, request.path, problem)
    answer.set_header("Retry-After", str(errors.RETRY_AFTER_S))
    if request.method in ("GET", "HEAD"):
        outcome = "try again later"
    elif problem.unknown:
        outcome = "it is not known whether the change was stored; look first"
    else:
        outcome = "nothing was stored; try again later"
    # Where the database is and what it said is for the log alone.
    _tell(
        request,
        answer,
        http.HTTPStatus.SERVICE_UNAVAILABLE,
        f"the database does not answer ({problem.what}): {outcome}",
    )


def _unexpected(
    request: falcon.Request,
    answer: falcon.Response,
    problem: Exception,
    names: Any,
) -> None:
    LOG.error(
        "%s %s failed", request.method, request.path, exc_info=problem
    )
    _tell(
        request,
        answer,
        http.HTTPStatus.INTERNAL_SERVER_ERROR,
        "this is a mistake in the service; its log tells more under this "
        "request id",
    )


def _core(provided: services.Services) -> falcon.App:
    """Return falcon with all resources."""
    core: falcon.App = falcon.App(
        middleware=[metrics.Measurement(), versions.Negotiation()]
    )
    core.req_options.strip_url_path_trailing_slash = True
    core.req_options.keep_blank_qs_values = True
    core.req_options.auto_parse_qs_csv = False
    core.add_error_handler(Exception, _unexpected)
    core.add_error_handler(falcon.HTTPError, _falcon_error)
    core.add_error_handler(errors.APIError, _api_error)
    core.add_error_handler(db_errors.JournalUnavailable, _no_database)
    for kind in RESOURCES:
        resource = kind(provided)
        core.add_route(resource.path, resource)
    return core


class _DatabaseHealth:
    """Whether the database answers, asked at most every two seconds."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._modes = db_api.Modes(
            engine.Database(conf, patience=HEALTH_PATIENCE_S)
        )
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._found: tuple[bool, str] = (False, "it was not asked yet")

    def checks(self) -> health.Checks:
        """Return the health of this process."""
        with self._lock:
            if time.monotonic() - self._asked >= HEALTH_AGE_S:
                self._found = self._ask()
                self._asked = time.monotonic()
            return {"database": self._found}

    def _ask(self) -> tuple[bool, str]:
        try:
            self._modes.list()
        except db_errors.DatabaseError as problem:
            LOG.error("The database is not well: %s", problem)
            return False, "it does not answer; the log tells more"
        return True, "it answers"


def keystone(conf: cfg.ConfigOpts) -> Authenticate:
    """Return the middleware that asks Keystone whose a token is.

    :param conf: has [keystone_authtoken]
    """

    def wrap(application: wsgi.WSGIApplication) -> wsgi.WSGIApplication:
        return middleware.Unchecked(
            auth_token.AuthProtocol(
                application,
                {
                    "oslo_config_config": conf,
                    # Decided here and not in the application: else an
                    # outage of Keystone would look like a wrong token.
                    "delay_auth_decision": False,
                },
            )
        )

    return wrap


def make_app(
    conf: cfg.ConfigOpts, *, authenticate: Authenticate | None = None
) -> wsgi.WSGIApplication:
    """Return the API as a WSGI application.

    Nothing is asked of the database or of Keystone before the first
    request, so that the application may be made before a server forks.

    :param conf: parsed, with all sections of aacloud registered
    :param authenticate: what tells who calls; Keystone's auth_token
        middleware by default
    :raises aacloud.db.errors.DatabaseError: [database] connection is
        missing or cannot be understood
    """
    authenticate = authenticate or keystone(conf)
    database = engine.Database(conf)

    def quota() -> db_quotas.Quota:
        section = conf.aacloud_groups
        return db_quotas.Quota(section.quota_groups, section.quota_members)

    core = _core(
        services.Services(
            conf=conf,
            policy=policy.Policy(conf),
            hosts=db_api.Hosts(database),
            modes=db_api.Modes(database),
            incidents=db_api.Incidents(database),
            groups=db_groups.Groups(database, default_quota=quota),
            plans=db_plans.Plans(database),
            quotas=db_quotas.Quotas(database, default=quota),
            inspections=db_inspections.Inspections(database),
            places=db_inspections.Places(database),
            engine=api_engine.Engine(conf),
            openapi=openapi.document(RESOURCES),
        )
    )
    health.set_source(_DatabaseHealth(conf).checks)
    known = middleware.Fork(PUBLIC, core, authenticate(core))
    shaped = middleware.JSONErrors(
        sizelimit.RequestBodySizeLimiter(known, conf)
    )
    named = request_id.RequestId(shaped, conf)
    return middleware.Fork(
        ("/metrics",),
        metrics.application(),
        middleware.Fork(
            ("/healthcheck",),
            web.Monitoring(conf),
            http_proxy_to_wsgi.HTTPProxyToWSGI(named, conf),
        ),
    )
