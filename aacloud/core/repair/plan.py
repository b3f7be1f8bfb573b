# SPDX-License-Identifier: Apache-2.0
"""Plan the repair of all broken groups of a cloud.

First a complete plan by greedy moves, then the parts of it that are not
proven to be the best are given to the solver, until the time is out. Each
part is a component: groups that share servers. Components meet on the hosts
and in groups that are not to be mended, so each is planned on what those
before it leave; a part that no longer fits is planned again.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from aacloud.core.repair.capping import Capper
from aacloud.core.repair.components import Component
from aacloud.core.repair.components import components
from aacloud.core.repair.components import hard_of
from aacloud.core.repair.components import measure
from aacloud.core.repair.components import prove
from aacloud.core.repair.components import set_goals
from aacloud.core.repair.greedy import mend
from aacloud.core.repair.greedy import place
from aacloud.core.repair.greedy import replay
from aacloud.core.repair.improving import Improver
from aacloud.core.repair.model import BlockCode
from aacloud.core.repair.model import Blocked
from aacloud.core.repair.model import Move
from aacloud.core.repair.model import RepairLimits
from aacloud.core.repair.model import RepairPlan
from aacloud.core.repair.model import RepairProblem
from aacloud.core.repair.model import Step
from aacloud.core.repair.reasons import Explainer
from aacloud.core.repair.reasons import why
from aacloud.core.repair.rooms import Rooms
from aacloud.core.repair.state import State
from aacloud.core.repair.state import Unit
from aacloud.core.repair.tree import Bound
from aacloud.core.repair.tree import Places
from aacloud.core.repair.waiting import Waits

#: The part of the time that is kept for the order and the reasons.
RESERVED = 0.1
#: The same for choosing moves when a plan may not have all.
CUTTING = 0.15


class _Planner:
    def __init__(
        self, problem: RepairProblem, limits: RepairLimits,
        clock: Callable[[], float],
    ) -> None:
        self.limits = limits
        self.clock = clock
        self.began = clock()
        self.end = self.began + limits.time_limit_s * (1 - RESERVED)
        self.deadline = self.end
        if limits.max_moves is not None:
            self.deadline -= limits.time_limit_s * CUTTING
        #: Number of its component and the move, where their order is mixed.
        self.made: list[tuple[int, tuple[str, str]]] = []
        #: Unit -> what is left of it when all moves are made.
        self.uncut: dict[int, int] = {}
        self.state = State(problem, limits.mend_preferences)
        self.rooms = Rooms(self.state)
        self.improver = Improver(
            self.state, self.rooms, limits, problem.seed, self.left_s)
        self.bounds: dict[str, Bound] = {}
        self.before = {
            group: hard_of(self.state, group)
            for group in self.state.by_group}
        self.soft_before = self.state.soft_excess()
        self.first_s = 0.0

    def left_s(self) -> float:
        """Seconds left for looking for something better."""
        return self.deadline - self.clock()

    def plan(self) -> RepairPlan:
        first = found = self._first()
        self.first_s = self.clock() - self.began
        if found and not all(c.proved for c in found) and (
                self.improver.fits_whole()):
            found = self._whole(found)
        elif found:
            found = self._second(found)
        cut = self.limits.max_moves is not None and self.limits.max_moves < (
            sum(len(c.moves) for c in found))
        if cut:
            found = self._cut(first, found)
        return self._assembled(found, cut)

    def _first(self) -> list[Component]:
        """Every component by greedy moves, made on the state."""
        places = Places(self.state)
        found = []
        for component in components(self.state):
            self.bounds.update(set_goals(self.state, places, component))
            found.append(self._mend(component))
        return found

    def _mend(self, component: Component) -> Component:
        moves = mend(self.state, self.rooms, component.groups,
                     lambda: self.left_s() < 0)
        found = measure(self.state, component, moves)
        self._prove(found)
        return found

    def _prove(self, component: Component) -> None:
        """The state is at the end of the component's moves."""
        prove(self.state, component, self.bounds, self.before,
              self.limits.mend_preferences)

    def _restart(self) -> None:
        place(self.state, self.state.origin)

    def _target(self, component: Component) -> int | None:
        """The excess below which nothing can be, if it was reached."""
        least = sum(self.bounds[g].excess for g in component.groups)
        if component.least or (component.left == least and all(
                self.bounds[g].exact for g in component.groups)):
            return component.left
        return None

    def _rank(self, found: list[Component]) -> tuple[int, ...]:
        ranks = [c.rank(self.limits.mend_preferences) for c in found]
        return tuple(sum(values) for values in zip(*ranks, strict=True))

    def _second(self, first: list[Component]) -> list[Component]:
        """What is proven to be best stays, the rest is tried anew."""
        self._restart()
        kept: list[Component] = []
        open_: list[Component] = []
        for component in first:
            if component.proved and replay(self.state, component.moves):
                kept.append(component)
            else:
                open_.append(component)
        open_.sort(key=lambda c: (len(c.members), c.groups))
        for component in open_:
            kept.append(self._anew(component))
        self._polish(kept)
        if self._rank(kept) <= self._rank(first):
            return kept
        self._restart()
        for component in first:
            replay(self.state, component.moves)
        return first

    def _anew(self, component: Component) -> Component:
        """Plan one component on the state as it is, and make its moves."""
        state = self.state
        start = {uuid: state.place[uuid] for uuid in component.members}
        if replay(state, component.moves):
            best = measure(state, component, component.moves)
            self._prove(best)
        else:
            component = dataclasses.replace(
                component, bound=0, least=False)
            best = self._mend(component)
        if not best.proved and self.left_s() > 0:
            place(state, {**start, **{
                uuid: state.origin[uuid] for uuid, _ in best.moves}})
            best = self.improver.improve(best, self._target(best))
            if not replay(state, best.moves):
                best = self._mend(dataclasses.replace(
                    component, bound=0, least=False))
            self._prove(best)
        return best

    def _polish(self, found: list[Component]) -> None:
        """Keep preferred rules better where that costs no move."""
        state = self.state
        if self.limits.mend_preferences:
            return
        for number, component in enumerate(found):
            if self.left_s() <= 0:
                return
            if not component.soft or not component.moves:
                continue
            ends = {uuid: state.place[uuid] for uuid, _ in component.moves}
            place(state, {uuid: state.origin[uuid] for uuid in ends})
            better = self.improver.prefer(component)
            if better is not component and replay(state, better.moves):
                # Those behind it were planned on what it leaves.
                if self._still(found, number, better):
                    found[number] = better
                    continue
                place(state, {u: state.origin[u] for u, _ in better.moves})
            place(state, ends)

    def _still(
        self, found: list[Component], number: int, better: Component,
    ) -> bool:
        """Whether all can be done in their order with the better one."""
        state = self.state
        ends = dict(state.place)
        self._restart()
        fine = all(
            replay(state, (better if n == number else c).moves)
            for n, c in enumerate(found))
        place(state, ends)
        return fine

    def _whole(self, first: list[Component]) -> list[Component]:
        """All of a small cloud as one, with everybody who may make way."""
        state = self.state
        moves = [move for component in first for move in component.moves]
        groups = tuple(g for c in first for g in c.groups)
        joined = measure(state, Component(
            groups, tuple(sorted(state.place)),
            sum(c.before for c in first),
            bound=sum(c.bound for c in first),
            least=all(c.least for c in first)), moves)
        self._restart()
        target = self._target(joined)
        found = self.improver.whole(joined, target)
        if replay(state, found.moves):
            self._prove(found)
            return [found]
        for component in first:
            replay(state, component.moves)
        return first

    def _cut(
        self, first: list[Component], found: list[Component],
    ) -> list[Component]:
        """As many moves as are allowed, the most useful ones."""
        self.uncut = {
            unit.number: unit.excess for unit in self.state.units}
        self.deadline = self.end
        made = Capper(
            self.state, self.rooms, self.limits.max_moves or 0,
            self.limits.mend_preferences, self.left_s).cut(first, found)
        self.made = [(one.part, (one.server, one.host)) for one in made]
        of: list[list[tuple[str, str]]] = [[] for _ in found]
        for number, move in self.made:
            of[number].append(move)
        kept = []
        for component, moves in zip(found, of, strict=True):
            cut = measure(self.state, component, moves)
            if moves != component.moves:
                cut.bound, cut.least = 0, False
                self._prove(cut)
            kept.append(cut)
        return kept

    def _assembled(self, found: list[Component], cut: bool) -> RepairPlan:
        state = self.state
        after = state.hard_excess()
        soft = state.soft_excess()
        explainer = Explainer(state)
        left = tuple(
            self._blocked(unit, explainer, cut) for unit in state.units
            if unit.mend and unit.hard and unit.excess)
        self._restart()
        order = self.made if cut else [
            (number, move) for number, component in enumerate(found)
            for move in component.moves]
        last = {(part, move[0]): n for n, (part, move) in enumerate(order)}
        waits = Waits(state)
        steps: list[Step] = []
        for n, (part, (uuid, host)) in enumerate(order):
            source = state.place[uuid]
            said = why(state, uuid, host, last[part, uuid] != n)
            behind = waits.add(uuid, host)
            steps.append(Step(
                n + 1, Move(uuid, source, host),
                tuple(number + 1 for number in behind), said))
        bound = sum(
            min(len(c.moves), c.bound) for c in found)
        asked = any(c.asked for c in found)
        proved = all(c.proved for c in found)
        return RepairPlan(
            tuple(steps), len(steps), bound, len(steps) - bound, proved,
            "cp-sat" if asked else "flow" if proved else "greedy",
            sum(self.before[g] for c in found for g in c.groups), after,
            left, self.clock() - self.began, self.soft_before, soft,
            self.first_s, len(found), sum(c.proved for c in found))

    def _blocked(
        self, unit: Unit, explainer: Explainer, cut: bool,
    ) -> Blocked:
        """Why the unit is left broken, the state being at the end."""
        if not cut or unit.excess <= self.uncut[unit.number]:
            found = explainer.explain(unit)
            if not cut or found.code is not BlockCode.LIMIT:
                return found
        # More moves would do more for it, whatever is in the way now.
        return Blocked(
            unit.group.id, unit.rule,
            f"a plan may have {self.limits.max_moves} moves: the next one "
            f"goes on", BlockCode.LIMIT, unit.excess)


def plan_repair(
    problem: RepairProblem, limits: RepairLimits,
    clock: Callable[[], float],
) -> RepairPlan:
    """Plan how to mend the groups in mode ``repair`` with the fewest moves.

    Each step is allowed when those before it have ended: no host is filled
    beyond its room, no required rule of an enforced group gets worse, the
    server counting at both ends while it is moved.

    :param clock: seconds of a clock that never goes back
    """
    return _Planner(problem, limits, clock).plan()
