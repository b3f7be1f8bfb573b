# SPDX-License-Identifier: Apache-2.0
"""The API on a port of loopback, and the real openstack command."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import pytest

from tests.functional.api import shell as shells
from tests.unit.api import stage as stages


@pytest.fixture
def stage(tmp_path: pathlib.Path) -> Iterator[stages.Stage]:
    """An API over a database, with eight hosts."""
    built = stages.Stage(tmp_path)
    built.add_hosts()
    yield built
    built.close()


@pytest.fixture
def server(stage: stages.Stage) -> Iterator[shells.Server]:
    """The API, listening."""
    listening = shells.Server(stage)
    listening.start()
    yield listening
    listening.stop()


@pytest.fixture
def shell(
    server: shells.Server, tmp_path: pathlib.Path
) -> Iterator[shells.Shell]:
    """The openstack command of an administrator."""
    made = shells.Shell(server.url, tmp_path)
    yield made
    made.close()
