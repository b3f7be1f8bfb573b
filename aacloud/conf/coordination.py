# SPDX-License-Identifier: Apache-2.0
"""Options of the leader election."""

from oslo_config import cfg

GROUP = "aacloud_coordination"

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "backend_url",
        default="etcd3+http://127.0.0.1:2379",
        secret=True,
        help="""
Where the engines find out who leads.

Point each engine to the etcd member of its own site, for instance
``etcd3+http://192.0.2.10:2379``. ``file:///var/lib/aacloud/coordination``
serves engines on one host, for trials.
""",
    ),
    cfg.IntOpt(
        "lease",
        default=5,
        min=2,
        max=60,
        help="""
Seconds for which a leader that is no longer heard keeps its place. Another
engine takes over after that, and the old one stops by its own clock before.
""",
    ),
    cfg.StrOpt(
        "member_id",
        sample_default="<host name>:<process id>",
        help="""
The name of this engine among the others. It must be unique; when it is not
set, it is made of the host name and the process id.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register this section with ``conf``."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the section for the sample generator."""
    return [(GROUP, OPTS)]
