# SPDX-License-Identifier: Apache-2.0
"""A real RabbitMQ, MariaDB and etcd for engines of server groups."""

from __future__ import annotations

from collections.abc import Iterator
import os
import pathlib
import shutil
import tempfile

import pytest

from tests.functional.db import mariadb
from tests.functional.failover import test_leader_etcd
from tests.functional.groups import place as places
from tests.functional.monitor import rabbitmq


def _missing() -> str | None:
    return (
        rabbitmq.missing() or mariadb.missing()
        or (None if shutil.which("etcd") else "etcd is not installed"))


@pytest.fixture(scope="session")
def servers() -> Iterator[
    tuple[rabbitmq.RabbitMQ, mariadb.MariaDB, test_leader_etcd.Etcd]
]:
    """The servers; a test may kill the broker."""
    reason = _missing()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and in CI nothing is left out")
        pytest.skip(reason)
    # Not pytest's own directory: a socket's path must be short.
    with tempfile.TemporaryDirectory(
        prefix="aacloud-", ignore_cleanup_errors=True
    ) as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        for part in ("rabbitmq", "mariadb", "etcd"):
            (directory / part).mkdir()
        broker = rabbitmq.RabbitMQ(directory / "rabbitmq")
        database = mariadb.MariaDB(directory / "mariadb")
        etcd = test_leader_etcd.Etcd(directory / "etcd")
        database.install()
        try:
            broker.start()
            database.start()
            etcd.start()
            yield broker, database, etcd
        finally:
            broker.close()
            database.kill()
            etcd.kill()


@pytest.fixture
def place(
    servers: tuple[
        rabbitmq.RabbitMQ, mariadb.MariaDB, test_leader_etcd.Etcd],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[places.Place]:
    """Two engines over these servers."""
    broker, database, etcd = servers
    if not broker.answers():
        broker.start()
    made = places.Place(
        broker, mariadb.make_database(database.url), f"etcd3+{etcd.url}",
        monkeypatch)
    yield made
    # The driver closes its connections only with a broker at the other end.
    if not broker.answers():
        broker.start()
    made.close()
