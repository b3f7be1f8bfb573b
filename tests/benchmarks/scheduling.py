# SPDX-License-Identifier: Apache-2.0
"""What the filter and the weigher cost, beside Nova's own filter.

Both judge the same HostStates for the same server: Nova's
``ServerGroupAntiAffinityFilter`` one level, ours three levels and a
preference, weights included. Neither asks a database here. Machines differ
and are noisy: both run in turns, their time on the processor is taken, the
best of each counts, and the ratio is what is compared.

    python3 -m tests.benchmarks.scheduling
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import gc
import json
import logging
import sys
import time
import tracemalloc
from typing import Any
import uuid

from nova import objects
from nova.scheduler import host_manager
from nova.scheduler.filters import affinity_filter
from nova.scheduler.weights import WeighedHost

from aacloud.core import rules
from aacloud.core.topology import Host
from aacloud.core.topology import Topology
from aacloud.rpc import snapshot as rpc_snapshot
from aacloud.scheduler.nova import filter as group_filter
from aacloud.scheduler.nova import index as group_index
from aacloud.scheduler.nova import occupancy
from aacloud.scheduler.nova import weigher as group_weigher
from tests.unit.scheduler import stage

SERVERS_A_HOST = 40
MEMBERS = 20
HOSTS_A_RACK = 20

#: Three levels must not take longer than Nova takes for one.
MOST_RATIO = 1.0
#: A request of a server that is in no group, seconds.
MOST_UNGROUPED = 20e-6

GROUP = ("spread:host", "spread:rack:max=2", "spread:dc:max_skew=1",
         "spread:rack:prefer")


@dataclasses.dataclass(frozen=True)
class World:
    """A cloud as a request meets it."""

    hosts: list[Any]
    topology: Topology
    members: list[str]
    where: dict[str, str]


def world(count: int) -> World:
    """Hosts in racks of two data centres, with aggregates and servers."""
    racks, dcs, states, hosts = {}, {}, [], {}
    for number in range(count):
        rack = f"r{number // HOSTS_A_RACK:04d}"
        dc = f"dc{1 + (number // HOSTS_A_RACK) % 2}"
        name = f"h{number:05d}"
        hosts[name] = Host(name, rack, dc)
        for kept, key, value in (
            (racks, "aacloud:rack", rack), (dcs, "aacloud:dc", dc),
        ):
            if value not in kept:
                kept[value] = objects.Aggregate(
                    id=len(racks) + 10_000 * len(dcs), name=value, hosts=[],
                    metadata={key: value})
        state = host_manager.HostState(name, name, "cell")
        state.aggregates = [racks[rack], dcs[dc]]
        state.instances = {
            str(uuid.uuid4()): None for _ in range(SERVERS_A_HOST)}
        state.num_instances = SERVERS_A_HOST
        state.stats = {"num_instances": str(SERVERS_A_HOST)}
        states.append(state)
    members = [str(uuid.uuid4()) for _ in range(MEMBERS)]
    where = {}
    for number, member in enumerate(members[1:]):
        state = states[(number * 7919) % count]
        state.instances[member] = None
        where[member] = state.host
    return World(states, Topology(hosts=hosts), members, where)


def spec(server: str, native: Any = None) -> Any:
    """A request for one server."""
    return objects.RequestSpec(
        instance_uuid=server, num_instances=1, project_id="p1",
        scheduler_hints={}, instance_group=native)


def best(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest round."""
    found = []
    for _ in range(rounds):
        began = time.thread_time()
        work()
        found.append(time.thread_time() - began)
    return min(found)


