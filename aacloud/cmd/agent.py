# SPDX-License-Identifier: Apache-2.0
"""``aacloud-agent``: probes the peers of a compute host, and reports."""

from collections.abc import Sequence

from aacloud import service
from aacloud.cmd import daemons


def _factory() -> service.DaemonFactory:
    from aacloud.monitor import agent

    return agent.AgentDaemon


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node agent of this host."""
    return daemons.run("aacloud-agent", _factory, argv)
