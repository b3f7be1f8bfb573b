# SPDX-License-Identifier: Apache-2.0
"""What this process placed a moment ago, and nobody else knows of yet.

Between the choice of a host and the claim on it, Nova's database does not say
where a server goes, and a server born with a hint is no member until the
engine hears of it. nova-scheduler itself notes its choice only in the
HostStates of the request: ``num_instances`` grows, ``stats`` stays. They are
kept here for a moment, and so the siblings of one request, and requests that
follow each other closely, are counted. Requests of one group that come at the
same moment take turns: one is judged when those before it have their hosts.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import threading
import time
from typing import Any
import weakref

from aacloud.core import rules
from aacloud.scheduler.nova import occupancy

#: Seconds after which the engine knows, or never will.
KEEP_S = 120.0

#: Seconds in which a server that was placed appears in its cell.
APPEAR_S = 60.0

#: Seconds for which a birth waits at most for those before it.
TURN_S = 5.0

#: The same for a move: it may be an evacuation, which must not be held up.
MOVE_TURN_S = 1.0

#: Seconds that Nova has for the choice once a server was judged: it claims the
#: host in Placement meanwhile. One that takes longer has probably failed, and
#: nobody tells that either.
CHOICE_S = 2.0

#: Seconds between two looks whether they have their hosts: nobody tells.
LOOK_S = 0.005

#: Requests that are remembered.
MOST = 1000


class Placing:
    """One request: the servers it placed so far and the hosts it had.

    :ivar server: the one that is judged now
    :ivar servers: those that were judged, in order
    :ivar groups: ids of their groups
    :ivar turns: ids of the groups whose turn it takes: its own, and those
        of hints that may turn out not to count
    """

    def __init__(
        self, spec: Any, hosts: Sequence[Any], now: float,
    ) -> None:
        self.at = now
        self._spec = weakref.ref(spec)
        #: whether it has waited for those before it
        self.in_turn = False
        #: when a server of it was judged last
        self.judged: float | None = None
        #: whether that one may go nowhere
        self.failed = False
        self.server: str | None = None
        self.servers: dict[str, None] = {}
        self.groups: set[str] = set()
        self.turns: frozenset[str] = frozenset()
        #: what is kept for the next server of the request, and the weigher
        self.reading: occupancy.Reading | None = None
        self.read_at = now
        self.domains: tuple[object, rules.Domains] | None = None
        self.verdict: Any = None
        self._aside: dict[int, tuple[Any, int]] = {}
        self._hosts = list(hosts)
        #: how many servers it places; a move has the number of its birth
        self.expected = max(1, spec.num_instances or 1)
        self._chosen: list[str] | None = None

    def over(self, now: float) -> bool:
        """Whether its hosts are chosen, or will not be."""
        if self.judged is None:
            return self._spec() is None
        return (
            self.failed or self._chosen is not None
            or now - self.judged > CHOICE_S or self._spec() is None
            or len(self.chosen(now)) >= self.expected)

    def hopeful(self, now: float) -> bool:
        """Whether its servers have their hosts, or may still get them.

        Nova gives hosts to all servers of a request, or to none.
        """
        return not self.failed and (
            not self.over(now) or len(self.chosen(now)) >= self.expected)

    def with_aside(self, hosts: list[Any]) -> list[Any]:
        """The hosts, and those that were refused to an earlier sibling.

        Nova looks for the next sibling's host among those that passed for
        the one before. With a skew, a host that is refused now may be right
        later: it comes back, as it was when the filters before this one let
        it pass. One that has got a server since does not.
        """
        if not self._aside:
            return hosts
        given = {id(host) for host in hosts}
        return hosts + [
            host for key, (host, number) in self._aside.items()
            if key not in given and host.num_instances == number]

    def set_aside(self, hosts: Sequence[Any], left: Sequence[Any]) -> None:
        """Keep those of the hosts that are not left."""
        if self.expected < 2 or len(left) == len(hosts):
            return
        kept = {id(host) for host in left}
        for host in hosts:
            if id(host) not in kept:
                self._aside[id(host)] = (host, host.num_instances)

    def chosen(self, now: float) -> list[str]:
        """The hosts that were chosen, one entry for each server."""
        if self._chosen is not None:
            return self._chosen
        found: list[str] = []
        for host in self._hosts:
            more = host.num_instances - int(
                host.stats.get("num_instances", 0))
            if more > 0:
                found.extend([host.host] * more)
        if len(found) >= self.expected or now - self.at > APPEAR_S:
            # Nothing more is chosen: let go of the hosts.
            self._chosen, self._hosts, self._aside = found, [], {}
        return found

    def of_others(
        self, server: str, members: Collection[str],
        seen: Mapping[str, occupancy.Sighting], now: float, *,
        own: bool = False,
    ) -> dict[str, rules.Place]:
        """Servers of this request -> where to count them besides.

        :param server: the one that is judged; it is not told
        :param members: those that the group has, as far as known
        :param own: it is one of this request. Nova asks again, for
            alternates, when all have their hosts: these count then.
        """
        places: dict[str, rules.Place] = {}
        waiting: list[str] = []
        fresh = now - self.at < APPEAR_S
        # Others add to it meanwhile.
        others = tuple(self.servers)
        for other in others:
            sighting = seen.get(other)
            if other == server:
                continue
            if sighting is None:
                if fresh:
                    waiting.append(other)
                continue
            if not sighting.host and not sighting.launched:
                # A birth is not busy for a moment before its claim.
                if fresh and sighting.vm_state != "error":
                    waiting.append(other)
                continue
            if other not in members:
                places[other] = sighting.place()
            if sighting.launched and sighting.busy and fresh:
                waiting.append(other)
        if not waiting and not own:
            return places
        left = collections.Counter(self.chosen(now))
        for other in others:
            sighting = seen.get(other)
            if sighting is not None and not sighting.launched:
                left.subtract([sighting.host or ""])
        hosts = iter([host for host, n in left.items() for _ in range(n)])
        for other in waiting:
            sighting = seen.get(other)
            host = next(hosts, None)
            if host is None:
                break
            ends = () if sighting is None else sighting.place()
            places[other] = tuple(dict.fromkeys((*ends, host)))
        if own:
            for number, host in enumerate(hosts):
                places[f"chosen {number}"] = (host,)
        return places


class Recent:
    """The requests of the last moments. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_spec: weakref.WeakKeyDictionary[Any, Placing] = (
            weakref.WeakKeyDictionary())
        self._kept: collections.deque[Placing] = collections.deque()
        self._in_turn: collections.deque[Placing] = collections.deque()

    def of(self, spec: Any) -> Placing | None:
        """The request, if it was seen before."""
        with self._lock:
            return self._by_spec.get(spec)

    def begin(self, spec: Any, hosts: Sequence[Any], now: float) -> Placing:
        """Remember a request, or find it."""
        with self._lock:
            found = self._by_spec.get(spec)
            if found is None:
                found = Placing(spec, hosts, now)
                self._by_spec[spec] = found
                self._kept.append(found)
            while self._kept and (
                len(self._kept) > MOST or now - self._kept[0].at > KEEP_S
            ):
                self._kept.popleft()
            return found

    def wait_turn(
        self, placing: Placing, groups: Iterable[str],
        clock: Callable[[], float], patience_s: float,
    ) -> None:
        """Wait until earlier requests of these groups have their hosts.

        A request takes its turn once, with its first server.

        :param patience_s: at most so long
        """
        if placing.in_turn:
            return
        placing.in_turn = True
        wanted = frozenset(groups)
        with self._lock:
            # In this order, so that no two wait for each other.
            ahead = [
                one for one in self._in_turn
                if not wanted.isdisjoint(one.turns)]
            placing.turns = wanted
            self._in_turn.append(placing)
        deadline = time.monotonic() + patience_s
        pause = threading.Event()
        while ahead:
            began = time.monotonic()
            ahead = [one for one in ahead if not one.over(clock())]
            if not ahead or began > deadline:
                break
            # Looking takes a while where there are many hosts.
            pause.wait(max(LOOK_S, 5 * (time.monotonic() - began)))
        now = clock()
        with self._lock:
            while self._in_turn and (
                len(self._in_turn) > MOST or self._in_turn[0].over(now)
            ):
                self._in_turn.popleft()

    def with_groups(self, groups: Iterable[str]) -> list[Placing]:
        """The requests that placed servers of any of these groups."""
        wanted = set(groups)
        with self._lock:
            return [p for p in self._kept if not wanted.isdisjoint(p.groups)]
