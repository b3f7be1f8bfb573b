# SPDX-License-Identifier: Apache-2.0
"""Real Nova and Placement in the test's process, reached over real HTTP.

API, scheduler, conductor and computes are Nova's own; its REST API is served
on a loopback port, behind a switch that makes it sick.
"""

import collections
import contextlib
from importlib import metadata
import os
import re
import socket
import socketserver
import threading
import time
from unittest import mock
import warnings
from wsgiref import simple_server

from futurist import _thread
from keystoneauth1 import plugin
from keystoneauth1 import session as ks_session
from nova import monkey_patch

from aacloud.clouds import nova

# Nova's tests choose threads by the environment, and refuse to go on when
# anybody imported eventlet before them. Importing it is not using it.
os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"
monkey_patch.poison_eventlet = lambda: None
monkey_patch.patch()

from nova.conductor import manager as conductor_manager  # noqa: E402
from nova.servicegroup.drivers import db as servicegroup_db  # noqa: E402
from nova.tests import fixtures as nova_fixtures  # noqa: E402
from nova.tests.functional import integrated_helpers  # noqa: E402

IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
ADMIN = {
    "HTTP_X_AUTH_USER": "admin",
    "HTTP_X_USER_ID": "admin",
    "HTTP_X_ROLES": "reader,member,admin",
}


class Sickness:
    """WSGI middleware: which requests get which fault.

    ``faults`` is a list of (method, path pattern, fault, times), the first
    that matches counts; faults: ``500``, ``lost`` (done, not answered),
    ``refused`` (not done, not answered), ``garbage`` (done, answer broken),
    ``hang`` (neither, and the connection stays).
    """

    def __init__(self, app, project_id):
        self._app = app
        self._project_id = project_id
        self._lock = threading.Lock()
        self._faults = []
        self.seen = collections.Counter()
        self.requests = []
        self.release = threading.Event()

    def fault(self, method, path, kind, times=-1):
        """Make matching requests fail; forever, or so many times."""
        with self._lock:
            self._faults.append([method, re.compile(path), kind, times])

    def heal(self):
        """Take back all faults."""
        with self._lock:
            self._faults.clear()

    def _fault_of(self, environ):
        path = environ["PATH_INFO"]
        with self._lock:
            self.requests.append(
                (
                    environ["REQUEST_METHOD"],
                    path,
                    environ.get("HTTP_X_OPENSTACK_REQUEST_ID"),
                    environ.get("HTTP_OPENSTACK_API_VERSION"),
                )
            )
            for fault in self._faults:
                method, pattern, kind, times = fault
                if method == environ["REQUEST_METHOD"] and (
                    pattern.search(path)
                ):
                    if times == 0:
                        continue
                    fault[3] -= 1
                    self.seen[kind] += 1
                    return kind
        return None

    def __call__(self, environ, start_response):
        fault = self._fault_of(environ)
        if fault == "500":
            start_response(
                "500 Internal Server Error",
                [("Content-Type", "application/json")],
            )
            return [b'{"computeFault": {"code": 500, "message": "sick"}}']
        if fault == "hang":
            self.release.wait(30)
        if fault in ("refused", "hang"):
            return self._hang_up(start_response)
        environ.update(ADMIN)
        environ["HTTP_X_AUTH_PROJECT_ID"] = self._project_id
        if fault in ("lost", "garbage"):
            body = self._app(environ, lambda *args: lambda data: None)
            b"".join(body)
            if fault == "lost":
                return self._hang_up(start_response)
            start_response("200 OK", [("Content-Type", "application/json")])
            return [b'{"servers": [{"id": ']
        return self._app(environ, start_response)

    @staticmethod
    def _hang_up(start_response):
        _HERE.connection.shutdown(socket.SHUT_RDWR)
        start_response("200 OK", [])
        return [b""]


#: The connection that each thread of the server has in hand.
_HERE = threading.local()


class _Handler(simple_server.WSGIRequestHandler):
    def setup(self):
        super().setup()
        _HERE.connection = self.connection

    def log_message(self, *args):
        pass


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


class Token(plugin.BaseAuthPlugin):
    """An endpoint for each service type, and a fixed token."""

    def __init__(self, endpoints):
        super().__init__()
        self._endpoints = endpoints

    def get_token(self, session, **kwargs):
        return "admin"

    def get_endpoint(self, session, service_type=None, **kwargs):
        return self._endpoints.get(service_type)


