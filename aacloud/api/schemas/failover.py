# SPDX-License-Identifier: Apache-2.0
"""Schemas of the failover modes."""

from aacloud.api.schemas import basics
from aacloud.core import brakes
from aacloud.core import topology

MODE = basics.choice(
    brakes.Mode,
    "armed: act; shadow: decide and tell, do nothing; disarmed: begin "
    "nothing and send nothing more, whatever is set inside the domain",
)

COMPONENTS: dict[str, basics.Schema] = {
    "Mode": basics.closed(
        {
            "level": basics.choice(topology.Level, "the level of the domain"),
            "name": basics.text("the name of the domain"),
            "mode": MODE,
            "reason": basics.text("why, in the operator's words"),
            "set_by": basics.text("who set it"),
            "set_at": basics.moment("when"),
        },
        description="What an operator set for a domain.",
    ),
    "EffectiveMode": basics.closed(
        {
            "host": basics.text("the host"),
            "rack": basics.text("its rack"),
            "dc": basics.text("its data centre"),
            "mode": MODE,
            "reasons": basics.listing(
                basics.text("a reason"), "which settings make the mode"
            ),
        },
        description="What the settings together mean for a host.",
    ),
    "ModeList": basics.closed(
        {
            "modes": basics.listing(
                basics.ref("Mode"), "what is set, the widest domain first"
            ),
            "effective": basics.listing(
                basics.ref("EffectiveMode"), "every host, sorted by name"
            ),
        },
        description="The failover modes.",
    ),
    "ModeAnswer": basics.closed(
        {
            "mode": basics.ref("Mode"),
            "previous": {
                "description": "what was set before",
                "anyOf": [basics.ref("Mode"), {"type": "null"}],
            },
            "effective": basics.listing(
                basics.ref("EffectiveMode"),
                "the hosts of the domain, sorted by name",
            ),
        },
        description="A setting, and what follows from it.",
    ),
    "ModeRequest": basics.closed(
        {
            "mode": MODE,
            "reason": {
                **basics.LINE,
                "description": "why; it is kept with the setting",
            },
        },
        description="The mode that a domain is to have.",
    ),
}
