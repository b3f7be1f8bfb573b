# SPDX-License-Identifier: Apache-2.0
"""Repair plans through the API."""

from __future__ import annotations

import pytest

from aacloud.core import groups as core_groups
from tests.unit.api import group_operations
from tests.unit.api.stage import Stage

NOBODY = "00000000-0000-0000-0000-0000000000ff"
State = core_groups.PlanState


def test_dry_run_is_free(stage: Stage) -> None:
    group = group_operations.add_group(stage, "web", "spread:host")
    assert stage.engine.repairs == []
    answer = stage.call(
        "POST", "/v1/plans", token="reader", json={"group_id": group}
    )
    assert answer.status == 201
    plan = answer.json["plan"]
    assert (plan["moves"], plan["lower_bound"], plan["gap"]) == (1, 1, 0)
    assert plan["proved_optimal"] is True
    assert plan["id"] is not None
    assert stage.engine.repairs == [(group, True)]
    assert "dc1" not in str(plan)
    named = stage.call("POST", "/v1/plans", json={"group_id": group})
    assert named.json["plan"]["steps"][0]["source"] == "dc1-r1-h1"
    assert len(named.json["plan"]["left"]) == 2


def test_engine_refuses(stage: Stage) -> None:
    group = group_operations.add_group(stage)
    stage.engine.refuses = "plan 7 is under way, on host dc1-r1-h1"
    answer = stage.call("POST", "/v1/plans", json={"group_id": group})
    assert answer.status == 409
    assert "plan 7 is under way" in answer.json["error"]["message"]
    stage.engine.down = "it is starting"
    down = stage.call("POST", "/v1/plans", json={"group_id": group})
    assert down.status == 503
    unknown = stage.call("POST", "/v1/plans", json={"group_id": NOBODY})
    assert unknown.status == 404


def test_show_and_story(stage: Stage) -> None:
    group = group_operations.add_group(stage)
    plan = group_operations.add_plan(stage, group)
    shown = stage.call("GET", f"/v1/plans/{plan}").json
    assert shown["plan"]["state"] == "awaiting-approval"
    assert shown["plan"]["group_id"] == group
    assert shown["plan"]["summary"]["reasons"] == ["rack dc1-r2 is full"]
    assert shown["steps"][0]["destination"] == "dc2-r1-h1"
    hidden = stage.call("GET", f"/v1/plans/{plan}", token="reader").json
    assert hidden["plan"]["summary"]["reasons"] == ["rack rack-2 is full"]
    assert hidden["steps"][0]["destination"] == "host-5"
    events = stage.call("GET", f"/v1/plans/{plan}/events", token="reader")
    assert [one["text"] for one in events.json["events"]] == ["off host-1"]
    later = stage.call(
        "GET", f"/v1/plans/{plan}/events", params={"since": "1"}
    )
    assert later.json["events"] == []


def test_steps_say_what_they_are_good_for(stage: Stage) -> None:
    """Group ids are ids; in reasons nothing is named that is masked."""
    group = group_operations.add_group(stage, "web", "spread:host")
    plan = group_operations.add_plan(stage, group)
    (step,) = stage.call("GET", f"/v1/plans/{plan}").json["steps"]
    assert step["group_ids"] == []
    stage.groups.add_members(group, {step["server_id"]: "77aa"}, by="joe")
    (step,) = stage.call("GET", f"/v1/plans/{plan}").json["steps"]
    assert step["group_ids"] == [group]
    assert step["reasons"] == [
        "fence:host:domains=dc2-r1-h1:prefer of group web: host dc1-r1-h1 "
        "holds 2 of its members, dc2-r1-h1 holds 0"
    ]
    hidden = stage.call("GET", f"/v1/plans/{plan}", token="reader").json
    assert hidden["steps"][0]["group_ids"] == [group]
    assert hidden["steps"][0]["reasons"] == [
        "fence:host:domains=host-5:prefer of group web: host host-1 holds 2 "
        "of its members, host-5 holds 0"
    ]


@pytest.mark.parametrize("project_id", ["88bb", "77aa"])
def test_servers_that_make_way(stage: Stage, project_id: str) -> None:
    """Another project's is named to operators only, wherever that is."""
    other = "00000000-0000-0000-0000-000000000077"
    group = group_operations.add_group(stage, "web", "spread:host")
    plan = group_operations.add_plan(stage, group, way=(other, project_id))
    plans = stage.lead_groups()
    (first, _) = plans.steps(plan)
    plans.update_step(first, core_groups.StepState.CLAIMED)
    plans.note(
        plans.get(plan),
        f"step 1, payroll-db, is left out: server {other} cannot be moved",
        detail={"server": other, "name": "payroll-db", "to": "dc9-r1-h1"},
    )
    plans.advance(
        plans.get(plan),
        State.AWAITING_APPROVAL,
        event_text="it waits",
        waiting="server payroll-db is being moved off dc9-r1-h1",
    )

    def told(token: str) -> list[str]:
        shown = stage.call("GET", f"/v1/plans/{plan}", token=token).json
        events = stage.call(
            "GET", f"/v1/plans/{plan}/events", token=token
        ).json
        listed = stage.call("GET", "/v1/plans", token=token).json
        assert [step["number"] for step in shown["steps"]] == [1, 2]
        assert shown["steps"][1]["server_name"] == "web-2"
        assert len(events["events"]) == 5
        return [str(shown), str(events), str(listed)]

    for text in told("admin"):
        assert "payroll-db" in text
        assert "dc9-r1-h1" in text
    for text in told("reader"):
        assert ("payroll-db" in text) is (project_id == "77aa")
        assert "dc9" not in text
        assert "group payroll" not in text
        assert group_operations.ELSEWHERE not in text
        if project_id != "77aa":
            assert other not in text
    step = stage.call("GET", f"/v1/plans/{plan}", token="reader").json[
        "steps"
    ][0]
    assert (step["server_id"] is None) is (project_id != "77aa")
    assert (step["server_name"] is None) is (project_id != "77aa")
    assert step["reasons"] == ["it makes way for another server of the plan"]
    word = "payroll-db" if project_id == "77aa" else "(another project's)"
    events = stage.call("GET", f"/v1/plans/{plan}/events", token="reader")
    assert f"step 1, {word}, is left out" in str(events.json)


