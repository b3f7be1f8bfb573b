# SPDX-License-Identifier: Apache-2.0
"""Options that every daemon has."""

from oslo_config import cfg

GROUP = "aacloud_service"

OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt(
        "health_host",
        default="127.0.0.1",
        help="""
The address on which the daemon serves ``/healthcheck`` and ``/metrics``.

Neither asks for a password: use an address that only monitoring reaches.
""",
    ),
    cfg.PortOpt(
        "health_port",
        default=0,
        help="""
The port on which the daemon serves ``/healthcheck`` and ``/metrics``; 0 turns
both off. Daemons that share a host need a port each: set it in the file of
the daemon, such as ``/etc/aacloud/aacloud-agent.conf``.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register this section with ``conf``."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the section for the sample generator."""
    return [(GROUP, OPTS)]
