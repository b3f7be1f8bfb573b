# SPDX-License-Identifier: Apache-2.0
"""Fewest moves, and how long it takes to find them.

The rival is a local search as balancers do it: the move that lowers the
excess most is made, until none lowers it. Both plan the same clouds in the
same run. The planner must never leave more, nor need more moves for as much:
with as many moves as the rival made it may not leave more than that one.

    python3 -m tests.benchmarks.repair
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import sys
import time
from unittest import mock

from aacloud.core.repair import improving
from aacloud.core.repair import plan_repair
from aacloud.core.repair import RepairLimits
from aacloud.core.repair import RepairPlan
from aacloud.core.repair import RepairProblem
from aacloud.core.repair.state import movable
from aacloud.core.repair.state import State
from tests.benchmarks.repair_cloud import random_cloud

#: Hosts, servers, groups.
SIZES = ((250, 1500, 50), (1000, 6000, 200), (2500, 15000, 500),
         (5000, 30000, 1000))
FIRST_S = 5.0
FINAL_S = 30.0
PROVED = 0.95
#: For one of many small clouds.
EVEN_S = 5.0
#: Work of the solver where its time must not decide, and the parts of a
#: plan's moves that it is cut to.
WORK = 0.1
CUTS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.98)


class Rival:
    """Best improvement, move by move, group by group.

    It is told nothing but by how much a move lowers the excess. It looks at
    the racks that hold members, and in each data centre at those with most
    room; in a rack at the hosts with most room.
    """

    def __init__(self, problem: RepairProblem) -> None:
        self.state = State(problem)
        self.moves = 0
        #: What is left before the first move and after each.
        self.lefts = [self.state.hard_excess()]
        self.racks: dict[tuple[str, str], list[str]] = {}
        for name, host in sorted(problem.hosts.items()):
            if host.takes:
                self.racks.setdefault(
                    (host.dc, host.rack), []).append(name)

    def run(self) -> None:
        for group in sorted(self.state.by_group):
            units = self.state.by_group[group]
            while any(unit.mend and unit.hard and unit.excess
                      for unit in units):
                found = self.best(group)
                if found is None:
                    break
                self.state.move(found[1], found[2])
                self.moves += 1
                self.lefts.append(self.state.hard_excess())

    def best(self, group: str) -> tuple[int, str, str] | None:
        state = self.state
        best: tuple[int, str, str] | None = None
        seen = set()
        near = self.near(group)
        for uuid in sorted(state.by_group[group][0].group.members):
            here = state.place[uuid]
            units = state.units_of[uuid]
            if not movable(state.servers[uuid]):
                continue
            like = here, units
            if like in seen:
                continue
            seen.add(like)
            a = state.spot(here)
            for hosts in near:
                b = state.spot(hosts[0])
                change = 0
                for unit in units:
                    if unit.level and unit.hard:
                        part = unit.judge(a[unit.level], b[unit.level])
                        if part is None:
                            break
                        change += part
                else:
                    low = change - sum(unit.level == 0 for unit in units)
                    if best is not None and low >= best[0]:
                        continue
                    found = self.in_rack(uuid, hosts)
                    if found is not None:
                        for unit in units:
                            if unit.level == 0 and unit.hard:
                                change += unit.judge(a[0], found) or 0
                        if change < 0 and (best is None or (
                                change, uuid, found) < best):
                            best = change, uuid, found
        return best

    def near(self, group: str) -> list[list[str]]:
        state = self.state
        members = state.by_group[group][0].group.members
        held = {state.spot(state.place[uuid])[1] for uuid in members}
        found, empty = [], {}
        for (dc, rack), hosts in self.racks.items():
            if rack in held:
                found.append(hosts)
            else:
                room = max(state.free[host][1] for host in hosts)
                empty.setdefault(dc, []).append((-room, rack, hosts))
        for racks in empty.values():
            found.extend(hosts for _, _, hosts in sorted(racks)[:3])
        return found

    def in_rack(self, uuid: str, hosts: Sequence[str]) -> str | None:
        state = self.state
        for host in sorted(hosts, key=lambda h: -state.free[h][1])[:3]:
            if state.allowed(uuid, host):
                return host
        return None


@dataclasses.dataclass(frozen=True)
class Match:
    """The planner and the rival on one cloud.

    :ivar rivals: moves of the rival
    :ivar left: excess that the rival leaves
    :ivar enough: moves with which the planner leaves no more than that;
        None: it leaves more however it is asked
    :ivar took: seconds of the rival
    :ivar seconds: of the slower plan
    """

    plan: RepairPlan
    rivals: int
    left: int
    enough: int | None
    took: float
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether both leave as much."""
        return self.plan.excess_after == self.left

    @property
    def beaten(self) -> bool:
        """Whether the rival is better at anything.

        It leaves less, or needs fewer moves for what it leaves.
        """
        return (self.plan.excess_after > self.left or self.enough is None
                or self.enough > self.rivals
                or (self.equal and self.plan.moves > self.rivals))


def match(
    problem: RepairProblem, clock: Callable[[], float],
    limit_s: float = FINAL_S,
) -> Match:
    """Let both plan; where the planner moves more, ask it for less, too.

    More moves are fair only where they mend more. So it is given as many
    moves as the rival made, and must not leave more with them.
    """
    limits = RepairLimits(time_limit_s=limit_s)
    plan = plan_repair(problem, limits, clock)
    began = clock()
    rival = Rival(problem)
    rival.run()
    took = clock() - began
    left = rival.state.hard_excess()
    short = plan if plan.moves <= rival.moves else plan_repair(
        problem, dataclasses.replace(limits, max_moves=rival.moves), clock)
    return Match(
        plan, rival.moves, left, until(problem, short, left), took,
        max(plan.seconds, short.seconds))


