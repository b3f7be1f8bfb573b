# SPDX-License-Identifier: Apache-2.0
"""Options of the HA server-group engine."""

from oslo_config import cfg

GROUP = "aacloud_groups"

MEMBERSHIP_OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "notification_topics",
        default=["versioned_notifications"],
        help="""
The topics on which Nova sends its versioned notifications.

Nova must send them: ``[notifications] notification_format = versioned`` (or
``both``) in the nova.conf of all services, with the same topics in
``[notifications] versioned_notifications_topics``. Without them births and
moves are learned at the next reconciliation only.
""",
    ),
    cfg.StrOpt(
        "notification_pool",
        default="aacloud-groups",
        help="""
The name of the pool in which the engines listen, so that each notification
reaches one of them and none is taken away from other listeners.
""",
    ),
    cfg.FloatOpt(
        "reconcile_interval",
        default=300.0,
        min=10.0,
        mutable=True,
        help="""
Seconds between two comparisons of the groups with the servers that Nova has.

This heals what lost notifications have left wrong. All servers of the cloud
are listed each time.
""",
    ),
    cfg.FloatOpt(
        "project_check_interval",
        default=3600.0,
        min=0.0,
        mutable=True,
        help="""
Seconds between two rounds in which Keystone is asked whether the projects
that own groups are still there; 0 means never. The groups of a project of
which Keystone says twice, in two rounds, that there is none, are deleted, as
they are when Keystone's notification tells it.

The user of ``[aacloud_keystone]`` must be allowed to show any project
(Keystone's policy ``identity:get_project``); the role ``admin`` is, unless
Keystone enforces scopes.
""",
    ),
    cfg.IntOpt(
        "project_check_brake",
        default=10,
        min=0,
        mutable=True,
        help="""
When more projects than this are missing in Keystone in one round, none of
them is taken for deleted, and the log says so: it may be another Keystone, or
one whose database was lost. Raise it when they were deleted indeed.
""",
    ),
    cfg.FloatOpt(
        "topology_poll",
        default=30.0,
        min=1.0,
        help="Seconds between two looks at the topology in Nova's aggregates.",
    ),
    cfg.IntOpt(
        "quota_groups",
        default=50,
        min=-1,
        mutable=True,
        help="""
How many groups a project may have; -1 means any number. An administrator can
set another number for a project.
""",
    ),
    cfg.IntOpt(
        "quota_members",
        default=1000,
        min=-1,
        mutable=True,
        help="""
How many members all groups of a project may have together; -1 means any
number. A server counts in each of its groups. An administrator can set
another number for a project.
""",
    ),
    cfg.FloatOpt(
        "trace_retention",
        default=604800.0,
        min=7200.0,
        mutable=True,
        help="""
Seconds for which the traces of deleted groups and members, and the history of
the groups, are kept. A scheduler that was away for longer is sent all groups
instead of the changes.

It must be longer than ``[aacloud_scheduler] max_stale``.
""",
    ),
]

INSPECTION_OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "inspect_interval",
        default=60.0,
        min=1.0,
        mutable=True,
        help="""
Seconds between two inspections of all groups. A group is inspected at once
when it, one of its members, or the topology changes.
""",
    ),
]

