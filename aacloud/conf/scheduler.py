# SPDX-License-Identifier: Apache-2.0
"""Options of the filter and weigher inside nova-scheduler.

They stand in nova.conf.
"""

from oslo_config import cfg

GROUP = "aacloud_scheduler"

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "transport_url",
        secret=True,
        help="""
The messaging service of aacloud, when it is another one than Nova's own
``transport_url``.
""",
    ),
    cfg.StrOpt(
        "host",
        default="",
        sample_default="<host name>",
        help="""
Names this scheduler to the engines, together with the number of its process.
By default the name of the host. It must be another one on each host.
""",
    ),
    cfg.FloatOpt(
        "poll_interval",
        default=5.0,
        min=0.5,
        max=300.0,
        help="""
Seconds between two questions of a scheduler worker for changed groups.

Changes are told at once; this heals what a lost message would leave, and
tells the engines that the worker lives.
""",
    ),
    cfg.FloatOpt(
        "max_stale",
        default=3600.0,
        min=1.0,
        help="""
For how many seconds the groups are trusted after an engine last confirmed
them.

Beyond that, ``on_unknown`` of each required rule decides: an open one only
advises, a closed one refuses every host but for an evacuation, which goes by
what was known last.
""",
    ),
    cfg.FloatOpt(
        "hint_timeout",
        default=0.2,
        min=0.01,
        max=10.0,
        help="""
Seconds for which a server that is born with the hint ``ha_group`` waits for
an engine to explain the hint, when it names a group that is not known yet.
""",
    ),
    cfg.FloatOpt(
        "first_wait",
        default=1.0,
        min=0.0,
        max=30.0,
        help="""
Seconds for which the first request of a scheduler worker waits for the
groups.
""",
    ),
    cfg.FloatOpt(
        "query_timeout",
        default=5.0,
        min=0.1,
        max=60.0,
        help="""
Seconds to wait for the cells to tell where the members of a group are.
""",
    ),
    cfg.StrOpt(
        "snapshot_file",
        help="""
A file in which the groups are kept, so that a scheduler that starts while
messaging or all engines are down knows them. All workers of a host share it;
nova-scheduler must be able to write its directory. By default none is kept.
""",
    ),
    cfg.StrOpt(
        "on_unknown",
        default="open",
        choices=[
            ("open", "the server is placed without it, and recorded"),
            ("closed", "the server is not placed"),
        ],
        help="""
What becomes of a server that is born with the hint ``ha_group`` when the
named group is not known and no engine can be asked.
""",
    ),
    cfg.StrOpt(
        "unknown_hint",
        default="closed",
        choices=[
            ("open", "the server is placed without it, and recorded"),
            ("closed", "the server is not placed"),
        ],
        help="""
What becomes of a server that is born with the hint ``ha_group`` when its
project has no group of that name or id.
""",
    ),
    cfg.FloatOpt(
        "weight_multiplier",
        default=1000.0,
        min=0.0,
        help="""
The multiplier of HAGroupWeigher.

It should outweigh all of Nova's own weighers together (1.0 each by default)
and stay below ``build_failure_weight_multiplier`` (1000000).
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register this section with ``conf``."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the section for the sample generator."""
    return [(GROUP, OPTS)]
