# SPDX-License-Identifier: Apache-2.0
"""HA server groups through the API: made, shown, changed, deleted."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from aacloud.core import rules
from aacloud.db import inspections
from aacloud.rpc import group_messages
from aacloud.rpc import groups as rpc_groups
from tests.unit.api import engines
from tests.unit.api import group_operations
from tests.unit.api.stage import Answer
from tests.unit.api.stage import Stage

WINDOW = "cron:0 1 * * 6;duration=4h;tz=Europe/Berlin"
NOBODY = "00000000-0000-0000-0000-0000000000ff"


def create(stage: Stage, token: str = "member", **body: Any) -> Answer:
    return stage.call(
        "POST", "/v1/groups", token=token, json={"name": "web", **body}
    )


def patch(
    stage: Stage, group: str, token: str = "member", **body: Any
) -> Answer:
    return stage.call("PATCH", f"/v1/groups/{group}", token=token, json=body)


def message(answer: Answer) -> str:
    text: str = answer.json["error"]["message"]
    return text


def test_group_with_rules_and_servers(stage: Stage) -> None:
    servers = [
        stage.engine.add_server(1, "dc1-r1-h1"),
        stage.engine.add_server(2, "dc1-r2-h1"),
    ]
    answer = create(
        stage,
        rules=[
            "spread:rack:max=1:require",
            {"kind": "spread", "level": "dc", "max_skew": 1},
        ],
        servers=servers,
        window=WINDOW,
        mode="repair",
    )
    assert answer.status == 201, answer.json
    group = answer.json["group"]
    assert group["name"] == "web"
    assert group["project_id"] == "77aa"
    assert [rule["text"] for rule in group["rules"]] == [
        "spread:rack:max=1",
        "spread:dc:max_skew=1",
    ]
    assert group["rules"][0]["max_per_domain"] == 1
    assert group["window"] == WINDOW
    assert group["window_opens_at"] is not None
    assert answer.json["joined"] == servers
    # Two in one data centre, none in the other.
    assert answer.json["state"] == "violating"
    assert answer.json["plan"]["moves"] == 1
    stored = stage.groups.get(group["id"])
    assert stored.group.members == frozenset(servers)
    assert stored.created_by == "joe (8f2a)"
    assert stage.engine.announced.wait(30)
    assert stage.engine.revisions == [stored.group.revision]


def test_group_alone_needs_no_engine(stage: Stage) -> None:
    answer = create(stage, rules=["spread:host"])
    assert answer.status == 201
    assert answer.json["state"] == "compliant"
    assert answer.json["group"]["mode"] == "enforce"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rules": ["spread"]}, "rules[0]"),
        ({"rules": ["spread:planet"]}, "spread:rack:max=1"),
        ({"rules": ["spread:host", "spread:host:max=1"]}, "twice"),
        ({"rules": [{"kind": "spread"}]}, "level is missing"),
        ({"rules": [{"kind": "spread", "level": "rack", "x": 1}]}, "x"),
        ({"rules": [7]}, "must be text or an object"),
        ({"rules": ["fence:dc:domains=dc9"]}, "dc9"),
        ({"rules": ["fence:rack:domains=dc1"]}, "dc1"),
        ({"window": "cron:0 1 30 2 *;duration=1h"}, "window"),
        ({"window": "cron:0 1 * * 6;duration=4h;tz=Mars/Base"}, "Mars/Base"),
        ({"window": "on sundays"}, "cron"),
        ({"window": "cron:0 1 * * 6"}, "duration"),
        ({"mode": "always"}, "always"),
        ({"name": " "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"servers": ["web-1"]}, "servers[0]"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_input(stage: Stage, wrong: dict[str, Any], said: str) -> None:
    answer = create(stage, **wrong)
    assert answer.status == 400, answer.json
    assert said in message(answer)
    assert stage.groups.list() == ()
    group = group_operations.add_group(stage)
    if "servers" in wrong:
        return
    changed = patch(stage, group, **wrong)
    assert changed.status == 400, changed.json
    assert stage.groups.get(group).version == 1


def test_contradiction_is_refused_with_an_example(stage: Stage) -> None:
    servers = [
        stage.engine.add_server(number, host)
        for number, host in enumerate(
            ("dc1-r1-h1", "dc1-r2-h1", "dc2-r1-h1"), start=1
        )
    ]
    body = {
        "rules": ["fence:dc:domains=dc1", "spread:rack:max=1"],
        "servers": servers,
    }
    answer = create(stage, token="admin", **body)
    assert answer.status == 409, answer.json
    assert "fence:dc:domains=dc1" in message(answer)
    assert "spread:rack:max=1" in message(answer)
    assert "dc1-r1" in message(answer)
    assert stage.groups.list() == ()

    hidden = create(stage, **body)
    assert hidden.status == 409
    # What the caller has said is no secret to him, the racks are.
    assert "dc1-r1" not in message(hidden)
    assert "rack-1" in message(hidden)

    group = group_operations.add_group(
        stage, "web", "spread:rack", members=tuple(servers)
    )
    changed = patch(stage, group, add_rules=["fence:dc:domains=dc1"])
    assert changed.status == 409
    assert len(stage.groups.get(group).group.rules) == 1


def test_name_is_unique_in_the_project(stage: Stage) -> None:
    assert create(stage).status == 201
    again = create(stage)
    assert again.status == 409
    assert "already" in message(again)
    assert create(stage, token="stranger").status == 201
    assert create(stage, name="db").status == 201
    group = stage.groups.list(name="db")[0].id
    assert patch(stage, group, name="web").status == 409


def test_quota(stage: Stage) -> None:
    set_quota = stage.call(
        "PUT", "/v1/quotas/77aa", json={"groups": 1, "members": 1}
    )
    assert set_quota.status == 200
    assert set_quota.json["quota"]["groups"] == {"limit": 1, "used": 0}
    servers = [stage.engine.add_server(n, "dc1-r1-h1") for n in (1, 2)]
    many = create(stage, servers=servers)
    assert many.status == 409
    assert "may have 1 members" in message(many)
    assert create(stage, servers=servers[:1]).status == 201
    assert create(stage, name="db").status == 409
    group = stage.groups.list()[0].id
    join = stage.call(
        "POST",
        f"/v1/groups/{group}/servers",
        token="member",
        json={"servers": servers},
    )
    assert join.status == 409
    assert stage.groups.get(group).group.members == {servers[0]}
    shown = stage.call("GET", "/v1/quotas/77aa", token="reader")
    assert shown.json["quota"]["members"] == {"limit": 1, "used": 1}
    back = stage.call(
        "PUT", "/v1/quotas/77aa", json={"groups": None, "members": -1}
    )
    assert back.json["quota"]["groups"]["limit"] == (
        stage.conf.aacloud_groups.quota_groups
    )
    assert back.json["quota"]["members"]["limit"] == -1
    for wrong in ({"groups": -2, "members": 1}, {"groups": 1}):
        refused = stage.call("PUT", "/v1/quotas/77aa", json=wrong)
        assert refused.status == 400


def test_changes(stage: Stage) -> None:
    group = group_operations.add_group(stage, "web", "spread:host")
    answer = patch(
        stage,
        group,
        name="shop",
        mode="repair",
        window=WINDOW,
        add_rules=["spread:dc:max_skew=1"],
    )
    assert answer.status == 200, answer.json
    found = answer.json["group"]
    assert (found["name"], found["mode"]) == ("shop", "repair")
    assert found["version"] == 2
    assert answer.json["waited"] is None
    back = patch(
        stage,
        group,
        window=None,
        # As one may write it, not only as it is shown.
        remove_rules=["spread:host:max=1:require"],
    )
    assert back.json["group"]["window"] is None
    assert [rule["text"] for rule in back.json["group"]["rules"]] == [
        "spread:dc:max_skew=1"
    ]
    absent = patch(stage, group, remove_rules=["together:dc"])
    assert absent.status == 400
    assert "spread:dc:max_skew=1" in message(absent)
    replaced = patch(stage, group, rules=[])
    assert replaced.json["group"]["rules"] == []


def test_stale_version(stage: Stage) -> None:
    group = group_operations.add_group(stage)
    assert patch(stage, group, mode="off", version=1).status == 200
    stale = patch(stage, group, mode="repair", version=1)
    assert stale.status == 409
    assert "version 1 was read, it is 2 now" in message(stale)
    assert stage.groups.get(group).group.mode is rules.GroupMode.OFF


def test_delete(stage: Stage) -> None:
    group = group_operations.add_group(stage)
    path = f"/v1/groups/{group}"
    assert stage.call("DELETE", path, token="member").status == 204
    for method in ("GET", "DELETE"):
        gone = stage.call(method, path, token="member")
        assert gone.status == 404
        assert "openstack ha group list" in message(gone)
    assert create(stage).status == 201


def test_list_in_pages(stage: Stage) -> None:
    for number in range(5):
        group_operations.add_group(stage, f"g{number}")
    names, query = [], {"limit": "2"}
    while True:
        page = stage.call("GET", "/v1/groups", params=query)
        names += [group["name"] for group in page.json["groups"]]
        links = page.json["groups_links"]
        if not links:
            break
        query["marker"] = page.json["groups"][-1]["id"]
        assert query["marker"] in links[0]["href"]
    assert names == [f"g{number}" for number in range(5)]
    wrong = stage.call("GET", "/v1/groups", params={"marker": NOBODY})
    assert wrong.status == 400


def test_list_filters(stage: Stage) -> None:
    server = engines.server_id(1)
    mine = group_operations.add_group(stage, "a", members=(server,))
    group_operations.add_group(stage, "b")
    stage.groups.update(mine, by="joe", mode=rules.GroupMode.OFF)
    for query in (
        {"name": "a"},
        {"server_id": server},
        {"mode": "off"},
        {"state": "off"},
    ):
        found = stage.call("GET", "/v1/groups", params=query)
        assert [one["id"] for one in found.json["groups"]] == [mine], query


def stored_report(
    stage: Stage, group: str, places: dict[str, tuple[str, ...]]
) -> None:
    """Store an inspection as the engine does."""
    report = group_messages.Report(
        group_id=group,
        revision=1,
        state="violating",
        at=engines.AT,
        age_s=1.5,
        rules=(
            group_messages.RuleFinding(
                rules.parse_rule("spread:rack"),
                "violating",
                {"dc1-r1": 2},
                "one a rack",
                1,
                None,
                ("rack dc1-r2 is full: dc1-r2-h1, dc1-r2-h2.",),
                "rack dc1-r1 holds 2",
                group_messages.Hindrance(
                    "capacity", "dc1-r2-h1 has no room for 1 vCPU", 1
                ),
            ),
        ),
        places=places,
        sought_at=engines.AT,
    )
    stage.inspections.save(
        [
            inspections.StoredReport(
                group,
                report.state,
                1,
                engines.AT,
                group_messages.report_body(report),
            )
        ]
    )
    stage.places.save(
        inspections.ServerPlace(
            server, f"web-{number}", "77aa", hosts, "active", engines.AT
        )
        for number, (server, hosts) in enumerate(places.items(), start=1)
    )


def test_show_reads_the_database_alone(stage: Stage) -> None:
    servers = tuple(engines.server_id(number) for number in (1, 2, 3))
    group = group_operations.add_group(
        stage, "web", "spread:rack", members=servers
    )
    stored_report(
        stage,
        group,
        {
            servers[0]: ("dc1-r1-h1",),
            servers[1]: ("dc1-r1-h2", "dc2-r1-h1"),
        },
    )
    shown = stage.call("GET", f"/v1/groups/{group}").json
    assert shown["group"]["state"] == "violating"
    assert shown["group"]["inspected_at"] == "2026-11-22T10:00:00.000000Z"
    assert shown["report"]["age_s"] == 1.5
    assert shown["report"]["sought_at"] == "2026-11-22T10:00:00.000000Z"
    assert shown["report"]["rules"][0]["counts"] == {"dc1-r1": 2}
    assert [
        (member["name"], [place["rack"] for place in member["hosts"]])
        for member in shown["members"]
    ] == [
        ("web-1", ["dc1-r1"]),
        ("web-2", ["dc1-r1", "dc2-r1"]),
        (None, []),
    ]
    (listed,) = stage.call("GET", "/v1/groups").json["groups"]
    assert listed["state"] == "violating"


def test_domains_are_shown_by_other_names(stage: Stage) -> None:
    servers = (engines.server_id(1),)
    group = group_operations.add_group(
        stage, "web", "spread:rack", members=servers
    )
    stored_report(stage, group, {servers[0]: ("dc1-r1-h2",)})
    answer = stage.call("GET", f"/v1/groups/{group}", token="member")
    (member,) = answer.json["members"]
    assert member["hosts"] == [
        {"host": "host-2", "rack": "rack-1", "dc": "dc-1"}
    ]
    (finding,) = answer.json["report"]["rules"]
    assert finding["counts"] == {"rack-1": 2}
    assert finding["reason"] == "rack rack-1 holds 2"
    assert finding["blocked"] == ["rack rack-2 is full: host-3, host-4."]
    assert finding["hindrance"] == {
        "code": "capacity",
        "reason": "host-3 has no room for 1 vCPU",
        "excess": 1,
    }
    assert "dc1" not in str(answer.json)


def test_report_of_another_version_is_left_out(stage: Stage) -> None:
    group = group_operations.add_group(stage)
    stage.inspections.save(
        [
            inspections.StoredReport(
                group, "compliant", 1, engines.AT, {"odd": 1}
            )
        ]
    )
    answer = stage.call("GET", f"/v1/groups/{group}")
    assert answer.status == 200
    assert answer.json["report"] is None


def test_inspect(stage: Stage) -> None:
    servers = tuple(
        stage.engine.add_server(number, "dc1-r1-h1") for number in (1, 2)
    )
    group = group_operations.add_group(
        stage, "web", "spread:host", members=servers
    )
    found = stage.call(
        "POST", f"/v1/groups/{group}/inspect", token="reader"
    )
    assert found.status == 200
    assert found.json["group"]["state"] == "violating"
    assert found.json["report"]["rules"][0]["least_moves"] == 1
    assert found.json["report"]["rules"][0]["hindrance"] is None
    assert found.json["report"]["sought_at"] is None
    assert found.json["members"][0]["name"] == "web-1"
    assert found.json["members"][0]["hosts"][0]["host"] == "host-1"


def test_inspect_without_an_engine(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens, so the question times out; reading goes on."""
    monkeypatch.setattr(rpc_groups, "CALCULATE_S", 1.2)
    group = group_operations.add_group(stage)
    answer = stage.call("POST", f"/v1/groups/{group}/inspect")
    assert answer.status == 503
    assert "aacloud-groups" in message(answer)
    assert "ha group show" in message(answer)
    assert "Retry-After" in answer.headers
    assert stage.call("GET", f"/v1/groups/{group}").status == 200


