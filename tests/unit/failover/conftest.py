# SPDX-License-Identifier: Apache-2.0
"""A database that is made once, and a stage for each test."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import pathlib
import shutil
import sqlite3
from typing import Any

import pytest

from aacloud.db import engine as db_engine
from tests.unit.db import worlds
from tests.unit.failover import stage as stages


@pytest.fixture(scope="session")
def empty_database(
    tmp_path_factory: pytest.TempPathFactory,
) -> pathlib.Path:
    path = tmp_path_factory.mktemp("database") / "empty.sqlite"
    worlds.make_file(path)
    return path


@contextlib.contextmanager
def _in_memory(empty: pathlib.Path) -> Iterator[db_engine.Database]:
    """One connection, for tests of one thread: half the time of a file."""
    opened = worlds.open_database("sqlite://")
    raw = opened._facade.writer.get_engine().raw_connection()
    with contextlib.closing(sqlite3.connect(empty)) as source:
        source.backup(raw.driver_connection)
    raw.close()
    try:
        yield opened
    finally:
        opened.dispose()


@pytest.fixture
def database(empty_database: pathlib.Path) -> Iterator[db_engine.Database]:
    with _in_memory(empty_database) as opened:
        yield opened


@pytest.fixture
def file_database(
    empty_database: pathlib.Path, tmp_path: pathlib.Path
) -> Iterator[db_engine.Database]:
    """For tests with threads of their own."""
    path = tmp_path / "aacloud.sqlite"
    shutil.copy(empty_database, path)
    opened = worlds.open_database(f"sqlite:///{path}")
    yield opened
    opened.dispose()


@pytest.fixture
def make_stage(
    database: db_engine.Database,
) -> Callable[..., stages.Stage]:
    def make(**options: Any) -> stages.Stage:
        return stages.Stage(database, **options)

    return make


@pytest.fixture
def stage(make_stage: Callable[..., stages.Stage]) -> stages.Stage:
    """An armed cloud of eight hosts."""
    made = make_stage()
    made.arm()
    return made


@pytest.fixture
def new_stage(
    empty_database: pathlib.Path,
) -> Callable[[], contextlib.AbstractContextManager[stages.Stage]]:
    """Armed stages, as many as a test needs one after the other."""

    @contextlib.contextmanager
    def make(**options: Any) -> Iterator[stages.Stage]:
        with _in_memory(empty_database) as opened:
            made = stages.Stage(opened, **options)
            made.arm()
            yield made

    return make
