# SPDX-License-Identifier: Apache-2.0
"""Who may do what with server groups: every caller, every operation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aacloud.api import policies
from aacloud.core import groups as core_groups
from tests.unit.api import engines
from tests.unit.api import group_operations
from tests.unit.api import stage as stages
from tests.unit.api import test_policies
from tests.unit.api.stage import Stage

OPERATIONS = group_operations.OPERATIONS
_STATES = {
    "pause_plan": core_groups.PlanState.APPROVED,
    "resume_plan": core_groups.PlanState.APPROVED,
}


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_matrix(stage: Stage, operation: str) -> None:
    """Those who may not come first: they find it all as it was."""
    wanted = OPERATIONS[operation][0]
    made = _things(stage, operation)
    before = stage.groups.revision()
    assert stage.engine.asked == []
    for caller, status in wanted.items():
        if status == "ok":
            continue
        answer = _called(stage, operation, made, caller)
        assert answer.status == status, (caller, answer.json)
        assert stage.groups.revision() == before
        assert stage.plans.get(made["plan"]).orders == ()
        assert stage.engine.asked == []
        message = answer.json["error"]["message"]
        if status == 403:
            assert "aacloud:ha_" in message
        if status == 404:
            # Nothing tells that it is there.
            assert "there is no" in message
            assert "77aa" not in message
    declared = test_policies.declared()[operation]
    for caller, status in wanted.items():
        if status == "ok":
            answer = _called(stage, operation, made, caller)
            assert answer.status == declared.status, (caller, answer.json)
            for record in stage.groups.list():
                stage.groups.delete(record.id, by="joe")
            made = _things(stage, operation)


def _things(stage: Stage, operation: str) -> dict[str, str]:
    """Store a group with a member, and a plan for it; return the ids."""
    server = engines.server_id(1)
    group = group_operations.add_group(stage, members=(server,))
    plan = group_operations.add_plan(
        stage,
        group,
        state=_STATES.get(
            operation, core_groups.PlanState.AWAITING_APPROVAL
        ),
    )
    return {"group": group, "plan": plan, "server": server}


def _called(
    stage: Stage, operation: str, made: dict[str, str], caller: str | None
) -> stages.Answer:
    """Ask for an operation, with the ids filled in."""
    _, method, path, body = OPERATIONS[operation]
    text = json.dumps([path, body])
    for key, value in made.items():
        text = text.replace(f"{{{key}}}", value)
    path, body = json.loads(text)
    arguments: dict[str, Any] = {} if body is None else {"json": body}
    return stage.call(method, path, token=caller, **arguments)


def test_table_names_every_caller() -> None:
    callers = {*stages.CALLERS, None, "wrong"}
    for wanted, *_ in OPERATIONS.values():
        assert set(wanted) == callers


def test_another_projects_groups_are_not_listed(stage: Stage) -> None:
    group_operations.add_group(stage, "web")
    group_operations.add_group(stage, "bank", project_id="88bb")

    def listed(token: str, **params: str) -> Any:
        answer = stage.call("GET", "/v1/groups", token=token, params=params)
        if answer.status != 200:
            return answer.status
        return [group["name"] for group in answer.json["groups"]]

    assert listed("reader") == ["web"]
    assert listed("stranger") == ["bank"]
    assert listed("stranger", all_projects="true") == 403
    assert listed("reader", project_id="88bb") == 403
    assert listed("admin", all_projects="true") == ["bank", "web"]
    assert listed("admin", project_id="88bb") == ["bank"]
    # A token of the system has no project of its own.
    assert listed("system-reader") == ["bank", "web"]
    assert listed("admin", project_id="88bb", all_projects="true") == 400


def test_groups_are_made_in_the_own_project_only(stage: Stage) -> None:
    body = {"name": "web", "project_id": "88bb"}
    answer = stage.call("POST", "/v1/groups", token="member", json=body)
    assert answer.status == 403
    assert stage.groups.list() == ()
    made = stage.call("POST", "/v1/groups", token="admin", json=body)
    assert made.status == 201
    assert stage.groups.list()[0].group.project_id == "88bb"


def test_only_operators_plan_for_real_or_for_all(stage: Stage) -> None:
    group = group_operations.add_group(stage)
    for body in (
        {"group_id": group, "dry_run": False},
        {"group_id": None},
        {},
    ):
        answer = stage.call("POST", "/v1/plans", token="member", json=body)
        assert answer.status == 403
        assert stage.engine.repairs == []
    for body in ({"group_id": group, "dry_run": False}, {}):
        answer = stage.call("POST", "/v1/plans", json=body)
        assert answer.status == 201
    assert stage.engine.repairs == [(group, False), (None, True)]


def test_plan_over_projects_is_the_operators(stage: Stage) -> None:
    mine = group_operations.add_group(stage, "web")
    other = group_operations.add_group(stage, "bank", project_id="88bb")
    plan = group_operations.add_plan(stage, mine, other, scope="cloud")
    for token in ("member", "stranger"):
        assert stage.call("GET", f"/v1/plans/{plan}", token=token).status == (
            404
        )
        listed = stage.call("GET", "/v1/plans", token=token)
        assert listed.json["plans"] == []
        stopped = stage.call(
            "POST",
            f"/v1/plans/{plan}/stop",
            token=token,
            json=group_operations.REASON,
        )
        assert stopped.status == 404
    shown = stage.call("GET", f"/v1/plans/{plan}")
    assert shown.json["plan"]["group_id"] is None
    assert shown.json["plan"]["group_ids"] == sorted([mine, other])
    stopped = stage.call(
        "POST", f"/v1/plans/{plan}/stop", json=group_operations.REASON
    )
    assert stopped.status == 202
    reading = stage.call(
        "POST",
        f"/v1/plans/{plan}/stop",
        token="system-reader",
        json=group_operations.REASON,
    )
    assert reading.status == 403


def test_what_was_planned_for_all_is_paused_by_operators(
    stage: Stage,
) -> None:
    """Also when all its groups are the caller's by chance."""
    mine = group_operations.add_group(stage, "web")
    plan = group_operations.add_plan(
        stage, mine, scope="cloud", state=core_groups.PlanState.APPROVED
    )

    def told(word: str, token: str) -> stages.Answer:
        return stage.call(
            "POST",
            f"/v1/plans/{plan}/{word}",
            token=token,
            json=group_operations.REASON,
        )

    assert stage.call("GET", f"/v1/plans/{plan}", token="member").status == (
        200
    )
    refused = told("pause", "member")
    assert refused.status == 403
    assert "whole cloud" in refused.json["error"]["message"]
    assert stage.plans.get(plan).orders == ()
    assert told("pause", "reader").status == 403
    assert told("pause", "stranger").status == 404
    assert told("pause", "admin").status == 202
    assert told("stop", "member").status == 202


def test_operator_can_let_projects_see_names(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    changed = tmp_path_factory.mktemp("etc") / "policy.yaml"
    changed.write_text(f'"{policies.groups.DOMAIN_NAMES}": "role:member"\n')
    server = stage.engine.add_server(1, "dc2-r1-h2")
    group = group_operations.add_group(
        stage, "web", "spread:rack", members=(server,)
    )

    def places(token: str) -> Any:
        answer = stage.call(
            "POST", f"/v1/groups/{group}/inspect", token=token
        )
        return answer.json["members"][0]["hosts"]

    real = [{"host": "dc2-r1-h2", "rack": "dc2-r1", "dc": "dc2"}]
    assert places("admin") == real
    assert places("member") == [
        {"host": "host-6", "rack": "rack-3", "dc": "dc-2"}
    ]
    stage.conf.set_override("policy_file", str(changed), "oslo_policy")
    fresh = stages.app.make_app(
        stage.conf, authenticate=stages.authenticate
    )
    stage.client = stages.testing.TestClient(fresh)
    assert places("member") == real
    assert places("reader") != real
