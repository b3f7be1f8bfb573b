# SPDX-License-Identifier: Apache-2.0
"""The real API over a real database, with a known cloud in it."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime
import pathlib
import re
from typing import Any
import uuid

from falcon import testing
import jsonschema
from oslo_config import cfg
from oslo_messaging import conffixture
import referencing
from referencing import jsonschema as referencing_jsonschema

from aacloud import conf as aacloud_conf
from aacloud.api import app
from aacloud.api import openapi
from aacloud.api import versions
from aacloud.conf import opts
from aacloud.core import brakes
from aacloud.core import hosts as core_hosts
from aacloud.core import incidents as core_incidents
from aacloud.core import topology
from aacloud.core import verdicts
from aacloud.db import api as db_api
from aacloud.db import engine
from aacloud.db import groups as db_groups
from aacloud.db import inspections
from aacloud.db import journal
from aacloud.db import plans as db_plans
from tests.unit.api import engines
from tests.unit.db import worlds

State = core_incidents.IncidentState
ServerState = core_incidents.ServerState

HOSTS = tuple(
    f"dc{dc}-r{rack}-h{host}"
    for dc in (1, 2)
    for rack in (1, 2)
    for host in (1, 2)
)

#: From DETECTED on, the usual way.
WAY = (
    State.DETECTED,
    State.ADMITTED,
    State.PLANNED,
    State.FENCING,
    State.FENCED,
    State.FORCED_DOWN,
    State.EVACUATING,
    State.VERIFYING,
    State.DONE,
    State.RETURN_WAIT,
    State.RETURNED,
)

_PERSON = {
    "HTTP_X_USER_ID": "8f2a",
    "HTTP_X_USER_NAME": "joe",
    "HTTP_X_USER_DOMAIN_ID": "default",
    "HTTP_X_IDENTITY_STATUS": "Confirmed",
}
_PROJECT = {"HTTP_X_PROJECT_ID": "77aa", "HTTP_X_PROJECT_NAME": "shop"}


def _caller(roles: str, scope: Mapping[str, str], **more: Any) -> Any:
    return {**_PERSON, **scope, "HTTP_X_ROLES": roles, **more}


#: By token: what auth_token would have told of its owner.
CALLERS: Mapping[str, Mapping[str, Any]] = {
    "reader": _caller("reader", _PROJECT),
    "stranger": _caller(
        "member,reader",
        {"HTTP_X_PROJECT_ID": "88bb", "HTTP_X_PROJECT_NAME": "bank"},
    ),
    "domain-member": _caller(
        "member,reader", {"HTTP_X_DOMAIN_ID": "default"}
    ),
    "member": _caller("member,reader", _PROJECT),
    "admin": _caller("admin,member,reader", _PROJECT),
    "service": _caller("service", _PROJECT),
    "system-reader": _caller(
        "reader", {"HTTP_OPENSTACK_SYSTEM_SCOPE": "all"}
    ),
    "admin-project-reader": _caller(
        "reader",
        _PROJECT,
        **{"keystone.token_info": {"token": {"is_admin_project": True}}},
    ),
    "domain-admin": _caller("admin", {"HTTP_X_DOMAIN_ID": "default"}),
}

#: The paths that the oldest microversion does not have.
NEWER = ("/v1/groups", "/v1/plans", "/v1/quotas")

_IDENTITY = re.compile(r"HTTP_X_(USER|PROJECT|DOMAIN|ROLE|IS_ADMIN|TENANT)")


def authenticate(application: Any) -> Any:
    """Stand in for auth_token: the token is a key of CALLERS."""

    def authenticated(environ: dict[str, Any], start_response: Any) -> Any:
        told = CALLERS.get(environ.get("HTTP_X_AUTH_TOKEN", ""))
        if told is None:
            start_response(
                "401 Unauthorized",
                [
                    ("Content-Type", "text/html"),
                    ("WWW-Authenticate", 'Keystone uri="http://127.0.0.1"'),
                ],
            )
            return [b"<html>Authentication required</html>"]
        kept = {
            key: value
            for key, value in environ.items()
            if not _IDENTITY.match(key)
        }
        return application({**kept, **told}, start_response)

    return authenticated


def configuration(url: str) -> cfg.ConfigOpts:
    """Return a configuration with this database and nothing else set."""
    opts.set_defaults()
    conf = cfg.ConfigOpts()
    aacloud_conf.register_opts(conf)
    engine.Database(conf, connection=url)
    conf([], project="aacloud", prog="test", default_config_files=[])
    conf.set_override("connection", url, "database")
    conf.set_override("response_validation", "error", "aacloud_api")
    # In a daemon these are registered with the global options only.
    conffixture.ConfFixture(conf)
    conf.set_override("transport_url", "fake://")
    return conf


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the API answered."""

    status: int
    json: Any
    headers: Mapping[str, str]


