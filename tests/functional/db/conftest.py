# SPDX-License-Identifier: Apache-2.0
"""A real MariaDB, and an own database in it for each test.

``AACLOUD_TEST_MYSQL_URL`` names a server to use instead of an own one, of a
user who may create databases: ``mysql+pymysql://user:password@host/``.
"""

from __future__ import annotations

from collections.abc import Iterator
import os
import pathlib
import tempfile

import pytest
import sqlalchemy as sa

from aacloud.db import engine
from aacloud.db import migration
from tests.functional.db import galera
from tests.functional.db import mariadb
from tests.unit.db import worlds


def _need_a_server() -> None:
    reason = mariadb.missing()
    if reason is None:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and in CI nothing is left out")
    pytest.skip(f"{reason}; or set AACLOUD_TEST_MYSQL_URL")


@pytest.fixture(scope="session")
def own_server() -> Iterator[mariadb.MariaDB]:
    """A server that a test may also kill."""
    _need_a_server()
    # Not pytest's own directory: a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="aacloud-") as directory:
        server = mariadb.MariaDB(pathlib.Path(directory))
        server.install()
        try:
            server.start()
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    given = os.environ.get("AACLOUD_TEST_MYSQL_URL")
    if given:
        return given
    server: mariadb.MariaDB = request.getfixturevalue("own_server")
    return server.url


@pytest.fixture
def empty_url(server_url: str) -> Iterator[str]:
    url = mariadb.make_database(server_url)
    yield url
    mariadb.drop_database(url)


@pytest.fixture
def url(empty_url: str) -> str:
    migration.sync(worlds.configuration(), connection=empty_url)
    return empty_url


@pytest.fixture
def database(url: str) -> Iterator[engine.Database]:
    opened = worlds.open_database(url)
    yield opened
    opened.dispose()


@pytest.fixture
def leader(database: engine.Database) -> worlds.Engine:
    """An engine that leads."""
    leader = worlds.Engine("dc1-ha", database)
    leader.take_over()
    return leader


@pytest.fixture
def rival(url: str) -> Iterator[worlds.Engine]:
    """An engine that does not lead yet, with connections of its own."""
    opened = worlds.open_database(url)
    yield worlds.Engine("dc2-ha", opened)
    opened.dispose()


@pytest.fixture(scope="session")
def cluster() -> Iterator[galera.Cluster]:
    reason = galera.missing()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and in CI nothing is left out")
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="aacloud-") as directory:
        path = pathlib.Path(directory)
        # The servers run as another user.
        path.chmod(0o755)
        made = galera.Cluster(path)
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.fixture
def urls(cluster: galera.Cluster) -> Iterator[tuple[str, str]]:
    """Of one new database, at the first and at the second node."""
    first, second = cluster.nodes
    at_first = mariadb.make_database(first.url)
    at_second = (
        sa.make_url(second.url)
        .set(database=sa.make_url(at_first).database)
        .render_as_string(hide_password=False)
    )
    migration.sync(worlds.configuration(), connection=at_first)
    yield at_first, at_second
    mariadb.drop_database(at_first)
