# SPDX-License-Identifier: Apache-2.0
"""Let the solver look for something better than the greedy moves."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
import dataclasses

from aacloud.core.repair.components import Component
from aacloud.core.repair.components import measure
from aacloud.core.repair.cpsat import Answer
from aacloud.core.repair.cpsat import Effort
from aacloud.core.repair.cpsat import Question
from aacloud.core.repair.cpsat import solve
from aacloud.core.repair.greedy import Moves
from aacloud.core.repair.greedy import place
from aacloud.core.repair.model import RepairLimits
from aacloud.core.repair.ordering import order
from aacloud.core.repair.ordering import Target
from aacloud.core.repair.places import all_hosts
from aacloud.core.repair.places import near
from aacloud.core.repair.places import Spots
from aacloud.core.repair.rooms import Rooms
from aacloud.core.repair.state import movable
from aacloud.core.repair.state import State

#: Pairs of server and place up to which the solver is asked all at once.
LARGEST = 60_000
#: The same for a cloud of which every server and host is offered.
WHOLE = 2_500
#: Answers that no order is found for, before the search is given up.
TRIES = 3
#: The solver's work on one question, in its own seconds.
WORK = 2.0
#: The same where only preferred rules can be kept better.
POLISH = 0.5
#: Other servers on one host that are offered to make way.
MAKING_WAY = 12


class Improver:
    """Asks the solver, and finds an order for what it says."""

    def __init__(
        self, state: State, rooms: Rooms, limits: RepairLimits, seed: int,
        left_s: Callable[[], float],
    ) -> None:
        self.state = state
        self.rooms = rooms
        self.limits = limits
        self.seed = seed
        self.left_s = left_s
        self._unordered = False

    def improve(
        self, component: Component, target: int | None,
    ) -> Component:
        """The best known for the component; the state is at its start.

        :param target: the excess that is to be reached; None: the least
        """
        state = self.state
        movers = self._movers(component.members)
        most = len(component.moves) if target is not None else len(movers)
        spots = near(state, movers, most)
        if len(movers) * len(spots.list) > LARGEST:
            return self._piecewise(component, movers)
        answer = self._ask(Question(
            movers, component.groups, spots, True, target,
            soft_first=self.limits.mend_preferences,
            hint=dict(component.moves)))
        best = dataclasses.replace(component, asked=True)
        if answer is None:
            return best
        if target is None and answer.proved:
            target = answer.hard
        if not answer.crowded and not answer.bent:
            best = self._better(best, self._ordered(best, spots, answer))
        self._bound(best, answer, target)
        if self._good(best, target):
            return best
        extra = self._making_way(answer, movers)
        hosts: list[str] = list(answer.crowded)
        for attempt in range(2):
            more = sorted({*movers, *extra})
            spots = near(state, more, max(most, 1), hosts)
            if len(more) * len(spots.list) > LARGEST:
                break
            best = self._search(best, more, spots, target)
            self._bound(best, answer, target)
            # More who make way do not help where only the order is wrong.
            if self._good(best, target) or attempt or self._unordered:
                break
            # The hosts with most room: who is there may make way.
            hosts = [*hosts, *self._roomy()]
            extra = [*extra, *self._residents(hosts)]
        return best

    def whole(self, component: Component, target: int | None) -> Component:
        """The same with every server and host of a small cloud."""
        state = self.state
        movers = self._movers(state.place)
        spots = all_hosts(state)
        best = dataclasses.replace(component, asked=True)
        return self._search(best, movers, spots, target, exact=True)

    def fits_whole(self) -> bool:
        """Whether the cloud is small enough for ``whole``."""
        return len(self.state.place) * len(
            self.state.problem.hosts) <= WHOLE

    def prefer(self, component: Component) -> Component:
        """The same number of moves, with the preferred rules kept better."""
        movers = self._movers(component.members)
        spots = near(self.state, movers, len(component.moves))
        if len(movers) * len(spots.list) > LARGEST // 4:
            return component
        answer = self._ask(Question(
            movers, component.groups, spots, False, component.left,
            len(component.moves),
            hint=dict(component.moves)), POLISH)
        if answer is None or answer.soft >= component.soft:
            return component
        return self._better(
            component, self._ordered(component, spots, answer))

    def _search(
        self, best: Component, movers: list[str], spots: Spots,
        target: int | None, exact: bool = False,
    ) -> Component:
        """Ask until an order is found for what the solver says."""
        forbidden: list[dict[str, int]] = []
        self._unordered = False
        hint = dict(best.moves)
        goal = target
        while len(forbidden) < TRIES and self.left_s() > 0:
            answer = self._ask(Question(
                movers, best.groups, spots, False, goal,
                soft_first=self.limits.mend_preferences, hint=hint,
                forbidden=tuple(forbidden)))
            if answer is None:
                if goal is None or forbidden:
                    return best
                # What was asked for cannot be had: take what can.
                goal = None
                continue
            if exact and not forbidden and answer.proved:
                best.least = best.least or best.left == answer.hard
                if best.left == answer.hard and (
                        not self.limits.mend_preferences
                        or best.soft == answer.soft):
                    best.bound = max(best.bound, answer.moves)
                if self._good(best, answer.hard):
                    return best
            if self._rank(answer) >= self._rank(best):
                return best
            found = self._ordered(best, spots, answer)
            if found is not None and exact and not forbidden and (
                    answer.proved) and found.left == answer.hard:
                found.least = True
                found.bound = max(found.bound, answer.moves)
            best = self._better(best, found)
            if found is not None and len(found.moves) == answer.moves and (
                    found.left <= answer.hard):
                return best
            forbidden.append(dict(answer.targets))
            self._unordered = True
        return best

    def _ask(
        self, question: Question, work: float = WORK,
    ) -> Answer | None:
        wall = self.left_s()
        if wall <= 0 or not question.movers:
            return None
        return solve(self.state, question, Effort(
            work, wall, self.limits.workers, self.seed))

    def _ordered(
        self, component: Component, spots: Spots, answer: Answer,
    ) -> Component | None:
        """The component with the answer's moves, if there is an order."""
        state = self.state
        start = dict(state.place)
        targets = {}
        for uuid, number in sorted(answer.targets.items()):
            spot = spots.list[number]
            targets[uuid] = Target(spots.names(number), spot.spot[1])
        moves = order(state, self.rooms, targets)
        if moves is None:
            return None
        found = measure(state, component, moves)
        place(state, {uuid: start[uuid] for uuid, _ in moves})
        return found

    def _better(self, best: Component, found: Component | None) -> Component:
        mend = self.limits.mend_preferences
        if found is None or found.rank(mend) >= best.rank(mend):
            return best
        return found

    def _rank(self, what: Answer | Component) -> tuple[int, ...]:
        """The smaller the better, ties in preferred rules left aside."""
        if isinstance(what, Component):
            hard, moves = what.left, len(what.moves)
        else:
            hard, moves = what.hard, what.moves
        if self.limits.mend_preferences:
            return hard, what.soft, moves
        return hard, moves

    def _bound(
        self, best: Component, answer: Answer, target: int | None,
    ) -> None:
        """Take what the relaxed question proves, if it is about as much."""
        if self.limits.mend_preferences:
            return
        if best.left == target and answer.bound:
            best.bound = max(best.bound, answer.bound)
        if answer.proved and best.left == answer.hard:
            best.least = True

    def _good(self, best: Component, target: int | None) -> bool:
        return (target is not None and best.left <= target
                and len(best.moves) <= best.bound)

    def _movers(self, uuids: Iterable[str]) -> list[str]:
        return sorted(
            uuid for uuid in uuids if movable(self.state.servers[uuid]))

    def _making_way(
        self, answer: Answer, movers: Collection[str],
    ) -> list[str]:
        found = self._residents(answer.crowded)
        for group in answer.bent:
            members = self.state.by_group[group][0].group.members
            found.extend(self._movers(
                m for m in members if m in self.state.place))
        return found

    def _residents(self, hosts: Iterable[str]) -> list[str]:
        state = self.state
        found = []
        wanted = sorted(set(hosts))
        on: dict[str, list[str]] = {host: [] for host in wanted}
        for uuid, host in state.place.items():
            if host in on and movable(state.servers[uuid]):
                on[host].append(uuid)
        for host in wanted:
            found.extend(sorted(on[host], key=lambda u: (
                state.servers[u].memory_mb, u))[:MAKING_WAY])
        return found

    def _roomy(self) -> list[str]:
        """The three hosts with most room in each data centre."""
        state = self.state
        by_dc: dict[str, list[tuple[int, str]]] = {}
        for host in self.rooms.hosts():
            by_dc.setdefault(state.spot(host)[2], []).append(
                (-state.free[host][1], host))
        return [host for found in by_dc.values()
                for _, host in sorted(found)[:3]]

    def _piecewise(
        self, component: Component, movers: list[str],
    ) -> Component:
        """Better a large component group by group, the others as they end.
        """
        state = self.state
        start = {uuid: state.place[uuid] for uuid in movers}
        ends = {**start, **dict(component.moves)}
        members = set(movers)
        best = dataclasses.replace(component, asked=True)
        place(state, ends)
        allowed = {
            unit.number: unit.excess for unit in state.units if unit.hard}
        saved = 0
        for group in component.groups:
            if self.left_s() <= 0:
                break
            part = self._movers(
                m for m in state.by_group[group][0].group.members
                if m in members)
            now = {uuid: ends[uuid] for uuid in part}
            moved = sum(ends[uuid] != start[uuid] for uuid in part)
            if moved < 2:
                continue
            place(state, {uuid: start[uuid] for uuid in part})
            spots = near(state, part, moved)
            found = None
            if len(part) * len(spots.list) <= LARGEST:
                found = self._part(part, spots, allowed, now, moved)
            if found is None:
                place(state, now)
                continue
            saved += moved - sum(
                found[uuid] != start[uuid] for uuid in part)
            ends.update(found)
        place(state, start)
        if not saved:
            return best
        targets = {
            uuid: Target((host,), state.spot(host)[1])
            for uuid, host in ends.items() if host != start[uuid]}
        moves = order(state, self.rooms, targets)
        if moves is None:
            return best
        better = measure(state, best, moves)
        place(state, {uuid: start[uuid] for uuid, _ in moves})
        return self._better(best, better)

    def _part(
        self, part: list[str], spots: Spots, allowed: dict[int, int],
        now: dict[str, str], moved: int,
    ) -> dict[str, str] | None:
        """Where the group's members end with fewer moves; they are there.
        """
        state = self.state
        units = {
            unit.number: unit for uuid in part
            for unit in state.units_of.get(uuid, ())}
        limit = sum(allowed[n] for n, unit in units.items()
                    if unit.mend and unit.hard)
        wall = self.left_s()
        answer = solve(state, Question(
            part, {unit.group.id for unit in units.values()}, spots, False,
            limit, allowed=allowed, hint=now),
            Effort(1.0, wall, self.limits.workers, self.seed))
        if answer is None or answer.moves >= moved:
            return None
        targets = {
            uuid: Target(spots.names(number), spots.list[number].spot[1])
            for uuid, number in answer.targets.items()}
        moves: Moves | None = order(state, self.rooms, targets)
        if moves is None:
            return None
        return {uuid: state.place[uuid] for uuid in part}
