# SPDX-License-Identifier: Apache-2.0
"""Who may do what: every caller against every operation."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

from oslo_policy import policy as oslo_policy
import pytest

from aacloud.api import app
from aacloud.api import operations
from aacloud.api import policies
from aacloud.api import policy
from tests.unit.api import group_operations
from tests.unit.api.stage import Stage
from tests.unit.api.stage import State

BIN = pathlib.Path(sys.executable).parent

PUBLIC, READ, WRITE = "public", "read", "write"

#: What each kind of operation answers to each caller; "ok" is its success.
MATRIX: dict[str, dict[str | None, int | str]] = {
    PUBLIC: {
        None: "ok",
        "wrong": "ok",
        "reader": "ok",
        "member": "ok",
        "service": "ok",
        "system-reader": "ok",
        "admin-project-reader": "ok",
        "admin": "ok",
        "domain-admin": "ok",
    },
    READ: {
        None: 401,
        "wrong": 401,
        "reader": 403,
        "member": 403,
        "service": "ok",
        "system-reader": "ok",
        "admin-project-reader": "ok",
        "admin": "ok",
        "domain-admin": 403,
    },
    WRITE: {
        None: 401,
        "wrong": 401,
        "reader": 403,
        "member": 403,
        "service": 403,
        "system-reader": 403,
        "admin-project-reader": 403,
        "admin": "ok",
        "domain-admin": 403,
    },
}

#: Every operation of the API: (kind, method, path, body).
MODE = {"mode": "armed", "reason": "test"}
REASON = {"reason": "test"}
OPERATIONS = {
    "list_versions": (PUBLIC, "GET", "/", None),
    "show_version": (PUBLIC, "GET", "/v1", None),
    "show_openapi": (PUBLIC, "GET", "/v1/openapi.json", None),
    "show_topology": (READ, "GET", "/v1/topology", None),
    "list_hosts": (READ, "GET", "/v1/hosts", None),
    "show_host": (READ, "GET", "/v1/hosts/dc1-r1-h1", None),
    "list_incidents": (READ, "GET", "/v1/incidents", None),
    "show_incident": (READ, "GET", "/v1/incidents/{id}", None),
    "list_incident_servers": (READ, "GET", "/v1/incidents/{id}/servers", None),
    "list_incident_events": (READ, "GET", "/v1/incidents/{id}/events", None),
    "confirm_fenced": (
        WRITE,
        "POST",
        "/v1/incidents/{id}/confirm-fenced",
        REASON,
    ),
    "cancel_incident": (WRITE, "POST", "/v1/incidents/{id}/cancel", REASON),
    "list_modes": (READ, "GET", "/v1/failover/modes", None),
    "set_mode": (WRITE, "PUT", "/v1/failover/modes/dc/dc1", MODE),
    "reset_mode": (WRITE, "DELETE", "/v1/failover/modes/cloud/cloud", None),
}


def declared() -> dict[str, operations.Operation]:
    return {
        operation.id: operation
        for resource in app.RESOURCES
        for operation in operations.operations_of(resource).values()
    }


def test_tables_have_every_operation() -> None:
    assert set(OPERATIONS) | set(group_operations.OPERATIONS) == set(
        declared()
    )


@pytest.mark.parametrize("caller", sorted(MATRIX[READ], key=str))
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_matrix(stage: Stage, operation: str, caller: str | None) -> None:
    incident = stage.add_incident(State.FENCING, waiting="no proof")
    stage.call("PUT", "/v1/failover/modes/cloud/cloud", json=MODE)
    settings = stage.modes.list()

    kind, method, path, body = OPERATIONS[operation]
    arguments = {} if body is None else {"json": body}
    answer = stage.call(
        method, path.replace("{id}", incident.id), token=caller, **arguments
    )

    wanted = MATRIX[kind][caller]
    if wanted == "ok":
        assert answer.status == declared()[operation].status
    else:
        assert answer.status == wanted
        assert stage.modes.list() == settings
        assert stage.incidents.get(incident.id).commands == ()
    if wanted == 403:
        assert declared()[operation].policy in answer.json["error"]["message"]
    if wanted == 401:
        assert "WWW-Authenticate" in answer.headers
        assert "X-Auth-Token" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/v1/hosts/", "/v1//hosts", "//v1/hosts", "/v1/nothing", "/v2"]
)
def test_odd_paths_do_not_get_around_the_token(
    stage: Stage, path: str
) -> None:
    assert stage.call("GET", path, token=None).status == 401


def test_caller_cannot_name_his_own_roles(stage: Stage) -> None:
    answer = stage.call(
        "GET",
        "/v1/hosts",
        token="reader",
        headers={"X-Roles": "admin", "X-User-Id": "root"},
    )
    assert answer.status == 403


def test_refusal_comes_before_the_look_at_the_request(stage: Stage) -> None:
    answer = stage.call(
        "PUT",
        "/v1/failover/modes/dc/dc9",
        token="reader",
        body=b"no json",
        params={"a": "b"},
    )
    assert answer.status == 403


def test_operator_can_change_a_policy(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    changed = tmp_path_factory.mktemp("etc") / "policy.yaml"
    changed.write_text('"aacloud:failover_modes:set": "role:member"\n')
    stage.conf.set_override("policy_file", str(changed), "oslo_policy")
    caller = {"roles": ["member"], "project_id": "77aa"}
    enforcer = policy.Policy(stage.conf).enforcer
    assert enforcer.authorize(policies.failover.SET, {}, caller)
    assert not enforcer.authorize(policies.failover.RESET, {}, caller)


def test_documentation_of_the_policies_names_the_real_operations() -> None:
    documented = {
        (str(item["method"]), item["path"], rule.name)
        for rule in policies.list_rules()
        if isinstance(rule, oslo_policy.DocumentedRuleDefault)
        for item in rule.operations
    }
    real = {
        (method, resource.path, operation.policy)
        for resource in app.RESOURCES
        for method, operation in operations.operations_of(resource).items()
        if operation.policy is not None
    }
    assert documented == real


def test_every_rule_explains_itself() -> None:
    for rule in policies.list_rules():
        assert rule.description
        assert re.match(r"aacloud:[a-z_:]+$", rule.name)


@pytest.mark.parametrize(
    ("tool", "wanted"),
    [
        ("oslopolicy-policy-generator", '"aacloud:hosts:list"'),
        ("oslopolicy-sample-generator", '#"aacloud:hosts:list"'),
    ],
)
def test_tools_of_oslo_policy(tool: str, wanted: str) -> None:
    """They parse their own command line before they import anything."""
    done = subprocess.run(
        [str(BIN / tool), "--namespace", "aacloud"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert wanted in done.stdout
