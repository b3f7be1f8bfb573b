# SPDX-License-Identifier: Apache-2.0
"""The places that the solver chooses from.

Hosts on which the groups in question have no members are alike, but for
their room and for who may go there: in each rack they make one place. Racks
without members are alike too, and of these no more are offered than there
are moves.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses

from aacloud.core.repair.state import Spot
from aacloud.core.repair.state import State
from aacloud.core.rules import RuleKind

Pin = frozenset[str] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A host, or the hosts of a rack that are alike.

    :ivar host: None when it is several
    :ivar hosts: how many
    """

    spot: Spot
    host: str | None
    hosts: int = 1


class Spots:
    """The places and which servers may go where.

    :ivar index: host -> the number of the place it is in
    """

    def __init__(self) -> None:
        self.list: list[Place] = []
        self.index: dict[str, int] = {}
        self._names: list[tuple[str, ...]] = []
        self._open: list[frozenset[str]] = []
        self._by_pin: dict[Pin, list[int]] = {}

    def add(
        self, state: State, hosts: Sequence[str], single: bool,
    ) -> None:
        """Add a place made of these hosts."""
        number = len(self.list)
        views = state.problem.hosts
        _, rack, dc = state.spot(hosts[0])
        name = hosts[0] if single else f"+{number} {rack}"
        self.list.append(Place(
            (name, rack, dc), hosts[0] if single else None, len(hosts)))
        self._names.append(tuple(hosts))
        self._open.append(frozenset(
            host for host in hosts
            if host in views and views[host].takes))
        for host in hosts:
            self.index[host] = number

    def names(self, number: int) -> tuple[str, ...]:
        """The hosts of a place."""
        return self._names[number]

    def open_to(self, pin: Pin) -> list[int]:
        """The places that a server with this pin may go to."""
        found = self._by_pin.get(pin)
        if found is None:
            found = [
                number for number, hosts in enumerate(self._open)
                if hosts and (pin is None or not pin.isdisjoint(hosts))]
            self._by_pin[pin] = found
        return found


def all_hosts(state: State) -> Spots:
    """Each host a place of its own."""
    spots = Spots()
    for host in sorted({*state.problem.hosts, *state.place.values()}):
        spots.add(state, [host], True)
    return spots


def near(
    state: State, movers: Collection[str], moves: int,
    also: Iterable[str] = (),
) -> Spots:
    """The places that matter to some servers.

    :param moves: no answer with more is of interest
    :param also: hosts that are to be places of their own
    """
    views = state.problem.hosts
    single = {state.place[uuid] for uuid in movers}
    single.update(host for host in also if host in views)
    racks: set[str] = set()
    for uuid in movers:
        for unit in state.units_of.get(uuid, ()):
            if unit.level == 0:
                single.update(h for h in unit.counts if h in views)
                if unit.rule.kind is RuleKind.FENCE:
                    single.update(h for h in unit.names if h in views)
            elif unit.level == 1:
                racks.update(unit.counts)
                racks.update(unit.names)
    pins = sorted(
        {p for u in movers if (p := state.servers[u].may_go) is not None},
        key=lambda pin: sorted(pin)[:1])
    spots = Spots()
    for host in sorted(single):
        spots.add(state, [host], True)
        racks.add(state.spot(host)[1])
    rest: dict[tuple[str, str], dict[tuple[bool, ...], list[str]]] = {}
    for host in sorted(views):
        if host in single or not views[host].takes:
            continue
        _, rack, dc = state.spot(host)
        kind = tuple(host in pin for pin in pins)
        rest.setdefault((dc, rack), {}).setdefault(kind, []).append(host)
    alike: dict[object, list[tuple[int, str]]] = {}
    for (dc, rack), kinds in rest.items():
        if rack in racks:
            continue
        room = sum(state.free[h][1] for hosts in kinds.values()
                   for h in hosts)
        look = dc, tuple(sorted(
            (kind, min(moves, len(hosts))) for kind, hosts in kinds.items()))
        alike.setdefault(look, []).append((-room, rack))
    for found in alike.values():
        racks.update(rack for _, rack in sorted(found)[:max(1, moves)])
    for (_, rack), kinds in sorted(rest.items()):
        if rack in racks:
            for _, hosts in sorted(kinds.items()):
                spots.add(state, hosts, False)
    return spots
