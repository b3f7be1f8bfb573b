# SPDX-License-Identifier: Apache-2.0
"""What an incident's worker is given to work with."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from concurrent import futures
import dataclasses
import threading

from oslo_config import cfg

from aacloud.clouds import mover
from aacloud.clouds import pace as paces
from aacloud.clouds import ports
from aacloud.coordination import clock as clocks
from aacloud.core import verdicts
from aacloud.db import journal as journals
from aacloud.failover import watcher as watchers
from aacloud.failover import world as worlds
from aacloud.fencing import fencer as fencers
from aacloud.rpc import notifications

#: Seconds after which a judgement is no judgement any more: whoever made it
#: is stuck, and the hosts may be in another state by now.
STALE_S = 5.0
#: Plans that are made at a time.
PLANNERS = 4


class JudgementBoard:
    """The latest judgement, written by the engine, read by the workers.

    :param stale_s: after so many seconds it is not given out any more
    """

    def __init__(
        self,
        clock: clocks.Clock | None = None,
        stale_s: Callable[[], float] = lambda: STALE_S,
    ) -> None:
        self._clock = clock or clocks.Clock()
        self._stale_s = stale_s
        self._guard = threading.Lock()
        self._judgement: verdicts.Judgement | None = None
        self._recovering: frozenset[str] = frozenset()
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

    def put_recovering(self, hosts: Collection[str]) -> None:
        """Keep which hosts were in recovery at the last look."""
        with self._guard:
            self._recovering = frozenset(hosts)

    def recovering(self) -> frozenset[str]:
        """Hosts in recovery; a look old, so good for saying no alone."""
        with self._guard:
            return self._recovering

    def clean_for(self, host: str) -> float:
        """Seconds for which all networks of a host are up by now."""
        with self._guard:
            since = self._clean_since.get(host)
            if since is None or self._is_stale():
                return 0.0
            return self._now - since

    def get(self) -> verdicts.Judgement | None:
        """The latest judgement; None when there is none that still holds."""
        with self._guard:
            return None if self._is_stale() else self._judgement

    def _is_stale(self) -> bool:
        return self._clock.monotonic() - self._now > self._stale_s()


@dataclasses.dataclass(slots=True)
class Memory:
    """What a worker knows beside the journal; lost with it, and no harm.

    :ivar mover: moves the servers, while they are moved
    :ivar fence_due: when the host is to be fenced again (monotonic), after
        an attempt without a proof
    :ivar reprove_due: the same for a proof that does not hold any more
    :ivar heeded: how many commands of operators that attempt knew of
    """

    mover: mover.Mover | None = None
    fence_due: float = float("-inf")
    reprove_due: float = float("-inf")
    heeded: int = 0

    def close(self) -> None:
        """Let the mover go, if there is one."""
        gone, self.mover = self.mover, None
        if gone is not None:
            gone.close()


@dataclasses.dataclass(frozen=True)
class Context:
    """Ports and knowledge shared by all incidents of one leadership.

    :ivar may_act: whether this engine still leads, asked right before each
        outward call
    :ivar epoch: the epoch that this engine leads with; None: it does not
    :ivar pace: how many moves are in flight in the whole cloud
    :ivar admissions: held while an incident passes the brakes, so that two
        at a time do not both take the last place
    :ivar planners: how many plans may be made at a time: each asks Nova a
        lot, and in shadow mode a dead data centre wants hundreds at once
    :ivar pool: makes what carries the movers' calls; None: their own threads
    :ivar memory: of the one incident that this is the context of
    """

    conf: cfg.ConfigOpts
    journal: journals.Journal
    cloud: ports.Cloud
    fencer: fencers.Fencer
    world: worlds.World
    board: JudgementBoard
    notifier: notifications.IncidentNotifier
    watcher: watchers.CloudWatcher
    may_act: Callable[[], bool]
    epoch: Callable[[], int | None]
    pace: paces.Pace
    clock: clocks.Clock = dataclasses.field(default_factory=clocks.Clock)
    admissions: threading.Lock = dataclasses.field(
        default_factory=threading.Lock)
    planners: threading.Semaphore = dataclasses.field(
        default_factory=lambda: threading.BoundedSemaphore(PLANNERS))
    pool: Callable[[], futures.Executor] | None = None
    memory: Memory = dataclasses.field(default_factory=Memory)

    def of_incident(
        self, incident_id: str, may_act: Callable[[], bool]
    ) -> Context:
        """The same for one incident: Nova's logs then carry its id, and a
        narrower answer tells whether it may act."""
        return dataclasses.replace(
            self, cloud=self.cloud.bound(f"req-{incident_id}"),
            may_act=may_act, memory=Memory())
