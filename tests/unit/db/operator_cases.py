# SPDX-License-Identifier: Apache-2.0
"""What operators write, and what anybody reads."""

from __future__ import annotations

import pytest

from aacloud.core import brakes
from aacloud.core import hosts
from aacloud.core import incidents
from aacloud.core import topology
from aacloud.core import verdicts
from aacloud.db import api
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import journal
from tests.unit.db import worlds

State = worlds.State
Server = worlds.Server


class OperatorCases:
    def test_modes(self, database: engine.Database) -> None:
        modes = api.Modes(database, now=worlds.Clock())
        level = topology.Level
        assert modes.settings() == {}
        modes.set(level.DC, "dc1", brakes.Mode.SHADOW, reason="try", by="ann")
        modes.set(
            level.CLOUD, "cloud", brakes.Mode.DISARMED, reason="", by="bob"
        )
        changed = modes.set(
            level.DC, "dc1", brakes.Mode.ARMED, reason="go", by="ann"
        )
        assert changed in modes.list()
        assert len(modes.list()) == 2
        assert modes.settings() == {
            (level.DC, "dc1"): brakes.Mode.ARMED,
            (level.CLOUD, "cloud"): brakes.Mode.DISARMED,
        }
        assert modes.clear(level.DC, "dc1")
        assert not modes.clear(level.DC, "dc1")
        assert list(modes.settings()) == [(level.CLOUD, "cloud")]

    def test_modes_set_at_once(self, database: engine.Database) -> None:
        modes = api.Modes(database)
        level = topology.Level
        outcomes = worlds.together(
            *(
                lambda mode=mode: modes.set(
                    level.DC, "dc1", mode, reason="", by="ann"
                )
                for mode in brakes.Mode
            )
        )
        assert {outcome.mode for outcome in outcomes} == set(brakes.Mode)
        assert len(modes.list()) == 1

    def test_a_command_reaches_the_engine(self, leader: worlds.Engine) -> None:
        opened = leader.open()
        interface = api.Incidents(leader.database, now=worlds.Clock())
        asked = interface.write_command(
            opened.id,
            incidents.Command.CONFIRM_FENCED,
            by="ann",
            reason="pulled the plug",
        )
        seen = leader.journal.incident(opened.id)
        assert seen.commands == (asked,)
        assert seen.version == opened.version
        assert "pulled the plug" in worlds.texts(leader, opened)[-1]
        leader.journal.advance(opened, State.ADMITTED, event_text="go")

    def test_a_command_that_comes_too_late(
        self, leader: worlds.Engine
    ) -> None:
        incident = leader.open()
        interface = api.Incidents(leader.database)
        for state in (
            State.ADMITTED,
            State.PLANNED,
            State.FENCING,
            State.FENCED,
            State.FORCED_DOWN,
            State.EVACUATING,
            State.VERIFYING,
        ):
            incident = leader.journal.advance(
                incident, state, event_text=state.value
            )
        before = leader.journal.events(incident.id)
        with pytest.raises(errors.CommandRefused, match="is verifying"):
            interface.write_command(
                incident.id, incidents.Command.CANCEL, by="ann", reason=""
            )
        with pytest.raises(errors.NotFound):
            interface.write_command(
                "nobody", incidents.Command.CANCEL, by="ann", reason=""
            )
        assert leader.journal.events(incident.id) == before
        assert leader.journal.incident(incident.id).commands == ()

    def test_a_host_is_confirmed_fenced_while_servers_are_moved(
        self, leader: worlds.Engine
    ) -> None:
        """A sign of life may have made the first proof void."""
        incident = leader.open()
        interface = api.Incidents(leader.database, now=worlds.Clock())
        for state in (
            State.ADMITTED,
            State.PLANNED,
            State.FENCING,
            State.FENCED,
            State.FORCED_DOWN,
            State.EVACUATING,
            State.VERIFYING,
            State.DONE,
        ):
            incident = leader.journal.advance(
                incident, state, event_text=state.value
            )
            if state is not State.DONE:
                interface.write_command(
                    incident.id,
                    incidents.Command.CONFIRM_FENCED,
                    by="ann",
                    reason="pulled the plug",
                )
        with pytest.raises(errors.CommandRefused, match="is done"):
            interface.write_command(
                incident.id,
                incidents.Command.CONFIRM_FENCED,
                by="ann",
                reason="",
            )

    def test_pages_of_incidents(self, leader: worlds.Engine) -> None:
        interface = api.Incidents(leader.database)
        opened = [leader.open(f"host-{number}") for number in range(7)]
        newest_first = [incident.id for incident in reversed(opened)]
        seen: list[str] = []
        while page := interface.list(
            limit=3, marker=seen[-1] if seen else None
        ):
            seen += [incident.id for incident in page]
            assert len(page) <= 3
        assert seen == newest_first
        with pytest.raises(errors.NotFound):
            interface.list(marker="nobody")

    def test_incidents_of_one_moment_are_paged_too(
        self, leader: worlds.Engine
    ) -> None:
        still = journal.Journal(
            leader.database, lambda: leader.epoch, now=lambda: worlds.START
        )
        opened = {
            still.open_incident(
                f"host-{number}", {}, brakes.Mode.ARMED, event_text="x"
            ).id
            for number in range(5)
        }
        interface = api.Incidents(leader.database)
        first = interface.list(limit=2)
        rest = interface.list(marker=first[-1].id)
        assert len(first) + len(rest) == 5
        assert {incident.id for incident in first + rest} == opened

    def test_filters_of_incidents(self, leader: worlds.Engine) -> None:
        interface = api.Incidents(leader.database)
        first, second = leader.open("host-1"), leader.open("host-2")
        first = leader.journal.advance(first, State.CANCELLED, event_text="x")
        assert interface.list(host="host-1") == (first,)
        assert interface.list(is_open=True) == (second,)
        assert interface.list(is_open=False) == (first,)
        assert interface.list(states=[State.DETECTED]) == (second,)
        assert interface.list(states=[State.DETECTED, State.CANCELLED]) == (
            second,
            first,
        )
        assert interface.list(host="host-1", is_open=True) == ()

    def test_hosts(self, leader: worlds.Engine) -> None:
        interface = api.Hosts(leader.database)
        records = [
            hosts.HostRecord(
                name=f"{rack}-h{number}",
                dc=rack[:3],
                rack=rack,
                instance_disks="shared",
                addresses={"management": "10.21.1.11"},
                boot_id="1-2",
                agent_seen_at=worlds.START,
                state=verdicts.HostState.UP,
                networks={"management": verdicts.NetworkState.UP},
                reasons=("fresh", "seen by 6"),
                nova={"state": "up"},
            )
            for rack in ("dc1-r1", "dc1-r2", "dc2-r1")
            for number in (1, 2)
        ]
        leader.journal.save_hosts(records)
        leader.journal.save_hosts(
            [
                hosts.HostRecord(
                    "dc1-r1-h1", "dc1", "dc1-r1", state=verdicts.HostState.DEAD
                )
            ],
            forget=["dc2-r1-h2", "dc1-r1-h1", "unknown"],
        )
        assert [host.name for host in leader.journal.hosts()] == [
            "dc1-r1-h1",
            "dc1-r1-h2",
            "dc1-r2-h1",
            "dc1-r2-h2",
            "dc2-r1-h1",
        ]
        dead = interface.get("dc1-r1-h1")
        assert dead.state is verdicts.HostState.DEAD
        assert dead.networks == {}
        kept = interface.get("dc1-r1-h2")
        assert kept.networks == {"management": verdicts.NetworkState.UP}
        assert kept.reasons == ("fresh", "seen by 6")
        assert kept.agent_seen_at == worlds.START
        assert kept.updated_at is not None
        assert [host.name for host in interface.list(dc="dc2")] == [
            "dc2-r1-h1"
        ]
        assert interface.list(state=verdicts.HostState.DEAD) == (dead,)
        assert [host.name for host in interface.list(rack="dc1-r2")] == [
            "dc1-r2-h1",
            "dc1-r2-h2",
        ]
        assert [
            host.name for host in interface.list(limit=2, marker="dc1-r1-h1")
        ] == ["dc1-r1-h2", "dc1-r2-h1"]
        with pytest.raises(errors.NotFound, match="no host elsewhere"):
            interface.get("elsewhere")
