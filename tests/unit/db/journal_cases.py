# SPDX-License-Identifier: Apache-2.0
"""What the journal promises of incidents and of their servers."""

from __future__ import annotations

import datetime

import pytest

from aacloud.core import brakes
from aacloud.core import incidents
from aacloud.db import changes
from aacloud.db import errors
from tests.unit.db import worlds

State = worlds.State
Server = worlds.Server


class IncidentCases:
    def test_what_is_opened_is_read_back(self, leader: worlds.Engine) -> None:
        opened = leader.open()
        assert leader.journal.incident(opened.id) == opened
        assert leader.journal.open_incidents() == (opened,)
        assert opened.state is State.DETECTED
        assert opened.detected_at == opened.opened_at
        [event] = leader.journal.events(opened.id)
        assert (event.id, event.kind) == (1, "state")
        assert event.text == "host dc1-r1-h1 is dead"
        assert event.at == opened.opened_at

    def test_a_host_has_one_open_incident(self, leader: worlds.Engine) -> None:
        first = leader.open()
        assert leader.open() == first
        assert leader.open("dc1-r1-h2").id != first.id
        closed = leader.journal.advance(
            first, State.CANCELLED, event_text="it came back"
        )
        assert closed.closed_at is not None
        second = leader.open()
        assert second.id != first.id
        assert len(leader.journal.open_incidents()) == 2

    def test_advance_writes_state_columns_and_event_at_once(
        self, leader: worlds.Engine
    ) -> None:
        opened = leader.open()
        written = leader.journal.advance(
            opened,
            State.ADMITTED,
            event_text="the brakes let it pass",
            detail={"hosts": 1},
            mode=brakes.Mode.ARMED,
            waiting="nothing yet",
            summary={"servers": 0},
        )
        assert written.version == opened.version + 1
        assert leader.journal.incident(opened.id) == written
        event = leader.journal.events(opened.id, since_id=1)[0]
        assert event.text == "the brakes let it pass"
        assert event.detail == {
            "from": "detected",
            "to": "admitted",
            "hosts": 1,
        }

    def test_a_new_state_ends_the_wait(self, leader: worlds.Engine) -> None:
        waiting = leader.journal.advance(
            leader.open(),
            State.DETECTED,
            event_text="it waits",
            waiting="the BMC is silent; confirm by hand",
        )
        assert waiting.waiting == "the BMC is silent; confirm by hand"
        assert waiting.state is State.DETECTED
        gone_on = leader.journal.advance(
            waiting, State.ADMITTED, event_text="go"
        )
        assert leader.journal.incident(gone_on.id).waiting is None

    def test_a_forbidden_transition_writes_nothing(
        self, leader: worlds.Engine
    ) -> None:
        opened = leader.open()
        with pytest.raises(incidents.IllegalTransition):
            leader.journal.advance(opened, State.DONE, event_text="no")
        assert leader.journal.incident(opened.id) == opened
        assert len(leader.journal.events(opened.id)) == 1

    def test_an_unknown_column_is_refused(self, leader: worlds.Engine) -> None:
        opened = leader.open()
        with pytest.raises(TypeError, match="open_host"):
            leader.journal.advance(
                opened, State.ADMITTED, event_text="x", open_host=None
            )
        with pytest.raises(TypeError, match="'version'"):
            leader.journal.advance(
                opened, State.ADMITTED, event_text="x", version=9
            )

    def test_an_incident_that_changed_is_not_overwritten(
        self, leader: worlds.Engine
    ) -> None:
        opened = leader.open()
        leader.journal.advance(opened, State.ADMITTED, event_text="first")
        with pytest.raises(errors.StaleJournal) as refused:
            leader.journal.advance(opened, State.CANCELLED, event_text="2nd")
        assert not refused.value.deposed
        assert "incident " + opened.id in refused.value.row
        assert "version 1 was read, it is 2 now" in refused.value.reason
        assert worlds.texts(leader, opened)[1:] == ["first"]

    def test_an_incident_that_never_was(self, leader: worlds.Engine) -> None:
        opened = leader.open()
        with pytest.raises(errors.NotFound, match="no incident nobody"):
            leader.journal.incident("nobody")
        ghost = incidents.Incident(
            id="nobody",
            host="h",
            state=State.DETECTED,
            mode=brakes.Mode.ARMED,
            version=1,
            epoch=opened.epoch,
            opened_at=opened.opened_at,
            updated_at=opened.opened_at,
        )
        with pytest.raises(errors.NotFound, match="no incident nobody"):
            leader.journal.note(ghost, "hello")

    def test_notes_leave_the_version(self, leader: worlds.Engine) -> None:
        opened = leader.open()
        leader.journal.note(opened, "Keystone is slow", server="s1")
        leader.journal.note(opened, "x" * 100_000, kind="retry")
        leader.journal.advance(opened, State.ADMITTED, event_text="go")
        events = leader.journal.events(opened.id, since_id=1)
        assert [event.id for event in events] == [2, 3, 4]
        assert events[0].server == "s1"
        assert events[0].kind == "note"
        assert events[1].kind == "retry"
        assert events[1].text == "x" * 8000

    def test_nothing_is_added_to_a_closed_incident(
        self, leader: worlds.Engine
    ) -> None:
        incident, [record] = leader.open_with_servers(1)
        closed = leader.journal.advance(
            incident, State.CANCELLED, event_text="cancelled"
        )
        before = leader.journal.events(closed.id)
        with pytest.raises(errors.StaleJournal, match="closed"):
            leader.journal.note(closed, "too late")
        with pytest.raises(errors.StaleJournal, match="closed"):
            leader.journal.update_server(record, Server.MANUAL)
        with pytest.raises(errors.StaleJournal, match="closed"):
            leader.journal.put_servers(closed, [worlds.server(closed, 5)])
        assert leader.journal.events(closed.id) == before

    def test_awkward_documents_survive(self, leader: worlds.Engine) -> None:
        verdict = {
            "reasons": ("a", "b"),
            "text": "naïve 🔥 'quoted' \"and\" %s {x}",
            "deep": {"none": None, "n": 1.5, "at": worlds.START},
        }
        opened = leader.journal.open_incident(
            "dc1-r1-h1", verdict, brakes.Mode.SHADOW, event_text="🔥 dead"
        )
        read = leader.journal.incident(opened.id)
        assert read.verdict == {
            **verdict,
            "reasons": ["a", "b"],
            "deep": {
                "none": None,
                "n": 1.5,
                "at": "2026-03-01T12:00:00+00:00",
            },
        }
        assert worlds.texts(leader, opened) == ["🔥 dead"]

    def test_names_differ_by_case(self, leader: worlds.Engine) -> None:
        assert leader.open("host-a").id != leader.open("HOST-A").id


