# SPDX-License-Identifier: Apache-2.0
"""``openstack ha …`` against the API."""

from __future__ import annotations

import pytest

from aacloud.core import brakes
from aacloud.core import topology
from tests.functional.api.shell import Server
from tests.functional.api.shell import Shell
from tests.unit.api import stage as stages
from tests.unit.api.stage import Stage
from tests.unit.api.stage import State


def test_hosts(stage: Stage, shell: Shell) -> None:
    incident = stage.add_incident(host="dc1-r1-h1")
    listed = shell("host", "list", "-f", "json")
    assert (listed.status, listed.err) == (0, "")
    assert [row["Name"] for row in listed.json] == sorted(stages.HOSTS)
    assert listed.json[0]["Incident"] == incident.id
    assert listed.json[0]["State"] == "up"

    some = shell(
        "host", "list", "--rack", "dc2-r1", "-f", "value", "-c", "Name"
    )
    assert some.out.split() == ["dc2-r1-h1", "dc2-r1-h2"]

    shown = shell("host", "show", "dc1-r1-h1", "-f", "json")
    assert shown.json["incident_id"] == incident.id
    assert shown.json["networks"] == {"management": "up"}
    assert "its agent reports" in shell("host", "show", "dc1-r1-h1").out


def test_unknown_host(shell: Shell) -> None:
    result = shell("host", "show", "dc9-r1-h1")
    assert (result.status, result.out) == (1, "")
    assert "dc9-r1-h1" in result.err
    assert "openstack ha host list" in result.err
    assert "Traceback" not in result.err


def test_topology(shell: Shell) -> None:
    tree = shell("topology", "show")
    lines = tree.out.splitlines()
    assert "2 data centres, 4 racks, 8 hosts" in lines[0]
    assert "│  ├─ dc1-r1" in lines
    assert any("dc2-r2-h2" in line and "shadow" in line for line in lines)
    rows = shell("topology", "show", "-f", "json").json
    assert rows[0] == {
        "DC": "dc1",
        "Rack": "dc1-r1",
        "Host": "dc1-r1-h1",
        "State": "up",
        "Mode": "shadow",
        "Instance disks": "shared",
    }
    flat = shell("topology", "show", "--flat")
    assert flat.out.startswith("+--")


def test_topology_where_only_ascii_can_be_shown(shell: Shell) -> None:
    tree = shell("topology", "show", PYTHONIOENCODING="ascii")
    assert tree.status == 0, tree.err
    assert "|  |- dc1-r1" in tree.out.splitlines()


def test_arm_and_disarm(stage: Stage, shell: Shell) -> None:
    armed = shell(
        "failover", "arm", "--rack", "dc1-r2", "--reason", "go", "-f", "json"
    )
    assert armed.status == 0, armed.err
    assert armed.json["before"] == "inherited"
    assert armed.json["not_armed"] == ["rack dc1-r1: shadow", "dc dc2: shadow"]
    assert "evacuated" in armed.json["follows"][0]

    everything = shell("failover", "arm", "-f", "json")
    assert everything.json["domain"] == "the whole cloud"
    assert everything.json["not_armed"] == []

    stopped = shell("failover", "disarm", "--dc", "dc2", "--reason", "works")
    assert stopped.status == 0
    assert "dc dc2" in stopped.out
    assert "nothing is done" in stopped.out

    trial = shell("failover", "shadow", "--host", "dc1-r1-h1")
    assert "nothing is done" in trial.out

    modes = {
        (setting.level.value, setting.name): setting
        for setting in stage.modes.list()
    }
    assert {key: setting.mode.value for key, setting in modes.items()} == {
        ("cloud", "cloud"): "armed",
        ("dc", "dc2"): "disarmed",
        ("rack", "dc1-r2"): "armed",
        ("host", "dc1-r1-h1"): "shadow",
    }
    assert modes["dc", "dc2"].reason == "works"
    assert modes["dc", "dc2"].set_by == "joe (8f2a)"

    back = shell("failover", "inherit", "--host", "dc1-r1-h1", "-f", "json")
    assert back.json["mode"] == "inherited"
    assert "dc1-r1-h1" in back.json["follows"][0]
    assert "evacuated" in back.json["follows"][0]
    again = shell("failover", "inherit", "--host", "dc1-r1-h1")
    assert again.status == 1
    assert "dc1-r1-h1" in again.err


def test_arming_tells_what_begins_at_once(
    stage: Stage, shell: Shell
) -> None:
    incident = stage.add_incident(State.SHADOWED, host="dc1-r1-h1")
    there = shell("failover", "arm", "--host", "dc1-r1-h1", "-f", "json")
    assert incident.id in there.json["follows"][1]
    elsewhere = shell("failover", "arm", "--dc", "dc2", "-f", "json")
    assert len(elsewhere.json["follows"]) == 1


