# SPDX-License-Identifier: Apache-2.0
"""Mend groups one move after the other, the most useful one first.

Every move is made on the state, in its order: what comes out can be done.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from aacloud.core.repair.rooms import Choice
from aacloud.core.repair.rooms import Rooms
from aacloud.core.repair.state import movable
from aacloud.core.repair.state import State
from aacloud.core.repair.state import Unit

#: Server and the host it goes to, in this order.
Moves = list[tuple[str, str]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Candidate:
    """A member whose leaving is good."""

    use: int
    uuid: str
    like: tuple[object, ...]


def mend(
    state: State, rooms: Rooms, groups: Sequence[str],
    expired: Callable[[], bool] = lambda: False,
) -> Moves:
    """Mend groups together, by their goals; the moves are made.

    :param groups: ids
    """
    made: Moves = []
    again = True
    start: dict[str, str] = {}
    moved: dict[str, int] = {}
    while again:
        again = False
        for group in groups:
            while not expired():
                found = _best(state, rooms, group, moved)
                if found is None:
                    break
                uuid, choice = found
                moved[uuid] = moved.get(uuid, 0) + 1
                start.setdefault(uuid, state.place[uuid])
                state.move(uuid, choice.host)
                made.append((uuid, choice.host))
                again = len(groups) > 1
    return shortened(state, made, start)


def shortened(state: State, made: Moves, start: dict[str, str]) -> Moves:
    """Without detours that are not needed; the state is at their end."""
    last = dict(made)
    if len(last) == len(made):
        return made
    place(state, start)
    # Each server goes where it ends, when it went there.
    short = [
        (uuid, last[uuid]) for number, (uuid, _) in enumerate(made)
        if uuid not in {u for u, _ in made[number + 1:]}
        and last[uuid] != start[uuid]]
    if replay(state, short):
        return short
    for uuid, host in made:
        state.move(uuid, host)
    return made


def place(state: State, places: Mapping[str, str]) -> None:
    """Put servers where they are said to be, by no rule."""
    for uuid, host in places.items():
        if state.place[uuid] != host:
            state.move(uuid, host)


def replay(state: State, moves: Moves) -> bool:
    """Make the moves one by one if each is allowed; else none of them."""
    start = {uuid: state.place[uuid] for uuid, _ in moves}
    for number, (uuid, host) in enumerate(moves):
        if not state.allowed(uuid, host):
            done = {u for u, _ in moves[:number]}
            place(state, {u: start[u] for u in done})
            return False
        state.move(uuid, host)
    return True


def _best(
    state: State, rooms: Rooms, group: str, moved: dict[str, int],
) -> tuple[str, Choice] | None:
    """The move that brings the group's goals nearest."""
    units = [unit for unit in state.by_group[group] if unit.goal is not None]
    lack = sum(unit.lacking() for unit in units)
    found = _candidates(state, units, lack > 0, moved)
    best: tuple[tuple[int, int, bool], str, Choice] | None = None
    useless: set[tuple[object, ...]] = set()
    for candidate in found:
        if best is not None and -best[0][0] >= candidate.use + lack:
            break
        if candidate.like in useless:
            continue
        useless.add(candidate.like)
        choice = rooms.best(candidate.uuid)
        if choice is None or choice.gain < 1:
            continue
        if best is None or choice.key < best[0]:
            best = choice.key, candidate.uuid, choice
    return None if best is None else (best[1], best[2])


def _candidates(
    state: State, units: Sequence[Unit], lack: bool,
    moved: dict[str, int],
) -> list[_Candidate]:
    if not units:
        return []
    found = []
    for uuid in units[0].group.members:
        host = state.place.get(uuid)
        # A second move is for what the first made possible.
        if host is None or moved.get(uuid, 0) > 1:
            continue
        server = state.servers[uuid]
        if not movable(server):
            continue
        spot = state.spot(host)
        own = sum(unit.leaving(spot[unit.level]) for unit in units)
        if own < (0 if lack else 1):
            continue
        all_units = state.units_of[uuid]
        use = sum(unit.leaving(spot[unit.level]) for unit in all_units)
        found.append((-use, server.memory_mb, uuid, host, all_units,
                      server.may_go, server.vcpus, server.disk_gb))
    found.sort(key=lambda c: (c[0], c[1], c[2]))
    return [
        _Candidate(-use, uuid, (
            host, tuple(u.number for u in all_units), id(pin),
            memory, vcpus, disk))
        for use, memory, uuid, host, all_units, pin, vcpus, disk in found]
