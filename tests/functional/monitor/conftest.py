# SPDX-License-Identifier: Apache-2.0
"""A real RabbitMQ for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
import os
import pathlib
import tempfile

import pytest

from tests.functional.monitor import rabbitmq


@pytest.fixture(scope="session")
def server() -> Iterator[rabbitmq.RabbitMQ]:
    """A broker that a test may kill; see :func:`broker`."""
    reason = rabbitmq.missing()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and in CI nothing is left out")
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(
        prefix="aacloud-", ignore_cleanup_errors=True
    ) as directory:
        made = rabbitmq.RabbitMQ(pathlib.Path(directory))
        try:
            made.start()
            yield made
        finally:
            made.close()


@pytest.fixture
def broker(server: rabbitmq.RabbitMQ) -> rabbitmq.RabbitMQ:
    """The broker, running."""
    if not server.answers():
        server.start()
    return server