def test_modes(stage: Stage, shell: Shell) -> None:
    for level, name, mode in (
        (topology.Level.CLOUD, "cloud", brakes.Mode.ARMED),
        (topology.Level.RACK, "dc1-r1", brakes.Mode.DISARMED),
        (topology.Level.HOST, "scrapped", brakes.Mode.ARMED),
    ):
        stage.modes.set(level, name, mode, reason="test", by="joe")
    rows = {
        (row["Level"], row["Domain"]): row
        for row in shell("failover", "show", "-f", "json").json
    }
    assert len(rows) == 1 + 2 + 4 + 8 + 1
    assert rows["cloud", "cloud"]["Set"] == "armed"
    assert rows["dc", "dc1"]["Effective"] == "2 disarmed, 2 armed"
    assert rows["rack", "dc1-r1"]["Effective"] == "disarmed"
    assert rows["host", "dc1-r1-h1"]["Set"] == "-"
    assert rows["host", "dc1-r1-h1"]["Effective"] == "disarmed"
    assert "dc1-r1" in rows["host", "dc1-r1-h1"]["Why"]
    assert rows["host", "scrapped"]["Effective"] == "no hosts"

    one = shell("failover", "show", "--rack", "dc2-r1", "-f", "json").json
    assert [row["Domain"] for row in one] == [
        "dc2-r1",
        "dc2-r1-h1",
        "dc2-r1-h2",
    ]
    assert shell("failover", "show", "--dc", "dc7").status == 1


@pytest.mark.parametrize(
    ("option", "name"), [("--host", "h9"), ("--rack", "r9"), ("--dc", "dc9")]
)
def test_unknown_domain(
    stage: Stage, shell: Shell, option: str, name: str
) -> None:
    result = shell("failover", "arm", option, name)
    assert (result.status, result.out) == (1, "")
    assert name in result.err
    assert stage.modes.list() == ()


def test_incidents(stage: Stage, shell: Shell) -> None:
    closed = stage.add_incident(State.CANCELLED, host="dc1-r1-h1")
    waits = stage.add_incident(
        State.FENCING, host="dc1-r1-h2", waiting="the BMC is silent"
    )
    listed = shell("incident", "list", "-f", "json").json
    assert [row["ID"] for row in listed] == [waits.id, closed.id]
    assert listed[0]["Waits for"] == "the BMC is silent"
    only = shell("incident", "list", "--closed", "-f", "value", "-c", "ID")
    assert only.out.split() == [closed.id]
    some = shell(
        "incident", "list", "--open", "--state", "fencing", "-f", "json"
    )
    assert [row["Host"] for row in some.json] == ["dc1-r1-h2"]


def test_incident(stage: Stage, shell: Shell) -> None:
    incident = stage.add_incident(State.EVACUATING)
    stage.add_servers(incident, 3)
    people = shell("incident", "show", incident.id)
    assert people.status == 0, people.err
    for part in ("Timeline", "it is fenced", "power read Off", "web-2"):
        assert part in people.out
    assert people.out.index("held dead") < people.out.index("it is fenced")
    program = shell("incident", "show", incident.id, "-f", "json").json
    assert len(program["servers"]) == 3
    assert program["events"][0]["text"] == "dc1-r1-h1 is held dead"
    assert program["proof"]["proven"] is True
    state = shell(
        "incident", "show", incident.id, "-f", "value", "-c", "state"
    )
    assert state.out == "evacuating\n"


def test_operator_confirms_and_cancels(stage: Stage, shell: Shell) -> None:
    incident = stage.add_incident(State.FENCING, waiting="the BMC is silent")
    silent = shell("incident", "confirm-fenced", incident.id)
    assert silent.status == 2
    assert "--reason" in silent.err
    done = shell(
        "incident", "confirm-fenced", incident.id, "--reason", "cords out"
    )
    assert done.status == 0, done.err
    assert "evacuates" in done.out
    done = shell("incident", "cancel", incident.id, "--reason", "by hand")
    assert done.status == 0, done.err
    assert [
        (command.command.value, command.reason)
        for command in stage.incidents.get(incident.id).commands
    ] == [("confirm-fenced", "cords out"), ("cancel", "by hand")]

    stage.advance(stage.incidents.get(incident.id), State.EVACUATING)
    done = shell("incident", "cancel", incident.id, "--reason", "it lives")
    assert done.status == 0, done.err
    assert "the others stay on" in done.out

    stage.advance(stage.incidents.get(incident.id), State.VERIFYING)
    for word in ("confirm-fenced", "cancel"):
        late = shell("incident", word, incident.id, "--reason", "late")
        assert late.status == 1
        assert "verifying" in late.err
        assert "HTTP 409" in late.err


def test_without_a_token(shell: Shell) -> None:
    result = shell("host", "list", OS_AUTH_TYPE="none", OS_TOKEN="")
    assert result.status == 1
    assert "token" in result.err
    assert "HTTP 401" in result.err


def test_without_the_role(stage: Stage, shell: Shell) -> None:
    result = shell("failover", "arm", OS_TOKEN="reader")
    assert result.status == 1
    assert "aacloud:failover_modes:set" in result.err
    assert stage.modes.list() == ()
    assert shell("host", "list", OS_TOKEN="service").status == 0


def test_endpoint_with_the_version(server: Server, shell: Shell) -> None:
    result = shell("host", "list", OS_ENDPOINT=f"{server.url}/v1")
    assert result.status == 0, result.err


def test_command_as_it_is_installed(stage: Stage, shell: Shell) -> None:
    """Most others run it in a fork of a warm process."""
    tree = shell.run("topology", "show")
    assert (tree.status, tree.err) == (0, "")
    assert "│  ├─ dc1-r1" in tree.out.splitlines()
    armed = shell.run("failover", "arm", "-f", "json")
    assert armed.json["not_armed"] == []
    missing = shell.run("host", "show", "dc9-r1-h1")
    assert missing.status == 1
    assert "dc9-r1-h1" in missing.err


def test_nobody_answers(server: Server, shell: Shell) -> None:
    server.stop()
    result = shell("failover", "arm")
    assert result.status == 1
    assert "Connection refused" in result.err
    assert str(server.port) in result.err
    assert "Traceback" not in result.err
