# SPDX-License-Identifier: Apache-2.0
"""The topology."""

from typing import Any

from aacloud.api import operations
from aacloud.api import policies
from aacloud.api.v1 import base
from aacloud.core import topology


class Topology(base.Resource):
    """The data centres, their racks and their hosts."""

    path = "/v1/topology"

    @operations.operation(
        name="show_topology",
        summary="Show the topology",
        description=(
            "Shows the data centres, their racks and their hosts with state "
            "and mode, as the leading engine read them from Nova's host "
            "aggregates."
        ),
        tag="hosts",
        policy=policies.hosts.TOPOLOGY,
        response="TopologyAnswer",
    )
    def on_get(self, call: operations.Call) -> dict[str, Any]:
        """Return the tree of domains."""
        records = {host.name: host for host in self.services.hosts.list()}
        domains = self.domains()
        tree = domains.topology
        return {
            "topology": {
                "dcs": [
                    {
                        "name": dc,
                        "racks": [
                            {
                                "name": rack,
                                "hosts": [
                                    {
                                        "name": name,
                                        "instance_disks": records[
                                            name
                                        ].instance_disks,
                                        "state": records[name].state.value,
                                        "mode": domains.verdict(
                                            name
                                        ).mode.value,
                                    }
                                    for name in tree.hosts_of(
                                        topology.Level.RACK, rack
                                    )
                                ],
                            }
                            for rack in tree.racks(dc)
                        ],
                    }
                    for dc in tree.dcs()
                ]
            }
        }
