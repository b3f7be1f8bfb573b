# SPDX-License-Identifier: Apache-2.0
"""The words of a verdict, and what goes into one."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import enum
import typing

from aacloud.core.observations import NETWORKS
from aacloud.core.observations import Observation
from aacloud.core.observations import Report
from aacloud.core.topology import Topology


class HostState(str, enum.Enum):
    """What is held true of a host.

    UP: it shows life. DEAD: proved silent from several places. NOT_SURE:
    neither, and nothing destructive may be done.
    """

    UP = "up"
    DEAD = "dead"
    NOT_SURE = "not-sure"


class NetworkState(str, enum.Enum):
    """What is held true of one host's path on one network."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class DetectionPolicy:
    """How much evidence a verdict needs. Times in seconds.

    :ivar networks: the networks that the agents probe; all must be down.
    :ivar report_ttl_s: an older report says nothing any more.
    :ivar heartbeat_timeout_s: a host that gave any sign of life within this
        time is not dead.
    :ivar down_vantage_groups: from how many places a host must be seen down,
        never fewer than two.
    :ivar patient_share: an observer that misses more than this share of its
        targets (of three or more) on a network is itself the patient there.
    :ivar confirm_s: how long the symptoms must last without a break.
    :ivar warmup_s: how long a new engine only watches.
    :ivar quorum_share: with fewer fresh agents than this share of those
        that ever reported, the engine takes itself to be cut off.
    :ivar nova_fresh_s: a report of nova-compute newer than this is a sign of
        life. Longer than Nova's report_interval (10 by default) plus the
        time between two looks at it.
    """

    networks: tuple[str, ...] = NETWORKS
    report_ttl_s: float = 6.0
    heartbeat_timeout_s: float = 8.0
    down_vantage_groups: int = 2
    patient_share: float = 0.5
    confirm_s: float = 3.0
    warmup_s: float = 10.0
    quorum_share: float = 0.5
    nova_fresh_s: float = 12.0


@dataclasses.dataclass(frozen=True, slots=True)
class NovaServiceView:
    """What Nova says of a host's nova-compute.

    :ivar last_seen_age_s: seconds at the time of judging since nova-compute
        last reported to Nova; None when it never did. Best taken from
        follow_service(), which compares no two clocks.
    :ivar stamp: Nova's time stamp of that report, as Nova wrote it.
    :ivar advanced: this engine did see the stamp advance, so that the age
        is that of a true sign of life and not of the engine's first look.
    """

    state: typing.Literal["up", "down"]
    forced_down: bool = False
    disabled: bool = False
    last_seen_age_s: float | None = None
    stamp: str | None = None
    advanced: bool = False
    disabled_reason: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class WorldView:
    """All that is known when hosts are judged. Times: engine monotonic.

    :ivar reports: observer -> its latest report.
    :ivar nova_services: host -> what Nova says. Leave a host out when Nova
        could not be asked lately: its silence would not be the host's.
    :ivar dead_since: Judgement.dead_since() of the previous look.
    :ivar known_agents: hosts whose agent ever reported, also to an earlier
        engine.
    """

    topology: Topology
    reports: Mapping[str, Report]
    nova_services: Mapping[str, NovaServiceView]
    store_ok: bool
    lease_ok: bool
    engine_started: float
    dead_since: Mapping[str, float] = dataclasses.field(default_factory=dict)
    known_agents: Collection[str] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class HostVerdict:
    """What is held true of one host, and why.

    :ivar heartbeat_age_s: seconds since its own last report.
    :ivar life_age_s: seconds since the newest sign of life: its own report,
        an authenticated answer to any observer, or a report of its
        nova-compute to Nova. None when there never was one.
    :ivar dead_since: since when it was silent on all networks without a
        break (monotonic); None when it is not.
    :ivar suspect: its agent was known and it does not show life now.
    :ivar evidence: the observations that the verdict rests on.
    :ivar rejected: other explanations, each with what speaks against it.
    """

    host: str
    state: HostState
    networks: Mapping[str, NetworkState]
    heartbeat_age_s: float | None
    life_age_s: float | None
    dead_since: float | None
    suspect: bool
    reasons: tuple[str, ...]
    evidence: tuple[Observation, ...] = ()
    rejected: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, typing.Any]:
        """The verdict as JSON-able values, for the journal and the API."""
        return {
            "host": self.host,
            "state": self.state.value,
            "networks": {k: v.value for k, v in self.networks.items()},
            "heartbeat_age_s": _rounded(self.heartbeat_age_s),
            "life_age_s": _rounded(self.life_age_s),
            "reasons": list(self.reasons),
            "rejected": list(self.rejected),
            "evidence": [
                {"observer": seen.observer, "network": seen.network,
                 "vantage": seen.vantage.value, "reach": seen.reach.value,
                 "misses": seen.misses, "silent_s": _rounded(seen.silent_s)}
                for seen in self.evidence],
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Judgement:
    """The verdicts on all hosts at one moment.

    :ivar self_cut_off: the engine may be the one that is cut off.
    :ivar self_reasons: why no host can be held dead now, if so.
    :ivar patients: observer -> network -> why its word does not count.
    """

    self_cut_off: bool
    self_reasons: tuple[str, ...]
    hosts: Mapping[str, HostVerdict]
    patients: Mapping[str, Mapping[str, str]]

    def dead_since(self) -> dict[str, float]:
        """What the next WorldView needs: host -> since when it is silent."""
        return {
            name: verdict.dead_since for name, verdict in self.hosts.items()
            if verdict.dead_since is not None}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
