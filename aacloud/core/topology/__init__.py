# SPDX-License-Identifier: Apache-2.0
"""Topology: the model, the operator's file, Nova's host aggregates."""

from aacloud.core.topology.aggregates import Aggregate
from aacloud.core.topology.model import CLOUD_NAME
from aacloud.core.topology.model import Host
from aacloud.core.topology.model import INSTANCE_DISKS
from aacloud.core.topology.model import InstanceDisks
from aacloud.core.topology.model import Level
from aacloud.core.topology.model import Topology
from aacloud.core.topology.model import TopologyError
from aacloud.core.topology.model import Vantage

__all__ = (
    "Aggregate",
    "CLOUD_NAME",
    "Host",
    "INSTANCE_DISKS",
    "InstanceDisks",
    "Level",
    "Topology",
    "TopologyError",
    "Vantage",
)
