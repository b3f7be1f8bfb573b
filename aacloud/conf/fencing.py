# SPDX-License-Identifier: Apache-2.0
"""Options of fencing."""

from oslo_config import cfg

GROUP = "aacloud_fencing"

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "inventory_file",
        default="/etc/aacloud/fencing.yaml",
        help="""
The file that says, for each host, how it is fenced: the driver, the address of
its management controller, the credentials. It holds secrets: keep it readable
by the service's user only. ``aacloud-manage fencing check`` tests it.
""",
    ),
    cfg.FloatOpt(
        "timeout",
        default=10.0,
        min=1.0,
        mutable=True,
        help="""
Seconds for one call to a management controller. An operator is told of one
that hangs after about twice this and ``power_off_timeout``.
""",
    ),
    cfg.FloatOpt(
        "power_off_timeout",
        default=30.0,
        min=1.0,
        mutable=True,
        help="""
Seconds in which a host that was told to power off must read back as off.
""",
    ),
    cfg.FloatOpt(
        "poll",
        default=1.0,
        min=0.1,
        mutable=True,
        help="Seconds between two readings of the power state.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register this section with ``conf``."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the section for the sample generator."""
    return [(GROUP, OPTS)]
