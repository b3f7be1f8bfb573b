# SPDX-License-Identifier: Apache-2.0
"""Options of the node agent."""

import socket

from oslo_config import cfg

GROUP = "aacloud_agent"

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<host name>",
        help="""
The name of this host.

It must be the name under which nova-compute of this host registers with Nova
(the ``host`` option of nova.conf): observations about an unknown name are
refused.
""",
    ),
    cfg.IPOpt(
        "management_address",
        help="""
The address of this host on the management network.

Probes of that network are answered on it and sent from it.
""",
    ),
    cfg.IPOpt(
        "tenant_address",
        help="The address of this host on the tenant network.",
    ),
    cfg.IPOpt(
        "storage_address",
        help="The address of this host on the storage network.",
    ),
    cfg.PortOpt(
        "probe_port",
        default=8781,
        help="""
The UDP port on which probes are answered.

All agents of the cloud must use the same port, and it must be open between
all hosts on all three networks.
""",
    ),
    cfg.FloatOpt(
        "probe_interval",
        default=1.0,
        min=0.1,
        max=60.0,
        mutable=True,
        help="Seconds between two probes of one peer on one network.",
    ),
    cfg.IntOpt(
        "misses_down",
        default=4,
        min=1,
        max=100,
        mutable=True,
        help="""
How many probes in a row must stay unanswered before this agent calls a peer
``down`` on a network. Until then it is ``unknown``.
""",
    ),
    cfg.FloatOpt(
        "probe_timeout",
        default=0.9,
        min=0.05,
        max=60.0,
        mutable=True,
        help="""
Seconds to wait for the answer of a probe before it counts as a miss.

It must be shorter than ``probe_interval``.
""",
    ),
    cfg.StrOpt(
        "refused_probe",
        default="hold",
        choices=[
            ("hold", "the peer is ``unknown``: its kernel lives"),
            ("ignore", "a refused probe is a miss like any other"),
        ],
        help="""
What a probe means that the peer's kernel refuses (ICMP port unreachable from
the peer's own address).

The kernel of that host lives, and its agent does not run. So the host is not
held dead, even if its nova-compute is stopped too. Use ``ignore`` only where
hosts share one kernel, as in trials on one machine: there the kernel lives
whatever becomes of a host.
""",
    ),
    cfg.FloatOpt(
        "report_interval",
        default=1.0,
        min=0.1,
        max=60.0,
        mutable=True,
        help="""
Seconds between two reports of this agent to the failover engines.

A report is the heartbeat of its host too.
""",
    ),
    cfg.StrOpt(
        "key_file",
        default="/etc/aacloud/probe.keys",
        help="""
The file with the keys that sign probes and reports.

One ``key-id: base64`` a line. The first key signs, all keys are accepted, so
that a key can be replaced without a gap: append the new key everywhere, then
move it to the front, then remove the old one. The file is read again on
SIGHUP. Keep it readable by the service's user only.
""",
    ),
    cfg.ListOpt(
        "probes",
        default=["udp", "compute", "guests"],
        help="""
The probes that this agent runs, by their names in the ``aacloud.probes``
entry-point namespace.
""",
    ),
    cfg.StrOpt(
        "compute_process",
        default=r"\bnova-compute\b",
        regex=r".",
        help="""
A regular expression that finds nova-compute among the command lines of this
host's processes (those in the network namespace of the agent). The probe
``compute`` tells the engines whether that process runs.
""",
    ),
    cfg.StrOpt(
        "guest_process",
        default=r"qemu\S* .*-uuid "
        r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
        regex=r"\(.+\)",
        help="""
A regular expression that finds the guests among the command lines of this
host's processes; its first group is the uuid of the server. With the probe
``guests`` the engines know that no evacuated guest is left on a host that
comes back; without it such a host waits for an operator.
""",
    ),
    cfg.StrOpt(
        "state_path",
        default="/var/lib/aacloud",
        help="""
A directory in which the agent keeps what it must know before the messaging
service can be reached, such as its last assignment of peers.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register this section with ``conf``."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the section for the sample generator."""
    return [(GROUP, OPTS)]
