# SPDX-License-Identifier: Apache-2.0
"""Options of the auto-failover engine."""

from oslo_config import cfg

GROUP = "aacloud_failover"

DETECTION_OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "tick",
        default=0.5,
        min=0.05,
        max=10.0,
        mutable=True,
        help="Seconds between two looks of the engine at the cloud.",
    ),
    cfg.FloatOpt(
        "report_ttl",
        default=6.0,
        min=0.5,
        mutable=True,
        help="""
Seconds after which an agent's report is too old to say anything.

It must be longer than ``[aacloud_agent] report_interval``.
""",
    ),
    cfg.FloatOpt(
        "heartbeat_timeout",
        default=8.0,
        min=1.0,
        mutable=True,
        help="""
Seconds of silence of a host's own agent before its heartbeat is lost.

A lost heartbeat alone never makes a host dead.
""",
    ),
    cfg.FloatOpt(
        "confirm",
        default=3.0,
        min=0.0,
        mutable=True,
        help="Seconds for which the symptoms of a dead host must last.",
    ),
    cfg.FloatOpt(
        "warmup",
        default=10.0,
        min=0.0,
        mutable=True,
        help="""
Seconds after its start in which an engine does not call a host dead, because
reports are still arriving.
""",
    ),
    cfg.IntOpt(
        "down_vantage_groups",
        default=2,
        min=2,
        max=3,
        mutable=True,
        help="""
How many vantage groups (own rack, other racks, other data centre) must see a
host's network ``down`` before it counts as down.
""",
    ),
    cfg.FloatOpt(
        "patient_share",
        default=0.5,
        min=0.1,
        max=1.0,
        mutable=True,
        help="""
An observer that loses more than this share of its targets on a network at
once is taken for the patient: what it says about that network is left out.
""",
    ),
    cfg.FloatOpt(
        "quorum_share",
        default=0.5,
        min=0.1,
        max=1.0,
        mutable=True,
        help="""
An engine that hears fewer than this share of the agents it knows takes itself
for the one that is cut off, and does nothing.
""",
    ),
    cfg.FloatOpt(
        "nova_fresh",
        default=12.0,
        min=1.0,
        mutable=True,
        help="""
Seconds for which a report of nova-compute to Nova is a sign of life.

It must be longer than Nova's ``report_interval`` and ``nova_poll`` together.
""",
    ),
    cfg.FloatOpt(
        "nova_poll",
        default=1.0,
        min=0.2,
        help="Seconds between two looks at Nova's services.",
    ),
    cfg.FloatOpt(
        "topology_poll",
        default=30.0,
        min=1.0,
        help="Seconds between two looks at the topology in Nova's aggregates.",
    ),
    cfg.IntOpt(
        "peers_per_vantage",
        default=3,
        min=1,
        max=50,
        mutable=True,
        help="How many peers of each vantage group watch a host.",
    ),
    cfg.StrOpt(
        "key_file",
        default="/etc/aacloud/probe.keys",
        help="""
The file with the keys that sign probes and reports; the same as
``[aacloud_agent] key_file`` of the hosts. It is read again on SIGHUP.
""",
    ),
]

BRAKE_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "hosts_per_rack",
        default=2,
        min=1,
        mutable=True,
        help="How many hosts of one rack may be recovered at a time.",
    ),
    cfg.IntOpt(
        "hosts_per_dc",
        default=4,
        min=1,
        mutable=True,
        help="How many hosts of one data centre may be recovered at a time.",
    ),
    cfg.IntOpt(
        "hosts_per_cloud",
        default=6,
        min=1,
        mutable=True,
        help="How many hosts of the cloud may be recovered at a time.",
    ),
    cfg.FloatOpt(
        "suspect_share_per_dc",
        default=0.5,
        min=0.05,
        max=1.0,
        mutable=True,
        help="""
Recovery waits when more than this share of a data centre's hosts is suspect:
that is a sick network or control plane, not a row of dead hosts.
""",
    ),
    cfg.IntOpt(
        "repeats_per_server",
        default=2,
        min=1,
        mutable=True,
        help="""
How often one server may be evacuated within 24 hours. A server that takes its
hosts down with it is held after that.
""",
    ),
]

RECOVERY_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "concurrency_max",
        default=24,
        min=1,
        max=500,
        mutable=True,
        help="""
How many moves may be in flight at a time. The engine starts lower and adapts
to Nova's latency and errors.
""",
    ),
    cfg.IntOpt(
        "concurrency_per_destination",
        default=4,
        min=1,
        max=100,
        mutable=True,
        help="How many moves to one destination host may be in flight.",
    ),
    cfg.FloatOpt(
        "request_grace",
        default=20.0,
        min=1.0,
        mutable=True,
        help="""
Seconds for which a request to Nova whose outcome is unknown may still take
effect; it is not sent again before.

It must be longer than ``[aacloud_keystone] timeout``.
""",
    ),
    cfg.StrOpt(
        "evacuate_microversion",
        default="2.94",
        regex=r"^2\.(29|[3-9][0-9]|[1-9][0-9]{2})$",
        mutable=True,
        help="""
The compute API microversion of evacuate requests. Up to 2.94 a server that
ran is started on its destination; from 2.95 on it stays stopped.
""",
    ),
    cfg.FloatOpt(
        "verify_timeout",
        default=300.0,
        min=1.0,
        mutable=True,
        help="""
Seconds in which a server that landed must prove to run on its destination;
after that it is left to the operator, with the reason.
""",
    ),
    cfg.FloatOpt(
        "return_clean",
        default=10.0,
        min=0.0,
        mutable=True,
        help="""
Seconds for which all probes of a host that came back must be clean before it
is enabled again.
""",
    ),
    cfg.FloatOpt(
        "fence_retry",
        default=10.0,
        min=0.5,
        mutable=True,
        help="Seconds before a fence without a proof is tried again.",
    ),
]

OPTS: list[cfg.Opt] = [*DETECTION_OPTS, *BRAKE_OPTS, *RECOVERY_OPTS]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register this section with ``conf``."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the section for the sample generator."""
    return [(GROUP, OPTS)]
