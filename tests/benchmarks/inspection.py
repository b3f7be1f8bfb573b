# SPDX-License-Identifier: Apache-2.0
"""How close the inspection of all groups comes to plain counting.

The floor is one pass over all members that counts their hosts, racks and
data centres with three Counters a group and decides nothing. Floor and
inspection take turns in one run, the best of each counts, because machines
differ and are noisy: the ratio is what is printed and compared. The time of
one event is that of inspecting the groups of one server again, and the time
of a filter that of judging every host for one server.

    python3 -m tests.benchmarks.inspection --groups 10000 --servers 100000
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence
import random
import sys
import time

from aacloud.core import rules
from aacloud.core.topology import Host
from aacloud.core.topology import Topology

RULES = ("spread:host", "spread:rack:max=2", "spread:dc:max_skew=1")
RACKS, HOSTS = 20, 25
#: Inspections that take longer are defects. Seconds.
MOST_SECONDS = 2.0
MOST_EVENT_SECONDS = 0.05


def cloud(racks: int, hosts: int) -> Topology:
    """Two data centres of so many racks of so many hosts."""
    names = [
        (f"dc{d}", f"dc{d}-r{r}", f"dc{d}-r{r}-h{h}")
        for d in (1, 2) for r in range(racks) for h in range(hosts)]
    return Topology(hosts={
        host: Host(name=host, rack=rack, dc=dc) for dc, rack, host in names})


def population(
    topology: Topology, groups: int, servers: int, broken: float,
    chance: random.Random,
) -> tuple[list[rules.Group], dict[str, rules.Place]]:
    """Groups of equal size; a share of them has members anywhere."""
    some = tuple(rules.parse_rule(text) for text in RULES)
    by_dc = [topology.hosts_of(rules.Level.DC, dc) for dc in topology.dcs()]
    made, occupancy = [], {}
    for number in range(groups):
        names = [
            f"{number:08x}-{n:04x}" for n in range(servers // groups)]
        anywhere = chance.random() < broken
        for n, name in enumerate(names):
            hosts = by_dc[n % len(by_dc)]
            step = len(hosts) // max(1, len(names))
            host = (chance.choice(chance.choice(by_dc)) if anywhere
                    else hosts[(number + n * step) % len(hosts)])
            occupancy[name] = (host,)
        made.append(rules.Group(
            id=f"group{number}", name=f"group{number}", project_id="p",
            mode=rules.GroupMode.REPAIR, rules=some,
            members=frozenset(names), revision=number))
    return made, occupancy


def floor(
    groups: Sequence[rules.Group], occupancy: rules.Occupancy,
    topology: Topology,
) -> int:
    """Count every group's hosts, racks and data centres."""
    racks = {host.name: host.rack for host in topology.hosts.values()}
    dcs = {host.name: host.dc for host in topology.hosts.values()}
    seen = 0
    for group in groups:
        hosts = [
            host for member in group.members for host in occupancy[member]]
        seen += len(Counter(hosts))
        seen += len(Counter([racks[host] for host in hosts]))
        seen += len(Counter([dcs[host] for host in hosts]))
    return seen


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def events(
    groups: Sequence[rules.Group], occupancy: rules.Occupancy,
    domains: rules.Domains, rounds: int, chance: random.Random,
) -> list[float]:
    """Seconds of each event: a server moved, its groups are inspected."""
    of: dict[str, list[rules.Group]] = {}
    for group in groups:
        for member in group.members:
            of.setdefault(member, []).append(group)
    inspector = rules.Inspector(domains)
    hosts = sorted(domains.topology.hosts)
    now = dict(occupancy)
    found = []
    for server in chance.sample(sorted(of), min(rounds, len(of))):
        now[server] = (chance.choice(hosts),)
        found.append(timed(lambda mine=of[server]: [
            inspector.inspect(group, now, age_s=0.0) for group in mine]))
    return found


def filtered(
    hosts: int, occupancy_of: int, chance: random.Random,
) -> tuple[float, float]:
    """Seconds of judging a group for a birth, and of asking every host."""
    topology = cloud(max(1, hosts // 40), 20)
    names = sorted(topology.hosts)
    group = rules.Group(
        id="g", name="g", project_id="p", mode=rules.GroupMode.ENFORCE,
        rules=tuple(rules.parse_rule(text) for text in RULES),
        members=frozenset(f"s{n}" for n in range(occupancy_of)), revision=1)
    occupancy = {
        member: (chance.choice(names),) for member in group.members}
    domains = rules.Domains(topology)
    best = []
    for _ in range(5):
        began = time.perf_counter()
        judged = rules.judge_group(group, occupancy, domains, "new")
        between = time.perf_counter()
        judged.of_all(names)
        best.append((between - began, time.perf_counter() - between))
    return min(best, key=sum)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="The inspection of all groups against plain counting.")
    parser.add_argument("--groups", type=int, default=10_000)
    parser.add_argument("--servers", type=int, default=100_000)
    parser.add_argument(
        "--broken", type=float, default=0.1,
        help="share of the groups whose members are anywhere")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--hosts", type=int, default=10_000,
                        help="hosts that the filter asks about")
    arguments = parser.parse_args(argv)
    chance = random.Random(1)
    topology = cloud(RACKS, HOSTS)
    groups, occupancy = population(
        topology, arguments.groups, arguments.servers, arguments.broken,
        chance)
    print(f"{len(groups)} groups, {len(occupancy)} servers, "
          f"{len(topology.hosts)} hosts, rules {', '.join(RULES)}")
    domains = rules.Domains(topology)
    counting, inspecting = [], []
    reports: tuple[rules.GroupReport, ...] = ()
    for _ in range(arguments.rounds):
        counting.append(timed(lambda: floor(groups, occupancy, topology)))
        began = time.perf_counter()
        reports = rules.inspect_all(groups, occupancy, domains, age_s=0.0)
        inspecting.append(time.perf_counter() - began)
    states = Counter(report.state.value for report in reports)
    print("found: " + ", ".join(
        f"{n} {state}" for state, n in sorted(states.items())))
    took, plain = min(inspecting), min(counting)
    each = sorted(events(
        groups, occupancy, domains, arguments.events, chance))
    judging, asking = filtered(arguments.hosts, 20, chance)
    print(f"\n{'what':<38}{'seconds':>12}{'x floor':>9}")
    print(f"{'counting alone (floor)':<38}{plain:>12.3f}{1:>9.2f}")
    print(f"{'inspection of all':<38}{took:>12.3f}{took / plain:>9.2f}")
    print(f"{'one event, median':<38}{each[len(each) // 2]:>12.6f}")
    print(f"{'one event, slowest':<38}{each[-1]:>12.6f}")
    hosts = f"{arguments.hosts} hosts"
    print(f"{'a filter: judging once, ' + hosts:<38}{judging:>12.6f}")
    print(f"{'a filter: asking ' + hosts:<38}{asking:>12.6f}")
    print(f"\nratio inspection / counting: {took / plain:.2f}")
    slow = took > MOST_SECONDS or each[-1] > MOST_EVENT_SECONDS
    if slow:
        print(f"above {MOST_SECONDS} s, or {MOST_EVENT_SECONDS} s an event: "
              f"inspection is too slow")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
