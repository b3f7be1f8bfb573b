# SPDX-License-Identifier: Apache-2.0
"""A stage for each test."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import pytest

from tests.unit.api import stage as stages


@pytest.fixture
def stage(tmp_path: pathlib.Path) -> Iterator[stages.Stage]:
    """An API whose engine knows two DCs with two racks of two hosts."""
    built = stages.Stage(tmp_path)
    built.add_hosts()
    yield built
    built.close()