class ServerCases:
    def test_servers_are_recorded_once(self, leader: worlds.Engine) -> None:
        incident, records = leader.open_with_servers(3)
        assert [record.version for record in records] == [1, 1, 1]
        moved = leader.journal.update_server(records[0], Server.CLAIMED)
        again = leader.journal.put_servers(
            incident, [worlds.server(incident, number) for number in range(4)]
        )
        assert again[0] == moved
        assert [record.name for record in again] == [
            f"web-{number:03}" for number in range(4)
        ]
        with pytest.raises(ValueError, match="another incident"):
            leader.journal.put_servers(leader.open("other"), records)

    def test_all_columns_survive(self, leader: worlds.Engine) -> None:
        incident, [record] = leader.open_with_servers(1)
        at = worlds.START + datetime.timedelta(microseconds=123456)
        moved = leader.journal.update_server(
            record,
            Server.CLAIMED,
            event_text="claimed on dc1-r2-h1",
            detail={"why": "most free"},
            wave=0,
            destination="dc1-r2-h1",
            spares=("dc1-r2-h2", "dc2-r1-h1"),
            tries=1,
            intent_at=at,
            requested_at=at,
            request_id="req-1",
            migration_id=2**40,
            past_migrations=(1, 2),
            landed_at=at,
            verified_at=at,
            down_since=at,
            not_before=at,
            reason_code="retry",
            reason="because",
            snapshot={"vm_state": "active"},
        )
        assert leader.journal.servers(incident.id) == (moved,)
        event = leader.journal.events(incident.id)[-1]
        assert event.text == "claimed on dc1-r2-h1"
        assert event.server == record.server
        assert event.detail == {
            "why": "most free",
            "from": "pending",
            "to": "claimed",
        }

    def test_a_record_can_be_written_once(self, leader: worlds.Engine) -> None:
        incident, [record] = leader.open_with_servers(1)
        leader.journal.update_server(record, Server.CLAIMED)
        with pytest.raises(errors.StaleJournal) as refused:
            leader.journal.update_server(record, Server.CLAIMED)
        assert record.server in refused.value.row
        assert "version 1 was read, it is 2 now (claimed)" in str(
            refused.value
        )
        assert (
            worlds.texts(leader, incident)[-1] == "web-000: pending -> claimed"
        )

    def test_columns_alone(self, leader: worlds.Engine) -> None:
        incident, [record] = leader.open_with_servers(1)
        moved = leader.journal.update_server(
            record, Server.PENDING, not_before=worlds.START
        )
        assert moved.not_before == worlds.START
        assert (
            worlds.texts(leader, incident)[-1] == "web-000: not_before changed"
        )

    def test_a_batch_is_written_as_a_whole(
        self, leader: worlds.Engine
    ) -> None:
        incident, records = leader.open_with_servers(5)
        moved = leader.journal.update_servers(
            [
                changes.ServerChange(record, Server.CLAIMED, {"wave": 1})
                for record in reversed(records)
            ]
        )
        assert [record.name for record in moved] == [
            f"web-{number:03}" for number in (4, 3, 2, 1, 0)
        ]
        assert leader.journal.servers(incident.id) == moved[::-1]
        assert len(leader.journal.events(incident.id)) == 2 + 5

    def test_a_batch_is_refused_as_a_whole(
        self, leader: worlds.Engine
    ) -> None:
        incident, records = leader.open_with_servers(5)
        leader.journal.update_server(records[3], Server.MANUAL, reason="x")
        before = leader.journal.servers(incident.id)
        events = leader.journal.events(incident.id)
        with pytest.raises(errors.StaleJournal) as refused:
            leader.journal.update_servers(
                [
                    changes.ServerChange(record, Server.CLAIMED)
                    for record in records
                ]
            )
        assert f"server web-003 ({records[3].server})" in refused.value.row
        assert leader.journal.servers(incident.id) == before
        assert leader.journal.events(incident.id) == events

    def test_a_batch_over_incidents(self, leader: worlds.Engine) -> None:
        _one, [first] = leader.open_with_servers(1, "dc1-r1-h1")
        _two, [second] = leader.open_with_servers(1, "dc1-r1-h2")
        leader.journal.update_servers(
            [
                changes.ServerChange(first, Server.CLAIMED),
                changes.ServerChange(second, Server.CLAIMED),
            ]
        )
        for incident in leader.journal.open_incidents():
            assert (
                worlds.texts(leader, incident)[-1]
                == "web-000: pending -> claimed"
            )

    def test_an_empty_batch_and_one_with_a_server_twice(
        self, leader: worlds.Engine
    ) -> None:
        _incident, [record] = leader.open_with_servers(1)
        assert leader.journal.update_servers([]) == ()
        twice = changes.ServerChange(record, Server.CLAIMED)
        with pytest.raises(ValueError, match="twice"):
            leader.journal.update_servers([twice, twice])

    def test_a_server_of_no_record(self, leader: worlds.Engine) -> None:
        incident, _records = leader.open_with_servers(1)
        with pytest.raises(errors.StaleJournal, match="not recorded"):
            leader.journal.update_server(
                worlds.server(incident, 77), Server.CLAIMED
            )

    def test_moves_are_counted(self, leader: worlds.Engine) -> None:
        _incident, [first, second, third] = leader.open_with_servers(3)
        hour = datetime.timedelta(hours=1)
        for record, at in (
            (first, worlds.START),
            (second, worlds.START - hour),
        ):
            leader.journal.update_server(
                record, Server.CLAIMED, requested_at=at
            )
        assert leader.journal.moves_since(worlds.START) == {first.server: 1}
        assert leader.journal.moves_since(worlds.START - hour) == {
            first.server: 1,
            second.server: 1,
        }
        assert third.server not in leader.journal.moves_since(worlds.START)
