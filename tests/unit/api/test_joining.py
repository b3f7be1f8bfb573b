# SPDX-License-Identifier: Apache-2.0
"""Servers that join and leave groups through the API."""

from __future__ import annotations

from typing import Any

import pytest

from aacloud.rpc import group_messages
from aacloud.rpc import groups as rpc_groups
from tests.unit.api import engines
from tests.unit.api import group_operations
from tests.unit.api.stage import Answer
from tests.unit.api.stage import Stage

UNKNOWN = engines.server_id(900)


def join(
    stage: Stage,
    group: str,
    *servers: str,
    token: str = "member",
    **body: Any,
) -> Answer:
    return stage.call(
        "POST",
        f"/v1/groups/{group}/servers",
        token=token,
        json={"servers": list(servers), **body},
    )


def members(stage: Stage, group: str) -> set[str]:
    return set(stage.groups.get(group).group.members)


def test_join_never_fails_because_of_placement(stage: Stage) -> None:
    group = group_operations.add_group(stage, "web", "spread:host")
    one = stage.engine.add_server(1, "dc1-r1-h1")
    two = stage.engine.add_server(2, "dc1-r1-h1")
    first = join(stage, group, one)
    assert first.status == 200
    assert (first.json["state"], first.json["plan"]) == ("compliant", None)
    second = join(stage, group, two)
    assert second.status == 200
    assert second.json["state"] == "violating"
    assert second.json["joined"] == [two]
    plan = second.json["plan"]
    assert plan["steps"][0]["destination"] == "host-5"
    assert plan["steps"][0]["why"] == ["off host-1"]
    # What is left of other projects' groups is not told.
    assert [left["group_id"] for left in plan["left"]] == [group]
    assert members(stage, group) == {one, two}


def test_groups_of_others_in_the_way_are_not_named(stage: Stage) -> None:
    group = group_operations.add_group(stage, "web", "spread:host")
    group_operations.add_group(stage, "mine", "spread:host")
    stage.engine.hindrance = group_messages.Hindrance(
        "conflict",
        "no host is right: 2 would make spread:dc of group payroll worse; 1 "
        "would make fence:host:domains=dc1-r1-h1:prefer of group mine worse",
        1,
    )
    one = stage.engine.add_server(1, "dc1-r1-h1")
    two = stage.engine.add_server(2, "dc1-r1-h1")
    joined = join(stage, group, one, two)
    inspected = {
        token: stage.call("POST", f"/v1/groups/{group}/inspect", token=token)
        for token in ("reader", "admin")
    }
    for answer in (joined, inspected["reader"]):
        (finding,) = answer.json["report"]["rules"]
        assert finding["hindrance"]["reason"] == (
            "no host is right: 2 would make spread:dc of another group "
            "worse; 1 would make fence:host:domains=host-1:prefer of group "
            "mine worse"
        )
    assert "group payroll worse" in str(inspected["admin"].json)


def test_join_again_changes_nothing(stage: Stage) -> None:
    group = group_operations.add_group(stage)
    one = stage.engine.add_server(1, "dc1-r1-h1")
    assert join(stage, group, one).json["joined"] == [one]
    revision = stage.groups.revision()
    stage.engine.asked.clear()
    again = join(stage, group, one, one)
    assert again.status == 200
    assert again.json["joined"] == []
    assert again.json["already"] == [one]
    assert stage.groups.revision() == revision
    assert "describe_servers" not in stage.engine.asked


@pytest.mark.parametrize("strict", [True, False])
def test_unknown_and_foreign_servers(stage: Stage, strict: bool) -> None:
    group = group_operations.add_group(stage)
    mine = stage.engine.add_server(1, "dc1-r1-h1")
    foreign = stage.engine.add_server(2, "dc1-r1-h1", project_id="88bb")
    for wrong in (UNKNOWN, foreign):
        answer = join(stage, group, mine, wrong, strict=strict)
        assert answer.status == 400
        text = answer.json["error"]["message"]
        # Both are told in the same words.
        assert f"project 77aa has no server {wrong}" in text
        assert "88bb" not in text
        assert members(stage, group) == set()
        made = stage.call(
            "POST",
            "/v1/groups",
            token="member",
            json={"name": "new", "servers": [wrong]},
        )
        assert made.status == 400
    assert join(stage, group, UNKNOWN, token="admin").status == 400
    assert join(stage, group, foreign, token="admin").status == 200


