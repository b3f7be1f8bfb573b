# SPDX-License-Identifier: Apache-2.0
"""Random clouds with broken groups for the benchmark of the repair."""

from __future__ import annotations

import random

from aacloud.core import rules
from aacloud.core.repair import RepairHost
from aacloud.core.repair import RepairProblem
from aacloud.core.repair import RepairServer
from aacloud.core.topology import Host
from aacloud.core.topology import Topology

HOSTS_OF_RACK = 25
HOST_VCPUS, HOST_MB, HOST_GB = 96, 393216, 2000
FLAVORS = ((2, 4096, 20), (4, 16384, 40), (8, 32768, 40), (16, 65536, 80))

#: What groups of users look like: at one level, two, and all three.
RULES = (
    ("spread:host",),
    ("spread:host", "spread:rack"),
    ("spread:host", "spread:dc:max_skew=1"),
    ("spread:host", "spread:rack:max=2", "spread:dc:max_skew=1"),
    ("spread:host", "spread:rack", "spread:dc:max_skew=1"),
    ("spread:host", "spread:rack:max=3", "together:dc"),
    ("spread:host:max=2", "fence:dc:domains=dc1"),
    ("spread:host", "spread:rack:max=2", "spread:dc:max_skew=1:prefer"),
)


def random_cloud(
    hosts: int, servers: int, groups: int, seed: int, *, most: int = 50,
    shared: float = 0.1, fill: float = 0.9, three_levels: bool = False,
    pinned: float = 0.02, closed: float = 0.02,
) -> RepairProblem:
    """A cloud whose servers were placed by room alone.

    :param groups: broken ones; others come besides
    :param most: members of a group
    :param shared: part of the groups that take some members of another
    :param fill: part of a host that servers may take
    :param three_levels: only groups with rules at all three levels
    :param pinned: part of the servers that cannot be moved
    :param closed: part of the hosts that take no more servers
    """
    rand = random.Random(seed)
    top = Topology({
        name: Host(name, rack, dc)
        for n in range(hosts)
        for r in [n // HOSTS_OF_RACK]
        for dc in [f"dc{r % 2 + 1}"] for rack in [f"{dc}-r{r:03d}"]
        for name in [f"{rack}-h{n % HOSTS_OF_RACK:02d}"]})
    names = sorted(top.hosts)
    free = {
        name: [int(HOST_VCPUS * fill), int(HOST_MB * fill),
               int(HOST_GB * fill)] for name in names}
    made: dict[str, RepairServer] = {}
    while len(made) < servers:
        name = rand.choice(names)
        size = rand.choice(FLAVORS)
        room = free[name]
        if any(s > r for s, r in zip(size, room, strict=True)):
            continue
        for axis in range(3):
            room[axis] -= size[axis]
        uuid = f"s{len(made):06d}"
        made[uuid] = RepairServer(
            uuid, name, *size, movable=rand.random() >= pinned,
            why_not="it has a PCI device")
    pool = sorted(made)
    by_rack: dict[str, list[str]] = {}
    for uuid in pool:
        by_rack.setdefault(
            top.hosts[made[uuid].host].rack, []).append(uuid)
    free_of = {rack: rand.sample(found, len(found))
               for rack, found in sorted(by_rack.items())}
    racks = sorted(free_of)
    found: list[rules.Group] = []
    domains = rules.Domains(top)
    where = {uuid: (server.host,) for uuid, server in made.items()}
    broken = 0
    while broken < groups:
        number = len(found)
        texts = rand.choice(RULES[3:6] if three_levels else RULES)
        count = min(most, rand.choice((3, 3, 5, 5, 8, 12, 20, 30, 50)))
        # Half of a group stands in two racks: too close.
        near = rand.sample(racks, min(2, len(racks)))
        members = []
        while len(members) < count:
            close = len(members) <= count // 2
            rack = rand.choice(near if close else racks)
            if not free_of[rack]:
                near = racks
                continue
            members.append(free_of[rack].pop())
        if found and rand.random() < shared:
            other = sorted(rand.choice(found).members)
            members = [*members, *rand.sample(other, min(2, len(other)))]
        found.append(rules.Group(
            f"g{number:05d}", f"group {number}", f"p{number % 50}",
            rules.GroupMode.REPAIR,
            tuple(rules.parse_rule(text) for text in texts),
            frozenset(members), 1))
        broken += any(
            rule.required and rules.excess(
                rule, rules.count(rule, members, where, inside), inside)
            for inside in [domains.within(found[-1].rules)]
            for rule in found[-1].rules)
    # Nova's own groups, kept as they are.
    for number in range(groups // 5):
        count = rand.choice((2, 3, 5))
        members = rand.sample(pool, count)
        found.append(rules.Group(
            f"n{number:05d}", f"native {number}", f"p{number % 50}",
            rules.GroupMode.ENFORCE, (rules.parse_rule("spread:host"),),
            frozenset(members), 1, native=True))
    return RepairProblem(
        {name: RepairHost(
            name, top.hosts[name].rack, top.hosts[name].dc,
            HOST_VCPUS - int(HOST_VCPUS * fill) + free[name][0],
            HOST_MB - int(HOST_MB * fill) + free[name][1],
            HOST_GB - int(HOST_GB * fill) + free[name][2],
            takes=rand.random() >= closed, reason="disabled")
         for name in names},
        made, tuple(found), rules.Domains(top), seed)
