# SPDX-License-Identifier: Apache-2.0
"""In which order servers get where they are to be.

At no time may a required rule be worse than it was before, nor a host hold
more than it can, and a server on its way counts at both ends. Where servers
wait for each other in a circle, one of them takes a stop on another host.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from aacloud.core.repair.greedy import Moves
from aacloud.core.repair.greedy import place
from aacloud.core.repair.greedy import shortened
from aacloud.core.repair.rooms import Rooms
from aacloud.core.repair.state import State

#: Stops on other hosts, for the servers of one component.
MOST_STOPS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where a server is to go: one host, or any of several in one rack."""

    hosts: tuple[str, ...]
    rack: str

    @property
    def host(self) -> str | None:
        """The host, if it is a certain one."""
        return self.hosts[0] if len(self.hosts) == 1 else None


def order(
    state: State, rooms: Rooms, targets: Mapping[str, Target],
) -> Moves | None:
    """Move the servers to their targets, each step allowed.

    :return: the moves, made on the state; None, and nothing is moved, when
        no order was found
    """
    start = {uuid: state.place[uuid] for uuid in targets}
    made: Moves = []
    # Those with a certain host first: others find room elsewhere.
    pending = sorted(targets, key=lambda uuid: (
        targets[uuid].host is None, -state.servers[uuid].memory_mb, uuid))
    stops: set[str] = set()
    while pending:
        left = [
            uuid for uuid in pending
            if not _go(state, rooms, uuid, targets[uuid], made)]
        if len(left) < len(pending):
            pending = left
            continue
        if len(stops) >= MOST_STOPS or not _stop(
                state, rooms, pending, targets, stops, made):
            place(state, start)
            return None
    return shortened(state, made, start) if stops else made


def _go(
    state: State, rooms: Rooms, uuid: str, target: Target, made: Moves,
) -> bool:
    host = _way(state, rooms, uuid, target)
    if host is None:
        return False
    state.move(uuid, host)
    made.append((uuid, host))
    return True


def _way(
    state: State, rooms: Rooms, uuid: str, target: Target,
) -> str | None:
    """The host of the target that the server can be moved to now."""
    if target.host is not None:
        return target.host if state.allowed(uuid, target.host) else None
    choice = rooms.best(uuid, within={target.rack})
    return None if choice is None else choice.host


def _stop(
    state: State, rooms: Rooms, pending: list[str],
    targets: Mapping[str, Target], stops: set[str], made: Moves,
) -> bool:
    """Move one out of the way of another, onto a host nobody waits for."""
    wanted = {targets[uuid].hosts[0] for uuid in pending
              if targets[uuid].host is not None}
    for uuid in sorted(pending, key=lambda u: (
            state.servers[u].memory_mb, u)):
        if uuid in stops:
            continue
        here = state.place[uuid]
        for barred in (wanted, frozenset[str]()):
            choice = rooms.best(uuid, barred=barred)
            if choice is None:
                continue
            state.move(uuid, choice.host)
            if any(_way(state, rooms, other, targets[other]) is not None
                   for other in pending if other != uuid):
                stops.add(uuid)
                made.append((uuid, choice.host))
                return True
            state.move(uuid, here)
    return False
