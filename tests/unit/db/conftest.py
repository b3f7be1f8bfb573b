# SPDX-License-Identifier: Apache-2.0
"""A file of SQLite for each test."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import pytest

from aacloud.db import engine
from tests.unit.db import worlds


@pytest.fixture
def url(tmp_path: pathlib.Path) -> str:
    return worlds.make_file(tmp_path / "aacloud.sqlite")


@pytest.fixture
def database(url: str) -> Iterator[engine.Database]:
    opened = worlds.open_database(url)
    yield opened
    opened.dispose()


@pytest.fixture
def leader(database: engine.Database) -> worlds.Engine:
    """An engine that leads."""
    engine = worlds.Engine("dc1-ha", database)
    engine.take_over()
    return engine


@pytest.fixture
def rival(url: str) -> Iterator[worlds.Engine]:
    """An engine that does not lead yet, with connections of its own."""
    opened = worlds.open_database(url)
    yield worlds.Engine("dc2-ha", opened)
    opened.dispose()
