# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent, the API neither breaks nor stores nonsense."""

from __future__ import annotations

from collections.abc import Iterator
import json
import pathlib
import string
from typing import Any

import hypothesis
from hypothesis import strategies as st
import pytest

from aacloud.core import incidents as core_incidents
from tests.unit.api import stage as stages
from tests.unit.api.stage import Stage
from tests.unit.api.stage import State

SETTINGS = hypothesis.settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(alphabet=st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
REASONS = st.text(min_size=1, max_size=300) | JSON
MODES = st.sampled_from(["armed", "shadow", "disarmed"]) | JSON
#: Bodies that are nearly right are the interesting ones.
NEARLY = st.fixed_dictionaries(
    {}, optional={"mode": MODES, "reason": REASONS, "force": JSON}
)
BODIES = st.one_of(
    NEARLY.map(json.dumps).map(str.encode),
    JSON.map(json.dumps).map(str.encode),
    st.binary(max_size=200),
)
SEGMENTS = st.text(
    alphabet=string.ascii_letters + string.digits + "-._~%! ä\x00/",
    max_size=12,
) | st.sampled_from(["host", "rack", "dc", "cloud", "dc1", *stages.HOSTS])
RULES = st.lists(
    st.sampled_from(
        ["spread:host", "together:dc", "fence:dc:domains=dc1", "spread:"]
    )
    | st.text(max_size=30)
    | JSON,
    max_size=3,
)
#: Bodies that make a group, or nearly do.
GROUPS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=20) | JSON,
        "mode": st.sampled_from(["off", "report", "enforce"]) | JSON,
        "rules": RULES | JSON,
        "add_rules": RULES,
        "window": st.none()
        | st.sampled_from(["cron:0 1 * * 6;duration=4h", "rrule:FREQ=X"])
        | st.text(max_size=40),
        "version": st.integers(),
        "servers": st.just([]) | JSON,
    },
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Accept",
            "Content-Type",
            "OpenStack-API-Version",
            "X-Openstack-Request-Id",
            "X-Forwarded-Proto",
        ]
    ),
    st.text(
        alphabet=st.characters(min_codepoint=32, max_codepoint=126),
        max_size=30,
    ),
)


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """One stage for all examples: they may not break it for each other."""
    built = Stage(pathlib.Path(tmp_path_factory.mktemp("random")))
    built.add_hosts()
    yield built
    built.close()


@pytest.fixture(scope="module")
def incident(stage: Stage) -> core_incidents.Incident:
    """An incident that takes commands."""
    return stage.add_incident(State.FENCING, waiting="no proof")


def send(stage: Stage, method: str, path: str, **arguments: Any) -> int:
    """Send a request and return the status; the stage checks the answer."""
    answer = stage.call(method, path, **arguments)
    assert answer.status < 500, answer.json
    return answer.status


@SETTINGS
@hypothesis.given(body=BODIES, headers=HEADERS)
def test_bodies_of_a_mode(
    stage: Stage, body: bytes, headers: dict[str, str]
) -> None:
    before = stage.modes.list()
    status = send(
        stage,
        "PUT",
        "/v1/failover/modes/dc/dc1",
        body=body,
        headers=headers,
    )
    assert status in (200, 400, 406, 415)
    if status != 200:
        assert stage.modes.list() == before


@SETTINGS
@hypothesis.given(
    body=BODIES, command=st.sampled_from(["confirm-fenced", "cancel"])
)
def test_bodies_of_a_command(
    stage: Stage,
    incident: core_incidents.Incident,
    body: bytes,
    command: str,
) -> None:
    before = len(stage.incidents.get(incident.id).commands)
    path = f"/v1/incidents/{incident.id}/{command}"
    status = send(stage, "POST", path, body=body)
    assert status in (202, 400)
    after = len(stage.incidents.get(incident.id).commands)
    assert after - before == (status == 202)


@SETTINGS
@hypothesis.given(body=GROUPS, new=st.booleans())
def test_bodies_of_a_group(
    stage: Stage, body: dict[str, Any], new: bool
) -> None:
    before = stage.groups.revision()
    if new:
        path, method = "/v1/groups", "POST"
    else:
        group = stage.groups.list(limit=1)
        name = group[0].id if group else "none"
        path, method = f"/v1/groups/{name}", "PATCH"
    status = send(stage, method, path, body=json.dumps(body).encode())
    assert status in (200, 201, 400, 404, 409)
    if status >= 400:
        assert stage.groups.revision() == before
    for record in stage.groups.list():
        assert stage.call("GET", f"/v1/groups/{record.id}").status == 200


@SETTINGS
@hypothesis.given(level=SEGMENTS, domain=SEGMENTS)
def test_domains(stage: Stage, level: str, domain: str) -> None:
    status = send(
        stage,
        "PUT",
        f"/v1/failover/modes/{level}/{domain}",
        json={"mode": "shadow", "reason": "random"},
    )
    assert status in (200, 400, 404, 405)
    known = {"cloud", "dc1", "dc2", *stages.HOSTS}
    known |= {host.rpartition("-")[0] for host in stages.HOSTS}
    assert {setting.name for setting in stage.modes.list()} <= known


@SETTINGS
@hypothesis.given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"]),
    path=st.lists(SEGMENTS, max_size=4).map("/".join),
    query=st.text(
        alphabet=string.ascii_letters + string.digits + "=&%;+-", max_size=40
    ),
)
def test_paths_and_queries(
    stage: Stage, method: str, path: str, query: str
) -> None:
    result = stage.client.simulate_request(
        method,
        f"/v1/{path}",
        query_string=query,
        headers={"X-Auth-Token": "admin"},
    )
    assert result.status_code < 500


@SETTINGS
@hypothesis.given(
    query=st.dictionaries(
        st.sampled_from(
            [
                "limit",
                "marker",
                "host",
                "state",
                "open",
                "since",
                "dc",
                "name",
                "all_projects",
                "server_id",
            ]
        ),
        st.text(max_size=20) | st.integers().map(str),
        max_size=4,
    ),
    path=st.sampled_from(
        ["/v1/incidents", "/v1/hosts", "events", "/v1/groups", "/v1/plans"]
    ),
)
def test_query_values(
    stage: Stage,
    incident: core_incidents.Incident,
    query: dict[str, str],
    path: str,
) -> None:
    if path == "events":
        path = f"/v1/incidents/{incident.id}/events"
    clean = {
        key: value.encode("utf-8", "replace").decode()
        for key, value in query.items()
    }
    assert send(stage, "GET", path, params=clean) in (200, 400)