def test_strict_join_is_refused_and_nothing_stored(stage: Stage) -> None:
    group = group_operations.add_group(
        stage, "web", "spread:host", "spread:rack:prefer"
    )
    one = stage.engine.add_server(1, "dc1-r1-h1")
    two = stage.engine.add_server(2, "dc1-r1-h1")
    near = stage.engine.add_server(3, "dc1-r1-h2")
    assert join(stage, group, one, strict=True).status == 200
    refused = join(stage, group, two, strict=True)
    assert refused.status == 409
    text = refused.json["error"]["message"]
    assert "spread:host" in text
    assert "nothing was stored" in text
    assert "dc1-r1-h1" not in text
    # A preference refuses nobody.
    assert join(stage, group, near, strict=True).status == 200
    assert members(stage, group) == {one, near}


def test_strict_creation(stage: Stage) -> None:
    servers = [stage.engine.add_server(n, "dc1-r1-h1") for n in (1, 2)]
    body = {
        "name": "web",
        "rules": ["spread:host"],
        "servers": servers,
        "strict": True,
    }
    answer = stage.call("POST", "/v1/groups", token="member", json=body)
    assert answer.status == 409
    assert "host-1: 2" in answer.json["error"]["message"]
    assert stage.groups.list() == ()
    body["rules"] = ["together:host"]
    made = stage.call("POST", "/v1/groups", token="member", json=body)
    assert made.status == 201


def test_join_without_an_engine(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens on the bus at all."""
    monkeypatch.setattr(rpc_groups, "ASK_S", 1.2)
    group = group_operations.add_group(stage)
    answer = join(stage, group, engines.server_id(1))
    assert answer.status == 503
    text = answer.json["error"]["message"]
    assert "nothing was stored" in text
    assert "aacloud-groups runs" in text
    assert members(stage, group) == set()
    made = stage.call(
        "POST",
        "/v1/groups",
        token="member",
        json={"name": "new", "servers": [engines.server_id(1)]},
    )
    assert made.status == 503
    assert len(stage.groups.list()) == 1


def test_engine_that_cannot_judge(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = group_operations.add_group(stage, "web", "spread:host")
    one = stage.engine.add_server(1, "dc1-r1-h1")

    def no_preview(*_: object) -> Any:
        raise rpc_groups.EngineUnavailable("Nova does not answer")

    monkeypatch.setattr(stage.engine, "preview", no_preview)
    refused = join(stage, group, one, strict=True)
    assert refused.status == 503
    assert "Nova does not answer" in refused.json["error"]["message"]
    assert members(stage, group) == set()
    joined = join(stage, group, one)
    assert joined.status == 200
    assert joined.json["state"] == "unknown"
    assert "Nova does not answer" in joined.json["note"]
    assert members(stage, group) == {one}


def test_wait_for_the_schedulers(stage: Stage) -> None:
    group = group_operations.add_group(stage)
    one = stage.engine.add_server(1, "dc1-r1-h1")
    two = stage.engine.add_server(2, "dc1-r1-h1")
    nobody = join(stage, group, one, wait=True).json["waited"]
    assert nobody["acked"] is False
    assert "no scheduler" in nobody["reason"]
    stage.engine.acks = {"dc1-ctl": 0, "dc2-ctl": -1}
    late = join(stage, group, two, wait=True, token="admin").json["waited"]
    assert late == {
        "acked": False,
        "schedulers": ["dc1-ctl"],
        "missing": ["dc2-ctl"],
        "reason": None,
    }
    stage.engine.acks["dc2-ctl"] = 0
    path = f"/v1/groups/{group}/servers/{one}"
    left = stage.call(
        "DELETE", path, token="member", params={"wait": "true"}
    )
    assert left.json["waited"]["acked"] is True
    assert left.json["waited"]["schedulers"] == ["scheduler-1", "scheduler-2"]
    stage.engine.down = "it is starting"
    patched = stage.call(
        "PATCH", f"/v1/groups/{group}", json={"mode": "off", "wait": True}
    )
    assert patched.status == 200
    assert patched.json["waited"]["reason"] == "it is starting"


def test_leaving_always_succeeds(stage: Stage) -> None:
    one = engines.server_id(1)
    group = group_operations.add_group(stage, members=(one,))
    path = f"/v1/groups/{group}/servers"
    first = stage.call("DELETE", f"{path}/{one}", token="member")
    assert (first.status, first.json["left"]) == (200, True)
    again = stage.call("DELETE", f"{path}/{one}", token="member")
    assert (again.status, again.json["left"]) == (200, False)
    assert members(stage, group) == set()
    wrong = stage.call("DELETE", f"{path}/web-1", token="member")
    assert wrong.status == 400


def test_group_that_is_off_judges_nothing(stage: Stage) -> None:
    group = group_operations.add_group(stage, "web", "spread:host")
    stage.call("PATCH", f"/v1/groups/{group}", json={"mode": "off"})
    servers = [stage.engine.add_server(n, "dc1-r1-h1") for n in (1, 2)]
    answer = join(stage, group, *servers, strict=True)
    assert answer.status == 200
    assert answer.json["state"] == "off"