def grouped(count: int, rounds: int) -> tuple[float, float, float, float]:
    """Seconds: Nova's one level, our filter, our weigher, ungrouped."""
    cloud = world(count)
    native = objects.InstanceGroup(
        uuid=str(uuid.uuid4()), policy="anti-affinity", rules={},
        members=cloud.members, hosts=sorted(set(cloud.where.values())))
    engine = stage.Engine(
        stage.group("g", *GROUP, members=cloud.members), cloud=cloud.topology)
    cells = stage.Cells()
    cells.seen = {
        server: occupancy.Sighting(host)
        for server, host in cloud.where.items()}
    group_filter.use(stage.decider(engine, cells))
    theirs = affinity_filter.ServerGroupAntiAffinityFilter()
    ours, weigher = group_filter.HAGroupFilter(), (
        group_weigher.HAGroupWeigher())
    server = cloud.members[0]
    nova, passed, weighed = [], [], []
    gc.disable()
    for _ in range(rounds):
        request = spec(server, native)
        nova.append(best(
            lambda request=request: list(
                theirs.filter_all(cloud.hosts, request)), 1))
        request = spec(server)
        began = time.thread_time()
        left = list(ours.filter_all(cloud.hosts, request))
        passed.append(time.thread_time() - began)
        assert 0 < len(left) < count
        wrapped = [WeighedHost(one, 0.0) for one in left]
        began = time.thread_time()
        weights = weigher.weigh_objects(wrapped, request)
        weighed.append(time.thread_time() - began)
        assert len(weights) == len(left) and min(weights) < 0
        # The next request shall not wait for this one, nor be in its way.
        left[0].num_instances += 1
        request = None
        gc.collect()
        left[0].num_instances -= 1
    stranger = spec(str(uuid.uuid4()))
    wrapped = [WeighedHost(one, 0.0) for one in cloud.hosts]
    times = 200

    def others() -> None:
        for _ in range(times):
            ours.filter_all(cloud.hosts, stranger)
            weigher.weigh_objects(wrapped, stranger)

    ungrouped = best(others, rounds) / times
    gc.enable()
    return min(nova), min(passed), min(weighed), ungrouped


def memory(groups: int, members: int, hosts: int) -> tuple[float, float]:
    """MB of an index of so many groups, and of its snapshot as text."""
    many = [
        rules.Group(
            id=str(uuid.uuid4()), name=f"group-{number}",
            project_id=f"project-{number % 500:032d}",
            mode=rules.GroupMode.ENFORCE,
            rules=tuple(map(rules.parse_rule, GROUP)),
            members=frozenset(
                str(uuid.uuid4()) for _ in range(members)),
            revision=number)
        for number in range(groups)]
    cloud = world(hosts).topology
    text = json.dumps(rpc_snapshot.snapshot_body(rpc_snapshot.Snapshot(
        revision=groups, generated_at=stage.NOW, groups=tuple(many),
        topology=cloud, dead_dcs=frozenset(), closed_hosts=frozenset())))
    del many, cloud
    gc.collect()
    tracemalloc.start()
    made = group_index.compile_index(
        rpc_snapshot.Reader().read(json.loads(text)))
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(made.groups) == groups
    return held / 1e6, len(text) / 1e6


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and say whether it is fast enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--hosts", type=int, nargs="+", default=[1000, 5000, 10_000])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--groups", type=int, default=10_000)
    arguments = parser.parse_args(argv)
    logging.disable(logging.DEBUG)
    objects.register_all()
    slow = False
    print(f"{SERVERS_A_HOST} servers a host, {MEMBERS} members, "
          f"best of {arguments.rounds}\n")
    print(f"{'hosts':>7}{'Nova, 1 level':>16}{'filter, 3':>12}"
          f"{'weigher':>10}{'ratio':>8}{'ungrouped':>12}")
    for count in arguments.hosts:
        nova, passed, weighed, ungrouped = grouped(count, arguments.rounds)
        ratio = (passed + weighed) / nova
        slow = slow or ratio > MOST_RATIO or ungrouped > MOST_UNGROUPED
        print(f"{count:>7}{nova * 1e3:>13.2f} ms{passed * 1e3:>9.2f} ms"
              f"{weighed * 1e3:>7.2f} ms{ratio:>8.2f}"
              f"{ungrouped * 1e6:>9.1f} us", flush=True)
    held, text = memory(arguments.groups, 10, max(arguments.hosts))
    print(f"\nsnapshot of {arguments.groups} groups of 10 servers and "
          f"{max(arguments.hosts)} hosts: {held:.1f} MB in each worker, "
          f"{text:.1f} MB as it travels")
    if slow:
        print(f"too slow: at most {MOST_RATIO} x Nova's filter and "
              f"{MOST_UNGROUPED * 1e6:.0f} us for a server of no group")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
