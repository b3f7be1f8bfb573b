# SPDX-License-Identifier: Apache-2.0
"""The connection is lost while a commit is under way."""

from __future__ import annotations

import pytest

from aacloud.core import incidents
from aacloud.db import api
from aacloud.db import errors
from tests.unit.db import worlds

State = worlds.State
Server = worlds.Server
ADOPTED = "dc2-ha goes on with it, epoch 2"


class LostAnswerCases:
    """The connection is lost while a commit is under way."""

    @pytest.mark.parametrize("after", [False, True])
    def test_each_write_is_done_once(
        self, leader: worlds.Engine, after: bool
    ) -> None:
        incident, [record] = leader.open_with_servers(1)
        events = len(leader.journal.events(incident.id))
        with worlds.broken_commits(leader.database, after=after) as broken:
            advanced = leader.journal.advance(
                incident, State.ADMITTED, event_text="go"
            )
        assert broken
        assert leader.journal.incident(incident.id) == advanced
        with worlds.broken_commits(leader.database, after=after) as broken:
            moved = leader.journal.update_server(record, Server.CLAIMED)
        assert broken
        assert leader.journal.servers(incident.id) == (moved,)
        with worlds.broken_commits(leader.database, after=after) as broken:
            leader.journal.note(advanced, "noted")
        assert broken
        with worlds.broken_commits(leader.database, after=after) as broken:
            leader.journal.put_servers(
                advanced, [worlds.server(advanced, 5)], event_text="one more"
            )
        assert broken
        assert worlds.texts(leader, incident)[events:] == [
            "go",
            "web-000: pending -> claimed",
            "noted",
            "one more",
        ]
        assert len(leader.journal.servers(incident.id)) == 2

    @pytest.mark.parametrize("after", [False, True])
    def test_an_opening_is_done_once(
        self, leader: worlds.Engine, after: bool
    ) -> None:
        with worlds.broken_commits(leader.database, after=after) as broken:
            opened = leader.open()
        assert broken
        assert leader.journal.open_incidents() == (opened,)
        assert len(leader.journal.events(opened.id)) == 1

    @pytest.mark.parametrize("after", [False, True])
    def test_a_takeover_is_done_once(
        self, leader: worlds.Engine, rival: worlds.Engine, after: bool
    ) -> None:
        opened = leader.open()
        with worlds.broken_commits(rival.database, after=after) as broken:
            assert rival.take_over() == 2
        assert broken
        assert rival.journal.incident(opened.id).epoch == 2
        assert worlds.texts(rival, opened)[1:] == [
            "dc2-ha goes on with it, epoch 2"
        ]

    @pytest.mark.parametrize("after", [False, True])
    def test_a_command_is_written_once(
        self, leader: worlds.Engine, after: bool
    ) -> None:
        opened = leader.open()
        interface = api.Incidents(leader.database)
        with worlds.broken_commits(leader.database, after=after) as broken:
            interface.write_command(
                opened.id, incidents.Command.CANCEL, by="ann", reason="test"
            )
        assert broken
        assert len(leader.journal.incident(opened.id).commands) == 1

    def test_what_landed_counts_though_another_went_on(
        self, leader: worlds.Engine, rival: worlds.Engine
    ) -> None:
        opened = leader.open()

        def take_over_then_ask_again() -> None:
            rival.take_over()

        with worlds.broken_commits(
            leader.database, after=True, then=take_over_then_ask_again
        ):
            written = leader.journal.advance(
                opened, State.ADMITTED, event_text="landed"
            )
        assert written.version == 2
        assert worlds.texts(rival, opened)[1:] == [
            "landed",
            ADOPTED,
        ]
        with pytest.raises(errors.StaleJournal) as refused:
            leader.journal.advance(written, State.PLANNED, event_text="x")
        assert refused.value.deposed

    def test_what_was_lost_is_refused_when_another_went_on(
        self, leader: worlds.Engine, rival: worlds.Engine
    ) -> None:
        opened = leader.open()

        def take_over() -> None:
            rival.take_over()

        with (
            worlds.broken_commits(
                leader.database, after=False, then=take_over
            ),
            pytest.raises(errors.StaleJournal) as refused,
        ):
            leader.journal.advance(opened, State.ADMITTED, event_text="never")
        assert refused.value.deposed
        assert worlds.texts(rival, opened)[1:] == [
            "dc2-ha goes on with it, epoch 2"
        ]

    @pytest.mark.parametrize("after", [False, True])
    def test_patience_ends_and_the_outcome_is_unknown(
        self, url: str, leader: worlds.Engine, after: bool
    ) -> None:
        opened = leader.open()
        hasty = worlds.Engine("hasty", worlds.open_database(url, patience=0))
        hasty.epoch = leader.epoch
        with (
            worlds.broken_commits(hasty.database, after=after, times=99),
            pytest.raises(errors.JournalUnavailable) as cut,
        ):
            hasty.journal.advance(opened, State.ADMITTED, event_text="go")
        assert cut.value.unknown
        assert "not known whether" in str(cut.value)
        # The record tells what became of it.
        if after:
            with pytest.raises(errors.StaleJournal):
                leader.journal.advance(opened, State.ADMITTED, event_text="go")
            state = leader.journal.incident(opened.id).state
            assert state is State.ADMITTED
        else:
            leader.journal.advance(opened, State.ADMITTED, event_text="go")
        assert worlds.texts(leader, opened)[1:] == ["go"]
        hasty.database.dispose()
