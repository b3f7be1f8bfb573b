# SPDX-License-Identifier: Apache-2.0
"""A database that is made once, and a stage for each test."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import pathlib
import shutil
from typing import Any

import pytest

from aacloud.db import engine as db_engine
from aacloud.db import migration
from tests.unit.db import worlds
from tests.unit.failover import stage as stages


@pytest.fixture(scope="session")
def empty_database(
    tmp_path_factory: pytest.TempPathFactory,
) -> pathlib.Path:
    path = tmp_path_factory.mktemp("database") / "empty.sqlite"
    migration.sync(worlds.configuration(), connection=f"sqlite:///{path}")
    return path


@pytest.fixture
def database(
    empty_database: pathlib.Path, tmp_path: pathlib.Path
) -> Iterator[db_engine.Database]:
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
