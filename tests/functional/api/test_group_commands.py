# SPDX-License-Identifier: Apache-2.0
"""``openstack ha group …`` and ``openstack ha plan …`` against the API."""

from __future__ import annotations

import uuid

from aacloud.core import groups as core_groups
from aacloud.rpc import group_messages
from aacloud.rpc import groups_server
from tests.functional.api.shell import Shell
from tests.unit.api import engines
from tests.unit.api import group_operations
from tests.unit.api import test_groups
from tests.unit.api.stage import Stage

WINDOW = "cron:0 1 * * 6;duration=4h;tz=Europe/Berlin"


def test_life_of_a_group(stage: Stage, shell: Shell) -> None:
    one = stage.engine.add_server(1, "dc1-r1-h1")
    two = stage.engine.add_server(2, "dc1-r1-h1")
    made = shell(
        "group", "create", "web",
        "--rule", "spread:rack:max=1:require",
        "--rule", "spread:dc:max_skew=1:prefer",
        "--server", one,
        "-f", "json",
    )  # fmt: skip
    assert made.status == 0, made.err
    assert made.json["state"] == "compliant"
    assert made.json["rules"] == [
        "spread:rack:max=1",
        "spread:dc:max_skew=1:prefer",
    ]
    group = made.json["id"]

    joined = shell("group", "add", "server", "web", two)
    assert joined.status == 0, joined.err
    assert "the group is violating" in joined.out
    assert "1 move, proved to be the fewest" in joined.out
    again = shell("group", "add", "server", group, two, "-f", "json")
    assert (again.json["joined"], again.json["already"]) == ([], [two])
    assert again.json["plan"]["moves"] == 1

    listed = shell("group", "list", "-f", "json").json
    assert [(row["Name"], row["Members"]) for row in listed] == [("web", 2)]

    changed = shell(
        "group", "set", "web", "--name", "shop", "--mode", "repair",
        "--rule", "spread:host", "-f", "json",
    )  # fmt: skip
    assert changed.json["mode"] == "repair"
    assert len(changed.json["rules"]) == 3
    unset = shell(
        "group", "unset", "shop", "--rule", "spread:host:max=1", "-f", "json"
    )
    assert len(unset.json["rules"]) == 2
    none = shell(
        "group", "set", "shop", "--no-rule", "--rule", "together:dc",
        "-f", "json",
    )  # fmt: skip
    assert none.json["rules"] == ["together:dc"]

    left = shell(
        "group", "remove", "server", "shop", two, "--wait", "-f", "json"
    )
    assert left.json["left"] == [two]
    assert left.json["members"] == 1
    assert shell("group", "delete", "shop").status == 0
    assert stage.groups.list() == ()
    gone = shell("group", "show", "shop")
    assert (gone.status, gone.out) == (1, "")
    assert "there is no group 'shop'" in gone.err
    assert "Traceback" not in gone.err


def test_show_draws_the_members(stage: Stage, shell: Shell) -> None:
    servers = tuple(engines.server_id(number) for number in (1, 2, 3))
    group = group_operations.add_group(
        stage, "web", "spread:rack", members=servers
    )
    test_groups.stored_report(
        stage,
        group,
        {
            servers[0]: ("dc1-r1-h1",),
            servers[1]: ("dc1-r1-h2", "dc2-r1-h1"),
        },
    )
    shown = shell("group", "show", "web")
    assert shown.status == 0, shown.err
    lines = shown.out.splitlines()
    start = lines.index("3 members")
    assert lines[start + 1 : start + 14] == [
        "├─ dc1: 2",
        "│  └─ dc1-r1: 2",
        "│     ├─ dc1-r1-h1: 1",
        f"│     │  └─ web-1 ({servers[0]})",
        "│     └─ dc1-r1-h2: 1",
        f"│        └─ web-2 ({servers[1]}), being moved",
        "├─ dc2: 1",
        "│  └─ dc2-r1: 1",
        "│     └─ dc2-r1-h1: 1",
        f"│        └─ web-2 ({servers[1]}), being moved",
        "└─ on no host, or it is not known where",
        f"   └─ {servers[2]}",
        "",
    ]
    assert "rack dc1-r1 holds 2" in shown.out
    assert "ago" in shown.out
    program = shell("group", "show", group, "-f", "json").json
    assert program["report"]["rules"][0]["excess"] == 1
    assert program["members"][0]["hosts"][0]["rack"] == "dc1-r1"
    hidden = shell("group", "show", "web", OS_TOKEN="reader")
    assert "rack-1: 2" in hidden.out
    assert "dc1-r1" not in hidden.out


def test_inspect_ends_with_the_state(stage: Stage, shell: Shell) -> None:
    servers = tuple(
        stage.engine.add_server(number, "dc1-r1-h1") for number in (1, 2)
    )
    group_operations.add_group(stage, "bad", "spread:host", members=servers)
    group_operations.add_group(stage, "good", "together:host")
    good = shell("group", "inspect", "good", "-f", "json")
    assert good.status == 0, good.err
    bad = shell("group", "inspect", "bad", "good", "-f", "json")
    assert bad.status == 3
    assert bad.json[0]["Members"] == {"dc1-r1-h1": 2}
    assert bad.json[0]["Least moves"] == 1
    people = shell("group", "inspect", "--all")
    assert people.status == 3
    assert "dc1-r1-h1: 2" in people.out
    stage.engine.down = "it is starting"
    down = shell("group", "inspect", "bad")
    assert (down.status, down.out) == (1, "")
    assert "it is starting" in down.err
    assert shell("group", "inspect").status == 1


