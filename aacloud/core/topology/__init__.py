# SPDX-License-Identifier: Apache-2.0
"""Topology: the model, the operator's file, Nova's host aggregates."""

from aacloud.core.topology.aggregates import AddHost
from aacloud.core.topology.aggregates import Aggregate
from aacloud.core.topology.aggregates import CreateAggregate
from aacloud.core.topology.aggregates import KEY_DC
from aacloud.core.topology.aggregates import KEY_DISKS
from aacloud.core.topology.aggregates import KEY_RACK
from aacloud.core.topology.aggregates import plan_topology_change
from aacloud.core.topology.aggregates import RemoveHost
from aacloud.core.topology.aggregates import SetMetadata
from aacloud.core.topology.aggregates import topology_from_aggregates
from aacloud.core.topology.aggregates import TopologyChange
from aacloud.core.topology.aggregates import TopologyStep
from aacloud.core.topology.document import parse_topology
from aacloud.core.topology.model import CLOUD_NAME
from aacloud.core.topology.model import Host
from aacloud.core.topology.model import INSTANCE_DISKS
from aacloud.core.topology.model import InstanceDisks
from aacloud.core.topology.model import Level
from aacloud.core.topology.model import Topology
from aacloud.core.topology.model import TopologyError
from aacloud.core.topology.model import Vantage

__all__ = (
    "CLOUD_NAME",
    "INSTANCE_DISKS",
    "KEY_DC",
    "KEY_DISKS",
    "KEY_RACK",
    "AddHost",
    "Aggregate",
    "CreateAggregate",
    "Host",
    "InstanceDisks",
    "Level",
    "RemoveHost",
    "SetMetadata",
    "Topology",
    "TopologyChange",
    "TopologyError",
    "TopologyStep",
    "Vantage",
    "parse_topology",
    "plan_topology_change",
    "topology_from_aggregates",
)
