# SPDX-License-Identifier: Apache-2.0
"""From an empty database to the tables, on SQLite and on MariaDB alike."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sqlalchemy as sa

from aacloud.db import errors
from aacloud.db import migration
from aacloud.db import models
from tests.unit.db import worlds

HEAD = "0002"
SYNC = """
import sys
from oslo_config import cfg
from aacloud.db import migration
conf = cfg.ConfigOpts()
conf([], default_config_files=[])
assert migration.sync(conf, connection=sys.argv[1]).current
"""


class MigrationCases:
    """``empty_url`` leads to an empty database."""

    def test_from_empty(self, empty_url: str) -> None:
        conf = worlds.configuration()
        assert migration.version(conf, connection=empty_url) is None
        with pytest.raises(errors.SchemaError, match="db sync"):
            migration.check(conf, connection=empty_url)
        done = migration.sync(conf, connection=empty_url)
        assert done.current
        assert done.found == done.wanted == HEAD
        assert migration.version(conf, connection=empty_url) == HEAD
        migration.check(conf, connection=empty_url)

    def test_again_changes_nothing(self, empty_url: str) -> None:
        conf = worlds.configuration()
        first = migration.sync(conf, connection=empty_url)
        leader = worlds.Engine("a", worlds.open_database(empty_url))
        leader.take_over()
        opened = leader.open()
        assert migration.sync(conf, connection=empty_url) == first
        assert leader.journal.incident(opened.id) == opened
        leader.database.dispose()

    def test_the_tables_are_those_of_the_models(self, empty_url: str) -> None:
        conf = worlds.configuration()
        migration.sync(conf, connection=empty_url)
        assert migration.differences(conf, connection=empty_url) == []

    def test_a_difference_would_be_seen(self, empty_url: str) -> None:
        conf = worlds.configuration()
        migration.sync(conf, connection=empty_url)
        engine = sa.create_engine(empty_url)
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE TABLE strangers (id INTEGER PRIMARY KEY)"
            )
            connection.exec_driver_sql("ALTER TABLE hosts DROP COLUMN nova")
        engine.dispose()
        found = migration.differences(conf, connection=empty_url)
        assert {operation[0] for operation in found} == {
            "remove_table",
            "add_column",
        }

    def test_at_once(self, empty_url: str) -> None:
        running = [
            subprocess.Popen(
                [sys.executable, "-c", SYNC, empty_url],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _number in range(3)
        ]
        said = [one.communicate(timeout=worlds.DEADLINE)[0] for one in running]
        assert [one.returncode for one in running] == [0, 0, 0], said
        assert (
            migration.differences(worlds.configuration(), connection=empty_url)
            == []
        )

    def test_a_newer_release_was_here(self, empty_url: str) -> None:
        conf = worlds.configuration()
        migration.sync(conf, connection=empty_url)
        engine = sa.create_engine(empty_url)
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE alembic_version SET version_num = '9999'"
            )
        for act in (migration.sync, migration.check):
            with pytest.raises(errors.SchemaError) as refused:
                act(conf, connection=empty_url)
            assert "revision 9999" in str(refused.value)
            assert "newer release" in str(refused.value)
        with engine.connect() as connection:
            kept = set(sa.inspect(connection).get_table_names())
        engine.dispose()
        assert kept == {*models.Base.metadata.tables, "alembic_version"}

    def test_without_tables_the_journal_says_what_to_do(
        self, empty_url: str
    ) -> None:
        leader = worlds.Engine("a", worlds.open_database(empty_url))
        for act in (leader.take_over, leader.journal.open_incidents):
            with pytest.raises(errors.JournalUnavailable) as refused:
                act()
            assert "aacloud-manage db sync" in str(refused.value)
            assert not refused.value.unknown
        leader.database.dispose()
