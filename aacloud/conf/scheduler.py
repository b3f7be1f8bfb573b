# SPDX-License-Identifier: Apache-2.0
"""Options of the filter and the weigher inside Nova's scheduler.

They are read from the configuration of nova-scheduler itself.
"""

from oslo_config import cfg

GROUP = "aacloud_scheduler"

OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "snapshot_poll",
        default=5.0,
        min=0.2,
        max=600.0,
        help="""
Seconds after which a scheduler asks for changes of the groups, although none
were announced. Changes are announced at once; this heals lost announcements.
""",
    ),
    cfg.FloatOpt(
        "max_stale",
        default=3600.0,
        min=1.0,
        help="""
Seconds for which the last known groups are used when no engine answers.

After that each rule's ``on_unknown`` decides whether a host passes.
""",
    ),
    cfg.FloatOpt(
        "rpc_timeout",
        default=2.0,
        min=0.1,
        max=60.0,
        help="Seconds to wait for an engine, outside of any request.",
    ),
    cfg.FloatOpt(
        "hint_timeout",
        default=0.2,
        min=0.01,
        max=10.0,
        help="""
Seconds that a request may wait for an engine, when its hint names a group
that this scheduler does not know yet.
""",
    ),
    cfg.FloatOpt(
        "weight_multiplier",
        default=1.0,
        help="""
How much the weigher counts beside Nova's own. It prefers hosts that break
fewer ``prefer`` rules; 0 turns it off.
""",
    ),
    cfg.StrOpt(
        "scheduler_id",
        sample_default="<host name>:<process id>",
        help="""
The name of this scheduler among the others, where a client waits until all of
them know a change. It must be unique for each worker; when it is not set, it
is made of the host name and the process id.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register this section with ``conf``."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the section for the sample generator."""
    return [(GROUP, OPTS)]
