# SPDX-License-Identifier: Apache-2.0
"""Each test gets a calm lab; how it is to be, the test's markers say."""

from __future__ import annotations

from collections.abc import Iterator
import os

import pytest

from tests.lab import crashes
from tests.lab.control import Lab
from tests.lab.state import locked
from tests.lab.suite import calm
from tests.lab.suite.grouping import Grouping
from tests.lab.suite.looking import Look
from tests.lab.suite.stage import Stage

MARKERS = (
    "mode(name): what auto-failover is set to, armed unless given",
    "crashable(name): the engines of this name, aacloud-failover unless "
    "given, are run by the launcher that can crash them",
    "long: left out unless --all is given",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all", action="store_true", help="also the tests that take long")


def pytest_configure(config: pytest.Config) -> None:
    for line in MARKERS:
        config.addinivalue_line("markers", line)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    if config.getoption("--all"):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab that is up, for nobody else; it is left as delivered."""
    lab = Lab.open(os.environ.get("AACLOUD_LAB_DIR"))
    with locked(lab.state.dir):
        yield lab
        calm.begin(Look(lab))
        calm.finish(Look(lab), "shadow")


@pytest.fixture
def stage(lab: Lab, request: pytest.FixtureRequest) -> Stage:
    """The means to make the lab calm, and then to disturb it."""
    mode = request.node.get_closest_marker("mode")
    look = Look(lab)
    crashable = request.node.get_closest_marker("crashable")
    name = crashable and (crashable.args or (crashes.FAILOVER.name,))[0]
    calm.begin(look, crashable={
        engine for engine in crashes.ENGINES if engine.name == name})
    return Stage(lab, look, mode.args[0] if mode else "armed")


@pytest.fixture
def groups(stage: Stage) -> Grouping:
    """The means to make HA server groups, and to have them mended."""
    return Grouping(stage)