REPAIR_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "repair_approval",
        default=True,
        mutable=True,
        help="""
Whether a plan that mends groups waits for an administrator, who approves it
with ``openstack ha group repair --approve``. When this is off, groups in the
mode ``repair`` are mended without asking, in their windows.
""",
    ),
    cfg.StrOpt(
        "default_window",
        mutable=True,
        help="""
When groups without a window of their own may be repaired, for instance
``cron:0 1 * * 6;duration=4h;tz=Europe/Berlin`` or
``rrule:FREQ=WEEKLY;BYDAY=SA;BYHOUR=1;duration=4h;tz=Europe/Berlin``.

When it is not set, such groups may be repaired at any time, and the limits
below that are meant for a window hold for 24 hours.
""",
    ),
    cfg.IntOpt(
        "max_moves_per_window",
        default=50,
        min=0,
        mutable=True,
        help="How many moves may be begun in one opening of a window.",
    ),
    cfg.IntOpt(
        "parallel_total",
        default=4,
        min=1,
        max=200,
        mutable=True,
        help="How many moves of repairs may be in flight at a time.",
    ),
    cfg.IntOpt(
        "parallel_per_host",
        default=1,
        min=1,
        max=50,
        mutable=True,
        help="""
How many moves may leave or reach one host at a time. Nova's own
``max_concurrent_live_migrations`` is 1: with more here some only wait.
""",
    ),
    cfg.IntOpt(
        "parallel_per_rack",
        default=2,
        min=1,
        max=100,
        mutable=True,
        help="How many moves may leave or reach one rack at a time.",
    ),
    cfg.IntOpt(
        "parallel_inter_dc",
        default=2,
        min=1,
        max=100,
        mutable=True,
        help="""
How many moves may go from one data centre to another at a time: they share
the link that mirrors the storage.
""",
    ),
    cfg.FloatOpt(
        "settle_time",
        default=10.0,
        min=0.0,
        mutable=True,
        help="""
Seconds for which a group must have been left unchanged before the engine
makes a plan for it by itself: members are often added one after the other.
A group that is changed all the time is planned for after 30 times as long.
Plans that somebody asks for are made at once.
""",
    ),
    cfg.FloatOpt(
        "cool_down",
        default=3600.0,
        min=0.0,
        mutable=True,
        help="""
Seconds for which a server that was moved by a repair is not moved again, so
that no two rules throw it to and fro.
""",
    ),
    cfg.IntOpt(
        "max_replans",
        default=3,
        min=0,
        mutable=True,
        help="""
How many further plans a group may have in one opening of a window, for what
the plan before left broken. Plans that were made ahead count for the opening
that they were for.
""",
    ),
    cfg.IntOpt(
        "abort_failures",
        default=3,
        min=1,
        mutable=True,
        help="How many failed moves end a plan.",
    ),
    cfg.FloatOpt(
        "plan_lifetime",
        default=604800.0,
        min=60.0,
        mutable=True,
        help="""
Seconds after which a plan that is not through is given up. What is still
broken then is planned anew. A plan for a window that closes later lasts until
then, and so does its approval.
""",
    ),
    cfg.FloatOpt(
        "plan_retention",
        default=7776000.0,
        min=172800.0,
        mutable=True,
        help="""
Seconds for which plans that have ended are kept, with steps and events. The
default is 90 days.

It must be longer than ``cool_down``.
""",
    ),
    cfg.FloatOpt(
        "move_overhead",
        default=60.0,
        min=0.0,
        mutable=True,
        help="""
Seconds that a live migration is expected to take beside copying memory and
disks. A move is begun only when it is expected to end before the window
closes.
""",
    ),
    cfg.FloatOpt(
        "migration_rate",
        default=100.0,
        min=0.1,
        mutable=True,
        help="""
MiB a second at which a live migration is expected to copy memory, with the
pages that the guest writes meanwhile, and disks that are not known to be
shared (``instance_disks`` in the topology).
""",
    ),
    cfg.FloatOpt(
        "move_timeout",
        default=3600.0,
        min=10.0,
        mutable=True,
        help="Seconds after which a live migration is aborted.",
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
        "solver_time_limit",
        default=10.0,
        min=0.1,
        max=600.0,
        mutable=True,
        help="""
Seconds for which the solver may look for fewer moves. When they are over, the
best plan so far is taken, and the gap to the proven bound is told.
""",
    ),
    cfg.IntOpt(
        "solver_workers",
        default=2,
        min=1,
        max=64,
        mutable=True,
        help="How many threads the solver may use.",
    ),
    cfg.IntOpt(
        "solver_seed",
        default=1,
        min=0,
        mutable=True,
        help="The seed of the solver: the same cloud gets the same plan.",
    ),
]

OPTS: list[cfg.Opt] = [*MEMBERSHIP_OPTS, *INSPECTION_OPTS, *REPAIR_OPTS]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register this section with ``conf``."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the section for the sample generator."""
    return [(GROUP, OPTS)]