def test_import(stage: Stage) -> None:
    native = group_messages.NativeGroup(
        id=engines.server_id(500),
        name="old",
        project_id="77aa",
        policy="anti-affinity",
        rules=(rules.parse_rule("spread:host"),),
        members=(engines.server_id(1),),
    )
    other = group_messages.NativeGroup(
        id=engines.server_id(501),
        name="theirs",
        project_id="88bb",
        policy="affinity",
        rules=(rules.parse_rule("together:host"),),
        members=(),
    )
    stage.engine.native += [native, other]

    def imported(token: str, **body: Any) -> Any:
        answer = stage.call(
            "POST", "/v1/groups/import", token=token, json=body
        )
        if answer.status != 200:
            return answer.status
        return answer.json["native_groups"]

    (tried,) = imported("member", dry_run=True)
    assert tried["group_id"] is None
    assert stage.groups.list() == ()
    (made,) = imported("member")
    record = stage.groups.get(made["group_id"])
    assert record.group.mode is rules.GroupMode.REPORT
    assert record.group.members == {engines.server_id(1)}
    assert record.imported_from == native.id
    (again,) = imported("member", native_id=native.id)
    assert again["group_id"] == record.id
    assert "before" in again["reason"]
    assert imported("member", native_id=other.id) == 404
    assert len(imported("admin", mode="enforce")) == 2
    assert len(stage.groups.list()) == 2


def test_window_that_is_open(stage: Stage) -> None:
    group = group_operations.add_group(stage)
    now = datetime.datetime.now(datetime.timezone.utc)
    start = now - datetime.timedelta(hours=1)
    window = (
        f"cron:{start.minute} {start.hour} * * *;duration=4h;tz=UTC"
    )
    found = patch(stage, group, window=window).json["group"]
    assert found["window_closes_at"] is not None
    stage.conf.set_override("default_window", WINDOW, "aacloud_groups")
    default = patch(stage, group, window=None).json["group"]
    assert default["window"] is None
    assert default["window_opens_at"] is not None
