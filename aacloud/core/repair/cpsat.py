# SPDX-License-Identifier: Apache-2.0
"""Where the servers of some groups end up, by the CP-SAT solver.

The order of the moves is left out: that of the result is found afterwards,
see ``ordering``. The solver's own clock counts its work, not the time, so
that the same question gets the same answer.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
import typing

from aacloud.core.repair.places import Spots
from aacloud.core.repair.state import movable
from aacloud.core.repair.state import size_of
from aacloud.core.repair.state import State
from aacloud.core.repair.state import Unit
from aacloud.core.rules import RuleKind
from aacloud.core.rules import UNPLACED

if typing.TYPE_CHECKING:
    from ortools.sat.python import cp_model

    Expr = cp_model.LinearExprT


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    :ivar movers: the servers that may be moved; they are where they begin
    :ivar groups: that are to be mended; others are not made worse
    :ivar spots: where they may go
    :ivar relaxed: other servers are thought to make way at no price: what
        comes out is a bound, and an answer if none has to
    :ivar hard: leave at most so much excess of required rules; None: the
        least, whatever it takes
    :ivar moves: use at most so many moves; the preferred rules are then
        what is kept best
    :ivar soft_first: preferred rules come before the number of moves
    :ivar allowed: unit's number -> excess it may have; else what it has
    :ivar hint: server -> host, a good answer
    :ivar forbidden: answers that are of no use
    """

    movers: Sequence[str]
    groups: Collection[str]
    spots: Spots
    relaxed: bool
    hard: int | None = None
    moves: int | None = None
    soft_first: bool = False
    allowed: Mapping[int, int] = dataclasses.field(default_factory=dict)
    hint: Mapping[str, str] = dataclasses.field(default_factory=dict)
    forbidden: Sequence[Mapping[str, int]] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Effort:
    """How hard the solver tries.

    :ivar work: deterministic seconds
    :ivar wall_s: seconds at most
    """

    work: float
    wall_s: float
    workers: int
    seed: int


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """Where servers go.

    :ivar targets: server -> number of its spot, of those that move
    :ivar proved: nothing better exists for the question asked
    :ivar bound: no fewer moves can do
    :ivar crowded: hosts on which other servers would have to make way
    :ivar bent: groups of which other members would have to
    """

    targets: Mapping[str, int]
    hard: int
    soft: int
    moves: int
    proved: bool
    bound: int
    crowded: tuple[str, ...]
    bent: tuple[str, ...]


