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

from tests.unit.db import worlds
from tests.unit.groups import stage as stages


@pytest.fixture(scope="session")
def empty_database(
    tmp_path_factory: pytest.TempPathFactory,
) -> pathlib.Path:
    path = tmp_path_factory.mktemp("database") / "empty.sqlite"
    worlds.make_file(path)
    return path


@pytest.fixture
def new_stage(
    empty_database: pathlib.Path,
) -> Callable[..., contextlib.AbstractContextManager[stages.Stage]]:
    """Stages, as many as a test needs one after the other."""

    @contextlib.contextmanager
    def make(**options: Any) -> Iterator[stages.Stage]:
        opened = worlds.open_database("sqlite://")
        raw = opened._facade.writer.get_engine().raw_connection()
        with contextlib.closing(sqlite3.connect(empty_database)) as source:
            source.backup(raw.driver_connection)
        raw.close()
        try:
            yield stages.Stage(opened, **options)
        finally:
            opened.dispose()

    return make


@pytest.fixture
def make_stage(
    new_stage: Callable[..., contextlib.AbstractContextManager[stages.Stage]],
) -> Iterator[Callable[..., stages.Stage]]:
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(new_stage(**options))


@pytest.fixture
def stage(make_stage: Callable[..., stages.Stage]) -> stages.Stage:
    """A cloud of eight hosts in four racks and two data centres."""
    return make_stage()


@pytest.fixture
def database_file(
    empty_database: pathlib.Path, tmp_path: pathlib.Path
) -> pathlib.Path:
    """For daemons, with threads of their own."""
    path = tmp_path / "aacloud.sqlite"
    shutil.copy(empty_database, path)
    return path
