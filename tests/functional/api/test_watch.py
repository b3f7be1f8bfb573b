# SPDX-License-Identifier: Apache-2.0
"""``openstack ha incident watch`` while an engine works."""

from __future__ import annotations

import datetime
import json
import re
import signal

from aacloud.core import incidents as core_incidents
from tests.functional.api.shell import Server
from tests.functional.api.shell import Shell
from tests.unit.api import stage as stages
from tests.unit.api.stage import Stage
from tests.unit.api.stage import State

FAST = ("--interval", "0.1", "--timeout", "50")

_MOVE = (
    stages.ServerState.CLAIMED,
    stages.ServerState.REQUESTED,
    stages.ServerState.MIGRATING,
    stages.ServerState.LANDED,
    stages.ServerState.VERIFIED,
)


def recover(stage: Stage, server: core_incidents.ServerRecord) -> None:
    """Move a server as the engine does."""
    later = datetime.datetime.now(datetime.timezone.utc)
    for state in _MOVE:
        columns = {"destination": "dc1-r2-h1"}
        if state is stages.ServerState.VERIFIED:
            columns = {"verified_at": later}
        server = stage.journal.update_server(server, state, **columns)


def test_until_done(stage: Stage, shell: Shell) -> None:
    incident = stage.add_incident()
    run = shell.start("incident", "watch", incident.id, *FAST)
    run.until("dc1-r1-h1 is held dead")
    incident = stage.advance(incident, State.EVACUATING)
    run.until("it is evacuating")
    first, second = stage.add_servers(incident, 2)
    run.until("2 servers: 2 pending")
    recover(stage, first)
    run.until("1 verified")
    recover(stage, second)
    stage.advance(incident, State.RETURN_WAIT)
    assert run.wait() == 0
    lines = run.output.splitlines()
    # It is through the one state a moment before it is in the other.
    assert re.search(
        r"is (done|return-wait); 2 servers: 2 verified; downtime", lines[-1])
    told = [line for line in lines if "it is " in line]
    assert len(told) == len(set(told)), "each event comes once"


def test_partial(stage: Stage, shell: Shell) -> None:
    incident = stage.add_incident(State.EVACUATING)
    (server,) = stage.add_servers(incident, 1)
    run = shell.start("incident", "watch", *FAST)
    run.until("1 server: 1 pending")
    stage.journal.update_server(
        server,
        stages.ServerState.MANUAL,
        reason_code="local-disk",
        reason="its disk is on the dead host: bring the host back",
    )
    incident = stage.advance(incident, State.VERIFYING)
    stage.advance(incident, State.PARTIAL)
    assert run.wait() == 3
    assert "1 server left for you" in run.output
    assert "bring the host back" in run.output


def test_next_incident_is_waited_for(stage: Stage, shell: Shell) -> None:
    stage.add_incident(host="dc2-r1-h1")
    run = shell.start(
        "incident", "watch", "--host", "dc1-r2-h1", "--until", "fenced", *FAST
    )
    run.until("No incident of host dc1-r2-h1 is open")
    incident = stage.add_incident(host="dc1-r2-h1")
    run.until(f"Incident {incident.id}")
    stage.advance(incident, State.FENCED)
    assert run.wait() == 0


def test_time_is_over_while_it_waits(stage: Stage, shell: Shell) -> None:
    stage.add_incident(State.FENCING, waiting="the BMC is silent")
    result = shell("incident", "watch", "--timeout", "1")
    assert result.status == 4
    assert "The time is over" in result.out
    assert "the BMC is silent" in result.out.splitlines()[-1]


def test_shadow_mode(stage: Stage, shell: Shell) -> None:
    incident = stage.add_incident(State.SHADOWED)
    result = shell("incident", "watch", incident.id)
    assert result.status == 5
    assert "shadow mode" in result.out


def test_restart_of_the_api(
    stage: Stage, server: Server, shell: Shell
) -> None:
    incident = stage.add_incident()
    run = shell.start("incident", "watch", incident.id, *FAST)
    run.until("held dead")
    server.stop()
    run.until("asking again until it answers")
    incident = stage.advance(incident, State.FENCING)
    server.start()
    run.until("The API answers again")
    run.until("it is fencing")
    stage.advance(incident, State.DONE)
    assert run.wait() == 0


def test_unknown_incident(shell: Shell) -> None:
    result = shell("incident", "watch", "no-such-incident")
    assert result.status == 1
    assert "no-such-incident" in result.err


def test_json(stage: Stage, shell: Shell) -> None:
    incident = stage.add_incident()
    run = shell.start("incident", "watch", incident.id, "-f", "json", *FAST)
    run.until("held dead")
    stage.advance(incident, State.DONE)
    assert run.wait() == 0
    said = [json.loads(line) for line in run.output.splitlines()]
    assert said[0]["incident"]["id"] == incident.id
    assert said[-1] == {
        "outcome": "reached",
        "exit_status": 0,
        "message": said[-1]["message"],
    }
    events = [event for item in said[:-1] for event in item["events"]]
    assert events[-1]["text"] == "it is done"


def test_on_a_terminal(stage: Stage, shell: Shell) -> None:
    incident = stage.add_incident(State.EVACUATING)
    first, second = stage.add_servers(incident, 2)
    run = shell.start(
        "incident", "watch", incident.id, *FAST, terminal=True
    )
    run.until("0/2 servers settled")
    recover(stage, first)
    run.until("1/2 servers settled")
    recover(stage, second)
    stage.advance(incident, State.DONE)
    assert run.wait() == 0
    assert "dc1-r2-h1" in run.output
    assert "2 verified" in run.output
    # The cursor is shown again.
    assert run.output.rindex("\x1b[?25h") > run.output.rindex("\x1b[?25l")


def test_interrupt(stage: Stage, shell: Shell) -> None:
    incident = stage.add_incident()
    run = shell.start("incident", "watch", incident.id, *FAST)
    run.until("held dead")
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert "The incident goes on" in run.output
    assert "Traceback" not in run.output
