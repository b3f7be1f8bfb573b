# SPDX-License-Identifier: Apache-2.0
"""A real MariaDB that deadlocks, locks, cuts connections and dies."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import concurrent.futures
import threading
import time
from typing import Any

import pytest
import sqlalchemy as sa

from aacloud.db import errors
from aacloud.db import migration
from tests.functional.db import mariadb
from tests.functional.db import proxy as proxies
from tests.unit.db import worlds

State = worlds.State
Server = worlds.Server


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + worlds.DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"never seen: {what}"
        # InnoDB refreshes its view of transactions only for who looks
        # less often than ten times a second.
        time.sleep(0.15)


class Outsider:
    """A connection that does what an administrator may do."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url)
        self._connection = self._engine.connect()
        self.watch = self._engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        )
        self.name = sa.make_url(url).database

    def run(self, statement: str, **values: Any) -> Any:
        return self._connection.execute(sa.text(statement), values)

    def rollback(self) -> None:
        self._connection.rollback()

    def waiting(self) -> list[int]:
        """Connections to this database that wait for a row."""
        found = self.watch.execute(
            sa.text(
                "SELECT p.id FROM information_schema.innodb_trx t "
                "JOIN information_schema.processlist p "
                "ON p.id = t.trx_mysql_thread_id "
                "WHERE t.trx_state = 'LOCK WAIT' AND p.db = :name"
            ),
            {"name": self.name},
        )
        return list(found.scalars())

    def connections(self) -> list[int]:
        found = self.watch.execute(
            sa.text(
                "SELECT id FROM information_schema.processlist "
                "WHERE db = :name AND id NOT IN (CONNECTION_ID(), :own)"
            ),
            {
                "name": self.name,
                "own": self.run("SELECT CONNECTION_ID()").scalar(),
            },
        )
        return list(found.scalars())

    def deadlocks(self) -> int:
        return int(
            self.watch.execute(
                sa.text("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")
            ).one()[1]
        )

    def kill(self, connection: int) -> None:
        self.watch.execute(sa.text(f"KILL {connection}"))

    def close(self) -> None:
        self._connection.close()
        self.watch.close()
        self._engine.dispose()


@pytest.fixture
def outsider(url: str) -> Iterator[Outsider]:
    one = Outsider(url)
    yield one
    one.close()


@pytest.fixture
def threads() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield pool


class TestLocks:
    def test_the_victim_of_a_deadlock_tries_again(
        self,
        leader: worlds.Engine,
        outsider: Outsider,
        threads: concurrent.futures.ThreadPoolExecutor,
    ) -> None:
        incident, records = leader.open_with_servers(50)
        before = outsider.deadlocks()
        # Heavier than the journal's transaction: that one will be chosen.
        outsider.run("UPDATE incident_servers SET reason = 'outsider'")
        write = threads.submit(
            leader.journal.update_server, records[0], Server.CLAIMED
        )
        wait_for(outsider.waiting, "the journal waiting for the server's row")
        outsider.run("UPDATE incidents SET waiting = 'outsider'")
        assert outsider.deadlocks() > before
        assert not write.done()
        outsider.rollback()
        moved = write.result(timeout=worlds.DEADLINE)
        assert leader.journal.servers(incident.id)[0] == moved
        assert len(leader.journal.events(incident.id)) == 3

    def test_a_row_that_stays_locked(
        self, url: str, leader: worlds.Engine, outsider: Outsider
    ) -> None:
        incident = leader.open()
        hasty = worlds.Engine("hasty", worlds.open_database(url, patience=0))
        hasty.epoch = leader.epoch
        outsider.run("UPDATE incidents SET waiting = 'outsider'")
        begin = time.monotonic()
        with pytest.raises(errors.JournalUnavailable) as refused:
            hasty.journal.advance(incident, State.ADMITTED, event_text="x")
        assert time.monotonic() - begin < 8
        assert not refused.value.unknown
        assert "stayed locked" in str(refused.value)
        outsider.rollback()
        hasty.journal.advance(incident, State.ADMITTED, event_text="x")
        hasty.database.dispose()