class Stage:
    """An API whose every answer is compared with its own document.

    :param path: where the database file may be
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.url = worlds.make_file(path / "aacloud.sqlite")
        self.conf = configuration(self.url)
        self.database = engine.Database(self.conf)
        self._epoch: int | None = None
        self.journal = journal.Journal(self.database, lambda: self._epoch)
        self._epoch = self.journal.take_over("failover", "dc1-engine")
        self.incidents = db_api.Incidents(self.database)
        self.modes = db_api.Modes(self.database)
        self.groups = db_groups.Groups(self.database)
        self.plans = db_plans.Plans(self.database, lambda: self._groups_epoch)
        self.inspections = inspections.Inspections(self.database)
        self.places = inspections.Places(self.database)
        self._groups_epoch: int | None = None
        self._engine: engines.Engine | None = None
        self.application = app.make_app(self.conf, authenticate=authenticate)
        self.client = testing.TestClient(self.application)
        self.document = openapi.document(app.RESOURCES)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.stop()
        self.database.dispose()

    @property
    def engine(self) -> engines.Engine:
        """The engine of server groups, which runs from the first use on."""
        if self._engine is None:
            self._engine = engines.Engine(self.conf, self.groups, self.tree)
            self._engine.start()
        return self._engine

    def tree(self) -> topology.Topology:
        """Return the topology of the hosts."""
        return topology.Topology(
            hosts={
                host.name: topology.Host(host.name, host.rack, host.dc)
                for host in db_api.Hosts(self.database).list()
            }
        )

    def lead_groups(self) -> db_plans.Plans:
        """Return the journal of plans, as the leading engine writes it."""
        self._groups_epoch = self.plans.take_over("groups", "dc1-groups")
        return self.plans

    # What the engine would write

    def add_hosts(self, names: Iterable[str] = HOSTS) -> None:
        """Make the engine know these hosts, up and well."""
        self.journal.save_hosts([host_record(name) for name in names])

    def add_incident(
        self,
        state: State = State.DETECTED,
        *,
        host: str = "dc1-r1-h1",
        waiting: str | None = None,
    ) -> core_incidents.Incident:
        """Open an incident and bring it into a state."""
        incident = self.journal.open_incident(
            host,
            {"reasons": ["silent on all networks"], "host": host},
            brakes.Mode.ARMED,
            event_text=f"{host} is held dead",
        )
        return self.advance(incident, state, waiting=waiting)

    def advance(
        self,
        incident: core_incidents.Incident,
        state: State,
        *,
        waiting: str | None = None,
    ) -> core_incidents.Incident:
        """Bring an incident into a state, over all those before it."""
        if state in WAY:
            start = WAY.index(incident.state) + 1
            steps = WAY[start : WAY.index(state) + 1]
        else:
            steps = (state,)
        for step in steps:
            columns = (
                {"proof": {"proven": True, "reasons": ["power read Off"]}}
                if step is State.FENCED
                else {}
            )
            incident = self.journal.advance(
                incident, step, event_text=f"it is {step.value}", **columns
            )
        if waiting is not None:
            incident = self.journal.advance(
                incident, incident.state, event_text=waiting, waiting=waiting
            )
        return incident

    def add_servers(
        self, incident: core_incidents.Incident, count: int
    ) -> tuple[core_incidents.ServerRecord, ...]:
        """Plan for so many servers on the host of an incident."""
        return self.journal.put_servers(
            incident,
            [server_record(incident, number) for number in range(count)],
        )

    # What a caller does

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = "admin",
        headers: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> Answer:
        """Send a request, and compare the answer with the document."""
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("X-Auth-Token", token)
        if path.startswith(NEWER):
            sent.setdefault(versions.HEADER, "aacloud 1.1")
        result = self.client.simulate_request(
            method, path, headers=sent, **arguments
        )
        content = result.json if result.content else None
        answer = Answer(result.status_code, content, result.headers)
        assert result.headers["x-openstack-request-id"].startswith("req-")
        self.check(method, path.partition("?")[0], answer)
        return answer

    def check(self, method: str, path: str, answer: Answer) -> None:
        """Compare an answer with the document of the API."""
        if answer.status >= 400:
            request_id = answer.headers["x-openstack-request-id"]
            assert answer.json["error"]["code"] == answer.status
            assert answer.json["error"]["request_id"] == request_id
            assert answer.json["error"]["message"]
            assert answer.headers["content-type"] == "application/json"
            self._fits("Error", answer.json)
        described = self._operation(method, path)
        if described is None:
            return
        # What the wrapping middleware answers is the same everywhere.
        if answer.status not in (413, 415):
            assert str(answer.status) in described["responses"], (
                f"{method} {path} answers {answer.status}, of which the "
                "document knows nothing"
            )
        if answer.status < 300 and answer.json is not None:
            content = described["responses"][str(answer.status)]["content"]
            ref = content["application/json"]["schema"]["$ref"]
            self._fits(ref.rsplit("/", 1)[1], answer.json)

    def _operation(self, method: str, path: str) -> Any:
        exact = self.document["paths"].get(path.rstrip("/") or "/")
        if exact is not None:
            return exact.get(method.lower())
        for template, described in self.document["paths"].items():
            pattern = re.sub(r"{\w+}", "[^/]+", re.escape(template))
            pattern = re.sub(r"\\{\w+\\}", "[^/]+", pattern)
            if re.fullmatch(pattern, path.rstrip("/")):
                return described.get(method.lower())
        return None

    def _fits(self, component: str, content: Any) -> None:
        registry: Any = referencing.Registry().with_resource(
            "urn:document",
            referencing_jsonschema.DRAFT202012.create_resource(self.document),
        )
        jsonschema.Draft202012Validator(
            {"$ref": f"urn:document#/components/schemas/{component}"},
            registry=registry,
        ).validate(content)


def host_record(name: str) -> core_hosts.HostRecord:
    """Return a host that is up; "dc1-r1-h1" stands in dc1 and dc1-r1."""
    dc, rack, _ = name.split("-")
    return core_hosts.HostRecord(
        name=name,
        dc=dc,
        rack=f"{dc}-{rack}",
        instance_disks="shared",
        addresses={"management": "10.0.0.1", "tenant": "10.1.0.1"},
        boot_id="0191-aa",
        agent_seen_at=datetime.datetime(
            2026, 11, 22, 10, 0, tzinfo=datetime.timezone.utc
        ),
        state=verdicts.HostState.UP,
        networks={"management": verdicts.NetworkState.UP},
        reasons=("its agent reports",),
        nova={"state": "up", "forced_down": False},
    )


def server_record(
    incident: core_incidents.Incident, number: int
) -> core_incidents.ServerRecord:
    """Return a server of the incident's host that is planned for."""
    return core_incidents.ServerRecord(
        incident_id=incident.id,
        server=str(uuid.UUID(int=number + 1)),
        name=f"web-{number}",
        project_id="77aa",
        state=ServerState.PENDING,
        version=1,
        wave=number % 2,
        source=incident.host,
        spares=("dc1-r2-h1", "dc2-r1-h1"),
        down_since=incident.opened_at,
        snapshot={"vm_state": "active", "volumes": []},
    )
