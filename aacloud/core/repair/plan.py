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

from aacloud.core.repair.components import Component
from aacloud.core.repair.components import components
from aacloud.core.repair.components import hard_of
from aacloud.core.repair.components import measure
from aacloud.core.repair.components import prove
from aacloud.core.repair.components import set_goals
from aacloud.core.repair.cutting import choose
from aacloud.core.repair.cutting import gathered
from aacloud.core.repair.cutting import parts
from aacloud.core.repair.greedy import mend
from aacloud.core.repair.greedy import Moves
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
from aacloud.core.repair.tree import Bound
from aacloud.core.repair.tree import Places
from aacloud.core.repair.waiting import Waits

#: The part of the time that is kept for the order and the reasons.
RESERVED = 0.1


class _Planner:
    def __init__(
        self, problem: RepairProblem, limits: RepairLimits,
        clock: Callable[[], float],
    ) -> None:
        self.limits = limits
        self.clock = clock
        self.began = clock()
        self.deadline = self.began + limits.time_limit_s * (1 - RESERVED)
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
        state = self.state
        self._restart()
        greedy = {other.groups[0]: other.moves for other in first}
        choices = []
        for component in found:
            ways = [component.moves]
            # Greedy moves may do more at first.
            before = [
                move for group in component.groups
                for move in greedy.get(group, ())]
            if before != component.moves:
                ways.append(before)
            ways += gathered(state, self.rooms, component)
            choices.append(parts(
                state, component, ways, self.limits.mend_preferences))
        ends = choose(choices, self.limits.max_moves or 0)
        chosen = [
            (component, options[end].moves,
             (options[end].left - options[0].left)
             / max(1, len(options[end].moves)))
            for component, options, end in zip(
                found, choices, ends, strict=True)]
        kept = []
        for component, part, _ in sorted(
                chosen, key=lambda c: (c[2], c[0].groups)):
            moves = self._prefix(component, part)
            cut = measure(state, component, moves)
            if moves != component.moves:
                cut.bound, cut.least = 0, False
                self._prove(cut)
            kept.append(cut)
        return kept

    def _prefix(self, component: Component, moves: Moves) -> Moves:
        """Make the moves up to the last that makes something better.

        Others that make fewer moves now may leave less room for them.
        """
        state = self.state
        if replay(state, moves):
            return moves
        start = {uuid: state.place[uuid] for uuid, _ in moves}
        made: Moves = []
        good = 0
        lowest = sum(hard_of(state, g) for g in component.groups)
        for uuid, host in moves:
            if not state.allowed(uuid, host):
                break
            state.move(uuid, host)
            made.append((uuid, host))
            now = sum(hard_of(state, g) for g in component.groups)
            if now < lowest:
                lowest, good = now, len(made)
        place(state, {uuid: start[uuid] for uuid, _ in made})
        for uuid, host in made[:good]:
            state.move(uuid, host)
        return made[:good]

    def _assembled(self, found: list[Component], cut: bool) -> RepairPlan:
        state = self.state
        after = state.hard_excess()
        soft = state.soft_excess()
        explainer = Explainer(state)
        left = tuple(
            self._blocked(explainer.explain(unit), cut) for unit in state.units
            if unit.mend and unit.hard and unit.excess)
        self._restart()
        waits = Waits(state)
        steps: list[Step] = []
        for component in found:
            last = {
                uuid: n for n, (uuid, _) in enumerate(component.moves)}
            for n, (uuid, host) in enumerate(component.moves):
                source = state.place[uuid]
                said = why(state, uuid, host, last[uuid] != n)
                behind = waits.add(uuid, host)
                steps.append(Step(
                    len(steps) + 1, Move(uuid, source, host),
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

    def _blocked(self, found: Blocked, cut: bool) -> Blocked:
        if cut and found.code is BlockCode.LIMIT:
            return dataclasses.replace(found, reason=(
                f"a plan may have {self.limits.max_moves} moves: the next "
                f"one goes on"))
        return found


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
