# SPDX-License-Identifier: Apache-2.0
"""Mend groups one move after the other, the most useful one first.

Every move is made on the state, in its order: what comes out can be done.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import itertools

from aacloud.core.repair.rooms import Choice
from aacloud.core.repair.rooms import Rooms
from aacloud.core.repair.state import movable
from aacloud.core.repair.state import Spot
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
    start: dict[str, str] = {}
    moved: dict[str, int] = {}

    def go(uuid: str, host: str) -> None:
        start.setdefault(uuid, state.place[uuid])
        moved[uuid] = moved.get(uuid, 0) + 1
        state.move(uuid, host)
        made.append((uuid, host))

    again = True
    while again:
        again = False
        for group in groups:
            while not expired() and _round(state, rooms, group, moved, go):
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


def _round(
    state: State, rooms: Rooms, group: str, moved: dict[str, int],
    go: Callable[[str, str], None],
) -> bool:
    """Move every member that is as useful to move as it can be, or one.

    :return: whether any was moved
    """
    units = [unit for unit in state.by_group[group] if unit.goal is not None]
    lack = sum(unit.lacking() for unit in units)
    best: tuple[tuple[int, int, bool], str, Choice] | None = None
    useless: set[tuple[object, ...]] = set()
    done = False
    for candidate in _candidates(state, units, lack > 0, moved):
        if best is not None and -best[0][0] >= candidate.use + lack:
            break
        uuid = candidate.uuid
        if candidate.like in useless or (
                done and _use(state, uuid) < candidate.use):
            continue
        choice = rooms.best(uuid)
        if choice is None or choice.gain < 1:
            useless.add(candidate.like)
        elif choice.gain >= candidate.use + lack:
            go(uuid, choice.host)
            done = True
            lack = sum(unit.lacking() for unit in units)
        elif best is None or choice.key < best[0]:
            best = choice.key, uuid, choice
    if not done and best is not None:
        go(best[1], best[2].host)
        done = True
    return done


def _use(state: State, uuid: str) -> int:
    """How good it is that the server leaves where it is."""
    return _gain(
        state.units_of[uuid], state.spot(state.place[uuid]))


def _gain(units: Sequence[Unit], spot: Spot) -> int:
    """The best of leaving the host, the rack too, the data centre too."""
    levels = [0, 0, 0]
    for unit in units:
        levels[unit.level] += unit.leaving(spot[unit.level])
    return max(itertools.accumulate(levels))


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
        own = _gain(units, spot)
        if own < (0 if lack else 1):
            continue
        all_units = state.units_of[uuid]
        use = _use(state, uuid)
        found.append((-use, server.memory_mb, uuid, host, all_units,
                      server.may_go, server.vcpus, server.disk_gb))
    found.sort(key=lambda c: (c[0], c[1], c[2]))
    return [
        _Candidate(-use, uuid, (
            host, tuple(u.number for u in all_units), id(pin),
            memory, vcpus, disk))
        for use, memory, uuid, host, all_units, pin, vcpus, disk in found]
