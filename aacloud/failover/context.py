# SPDX-License-Identifier: Apache-2.0
"""What an incident's worker is given to work with."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import threading

from oslo_config import cfg

from aacloud.clouds import mover
from aacloud.clouds import pace as paces
from aacloud.clouds import ports
from aacloud.core import verdicts
from aacloud.db import journal as journals
from aacloud.failover import world as worlds
from aacloud.fencing import fencer as fencers
from aacloud.rpc import notifications


class JudgementBoard:
    """The latest judgement, written by the engine, read by the workers."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._judgement: verdicts.Judgement | None = None
        self._clean_since: dict[str, float] = {}
        self._now = 0.0

    def put(self, judgement: verdicts.Judgement, now: float) -> None:
        """Keep the judgement made at ``now`` (monotonic seconds)."""
        with self._guard:
            self._judgement = judgement
            self._now = now
            clean = {
                name for name, verdict in judgement.hosts.items()
                if verdict.networks and all(
                    state is verdicts.NetworkState.UP
                    for state in verdict.networks.values())}
            self._clean_since = {
                name: self._clean_since.get(name, now) for name in clean}

    def clean_for(self, host: str) -> float:
        """Seconds for which all networks of a host are up by now."""
        with self._guard:
            since = self._clean_since.get(host)
            return 0.0 if since is None else self._now - since

    def get(self) -> verdicts.Judgement | None:
        with self._guard:
            return self._judgement


@dataclasses.dataclass(frozen=True)
class Context:
    """Ports and knowledge shared by all incidents of one leadership.

    :ivar may_act: whether this engine still leads, asked right before each
        outward call
    :ivar guests: the uuids of the guests that run on a host, as its agent
        sees them; None when it cannot be asked
    :ivar pace: how many moves are in flight in the whole cloud
    :ivar movers: the mover of each incident that moves servers now
    """

    conf: cfg.ConfigOpts
    journal: journals.Journal
    cloud: ports.Cloud
    fencer: fencers.Fencer
    world: worlds.World
    board: JudgementBoard
    notifier: notifications.IncidentNotifier
    watcher: worlds.CloudWatcher
    may_act: Callable[[], bool]
    guests: Callable[[str], tuple[str, ...] | None]
    pace: paces.Pace
    movers: dict[str, mover.Mover] = dataclasses.field(default_factory=dict)

    def of_incident(
        self, incident_id: str, may_act: Callable[[], bool]
    ) -> Context:
        """The same for one incident: Nova's logs then carry its id, and a
        narrower answer tells whether it may act."""
        return dataclasses.replace(
            self, cloud=self.cloud.bound(f"req-{incident_id}"),
            may_act=may_act, movers={})
