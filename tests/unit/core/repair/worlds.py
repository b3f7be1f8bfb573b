# SPDX-License-Identifier: Apache-2.0
"""Small clouds with broken groups, and what is true of them by trying.

Nothing here uses the planner's own counting: places are judged with the
rules alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses

from hypothesis import strategies as st

from aacloud.core import rules
from aacloud.core.repair import RepairHost
from aacloud.core.repair import RepairLimits
from aacloud.core.repair import RepairPlan
from aacloud.core.repair import RepairProblem
from aacloud.core.repair import RepairServer
from aacloud.core.topology import Host
from aacloud.core.topology import Topology

#: So long that time never decides, on however slow a machine.
LIMITS = RepairLimits(time_limit_s=10_000.0, workers=1)


def topology(dcs: int = 2, racks: int = 2, hosts: int = 2) -> Topology:
    return Topology({
        name: Host(name, f"dc{d}-r{r}", f"dc{d}")
        for d in range(1, dcs + 1) for r in range(1, racks + 1)
        for h in range(1, hosts + 1)
        for name in [f"dc{d}-r{r}-h{h}"]})


def group(
    name: str, texts: list[str], members: str | list[str],
    mode: str = "repair", native: bool = False,
) -> rules.Group:
    if isinstance(members, str):
        members = members.split()
    return rules.Group(
        name, name, "project", rules.GroupMode(mode),
        tuple(rules.parse_rule(text) for text in texts),
        frozenset(members), 1, native=native)


def problem(
    where: dict[str, str], groups: list[rules.Group],
    top: Topology | None = None, room: int = 100,
    hosts: dict[str, dict] | None = None,
    servers: dict[str, dict] | None = None, seed: int = 1,
) -> RepairProblem:
    """A cloud with servers of 1 vCPU, 1 MB and 1 GB.

    :param room: free on each host, in each unit
    :param hosts: host -> what is different
    :param servers: server -> what is different
    """
    top = top or topology()
    return RepairProblem(
        {name: dataclasses.replace(
            RepairHost(name, host.rack, host.dc, room, room, room),
            **(hosts or {}).get(name, {}))
         for name, host in top.hosts.items()},
        {uuid: dataclasses.replace(
            RepairServer(uuid, host, 1, 1, 1),
            **(servers or {}).get(uuid, {}))
         for uuid, host in where.items()},
        tuple(groups), rules.Domains(top), seed)


def held(group: rules.Group) -> list[rules.Rule]:
    """The rules that no move may make worse."""
    if not group.enforced and not group.native:
        return []
    return [rule for rule in group.rules if rule.required]


class World:
    """A problem in which servers can be moved about, judged by the rules."""

    def __init__(self, problem: RepairProblem) -> None:
        self.problem = problem
        self.rules = [
            (group, rule, problem.domains.within(group.rules))
            for group in problem.groups for rule in held(group)]
        self.mended = [
            n for n, (group, _, _) in enumerate(self.rules)
            if group.mode is rules.GroupMode.REPAIR]
        self.start = {
            uuid: (server.host,) if server.also is None
            else (server.host, server.also)
            for uuid, server in problem.servers.items()}

    def excesses(self, places: dict[str, tuple[str, ...]]) -> list[int]:
        return [
            rules.excess(
                rule, rules.count(rule, group.members, places, domains),
                domains)
            for group, rule, domains in self.rules]

    def total(self, places: dict[str, tuple[str, ...]]) -> int:
        found = self.excesses(places)
        return sum(found[n] for n in self.mended)

    def overfull(self, places: dict[str, tuple[str, ...]]) -> set[str]:
        """Hosts on which there is more than fits, and came there."""
        found = set()
        for name, host in self.problem.hosts.items():
            free = [host.free_vcpus, host.free_memory_mb, host.free_disk_gb]
            came = False
            for uuid, place in places.items():
                server = self.problem.servers[uuid]
                was = name in self.start[uuid]
                sign = was - (name in place)
                came |= sign < 0
                for axis, size in enumerate((
                        server.vcpus, server.memory_mb, server.disk_gb)):
                    free[axis] += sign * size
            if came and min(free) < 0:
                found.add(name)
        return found

    def open(self, uuid: str) -> Iterator[str]:
        """The hosts that a server may be moved to, room left aside."""
        server = self.problem.servers[uuid]
        if not server.movable or server.also is not None:
            return
        for name, host in self.problem.hosts.items():
            if host.takes and (
                    server.may_go is None or name in server.may_go):
                yield name

    def step(
        self, places: dict[str, tuple[str, ...]], uuid: str, host: str,
    ) -> dict[str, tuple[str, ...]] | None:
        """The places after a move; None when it must not be made."""
        if places[uuid] == (host,) or host not in self.open(uuid):
            return None
        before = self.excesses(places)
        during = {**places, uuid: (*places[uuid], host)}
        after = {**places, uuid: (host,)}
        if self.overfull(during):
            return None
        for now in (self.excesses(during), self.excesses(after)):
            if any(n > b for n, b in zip(now, before, strict=True)):
                return None
        return after

    def best(self) -> tuple[int, int]:
        """(least excess, fewest moves), by trying everything."""
        names = sorted(self.start)

        def key(places: dict[str, tuple[str, ...]]) -> tuple:
            return tuple(places[name] for name in names)

        seen = {key(self.start)}
        now = [self.start]
        best = (self.total(self.start), 0)
        moves = 0
        while now and best[0]:
            moves += 1
            following = []
            for places in now:
                for uuid in names:
                    for host in self.open(uuid):
                        found = {**places, uuid: (host,)}
                        if key(found) in seen:
                            continue
                        if self.step(places, uuid, host) is None:
                            continue
                        seen.add(key(found))
                        following.append(found)
                        best = min(best, (self.total(found), moves))
            now = following
        return best


def follow(problem: RepairProblem, plan: RepairPlan) -> World:
    """Make the steps of a plan in their order, each judged."""
    world = World(problem)
    places = world.start
    for number, step in enumerate(plan.steps, 1):
        assert step.number == number
        assert all(other < number for other in step.after)
        assert places[step.move.server] == (step.move.source,)
        assert step.why
        found = world.step(places, step.move.server, step.move.destination)
        assert found is not None, (step, places)
        places = found
    assert plan.moves == len(plan.steps)
    assert plan.excess_before == world.total(world.start)
    assert plan.excess_after == world.total(places)
    assert plan.excess_after == sum(b.excess for b in plan.left)
    return world


TOPOLOGIES = [
    topology(2, 1, 2), topology(1, 3, 1), topology(2, 2, 1),
    topology(1, 2, 2), topology(3, 1, 1)]

RULES = [
    "spread:host", "spread:rack", "spread:dc", "spread:host:max=2",
    "spread:rack:max=2", "spread:dc:max=2", "spread:dc:max_skew=1",
    "spread:rack:max_skew=1", "spread:host:max_skew=1",
    "spread:dc:max_skew=1:min_domains=3", "spread:rack:max=1:max_skew=1",
    "spread:dc:max=2:max_skew=1", "together:dc", "together:rack",
    "together:host", "fence:dc:domains=dc1", "fence:rack:domains=dc1-r1",
    "fence:host:domains=dc1-r1-h1"]


@st.composite
def worlds(
    draw: st.DrawFn, most: int = 5, pins: bool = True,
    texts: Sequence[str] = RULES, rooms: Sequence[int] = (9, 9, 2, 1, 0, -1),
) -> RepairProblem:
    """
    :param most: servers
    :param pins: some cannot be moved, or only to some hosts
    :param texts: of the rules
    :param rooms: memory that is free on a host
    """
    top = draw(st.sampled_from(TOPOLOGIES))
    names = sorted(top.hosts)
    count = draw(st.integers(2, most))
    uuids = [f"s{n}" for n in range(count)]
    where = {uuid: draw(st.sampled_from(names)) for uuid in uuids}
    groups = []
    for number in range(draw(st.integers(1, 3))):
        chosen = draw(st.lists(
            st.sampled_from(texts), min_size=1, max_size=2, unique=True))
        flags = [draw(st.sampled_from(["", "", "", ":prefer"]))
                 for _ in chosen]
        groups.append(group(
            f"g{number}", [t + f for t, f in zip(chosen, flags, strict=True)],
            draw(st.lists(st.sampled_from(uuids), min_size=1, unique=True)),
            draw(st.sampled_from(
                ["repair", "repair", "repair", "enforce", "report"])),
            draw(st.sampled_from([False, False, False, True]))))
    hosts = {}
    for name in names:
        hosts[name] = {
            "free_memory_mb": draw(st.sampled_from(rooms)),
            "takes": draw(st.sampled_from([True] * 6 + [False]))}
    servers: dict[str, dict] = {}
    for uuid in uuids:
        servers[uuid] = {"memory_mb": draw(st.sampled_from([1, 1, 2]))}
        if pins:
            servers[uuid]["movable"] = draw(
                st.sampled_from([True] * 5 + [False]))
            servers[uuid]["may_go"] = draw(st.sampled_from(
                [None, None, None, frozenset(names[:2]),
                 frozenset(names[1:])]))
            if draw(st.integers(0, 15)) == 0:
                servers[uuid]["also"] = draw(st.sampled_from(
                    [n for n in names if n != where[uuid]]))
    return problem(where, groups, top, 100, hosts, servers)
