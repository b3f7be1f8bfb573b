# SPDX-License-Identifier: Apache-2.0
"""``aacloud-failover``: the auto-failover engine of one data centre."""

from collections.abc import Sequence

from aacloud import service
from aacloud.cmd import daemons


def _factory() -> service.DaemonFactory:
    from aacloud.failover import engine

    return engine.FailoverDaemon


def main(argv: Sequence[str] | None = None) -> int:
    """Run an engine; one of all engines leads, the others wait."""
    return daemons.run("aacloud-failover", _factory, argv)
