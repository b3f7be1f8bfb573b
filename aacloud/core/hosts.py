# SPDX-License-Identifier: Apache-2.0
"""What is kept of each host between two looks at it."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime

from aacloud.core.topology import InstanceDisks
from aacloud.core.verdicts import HostState
from aacloud.core.verdicts import NetworkState


@dataclasses.dataclass(frozen=True, slots=True)
class HostRecord:
    """A host as last known; persisted, shown by API and CLI.

    :ivar addresses: network -> IP address on which its agent answers.
    :ivar agent_seen_at: when its agent last reported (UTC); None when it
        never did.
    :ivar nova: what Nova said of its nova-compute, as JSON-able values.
    """

    name: str
    dc: str
    rack: str
    instance_disks: InstanceDisks = "unknown"
    addresses: Mapping[str, str] = dataclasses.field(default_factory=dict)
    boot_id: str | None = None
    agent_seen_at: datetime.datetime | None = None
    state: HostState = HostState.NOT_SURE
    networks: Mapping[str, NetworkState] = dataclasses.field(
        default_factory=dict)
    reasons: tuple[str, ...] = ()
    nova: Mapping[str, object] = dataclasses.field(default_factory=dict)
    updated_at: datetime.datetime | None = None