class TestConnections:
    def test_idle_ones_are_killed(
        self, leader: worlds.Engine, outsider: Outsider
    ) -> None:
        incident = leader.open()
        idle = outsider.connections()
        assert idle
        for connection in idle:
            outsider.kill(connection)
        leader.journal.advance(incident, State.ADMITTED, event_text="x")
        assert not set(idle) & set(outsider.connections())

    def test_one_is_killed_at_work(
        self,
        leader: worlds.Engine,
        outsider: Outsider,
        threads: concurrent.futures.ThreadPoolExecutor,
    ) -> None:
        incident = leader.open()
        outsider.run("UPDATE incidents SET waiting = 'outsider'")
        write = threads.submit(
            leader.journal.advance,
            incident,
            State.ADMITTED,
            event_text="once",
        )
        wait_for(outsider.waiting, "the journal waiting for the row")
        [victim] = outsider.waiting()
        outsider.kill(victim)
        wait_for(
            lambda: set(outsider.waiting()) - {victim},
            "the journal waiting with a new connection",
        )
        outsider.rollback()
        written = write.result(timeout=worlds.DEADLINE)
        assert leader.journal.incident(incident.id) == written
        assert worlds.texts(leader, incident)[1:] == ["once"]

    @pytest.mark.parametrize("how", ["request", "answer"])
    def test_a_commit_is_cut_off(
        self, url: str, leader: worlds.Engine, how: str
    ) -> None:
        incident, [record] = leader.open_with_servers(1)
        proxy = proxies.CuttingProxy(url)
        remote = worlds.Engine("remote", worlds.open_database(proxy.url))
        remote.epoch = leader.epoch
        proxy.cuts = [how]
        advanced = remote.journal.advance(
            incident, State.ADMITTED, event_text="once"
        )
        proxy.cuts = [how, how]
        moved = remote.journal.update_server(record, Server.CLAIMED)
        proxy.cuts = [how]
        remote.journal.note(advanced, "noted")
        proxy.cuts = [how]
        other = remote.open("dc1-r1-h2")
        proxy.cuts = [how]
        assert remote.take_over() == 2
        assert proxy.seen == [how] * 6
        assert leader.journal.servers(incident.id)[0].state is moved.state
        assert worlds.texts(leader, incident)[2:] == [
            "once",
            "web-000: pending -> claimed",
            "noted",
            "remote goes on with it, epoch 2",
        ]
        assert worlds.texts(leader, other) == [
            "host dc1-r1-h2 is dead",
            "remote goes on with it, epoch 2",
        ]
        remote.database.dispose()
        proxy.close()

    @pytest.mark.parametrize("how", ["request", "answer"])
    def test_every_commit_is_cut_off(
        self, url: str, leader: worlds.Engine, how: str
    ) -> None:
        incident = leader.open()
        proxy = proxies.CuttingProxy(url)
        remote = worlds.Engine(
            "remote", worlds.open_database(proxy.url, patience=0)
        )
        remote.epoch = leader.epoch
        proxy.cuts = [how] * 1000
        with pytest.raises(errors.JournalUnavailable) as cut:
            remote.journal.advance(incident, State.ADMITTED, event_text="x")
        assert cut.value.unknown
        landed = leader.journal.incident(incident.id).state
        assert (
            landed
            is {
                "request": State.DETECTED,
                "answer": State.ADMITTED,
            }[how]
        )
        remote.database.dispose()
        proxy.close()


class TestCrash:
    def test_what_was_told_written_survives_a_crash(
        self, own_server: mariadb.MariaDB
    ) -> None:
        url = mariadb.make_database(own_server.url)
        migration.sync(worlds.configuration(), connection=url)
        leader = worlds.Engine("a", worlds.open_database(url))
        leader.take_over()
        incident = leader.open()
        enough = threading.Semaphore(0)
        stop = threading.Event()
        told: list[str] = []
        open_questions: list[str] = []

        def write() -> None:
            number = 0
            while not stop.is_set():
                text = f"line {number}"
                try:
                    leader.journal.note(incident, text)
                    told.append(text)
                except errors.JournalUnavailable as error:
                    if error.unknown:
                        open_questions.append(text)
                number += 1
                enough.release()

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        for _line in range(30):
            assert enough.acquire(timeout=worlds.DEADLINE)
        own_server.kill()
        own_server.start()
        before = len(told)
        wait_for(lambda: len(told) > before + 10, "writes after the crash")
        stop.set()
        writer.join(timeout=worlds.DEADLINE)
        assert not writer.is_alive()
        kept = worlds.texts(leader, incident)[1:]
        assert [text for text in kept if text in set(told)] == told
        assert set(kept) - set(told) <= set(open_questions)
        events = leader.journal.events(incident.id)
        assert [event.id for event in events] == list(
            range(1, len(events) + 1)
        )
        leader.database.dispose()
        mariadb.drop_database(url)