def until(
    problem: RepairProblem, plan: RepairPlan, left: int,
) -> int | None:
    """The first moves of a plan that leave no more than this excess."""
    return next((number for number, now in enumerate(lefts(problem, plan))
                 if now <= left), None)


def lefts(problem: RepairProblem, plan: RepairPlan) -> list[int]:
    """What is left before the first move of a plan and after each."""
    state = State(problem)
    found = [state.hard_excess()]
    for step in plan.steps:
        state.move(step.move.server, step.move.destination)
        found.append(state.hard_excess())
    return found


def steady(problem: RepairProblem, most: int | None = None) -> RepairPlan:
    """The same plan on any machine: no clock decides, and little work."""
    with mock.patch.object(improving, "WORK", WORK):
        return plan_repair(
            problem, RepairLimits(workers=1, max_moves=most), lambda: 0.0)


def compared(
    hosts: int, servers: int, groups: int, seed: int,
    clock: Callable[[], float],
) -> bool:
    """One large cloud, a line of the table."""
    found = match(random_cloud(hosts, servers, groups, seed), clock)
    plan = found.plan
    print(f"{hosts:5d} {servers:6d} {groups:6d} {plan.components:6d} "
          f"{plan.excess_before:7d} {plan.excess_after:5d} {found.left:6d} "
          f"{plan.moves:6d} {plan.lower_bound:6d} {found.rivals:6d} "
          f"{'never' if found.enough is None else found.enough:>6} "
          f"{plan.proved_components / max(1, plan.components):7.1%} "
          f"{plan.first_s:7.2f} {found.seconds:7.2f} {found.took:7.2f} "
          f"{found.took / found.seconds:6.2f}", flush=True)
    return (not found.beaten
            and plan.first_s <= FIRST_S and found.seconds <= FINAL_S
            and plan.proved_components >= PROVED * plan.components)


def singles(count: int, seed: int, clock: Callable[[], float]) -> bool:
    """Single groups of up to 50 members, each in a cloud of its own."""
    began = clock()
    found = [
        match(random_cloud(
            500, 2000, 1, seed + number, fill=0.7,
            three_levels=bool(number % 2)), clock)
        for number in range(count)]
    took = clock() - began
    proved = sum(one.plan.proved_optimal for one in found)
    print(f"single groups: {count}, proved optimal {proved / count:.1%}, "
          f"{told(found)}, {took / count:.2f} s each with the rival",
          flush=True)
    return proved >= PROVED * count and not any(
        one.beaten for one in found)


def evens(count: int, seed: int, clock: Callable[[], float]) -> bool:
    """Clouds in which nearly all can be mended, and both mend as much.

    Nothing is pinned and no host is closed, so that moves alone count. At
    least half of them must be such: else nothing would be compared.
    """
    began = clock()
    found = [
        match(random_cloud(
            250, 1500, 50, seed + number, most=8, pinned=0.0, closed=0.0),
            clock, EVEN_S)
        for number in range(count)]
    took = clock() - began
    equal = [one for one in found if one.equal]
    print(f"mendable clouds: {count}, both leave as much in {len(equal)}: "
          f"{told(equal)}; of all: {told(found)}, "
          f"{took / count:.2f} s each with the rival", flush=True)
    return 2 * len(equal) >= count and not any(one.beaten for one in found)


def cuts(count: int, seed: int) -> bool:
    """Small full clouds, whose plans may have a part of their moves only.

    None may leave more than as many of the first moves of the whole plan,
    nor than the rival that is stopped after as many.
    """
    made = behind = beaten = 0
    for number in range(count):
        cloud = random_cloud(50, 300, 10, seed + number,
                             most=8 if number % 2 else 50)
        plan = steady(cloud)
        own = lefts(cloud, plan)
        rival = Rival(cloud)
        rival.run()
        for most in sorted({int(part * plan.moves) for part in CUTS}):
            left = steady(cloud, most).excess_after
            made += 1
            behind += left > min(own[:most + 1])
            beaten += left > min(rival.lefts[:most + 1])
    print(f"plans cut short: {made} of {count} clouds, worse than the first "
          f"moves of the whole plan {behind}, than as many moves of the "
          f"rival {beaten}", flush=True)
    return not behind and not beaten


def told(found: Sequence[Match]) -> str:
    """Sums, and how often the rival was better."""
    moves = sum(one.plan.moves for one in found)
    rivals = sum(one.rivals for one in found)
    return (
        f"moves {moves} (left {sum(one.plan.excess_after for one in found)})"
        f", of the rival {rivals} (left {sum(one.left for one in found)}), "
        f"beaten by it {sum(one.beaten for one in found)} times")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--singles", type=int, default=100)
    parser.add_argument("--evens", type=int, default=20)
    parser.add_argument("--cuts", type=int, default=60)
    parser.add_argument("--largest", type=int, default=SIZES[-1][0],
                        help="hosts of the largest cloud")
    parser.add_argument("--cpu", action="store_true", help=(
        "count the seconds that the process computes, of all its threads, "
        "on a machine that is busy with other things"))
    options = parser.parse_args(arguments)
    clock = time.process_time if options.cpu else time.monotonic
    fine = evens(options.evens, options.seed, clock)
    fine &= cuts(options.cuts, options.seed)
    fine &= singles(options.singles, options.seed, clock)
    print("hosts servers groups  parts  excess  left  rival  moves  bound  "
          "rival enough  proved   first   final   rival  ratio")
    for size in SIZES:
        if size[0] <= options.largest:
            fine &= compared(*size, options.seed, clock)
    print("goals reached" if fine else "a goal was missed")
    return not fine


if __name__ == "__main__":
    sys.exit(main())
