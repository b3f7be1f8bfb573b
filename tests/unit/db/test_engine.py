# SPDX-License-Identifier: Apache-2.0
import pathlib
import socket
import sqlite3
import time

from oslo_config import cfg
from oslo_db import exception as db_exc
import pytest
import sqlalchemy as sa

from aacloud.db import engine
from aacloud.db import errors
from tests.unit.db import worlds


class TestUrl:
    def test_mysql_is_bounded(self) -> None:
        url = engine.bounded_url("mysql+pymysql://u:p@db/aacloud")
        assert dict(url.query) == {
            "charset": "utf8mb4",
            "connect_timeout": "3",
            "read_timeout": "8",
            "write_timeout": "8",
        }

    def test_what_the_operator_wrote_wins(self) -> None:
        url = engine.bounded_url(
            "mysql+pymysql://u:p@db/aacloud?read_timeout=30&ssl_ca=/ca"
        )
        assert url.query["read_timeout"] == "30"
        assert url.query["ssl_ca"] == "/ca"
        assert url.query["connect_timeout"] == "3"

    def test_the_driver_takes_them_as_numbers(self) -> None:
        url = engine.bounded_url("mysql+pymysql://u:p@db/aacloud")
        _args, options = url.get_dialect()().create_connect_args(url)
        assert options["read_timeout"] == 8

    def test_sqlite_stays(self) -> None:
        assert str(engine.bounded_url("sqlite:///x")) == "sqlite:///x"

    @pytest.mark.parametrize("wrong", ["db", "", "mysql:/x"])
    def test_no_url(self, wrong: str) -> None:
        with pytest.raises(errors.DatabaseError, match="mysql\\+pymysql"):
            engine.Database(worlds.configuration(), connection=wrong)


class TestOptions:
    def test_the_configured_connection_is_used(
        self, tmp_path: pathlib.Path
    ) -> None:
        path = tmp_path / "aacloud.conf"
        path.write_text(
            "[database]\n"
            f"connection = sqlite:///{tmp_path / 'a.sqlite'}\n"
            "sqlite_synchronous = false\n"
        )
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[str(path)])
        database = engine.Database(conf)
        settings = database.read(
            "settings",
            lambda connection: {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("synchronous", "foreign_keys", "busy_timeout")
            },
        )
        assert settings == {
            "synchronous": 0,
            "foreign_keys": 1,
            "busy_timeout": 5000,
        }

    def test_the_place_hides_the_password(self) -> None:
        database = worlds.open_database("mysql+pymysql://u:secret@db/aacloud")
        assert database.place == "mysql+pymysql://u:***@db/aacloud"


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        self.time += 1
        return self.time


class TestPatience:
    """``work`` fails as often as it is told to."""

    def failing(self, database: engine.Database, *failures: Exception) -> int:
        left = list(failures)
        calls: list[bool] = []

        def work(connection: sa.Connection, unknown: bool) -> int:
            calls.append(unknown)
            assert not any(calls), "no commit was ever sent"
            if left:
                raise left.pop(0)
            return len(calls)

        return database.write("test", work)

    def test_deadlocks_are_retried(self, database: engine.Database) -> None:
        tries = self.failing(
            database, db_exc.DBDeadlock(), db_exc.DBDeadlock()
        )
        assert tries == 3

    def test_a_locked_file_is_retried(self, database: engine.Database) -> None:
        locked = sa.exc.OperationalError(
            "UPDATE", {}, sqlite3.OperationalError("database is locked")
        )
        assert self.failing(database, locked) == 2

    def test_lost_connections_are_retried(
        self, database: engine.Database
    ) -> None:
        lost = db_exc.DBConnectionError("2013")
        assert self.failing(database, lost, lost) == 3

    def test_patience_ends(self, url: str) -> None:
        database = worlds.open_database(url, patience=3, monotonic=Clock())
        with pytest.raises(errors.JournalUnavailable) as ended:
            self.failing(database, *[db_exc.DBConnectionError("2013")] * 100)
        assert not ended.value.unknown
        assert "nothing was written" in str(ended.value)
        assert "is the server up?" in str(ended.value)

    def test_what_is_no_passing_trouble_is_not_retried(
        self, database: engine.Database
    ) -> None:
        with pytest.raises(errors.JournalUnavailable) as refused:
            self.failing(
                database, db_exc.DBDataError(Exception("1406 too long"))
            )
        assert "1406 too long" in str(refused.value)

    def test_our_own_errors_pass(self, database: engine.Database) -> None:
        with pytest.raises(errors.NotFound):
            self.failing(database, errors.NotFound("host", "x"))

    def test_what_failed_wrote_nothing(
        self, database: engine.Database
    ) -> None:
        insert = (
            "INSERT INTO domain_modes VALUES ('dc', 'x', 'armed', '', 'a', "
            "'2026-01-01 00:00:00.000000')"
        )

        def work(connection: sa.Connection, unknown: bool) -> None:
            connection.exec_driver_sql(insert)
            raise RuntimeError("in between")

        with pytest.raises(RuntimeError):
            database.write("test", work)
        count = database.read(
            "count",
            lambda connection: connection.exec_driver_sql(
                "SELECT count(*) FROM domain_modes"
            ).scalar(),
        )
        assert count == 0


class TestNoServer:
    def test_refused(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            database = worlds.open_database(
                f"mysql+pymysql://u:p@127.0.0.1:{port}/aacloud", patience=0.5
            )
            begin = time.monotonic()
            with pytest.raises(errors.JournalUnavailable) as refused:
                worlds.Engine("a", database).take_over()
            assert time.monotonic() - begin < 10
        assert f"127.0.0.1:{port}" in str(refused.value)
        assert "is the server up?" in str(refused.value)
        assert "p@" not in str(refused.value)

    def test_silent(self) -> None:
        """It accepts and never says a word."""
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            port = silent.getsockname()[1]
            database = worlds.open_database(
                f"mysql+pymysql://u:p@127.0.0.1:{port}/aacloud"
                "?connect_timeout=1&read_timeout=1",
                patience=0.5,
            )
            begin = time.monotonic()
            with pytest.raises(errors.JournalUnavailable):
                worlds.Engine("a", database).journal.open_incidents()
            assert time.monotonic() - begin < 10
