# SPDX-License-Identifier: Apache-2.0
"""What the agents see: one probe's result, and a report of many."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum

from aacloud.core.topology import Vantage

MANAGEMENT = "management"
TENANT = "tenant"
STORAGE = "storage"

#: The networks an agent probes, in the order they are shown.
NETWORKS: tuple[str, ...] = (MANAGEMENT, TENANT, STORAGE)


class Reach(str, enum.Enum):
    """What one observer can say of one target on one network.

    UNKNOWN is for a probe that was not made or is not conclusive yet. It is
    never a vote for DOWN.
    """

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """One observer's view of one target on one network.

    :ivar vantage: where the observer stands, as the agent was told. The
        verdict works it out again from the topology.
    :ivar misses: probes without an answer in a row.
    :ivar silent_s: seconds, when the report was made, since the last
        authenticated answer; None when there never was one.
    :ivar rtt_ms: round trip of the last answer in milliseconds.
    :ivar refused: the target's kernel said lately that nobody listens for
        probes there. Nobody signs that: it may keep a host from being held
        dead, and is no answer.
    """

    observer: str
    target: str
    network: str
    vantage: Vantage
    reach: Reach
    misses: int = 0
    silent_s: float | None = None
    rtt_ms: float | None = None
    refused: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """An agent's heartbeat with all that it observed.

    :ivar interval_s: seconds between two reports of this agent.
    :ivar received: when the engine received it, on the engine's own
        monotonic clock. The receiver sets it; an agent's clock is not used.
    :ivar facts: what the agent says of its own host, for instance
        ``{"nova-compute": "up"}``.
    """

    observer: str
    boot_id: str
    seq: int
    interval_s: float
    observations: tuple[Observation, ...]
    received: float
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)
