# SPDX-License-Identifier: Apache-2.0
"""Schemas of hosts and of the topology."""

from aacloud.api.schemas import basics
from aacloud.core import brakes
from aacloud.core import topology
from aacloud.core import verdicts

_DISKS: basics.Schema = {
    "type": "string",
    "enum": list(topology.INSTANCE_DISKS),
    "description": (
        "where the disks of the servers on this host are; local or unknown "
        "holds a server that does not boot from a volume"
    ),
}
_STATE = basics.choice(verdicts.HostState, "what the engine holds it for")
_MODE = basics.choice(
    brakes.Mode, "what happens when it fails, by the settings of its domains"
)

COMPONENTS: dict[str, basics.Schema] = {
    "Host": basics.closed(
        {
            "name": basics.text("the name of the host in Nova"),
            "dc": basics.text("its data centre"),
            "rack": basics.text("its rack"),
            "instance_disks": _DISKS,
            "addresses": basics.mapping(
                basics.text("an IP address"),
                "the address that its agent has on each network",
            ),
            "boot_id": basics.text_or_null("the run of its agent"),
            "agent_seen_at": basics.moment_or_null(
                "when a report of its agent came last"
            ),
            "state": _STATE,
            "networks": basics.mapping(
                basics.choice(
                    verdicts.NetworkState, "what its peers see of it"
                ),
                "the state of the host on each network",
            ),
            "reasons": basics.listing(
                basics.text("a reason"), "why the engine holds it for that"
            ),
            "nova": {
                **basics.FREE,
                "description": "what Nova says of its compute service",
            },
            "mode": _MODE,
            "mode_reasons": basics.listing(
                basics.text("a reason"), "which settings make the mode"
            ),
            "incident_id": {
                **basics.UUID,
                "type": ["string", "null"],
                "description": "the incident that is open for it",
            },
            "updated_at": basics.moment_or_null("when an engine wrote this"),
        },
        description="A compute host.",
    ),
    "HostAnswer": basics.closed(
        {"host": basics.ref("Host")}, description="One host."
    ),
    "HostList": basics.closed(
        {"hosts": basics.listing(basics.ref("Host"), "sorted by name")},
        description="The hosts of the topology.",
    ),
    "TopologyHost": basics.closed(
        {
            "name": basics.text("the name of the host in Nova"),
            "instance_disks": _DISKS,
            "state": _STATE,
            "mode": _MODE,
        },
        description="A host in its rack.",
    ),
    "TopologyRack": basics.closed(
        {
            "name": basics.text("the name, unique in the cloud"),
            "hosts": basics.listing(
                basics.ref("TopologyHost"), "sorted by name"
            ),
        },
        description="A rack in its data centre.",
    ),
    "TopologyDC": basics.closed(
        {
            "name": basics.text("the name"),
            "racks": basics.listing(
                basics.ref("TopologyRack"), "sorted by name"
            ),
        },
        description="A data centre.",
    ),
    "TopologyAnswer": basics.closed(
        {
            "topology": basics.closed(
                {
                    "dcs": basics.listing(
                        basics.ref("TopologyDC"), "sorted by name"
                    )
                },
                description="The domains, each inside its enclosing one.",
            )
        },
        description="The topology as the leading engine sees it.",
    ),
}
