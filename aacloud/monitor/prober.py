# SPDX-License-Identifier: Apache-2.0
"""Probes the peers and counts what stays unanswered. Pure: clock in.

A *path* is one peer on one network. Each path is probed once an interval,
the peers spread over it. A probe that is not answered in time is a miss. An
answer that comes later is still a sign of life and ends the misses.

A probe may be *refused*: the peer's kernel says that nobody listens there. So
its host lives and its agent does not run. Nobody signs that, so it makes no
path ``up``; it only keeps one from being ``down``.
"""

from __future__ import annotations

import collections
from collections.abc import Collection
from collections.abc import Iterable
import dataclasses
import heapq
import os

from aacloud.core.observations import Observation
from aacloud.core.observations import Reach
from aacloud.core.topology import Vantage
from aacloud.monitor import wire
from aacloud.rpc import schema
from aacloud.rpc import signing

#: An answer counts for at least so many intervals after its question.
LINGER_INTERVALS = 3

#: A refusal counts for at least so many seconds: Linux sends one a second to
#: each address (``net.ipv4.icmp_ratelimit``), and some may be lost.
REFUSED_AT_LEAST = 3.0


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """How often to probe, and when to give up; seconds.

    :ivar misses_down: misses in a row that make a path ``down``
    """

    interval: float = 1.0
    timeout: float = 0.9
    misses_down: int = 4

    @property
    def linger(self) -> float:
        """How long after its question an answer is still taken."""
        intervals = max(LINGER_INTERVALS, self.misses_down)
        return max(self.timeout, intervals * self.interval)

    @property
    def refused(self) -> float:
        """How long a refused probe tells of a kernel that lives."""
        return max(REFUSED_AT_LEAST, self.misses_down * self.interval)

    @property
    def stall(self) -> float:
        """Longer without a tick, and it is this agent that stood still."""
        return max(1.0, 2 * self.interval)


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A probe to be sent now, from the own address on its network."""

    network: str
    address: str
    data: bytes
    nonce: bytes


@dataclasses.dataclass(slots=True, eq=False)
class _Path:
    host: str
    network: str
    address: str
    vantage: Vantage
    phase: float
    misses: int = 0
    answered: float | None = None
    rtt_ms: float | None = None
    refused: float | None = None
    blind: bool = False
    gone: bool = False


@dataclasses.dataclass(slots=True, eq=False)
class _Sent:
    nonce: bytes
    path: _Path
    seq: int
    at: float
    counted: bool = False


class Prober:
    """The state of all paths of this host. One thread at a time.

    :param host: name of this host
    :param boot_id: the life of this agent
    :param now: monotonic seconds, the clock of all methods
    """

    def __init__(
        self,
        host: str,
        boot_id: str,
        keys: signing.KeyRing,
        pace: Pace,
        now: float,
    ) -> None:
        self._host = host
        self._boot_id = boot_id
        self._keys = keys
        self._pace = pace
        self._ticked = now
        self._paths: dict[tuple[str, str], _Path] = {}
        # Numbers outlive their paths: a peer refuses one it saw before.
        self._numbers: dict[tuple[str, str], int] = {}
        self._agenda: list[tuple[float, int, _Path]] = []
        self._order = 0
        self._asked: dict[bytes, _Sent] = {}
        self._awaited: collections.deque[_Sent] = collections.deque()
        self._lingering: collections.deque[_Sent] = collections.deque()

    @property
    def paths(self) -> int:
        """How many paths are probed."""
        return len(self._paths)

    def set_pace(self, pace: Pace) -> None:
        """Probe differently from now on."""
        self._pace = pace

    def retarget(
        self,
        targets: Iterable[schema.PeerTarget],
        networks: Collection[str],
        now: float,
    ) -> None:
        """Probe these targets on these networks from now on.

        A path that stays, with the same address, keeps what is known of it.
        """
        chosen = [target for target in targets if target.host != self._host]
        wanted: dict[tuple[str, str], _Path] = {}
        for index, target in enumerate(chosen):
            for network, address in target.addresses.items():
                if network in networks:
                    # All networks of a peer together: fewer wake-ups.
                    wanted[(target.host, network)] = _Path(
                        target.host,
                        network,
                        address,
                        target.vantage,
                        phase=index / len(chosen),
                    )
        for key, old in self._paths.items():
            new = wanted.get(key)
            if new is not None and new.address == old.address:
                old.vantage, old.phase = new.vantage, new.phase
                wanted[key] = old
            else:
                old.gone = True
        for key, path in wanted.items():
            if self._paths.get(key) is not path:
                self._schedule(path, now + path.phase * self._pace.interval)
        self._paths = wanted

    def next_due(self) -> float | None:
        """Return when the next probe is due, None when there is none."""
        while self._agenda and self._agenda[0][2].gone:
            heapq.heappop(self._agenda)
        return self._agenda[0][0] if self._agenda else None

    def due(self, now: float) -> list[Request]:
        """Return the probes to be sent now; they count as sent."""
        requests = []
        interval = self._pace.interval
        while self._agenda and self._agenda[0][0] <= now:
            when, _order, path = heapq.heappop(self._agenda)
            if path.gone:
                continue
            when += interval
            if when <= now:
                when = now + path.phase * interval
            self._schedule(path, when)
            requests.append(self._request(path, now))
        return requests

    def not_sent(self, nonce: bytes) -> None:
        """Note that a probe could not be sent: it says nothing of the peer."""
        sent = self._asked.pop(nonce, None)
        if sent is not None:
            sent.counted = True
            sent.path.blind = True
            sent.path.misses = 0

    def reply(
        self, signed: wire.Signed, network: str, address: str, now: float
    ) -> float | None:
        """Take an answer.

        :param network: the network whose own address it came to
        :param address: the IP address it came from
        :returns: the round trip in seconds, None when it came late
        :raises wire.WireError: it proves nothing
        """
        packet = wire.authenticate(signed, self._keys)
        sent = self._asked.get(packet.nonce)
        if sent is None or sent.seq != packet.seq or sent.path.gone:
            raise wire.WireError(
                wire.Drop.NOT_ASKED, f"nobody asked {packet.source} this"
            )
        path = sent.path
        if packet.target != self._host:
            raise wire.WireError(
                wire.Drop.WRONG_TARGET, "the answer is for somebody else"
            )
        if packet.network != path.network or network != path.network:
            raise wire.WireError(
                wire.Drop.WRONG_NETWORK,
                f"{packet.source} answers for another network",
            )
        if packet.source != path.host or address != path.address:
            raise wire.WireError(
                wire.Drop.WRONG_SOURCE,
                f"{packet.source} at {address} answers for {path.host} at "
                f"{path.address}",
            )
        del self._asked[packet.nonce]
        late = sent.counted or now - sent.at > self._pace.timeout
        sent.counted = True
        path.answered = now
        path.refused = None
        path.misses = 0
        if late:
            return None
        path.rtt_ms = max(0.0, now - sent.at) * 1000
        return now - sent.at

    def refused(
        self, nonce: bytes, network: str, address: str, now: float
    ) -> bool:
        """Note that the kernel of a peer refused a probe.

        :param network: the network whose own address it was sent from
        :param address: the IP address of who refused it
        :returns: whether it was a probe of ours, refused by its target
        """
        sent = self._asked.get(nonce)
        if sent is None or sent.path.gone:
            return False
        path = sent.path
        if path.network != network or path.address != address:
            return False
        path.refused = now
        return True

    def tick(self, now: float) -> int:
        """Count the probes that were not answered in time.

        Call it often (at least each half second), after the answers that
        have arrived were taken. When this agent stood still for a while, the
        probes of that time are not held against the peers.

        :returns: how many were missed now
        """
        stalled = now - self._ticked > self._pace.stall
        if stalled:
            # Nobody could be refused meanwhile either.
            for path in self._paths.values():
                if path.refused is not None:
                    path.refused = min(now, path.refused + now - self._ticked)
        self._ticked = now
        missed = 0
        while self._awaited:
            sent = self._awaited[0]
            if not stalled and now - sent.at < self._pace.timeout:
                break
            self._awaited.popleft()
            if not sent.counted and not sent.path.gone:
                sent.counted = True
                if not stalled:
                    sent.path.misses += 1
                    missed += 1
        while self._lingering:
            if now - self._lingering[0].at < self._pace.linger:
                break
            self._asked.pop(self._lingering.popleft().nonce, None)
        return missed

    def observations(self, now: float) -> tuple[Observation, ...]:
        """Return what is known of each path."""
        standing = now - self._ticked > self._pace.stall
        return tuple(
            self._observation(path, standing, now)
            for path in self._paths.values()
        )

    def _observation(
        self, path: _Path, standing: bool, now: float
    ) -> Observation:
        reach = Reach.UNKNOWN if standing else self._reach(path, now)
        return Observation(
            observer=self._host,
            target=path.host,
            network=path.network,
            vantage=path.vantage,
            reach=reach,
            misses=path.misses,
            silent_s=(
                None
                if path.answered is None
                else max(0.0, now - path.answered)
            ),
            rtt_ms=path.rtt_ms,
            refused=reach is Reach.UNKNOWN and self._refused(path, now),
        )

    def _refused(self, path: _Path, now: float) -> bool:
        return (
            path.refused is not None
            and now - path.refused <= self._pace.refused
        )

    def _reach(self, path: _Path, now: float) -> Reach:
        if path.blind:
            return Reach.UNKNOWN
        if path.misses >= self._pace.misses_down:
            return Reach.UNKNOWN if self._refused(path, now) else Reach.DOWN
        fresh = (
            path.answered is not None
            and now - path.answered <= self._pace.linger + self._pace.timeout
        )
        return Reach.UP if path.misses == 0 and fresh else Reach.UNKNOWN

    def _schedule(self, path: _Path, when: float) -> None:
        self._order += 1
        heapq.heappush(self._agenda, (when, self._order, path))

    def _request(self, path: _Path, now: float) -> Request:
        key = (path.host, path.network)
        seq = self._numbers.get(key, 0) + 1
        self._numbers[key] = seq
        nonce = os.urandom(wire.NONCE_BYTES)
        data = wire.encode(
            wire.Packet(
                kind=wire.Kind.REQUEST,
                network=path.network,
                source=self._host,
                target=path.host,
                boot_id=self._boot_id,
                seq=seq,
                nonce=nonce,
            ),
            self._keys,
        )
        sent = _Sent(nonce, path, seq, now)
        path.blind = False
        self._asked[nonce] = sent
        self._awaited.append(sent)
        self._lingering.append(sent)
        return Request(path.network, path.address, data, nonce)
