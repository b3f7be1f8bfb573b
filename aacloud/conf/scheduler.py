# SPDX-License-Identifier: Apache-2.0
"""Options of the filter and the weigher inside Nova's scheduler.

They are read from the configuration of nova-scheduler itself.
"""

from oslo_config import cfg

GROUP = "aacloud_scheduler"

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "transport_url",
        secret=True,
        help="""
The messaging service of aacloud. When it is not set, it is Nova's: the
``transport_url`` of nova-scheduler.
""",
    ),
    cfg.BoolOpt(
        "amqp_durable_queues",
        default=False,
        help="""
As in ``[oslo_messaging_rabbit]`` of aacloud.conf, whatever it is in nova.conf:
the schedulers share aacloud's exchange.
""",
    ),
    cfg.BoolOpt(
        "rabbit_quorum_queue",
        default=False,
        help="As in ``[oslo_messaging_rabbit]`` of aacloud.conf.",
    ),
    cfg.StrOpt(
        "host",
        default="",
        sample_default="<host name>",
        help="""
The name of this host, told to the engines with the process id: so they know
which schedulers work with which groups. Empty means the host's own name.
""",
    ),
    cfg.FloatOpt(
        "poll_interval",
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
        "first_wait",
        default=1.0,
        min=0.0,
        max=60.0,
        help="""
Seconds that the first request of a scheduler may wait for the groups, before
it goes on with those of ``snapshot_file`` or with none.
""",
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
        "query_timeout",
        default=5.0,
        min=0.1,
        max=60.0,
        help="""
Seconds that a request may wait for Nova's cells to tell where the members of
its groups are. When one does not answer, each rule's ``on_unknown`` decides.
""",
    ),
    cfg.StrOpt(
        "snapshot_file",
        help="""
Where a scheduler keeps the groups, so that one that starts while no engine
answers has them: for instance ``/var/lib/nova/aacloud-groups.json``. Its user
must be able to write there. When it is not set, none is kept.
""",
    ),
    cfg.StrOpt(
        "on_unknown",
        default="open",
        choices=[
            ("open", "the server is placed, and inspected afterwards"),
            ("closed", "the server is not placed"),
        ],
        help="""
What a scheduler does with a server whose hint it cannot look up, because no
engine answers.
""",
    ),
    cfg.StrOpt(
        "unknown_hint",
        default="closed",
        choices=[
            ("open", "the server is placed as if it had no hint"),
            ("closed", "the server is not placed"),
        ],
        help="""
What a scheduler does with a server whose hint names a group that its project
does not have.
""",
    ),
    cfg.FloatOpt(
        "weight_multiplier",
        default=1000.0,
        help="""
How much the weigher counts beside Nova's own. It prefers hosts that break
fewer ``prefer`` rules; 0 turns it off.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register this section with ``conf``."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the section for the sample generator."""
    return [(GROUP, OPTS)]