def test_windows(stage: Stage, shell: Shell) -> None:
    group_operations.add_group(stage, "web")
    done = shell("group", "window", "set", "web", WINDOW, "-f", "json")
    assert done.status == 0, done.err
    assert done.json["window"] == WINDOW
    shown = shell("group", "window", "show", "web")
    assert "Europe/Berlin" in shown.out
    assert "UTC" in shown.out
    never = shell(
        "group", "window", "set", "web", "cron:0 1 30 2 *;duration=1h"
    )
    assert never.status == 1
    assert "HTTP 400" in never.err
    back = shell("group", "window", "unset", "web", "-f", "json")
    assert back.json["window"] is None


def test_quotas(shell: Shell) -> None:
    project = uuid.uuid4().hex
    done = shell(
        "group", "quota", "set", project, "--groups", "7",
        "--members", "-1", "-f", "json",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert (done.json["groups"], done.json["members"]) == (7, -1)
    shown = shell("group", "quota", "show", project, "-f", "json").json
    assert shown["groups_used"] == 0
    # This token comes without a catalog, and names no project.
    own = shell("group", "quota", "show")
    assert own.status == 1
    assert "name the project" in own.err


def test_repair(stage: Stage, shell: Shell) -> None:
    group = group_operations.add_group(stage, "web", "spread:host")
    assert stage.engine.repairs == []
    dry = shell("group", "repair", "web", "--dry-run")
    assert dry.status == 0, dry.err
    assert "nothing is moved" in dry.out
    assert "dc2-r1-h1" in dry.out
    assert stage.engine.repairs == [(group, True)]
    machine = shell("group", "repair", "--all", "-f", "json")
    assert machine.json[0]["To"] == "dc2-r1-h1"

    def stored(question: groups_server.RepairQuestion) -> str:
        assert not question.dry_run
        return group_operations.add_plan(stage, group)

    stage.engine.make_plan = stored
    done = shell("group", "repair", "web", "--approve", "--reason", "go")
    assert done.status == 0, done.err
    assert "is approved" in done.out
    (plan,) = stage.plans.list()
    assert [order.reason for order in plan.orders] == ["go"]
    made = len(stage.engine.repairs)
    # The one that waits is approved, by the group's name or by its own id.
    assert shell("group", "repair", "web", "--approve").status == 0
    assert shell("group", "repair", "--approve", plan.id).status == 0
    assert len(stage.engine.repairs) == made
    assert len(stage.plans.get(plan.id).orders) == 3
    assert shell("group", "repair").status == 1


def test_plans(stage: Stage, shell: Shell) -> None:
    group = group_operations.add_group(stage, "web")
    plan = group_operations.add_plan(
        stage, group, state=core_groups.PlanState.APPROVED
    )
    listed = shell("plan", "list", "--group", "web", "--open", "-f", "json")
    assert [row["ID"] for row in listed.json] == [plan]
    for word in ("pause", "resume", "stop"):
        done = shell("plan", word, plan, "--reason", word, "-f", "json")
        assert done.status == 0, done.err
        assert done.json["id"] == plan
    orders = stage.plans.get(plan).orders
    assert [order.command.value for order in orders] == [
        "pause",
        "resume",
        "stop",
    ]
    people = shell("plan", "show", plan)
    assert people.status == 0, people.err
    for text in ("dc2-r1-h1", "1 step: 1 pending", "asks: stop: stop"):
        assert text in people.out
    program = shell("plan", "show", plan, "-f", "json").json
    assert program["steps"][0]["server_name"] == "web-2"
    late = shell("plan", "approve", plan)
    assert late.status == 1
    assert "HTTP 409" in late.err


def test_import(stage: Stage, shell: Shell) -> None:
    stage.engine.native.append(
        group_messages.NativeGroup(
            id=engines.server_id(500),
            name="old",
            project_id="77aa",
            policy="anti-affinity",
            rules=(),
            members=(),
        )
    )
    tried = shell("group", "import", "--all", "--dry-run", "-f", "json").json
    assert tried[0]["Group"] == "-"
    done = shell("group", "import", engines.server_id(500), "-f", "json").json
    assert done[0]["Note"] == "imported"
    assert stage.groups.list()[0].id == done[0]["Group"]


def test_wrong_input(stage: Stage, shell: Shell) -> None:
    bad = shell("group", "create", "web", "--rule", "spread:planet")
    assert (bad.status, bad.out) == (1, "")
    assert "for example spread:rack:max=1" in bad.err
    unknown = engines.server_id(900)
    assert stage.engine.down is None
    missing = shell("group", "create", "web", "--server", unknown)
    assert missing.status == 1
    assert unknown in missing.err
    assert "HTTP 400" in missing.err
    # Names are looked up in Nova, which this endpoint is not.
    named = shell("group", "create", "web", "--server", "web-1")
    assert named.status == 1
    assert "name it by its id" in named.err
    assert "Traceback" not in named.err
    assert stage.groups.list() == ()


def test_name_that_several_projects_use(stage: Stage, shell: Shell) -> None:
    ids = [
        group_operations.add_group(stage, "web", project_id=project)
        for project in ("88bb", "99cc")
    ]
    result = shell("group", "show", "web")
    assert result.status == 1
    for group in ids:
        assert group in result.err
    assert shell("group", "show", ids[0]).status == 0
    rows = shell("group", "list", "--all-projects", "-f", "json").json
    assert sorted(row["Project"] for row in rows) == ["88bb", "99cc"]