@contextlib.contextmanager
def served(app):
    """Serve a WSGI application on loopback; give its port."""
    server = simple_server.make_server(
        "127.0.0.1", 0, app, server_class=_Server, handler_class=_Handler
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _api_paste():
    for path in metadata.files("nova"):
        if str(path).endswith("etc/nova/api-paste.ini"):
            return str(path.locate().resolve())
    raise AssertionError("the nova package has no api-paste.ini")


class NovaCase(integrated_helpers.ProviderUsageBaseTestCase):
    """Nova with computes; ``self.session`` reaches it as an admin."""

    compute_driver = "fake.FakeDriver"
    hosts = ("h1", "h2", "h3", "h4")

    def setUp(self):
        # Nova looks for it beside site-packages, as in its own repository.
        self.flags(api_paste_config=_api_paste(), group="wsgi")
        self.flags(instances=-1, cores=-1, ram=-1, group="quota")
        # No reports of services in the background: with real threads, the
        # locks around Nova's test databases may wait for each other for ever.
        silent = mock.patch.object(
            servicegroup_db.DbDriver, "_report_state", lambda *args: None)
        silent.start()
        self.addCleanup(silent.stop)
        super().setUp()
        # Nova's tests let idle threads look for work a hundred times a
        # second, which costs more than it saves with so many threads.
        _thread.ThreadWorker.MAX_IDLE_FOR = 0.1
        # Nova's fixture turns deprecations of SQLAlchemy 2.1 into errors.
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        self.computes = {
            host: self._start_compute(host) for host in self.hosts
        }
        self.sickness = Sickness(
            self.api_fixture.app(), self.api_fixture.project_id
        )
        port = self._enter(served(self.sickness))
        self.auth = Token(
            {
                "compute": f"http://127.0.0.1:{port}/v2.1",
                "placement": self.placement.fixture.endpoint,
            }
        )
        self.addCleanup(self.sickness.release.set)
        self.session = ks_session.Session(auth=self.auth, timeout=20)
        self.cloud = nova.NovaCloud.over(self.session)
        self.booted = []

    def boot(self, host, count=1, group=None, **extra):
        """Boot servers on a host; return their ids when all are active."""
        made = []
        for _ in range(count):
            document = {
                "server": {
                    "name": f"s{len(self.booted) + len(made)}",
                    "imageRef": IMAGE,
                    "flavorRef": "http://localhost/1",
                    "networks": "none",
                    "host": host,
                    **extra,
                }
            }
            if group is not None:
                document["os:scheduler_hints"] = {"group": group}
            made.append(
                self.admin_api.api_post("/servers", document).body["server"][
                    "id"
                ]
            )
        self.until(
            lambda: all(
                self.cloud.server(uuid).vm_state == "active" for uuid in made
            )
        )
        self.booted.extend(made)
        return made

    def kill(self, host):
        """Stop a host's nova-compute and tell Nova that it is down."""
        self.computes[host].stop()
        self.cloud.force_down(host, True, disabled_reason="it was killed")

    def until(self, condition, seconds=60.0):
        """Wait until the condition holds."""
        pause = threading.Event()
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError("it did not come true in time")
            pause.wait(0.1)

    def calm(self):
        """Wait until nothing is migrated: Nova's threads could not end."""
        self.sickness.heal()
        self.until(
            lambda: all(
                one.status == "accepted"
                for one in self.cloud.unfinished_migrations()
            )
        )

    @contextlib.contextmanager
    def conductor_asleep(self, task="rebuild_instance"):
        """Nobody takes up what the API hands to the conductor meanwhile."""
        awake = threading.Event()
        work = getattr(conductor_manager.ComputeTaskManager, task)

        def wait(manager, *args, **kwargs):
            awake.wait(30)
            return work(manager, *args, **kwargs)

        with mock.patch.object(
            conductor_manager.ComputeTaskManager, task, wait
        ):
            try:
                yield
            finally:
                awake.set()

    def cell_down(self):
        """The database of the servers' cell does not answer meanwhile."""
        return nova_fixtures.DownCellFixture([self.cell_mappings["cell1"]])

    def __delattr__(self, name):
        # Nova empties a test's attributes at its end, and pytest then wants
        # to take back the one that it had set.
        if name in self.__dict__:
            super().__delattr__(name)

    def _enter(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value
