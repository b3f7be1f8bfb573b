# SPDX-License-Identifier: Apache-2.0
"""Engines, incidents and servers for the tests, on whichever database."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import datetime
import functools
import pathlib
import tempfile
import threading
import time
from typing import Any
import uuid

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_db import options

from aacloud.core import brakes
from aacloud.core import incidents
from aacloud.db import engine
from aacloud.db import journal
from aacloud.db import migration

START = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.timezone.utc)
#: Seconds after which a thread of a test is taken for stuck.
DEADLINE = 90

State = incidents.IncidentState
Server = incidents.ServerState


def configuration() -> cfg.ConfigOpts:
    """Without a file; SQLite does not wait for the disk."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[])
    conf.register_opts(options.database_opts, "database")
    conf.set_override("sqlite_synchronous", False, "database")
    return conf


@functools.cache
def _empty_file() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "aacloud.sqlite"
        migration.sync(configuration(), connection=f"sqlite:///{path}")
        return path.read_bytes()


def make_file(path: pathlib.Path) -> str:
    """Make a file of SQLite with all tables and no rows; return its URL.

    The tables are made once; each file is a copy.
    """
    path.write_bytes(_empty_file())
    return f"sqlite:///{path}"


def open_database(url: str, **kwargs: Any) -> engine.Database:
    return engine.Database(configuration(), connection=url, **kwargs)


class Clock:
    """A wall clock that goes on by one millisecond a look."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime.datetime:
        self.time += datetime.timedelta(milliseconds=1)
        return self.time


class Engine:
    """A failover engine, as far as the journal can tell."""

    def __init__(self, name: str, database: engine.Database) -> None:
        self.name = name
        self.epoch: int | None = None
        self.database = database
        self.journal = journal.Journal(
            database, lambda: self.epoch, now=Clock()
        )

    def take_over(self) -> int:
        self.epoch = self.journal.take_over(journal.FAILOVER, self.name)
        return self.epoch

    def open(self, host: str = "dc1-r1-h1") -> incidents.Incident:
        return self.journal.open_incident(
            host,
            {"state": "dead", "reasons": ["silent for 9 s"]},
            brakes.Mode.ARMED,
            event_text=f"host {host} is dead",
        )

    def open_with_servers(
        self, count: int, host: str = "dc1-r1-h1"
    ) -> tuple[incidents.Incident, tuple[incidents.ServerRecord, ...]]:
        incident = self.open(host)
        return incident, self.journal.put_servers(
            incident, [server(incident, number) for number in range(count)]
        )


def server(
    incident: incidents.Incident, number: int, **columns: Any
) -> incidents.ServerRecord:
    return incidents.ServerRecord(
        incident_id=incident.id,
        server=str(uuid.UUID(int=number)),
        name=f"web-{number:03}",
        project_id="p" * 32,
        state=Server.PENDING,
        version=0,
        wave=2,
        source=incident.host,
        **columns,
    )


def texts(one: Engine, incident: incidents.Incident) -> list[str]:
    """The story of the incident so far."""
    return [event.text for event in one.journal.events(incident.id)]


def last(one: Engine, incident: incidents.Incident) -> str:
    """The end of that story."""
    return texts(one, incident)[-1]


def together(*actions: Callable[[], Any]) -> list[Any]:
    """Run the actions in a thread each; an exception becomes its result."""
    results: list[Any] = [None] * len(actions)

    def run(number: int) -> None:
        try:
            results[number] = actions[number]()
        except Exception as error:  # noqa: BLE001 the test judges it
            results[number] = error

    threads = [
        threading.Thread(target=run, args=(number,), daemon=True)
        for number in range(len(actions))
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + DEADLINE
    for thread in threads:
        thread.join(timeout=max(0, deadline - time.monotonic()))
    stuck = [number for number, one in enumerate(threads) if one.is_alive()]
    assert not stuck, f"actions {stuck} are stuck; the others: {results}"
    return results


def until(holds: Callable[[], bool]) -> None:
    """Look until something holds that no event tells of."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


@contextlib.contextmanager
def broken_commits(
    database: engine.Database,
    *,
    after: bool,
    times: int = 1,
    then: Callable[[], None] = lambda: None,
) -> Iterator[list[str]]:
    """Lose the connection in the next commits.

    :param after: the server has done the commit, only its answer is lost;
        else the commit never reaches it
    :param then: called before the caller learns of it
    :returns: grows by one for each commit that was broken
    """
    dialect = database._facade.writer.get_engine().dialect
    real = dialect.do_commit
    broken: list[str] = []

    def do_commit(connection: Any) -> None:
        if len(broken) < times:
            broken.append("after" if after else "before")
            if after:
                real(connection)
            else:
                dialect.do_rollback(connection)
            then()
            raise db_exc.DBConnectionError("the connection was cut")
        real(connection)

    dialect.do_commit = do_commit
    try:
        yield broken
    finally:
        del dialect.do_commit


@contextlib.contextmanager
def meeting_commits(*databases: engine.Database) -> Iterator[None]:
    """Hold the first commit of each until all of them want to commit."""
    meeting = threading.Barrier(len(databases), timeout=DEADLINE)
    dialects = [
        database._facade.writer.get_engine().dialect for database in databases
    ]

    def meet(dialect: Any) -> None:
        real = dialect.do_commit

        def do_commit(connection: Any) -> None:
            del dialect.do_commit
            meeting.wait()
            real(connection)

        dialect.do_commit = do_commit

    for dialect in dialects:
        meet(dialect)
    try:
        yield
    finally:
        for dialect in dialects:
            vars(dialect).pop("do_commit", None)
