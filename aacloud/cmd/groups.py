# SPDX-License-Identifier: Apache-2.0
"""``aacloud-groups``: the engine of HA server groups of one data centre."""

from collections.abc import Sequence

from aacloud import service
from aacloud.cmd import daemons


def _factory() -> service.DaemonFactory:
    from aacloud.groups import daemon

    return daemon.GroupsDaemon


def main(argv: Sequence[str] | None = None) -> int:
    """Run an engine; all answer, and one of them leads."""
    return daemons.run("aacloud-groups", _factory, argv)
