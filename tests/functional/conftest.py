# SPDX-License-Identifier: Apache-2.0
"""How the functional tests run."""

from __future__ import annotations

import logging

from oslo_service import backend
import pytest

# As in every process of aacloud, and before anything of oslo.messaging is
# imported: that would choose eventlet. Real Nova wants the same answer.
backend.init_backend(backend.BackendType.THREADING)

#: Those that take longest begin first, so that none is left to run alone.
LONGEST = (
    "groups/test_joins.py",
    "groups/",
    "nova/test_groups_filter.py",
    "nova/test_live_migration.py",
    "nova/test_mover.py",
    "monitor/test_rabbitmq.py",
    "nova/test_census.py",
    "nova/test_cloud.py",
    "nova/test_groups_filter_process.py",
    "db/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; the tests of each stay in their order."""

    def rank(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next(
            (number for number, part in enumerate(LONGEST)
             if f"/functional/{part}" in path), len(LONGEST))

    items.sort(key=rank)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let no thread complain that the log was closed before it.

    The driver of RabbitMQ calls a broker that a test left dead for ever.
    """
    logging.raiseExceptions = False
