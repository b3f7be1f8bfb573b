# SPDX-License-Identifier: Apache-2.0
"""Two engines, each at its own node of a Galera cluster.

There, an UPDATE of one node takes no lock on the other: what keeps a deposed
engine out is that both transactions write the same row.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import itertools
import threading

import pytest

from aacloud.core import hosts
from aacloud.core import incidents
from aacloud.db import errors
from tests.functional.db import galera
from tests.unit.db import fence_cases
from tests.unit.db import lost_answer_cases
from tests.unit.db import worlds

State = worlds.State
Server = worlds.Server


@pytest.fixture
def url(urls: tuple[str, str]) -> str:
    return urls[0]


def engine_at(url: str, name: str, sync_wait: int) -> Iterator[worlds.Engine]:
    database = galera.open_database(url, sync_wait=sync_wait)
    yield worlds.Engine(name, database)
    database.dispose()


def campaign(engine: worlds.Engine) -> None:
    """Take over, again when the last takeover was not seen here yet.

    Nothing was written then, and engines do the same.
    """
    for _ in range(20):
        try:
            engine.take_over()
        except errors.StaleJournal:
            continue
        return
    raise AssertionError("it never led")


class CausalReads:
    """What is asserted by reading has to be there at the other node."""

    @pytest.fixture
    def leader(self, urls: tuple[str, str]) -> Iterator[worlds.Engine]:
        for one in engine_at(urls[0], "dc1-ha", 1):
            campaign(one)
            yield one

    @pytest.fixture
    def rival(self, urls: tuple[str, str]) -> Iterator[worlds.Engine]:
        yield from engine_at(urls[1], "dc2-ha", 1)


def test_the_engines_are_at_two_nodes(urls: tuple[str, str]) -> None:
    names = [
        galera.open_database(url, sync_wait=1).read(
            "name of the node",
            lambda connection: connection.exec_driver_sql(
                "SELECT @@wsrep_node_name"
            ).scalar(),
        )
        for url in urls
    ]
    assert names == ["dc1", "dc2"]


class TestFence(CausalReads, fence_cases.FenceCases):
    pass


class TestRaces(CausalReads, fence_cases.RaceCases):
    pass


class TestLostAnswers(CausalReads, lost_answer_cases.LostAnswerCases):
    pass


class TestWithoutCausalReads:
    """As most clouds run it: no node waits for what others committed."""

    @pytest.fixture
    def leader(self, urls: tuple[str, str]) -> Iterator[worlds.Engine]:
        for one in engine_at(urls[0], "dc1-ha", 0):
            campaign(one)
            yield one

    @pytest.fixture
    def rival(self, urls: tuple[str, str]) -> Iterator[worlds.Engine]:
        yield from engine_at(urls[1], "dc2-ha", 0)

    @pytest.fixture
    def judge(self, urls: tuple[str, str]) -> Iterator[worlds.Engine]:
        """At the first node, sees all that was committed anywhere."""
        yield from engine_at(urls[0], "judge", 1)

    @pytest.fixture
    def observer(self, urls: tuple[str, str]) -> Iterator[worlds.Engine]:
        """At the second node, sees all that was committed anywhere."""
        yield from engine_at(urls[1], "observer", 1)

    def test_two_commits_at_once(
        self,
        cluster: galera.Cluster,
        leader: worlds.Engine,
        rival: worlds.Engine,
        judge: worlds.Engine,
        observer: worlds.Engine,
    ) -> None:
        """Of two writes of one version at two nodes, one wins."""
        incident = leader.open()
        rival.epoch = leader.epoch
        assert observer.journal.incident(incident.id) == incident
        for number in range(5):
            before = cluster.conflicts()
            with worlds.meeting_commits(leader.database, rival.database):
                outcomes = worlds.together(
                    *(
                        lambda one=one, read=incident: one.journal.advance(
                            read, State.DETECTED, event_text=one.name
                        )
                        for one in (leader, rival)
                    )
                )
            won = [
                one for one in outcomes if isinstance(one, incidents.Incident)
            ]
            lost = [
                one for one in outcomes if isinstance(one, errors.StaleJournal)
            ]
            assert len(won) == len(lost) == 1, outcomes
            assert cluster.conflicts() > before
            incident = won[0]
            for one in (judge, observer):
                assert one.journal.incident(incident.id) == incident
            assert len(judge.journal.events(incident.id)) == 2 + number

    @pytest.mark.parametrize(
        "what", ["advance", "note", "server", "put", "open", "hosts"]
    )
    def test_a_commit_meets_a_takeover(
        self,
        cluster: galera.Cluster,
        leader: worlds.Engine,
        rival: worlds.Engine,
        judge: worlds.Engine,
        observer: worlds.Engine,
        what: str,
    ) -> None:
        """Either it is written and adopted, or it is refused."""
        incident, [record] = leader.open_with_servers(1)
        # The other node has it before it takes over.
        assert observer.journal.servers(incident.id) == (record,)
        write = {
            "advance": lambda: leader.journal.advance(
                incident, State.ADMITTED, event_text="old"
            ),
            "note": lambda: leader.journal.note(incident, "old"),
            "server": lambda: leader.journal.update_server(
                record, Server.CLAIMED, event_text="old"
            ),
            "put": lambda: leader.journal.put_servers(
                incident, [worlds.server(incident, 9)], event_text="old"
            ),
            "open": lambda: leader.open("another-host"),
            "hosts": lambda: leader.journal.save_hosts(
                [hosts.HostRecord("h", "dc1", "dc1-r1")]
            ),
        }[what]
        before = cluster.conflicts()
        with worlds.meeting_commits(leader.database, rival.database):
            outcome, epoch = worlds.together(write, rival.take_over)
        assert cluster.conflicts() > before
        assert epoch == 2
        told_written = not isinstance(outcome, Exception)
        if not told_written:
            assert isinstance(outcome, errors.StaleJournal), outcome
            assert outcome.deposed
        # What was told and what is there agree, on both nodes.
        for one in (judge, observer):
            texts = worlds.texts(one, incident)
            assert texts[-1] == "dc2-ha goes on with it, epoch 2"
            is_there = {
                "open": len(one.journal.open_incidents()) == 2,
                "hosts": len(one.journal.hosts()) == 1,
            }.get(what, "old" in texts)
            assert is_there == told_written
            assert {each.epoch for each in one.journal.open_incidents()} == {2}

    def test_each_epoch_has_one_holder(
        self,
        leader: worlds.Engine,
        rival: worlds.Engine,
        judge: worlds.Engine,
    ) -> None:
        taken = [1]
        for _round in range(15):
            outcomes = worlds.together(leader.take_over, rival.take_over)
            taken += [one for one in outcomes if isinstance(one, int)]
            assert all(
                isinstance(one, int) or one.deposed for one in outcomes
            ), outcomes
        assert len(set(taken)) == len(taken)
        now = judge.journal.leader()
        assert now is not None
        assert now.epoch == max(taken)

    def test_the_deposed_falls_silent(
        self,
        leader: worlds.Engine,
        rival: worlds.Engine,
        judge: worlds.Engine,
    ) -> None:
        incident, records = leader.open_with_servers(3)
        started = threading.Barrier(6, timeout=worlds.DEADLINE)

        def until_refused(write: Callable[[int], object]) -> int:
            for number in range(fence_cases.MANY):
                if number == 3:
                    started.wait()
                try:
                    write(number)
                except errors.StaleJournal as refused:
                    assert refused.deposed, refused
                    return number
            raise AssertionError("never refused")

        def moving(
            record: incidents.ServerRecord,
        ) -> Callable[[int], object]:
            current = [record]

            def write(number: int) -> None:
                current[0] = leader.journal.update_server(
                    current[0], record.state, tries=number, event_text="old"
                )

            return write

        def take_over() -> int:
            started.wait()
            return rival.take_over()

        *written, opened, epoch = worlds.together(
            lambda: until_refused(
                lambda _number: leader.journal.note(incident, "old")
            ),
            *(
                lambda record=record: until_refused(moving(record))
                for record in records
            ),
            lambda: until_refused(lambda number: leader.open(f"h{number}")),
            take_over,
        )
        assert epoch == 2
        events = judge.journal.events(incident.id)
        assert [event.id for event in events] == list(
            range(1, len(events) + 1)
        )
        assert events[-1].kind == "takeover"
        assert len(events) == 2 + sum(written) + 1
        after = judge.journal.open_incidents()
        assert len(after) == 1 + opened
        # Every one was adopted, also what was opened at the last moment.
        assert {one.epoch for one in after} == {2}

    def test_the_new_leader_sees_all_that_was_written(
        self,
        leader: worlds.Engine,
        rival: worlds.Engine,
    ) -> None:
        """Its own commit came after them, and so do its reads."""
        engines = itertools.cycle((rival, leader))
        old = leader
        for number in range(10):
            incident, [record] = old.open_with_servers(1, f"host-{number}")
            moved = old.journal.update_server(record, Server.CLAIMED)
            new = next(engines)
            campaign(new)
            [read] = new.journal.servers(incident.id)
            assert read.state is Server.CLAIMED
            assert read.version == moved.version + 1
            assert new.journal.incident(incident.id).epoch == new.epoch
            new.journal.update_server(read, Server.MANUAL, reason="done")
            old = new