class _Model:
    def __init__(self, state: State, question: Question) -> None:
        from ortools.sat.python import cp_model
        self.cp = cp_model
        self.state = state
        self.question = question
        self.model = cp_model.CpModel()
        self.spots = question.spots
        self.x: dict[tuple[str, int], cp_model.IntVar] = {}
        self.own: dict[str, int] = {}
        self.at: dict[int, list[tuple[str, cp_model.IntVar]]] = {}
        self.crowded: dict[str, cp_model.IntVar] = {}
        self.bent: dict[str, cp_model.IntVar] = {}
        self.hard: list[Expr] = []
        self.soft: list[Expr] = []
        self.constant = [0, 0]
        units: dict[int, Unit] = {}
        self.members: dict[int, list[str]] = {}
        for uuid in question.movers:
            for unit in state.units_of.get(uuid, ()):
                units[unit.number] = unit
                self.members.setdefault(unit.number, []).append(uuid)
        self.units = [units[number] for number in sorted(units)]
        movers = set(question.movers)
        #: Units of which members that may be moved are not offered.
        self.partial = {
            unit.number for unit in self.units
            if question.relaxed and any(
                uuid not in movers and movable(state.servers[uuid])
                for uuid in unit.group.members if uuid in state.place)}
        self.targets = {
            unit.number: _gathering(unit) for unit in self.units
            if unit.rule.kind is RuleKind.TOGETHER}
        for uuid in question.movers:
            self._server(uuid)
        for unit in self.units:
            self._unit(unit)
        self._room()
        self._forbid()

    def _server(self, uuid: str) -> None:
        state = self.state
        here = state.place[uuid]
        own = self.spots.index[here]
        self.own[uuid] = own
        server = state.servers[uuid]
        choices = [own]
        for number in self.spots.open_to(server.may_go):
            if number == own or not self._sensible(uuid, number):
                continue
            if not self.question.relaxed and (
                self.spots.list[number].host is None) and not any(
                    state.fits(server, host) and state.may_go(server, host)
                    for host in self.spots.names(number)):
                continue
            choices.append(number)
        hint = self.question.hint
        wanted = self.spots.index.get(hint.get(uuid, here), own)
        made = []
        for number in choices:
            var = self.model.new_bool_var("")
            self.x[uuid, number] = var
            self.at.setdefault(number, []).append((uuid, var))
            made.append(var)
            if hint:
                self.model.add_hint(var, number == wanted)
        self.model.add_exactly_one(made)

    def _sensible(self, uuid: str, number: int) -> bool:
        """Whether no required rule rules the place out, whatever else."""
        state = self.state
        there = self.spots.list[number].spot
        here = state.spot(state.place[uuid])
        for unit in state.units_of.get(uuid, ()):
            if not unit.hard:
                continue
            a, b = here[unit.level], there[unit.level]
            if a == b:
                continue
            kind = unit.rule.kind
            if kind is RuleKind.FENCE:
                if b not in unit.names:
                    return False
            elif kind is RuleKind.TOGETHER and (
                    unit.number not in self.partial) and (
                    b not in self.targets[unit.number]):
                return False
        return True

    def _unit(self, unit: Unit) -> None:
        state, model = self.state, self.model
        base = dict(unit.counts)
        members = self.members[unit.number]
        at: dict[str, list[Expr]] = {}
        many: dict[str, int] = {}
        mine = set(members)
        for uuid in members:
            base[state.spot(state.place[uuid])[unit.level]] -= 1
        for number, pairs in self.at.items():
            spot = self.spots.list[number]
            name = spot.spot[unit.level]
            found = [var for uuid, var in pairs if uuid in mine]
            if found:
                at.setdefault(name, []).extend(found)
                many[name] = spot.hosts if unit.level == 0 else 1
        names = sorted({*at, *(name for name, n in base.items() if n)})
        total = sum(base.values()) + len(members)
        count: dict[str, cp_model.LinearExpr | int] = {}
        most: dict[str, int] = {}
        for name in names:
            parts = at.get(name, [])
            count[name] = self.cp.LinearExpr.sum(parts) + base.get(name, 0)
            most[name] = base.get(name, 0) + min(len(parts), len(members))
        allowed = self.question.allowed.get(unit.number, unit.excess)
        parts = self._excess(unit, names, count, most, many, total)
        value = self.cp.LinearExpr.sum(parts)
        if unit.hard:
            if unit.number in self.partial:
                bent = self.bent.get(unit.group.id)
                if bent is None:
                    bent = model.new_bool_var("")
                    self.bent[unit.group.id] = bent
                model.add(value <= allowed + (2 * total + 2) * bent)
            else:
                model.add(value <= allowed)
        if unit.hard and unit.mend and (
                unit.group.id in self.question.groups):
            self.hard.extend(parts)
        elif not unit.hard:
            self.soft.extend(parts)

    def _excess(
        self, unit: Unit, names: list[str],
        count: Mapping[str, cp_model.LinearExpr | int],
        most: Mapping[str, int], many: Mapping[str, int], total: int,
    ) -> list[Expr]:
        """Terms whose sum is at least the unit's excess."""
        model, rule = self.model, unit.rule
        terms: list[Expr] = []
        if UNPLACED in count:
            if rule.on_unknown.value == "closed":
                terms.append(count[UNPLACED])
            names = [name for name in names if name != UNPLACED]
        if rule.kind is RuleKind.FENCE:
            terms.extend(
                count[name] for name in names if name not in unit.names)
            return terms
        if rule.kind is RuleKind.TOGETHER:
            if not names:
                return terms
            inside = model.new_int_var(0, total, "")
            targets = [
                name for name in names if many.get(name, 1) == 1 and (
                    not unit.hard or unit.number in self.partial
                    or name in self.targets[unit.number])]
            picked = [model.new_bool_var("") for _ in targets]
            model.add_exactly_one(picked)
            for name, pick in zip(targets, picked, strict=True):
                model.add(inside <= count[name] + total * (1 - pick))
            everywhere = self.cp.LinearExpr.sum(
                [count[name] for name in names])
            terms.append(everywhere - inside)
            return terms
        limit = rule.max_per_domain
        if limit is not None:
            for name in names:
                room = limit * many.get(name, 1)
                if most[name] > room:
                    over = model.new_int_var(0, most[name] - room, "")
                    model.add(over >= count[name] - room)
                    terms.append(over)
        if rule.max_skew is not None and unit.eligible:
            held = [name for name in names if name in unit.eligible]
            top = model.new_int_var(0, total, "")
            low: cp_model.IntVar | int = 0
            modelled = sum(many.get(name, 1) for name in held)
            if not unit.short and modelled >= len(unit.eligible):
                least = model.new_int_var(0, total, "")
                for name in held:
                    model.add(least * many.get(name, 1) <= count[name])
                low = least
            for name in held:
                model.add(top * many.get(name, 1) >= count[name])
            skew = model.new_int_var(0, total, "")
            model.add(skew >= top - low - rule.max_skew)
            terms.append(skew)
        return terms

    def _room(self) -> None:
        """What ends up on a host fits on it."""
        state, model = self.state, self.model
        movers = set(self.question.movers)
        for number, spot in enumerate(self.spots.list):
            if spot.host is None or spot.host not in state.free:
                continue
            arriving = [
                (uuid, var) for uuid, var in self.at.get(number, ())
                if self.own[uuid] != number]
            if not arriving:
                continue
            leaving = [
                (uuid, var) for uuid, var in self.at[number]
                if self.own[uuid] == number and uuid in movers]
            free = state.free[spot.host]
            for axis in range(3):
                sizes = [
                    size_of(state.servers[uuid])[axis]
                    for uuid, _ in arriving]
                if sum(sizes) <= free[axis]:
                    continue
                gone = [size_of(state.servers[uuid])[axis]
                        for uuid, _ in leaving]
                need = self.cp.LinearExpr.weighted_sum(
                    [var for _, var in arriving], sizes)
                back = sum(gone) - self.cp.LinearExpr.weighted_sum(
                    [var for _, var in leaving], gone)
                big = sum(sizes) + abs(free[axis])
                extra: Expr = 0
                if self.question.relaxed:
                    if spot.host not in self.crowded:
                        self.crowded[spot.host] = model.new_bool_var("")
                    extra = self.crowded[spot.host] * big
                if free[axis] < 0:
                    some = model.new_bool_var("")
                    for _, var in arriving:
                        model.add_implication(var, some)
                    extra = extra + big * (1 - some)
                model.add(need - back <= free[axis] + extra)

    def _forbid(self) -> None:
        """Leave out answers that no order was found for."""
        for answer in self.question.forbidden:
            same = [
                self.x[uuid, answer.get(uuid, self.own[uuid])]
                for uuid in self.question.movers
                if (uuid, answer.get(uuid, self.own[uuid])) in self.x]
            self.model.add(
                self.cp.LinearExpr.sum(same) <= len(same) - 1)

    def solve(self, effort: Effort) -> Answer | None:
        question, model, cp = self.question, self.model, self.cp
        total_sum = cp.LinearExpr.sum
        moves = len(question.movers) - total_sum(
            [self.x[uuid, own] for uuid, own in self.own.items()])
        hard = total_sum(self.hard)
        soft = total_sum(self.soft)
        others = [*self.crowded.values(), *self.bent.values()]
        ways = total_sum(others)
        step = len(others) + 1
        if question.hard is not None:
            model.add(hard <= question.hard)
        if question.moves is not None:
            model.add(moves <= question.moves)
            model.minimize(soft * step + ways)
        else:
            weight = len(question.movers) + 1
            wanted = moves
            if question.soft_first:
                wanted = wanted + soft * weight
                weight *= sum(
                    2 * len(m) + 2 for m in self.members.values()) + 1
            if question.hard is None:
                wanted = wanted + hard * weight
            model.minimize(wanted * step + ways)
        solver = cp.CpSolver()
        parameters = solver.parameters
        parameters.max_deterministic_time = effort.work
        parameters.max_time_in_seconds = max(0.01, effort.wall_s)
        parameters.num_workers = effort.workers
        # Else which thread is first decides.
        parameters.interleave_search = effort.workers > 1
        parameters.random_seed = effort.seed % 2 ** 31
        status = solver.solve(model)
        if status not in (cp.OPTIMAL, cp.FEASIBLE):
            return None
        proved = status == cp.OPTIMAL
        done = int(solver.value(moves))
        plain = question.moves is None and question.hard is not None and (
            not question.soft_first)
        bound = 0
        if proved and question.moves is None:
            bound = done
        elif plain:
            bound = max(0, math.ceil(
                (solver.best_objective_bound - step + 1) / step - 1e-6))
        targets = {
            uuid: number for (uuid, number), var in self.x.items()
            if number != self.own[uuid] and solver.boolean_value(var)}
        return Answer(
            targets, int(solver.value(hard)), int(solver.value(soft)),
            done, proved, bound,
            tuple(name for name, var in self.crowded.items()
                  if solver.boolean_value(var)),
            tuple(name for name, var in self.bent.items()
                  if solver.boolean_value(var)))


def solve(state: State, question: Question, effort: Effort) -> Answer | None:
    """Ask the solver; None when it found nothing in time."""
    return _Model(state, question).solve(effort)


def _gathering(unit: Unit) -> frozenset[str]:
    """The domains in which a group can still gather.

    A member on its way counts at both ends, so only the way to a fullest
    domain makes nothing worse.
    """
    counts = {
        name: n for name, n in unit.counts.items() if name != UNPLACED}
    if not counts:
        return frozenset()
    most = max(counts.values())
    return frozenset(name for name, n in counts.items() if n == most)