def test_previews_name_no_server_of_others(stage: Stage) -> None:
    group = group_operations.add_group(stage, "web", "spread:host")
    member = "00000000-0000-0000-0000-000000000002"

    def server(token: str) -> object:
        answer = stage.call(
            "POST", "/v1/plans", token=token, json={"group_id": group}
        )
        return answer.json["plan"]["steps"][0]["server_id"]

    assert stage.engine.repairs == []
    assert server("reader") is None
    assert server("admin") == member
    # By the plan that the engine stored.
    other = "00000000-0000-0000-0000-000000000077"
    plan = group_operations.add_plan(
        stage, group, state=State.DRAFT, way=(other, "88bb")
    )
    stage.engine.make_plan = lambda question: plan
    assert server("reader") == member
    stage.engine.make_plan = None
    stage.groups.add_members(
        group, {member: "88bb"}, by="joe", admin=True
    )
    assert server("reader") == member


def test_list(stage: Stage) -> None:
    one = group_operations.add_group(stage, "a")
    two = group_operations.add_group(stage, "b")
    plans = [
        group_operations.add_plan(stage, one),
        group_operations.add_plan(stage, two, state=State.DRAFT),
    ]

    def listed(**query: str) -> list[str]:
        answer = stage.call("GET", "/v1/plans", params=query)
        return [plan["id"] for plan in answer.json["plans"]]

    assert set(listed()) == set(plans)
    assert listed(group_id=one) == plans[:1]
    assert listed(state="draft") == plans[1:]
    assert listed(open="false") == []
    page = stage.call("GET", "/v1/plans", params={"limit": "1"}).json
    assert len(page["plans"]) == 1
    rest = listed(marker=page["plans"][0]["id"])
    assert set(rest) | {page["plans"][0]["id"]} == set(plans)
    wrong = stage.call("GET", "/v1/plans", params={"marker": NOBODY})
    assert wrong.status == 400


def test_pages_name_no_plan_of_others(stage: Stage) -> None:
    """Neither in the list nor in the link to the next page."""
    mine, foreign = [], []
    for number in range(4):
        mine.append(
            group_operations.add_plan(
                stage, group_operations.add_group(stage, f"a{number}")
            )
        )
        foreign += [
            group_operations.add_plan(
                stage,
                group_operations.add_group(
                    stage, f"b{number}{n}", project_id="88bb"
                ),
            )
            for n in (1, 2)
        ]
    pages: list[list[str]] = []
    query = {"limit": "2"}
    while query:
        answer = stage.call(
            "GET", "/v1/plans", token="member", params=query
        ).json
        assert not any(plan in str(answer) for plan in foreign)
        pages.append([plan["id"] for plan in answer["plans"]])
        links = answer["plans_links"]
        query = (
            {"limit": "2", "marker": pages[-1][-1]} if links else {}
        )
        assert all(pages[-1][-1] in link["href"] for link in links)
    assert pages == [mine[:1:-1], mine[1::-1]]
    guessed = stage.call(
        "GET", "/v1/plans", token="member", params={"marker": foreign[0]}
    )
    assert guessed.status == 400
    assert len(
        stage.call("GET", "/v1/plans", params={"limit": "9"}).json["plans"]
    ) == 9


@pytest.mark.parametrize(
    ("word", "state", "refused"),
    [
        ("approve", State.DRAFT, State.APPROVED),
        ("pause", State.APPROVED, State.DRAFT),
        ("resume", State.APPROVED, State.DRAFT),
        ("stop", State.AWAITING_APPROVAL, None),
    ],
)
def test_commands(
    stage: Stage,
    word: str,
    state: core_groups.PlanState,
    refused: core_groups.PlanState | None,
) -> None:
    group = group_operations.add_group(stage)
    plan = group_operations.add_plan(stage, group, state=state)
    told = stage.call(
        "POST", f"/v1/plans/{plan}/{word}", json={"reason": "looked at"}
    )
    assert told.status == 202
    (order,) = told.json["plan"]["orders"]
    assert (order["command"], order["reason"]) == (word, "looked at")
    assert order["by"] == "joe (8f2a)"
    silent = stage.call("POST", f"/v1/plans/{plan}/{word}", json={})
    assert silent.status == 400
    unknown = stage.call(
        "POST", f"/v1/plans/{NOBODY}/{word}", json={"reason": "x"}
    )
    assert unknown.status == 404
    if refused is None:
        return
    other = group_operations.add_group(stage, "other")
    late = group_operations.add_plan(stage, other, state=refused)
    answer = stage.call(
        "POST", f"/v1/plans/{late}/{word}", json={"reason": "x"}
    )
    assert answer.status == 409
    assert refused.value in answer.json["error"]["message"]


def test_plan_of_a_deleted_group_is_the_operators(stage: Stage) -> None:
    group = group_operations.add_group(stage)
    plan = group_operations.add_plan(stage, group)
    stage.groups.delete(group, by="joe")
    assert stage.call("GET", f"/v1/plans/{plan}").status == 200
    hidden = stage.call("GET", f"/v1/plans/{plan}", token="member")
    assert hidden.status == 404
