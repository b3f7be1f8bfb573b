# SPDX-License-Identifier: Apache-2.0
"""The topology in Nova's aggregates, and how it is changed."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from aacloud.core.topology import AddHost
from aacloud.core.topology import Aggregate
from aacloud.core.topology import CreateAggregate
from aacloud.core.topology import Host
from aacloud.core.topology import plan_topology_change
from aacloud.core.topology import RemoveHost
from aacloud.core.topology import SetMetadata
from aacloud.core.topology import Topology
from aacloud.core.topology import topology_from_aggregates
from aacloud.core.topology import TopologyStep
from tests.unit.core.builders import cloud


def apply(
    current: Sequence[Aggregate], steps: Sequence[TopologyStep],
) -> list[Aggregate]:
    """What Nova would hold after the steps; it refuses what Nova would."""
    made = {a.name: a for a in current}
    for step in steps:
        if isinstance(step, CreateAggregate):
            assert step.name not in made
            made[step.name] = Aggregate(
                id=100 + len(made), name=step.name, metadata=step.metadata)
            continue
        known = made[step.aggregate]
        if isinstance(step, SetMetadata):
            made[known.name] = dataclasses.replace(
                known, metadata={**known.metadata, **step.metadata})
        elif isinstance(step, AddHost):
            assert step.host not in known.hosts
            made[known.name] = dataclasses.replace(
                known, hosts=(*known.hosts, step.host))
        else:
            assert isinstance(step, RemoveHost)
            assert step.host in known.hosts
            made[known.name] = dataclasses.replace(
                known, hosts=tuple(h for h in known.hosts if h != step.host))
    return list(made.values())


def build(topology: Topology) -> list[Aggregate]:
    change = plan_topology_change([], topology, topology.hosts)
    assert not change.problems
    return apply([], change.steps)


def test_built_from_nothing_it_reads_back_the_same():
    topology = cloud()
    aggregates = build(topology)
    assert {a.name for a in aggregates} == {
        "aacloud-dc-dc1", "aacloud-dc-dc2", "aacloud-rack-dc1-r1",
        "aacloud-rack-dc1-r2", "aacloud-rack-dc2-r1", "aacloud-rack-dc2-r2",
        "aacloud-disks-shared"}
    found, problems = topology_from_aggregates(aggregates)
    assert problems == ()
    assert found == topology


def test_a_second_run_changes_nothing():
    topology = cloud()
    again = plan_topology_change(build(topology), topology, topology.hosts)
    assert again.steps == ()
    assert again.problems == ()


def moved(topology: Topology, host: str, rack: str, dc: str) -> Topology:
    return Topology(hosts={**topology.hosts, host: Host(
        name=host, rack=rack, dc=dc, instance_disks="local")})


def test_a_host_that_moves_leaves_its_old_aggregates():
    topology = cloud()
    wanted = moved(topology, "dc1-r1-h1", "dc2-r1", "dc2")
    change = plan_topology_change(build(topology), wanted, wanted.hosts)
    assert [str(step) for step in change.steps] == [
        ("create aggregate aacloud-disks-local "
         "(aacloud:instance_disks=local)"),
        "remove host dc1-r1-h1 from aggregate aacloud-dc-dc1",
        "remove host dc1-r1-h1 from aggregate aacloud-disks-shared",
        "remove host dc1-r1-h1 from aggregate aacloud-rack-dc1-r1",
        "add host dc1-r1-h1 to aggregate aacloud-dc-dc2",
        "add host dc1-r1-h1 to aggregate aacloud-disks-local",
        "add host dc1-r1-h1 to aggregate aacloud-rack-dc2-r1",
    ]
    found, problems = topology_from_aggregates(
        apply(build(topology), change.steps))
    assert (found, problems) == (wanted, ())


def test_a_host_that_is_no_longer_wanted_is_taken_out():
    topology = cloud()
    wanted = Topology(hosts={
        n: h for n, h in topology.hosts.items() if n != "dc1-r1-h1"})
    change = plan_topology_change(build(topology), wanted, wanted.hosts)
    assert {type(step) for step in change.steps} == {RemoveHost}
    found, _ = topology_from_aggregates(apply(build(topology), change.steps))
    assert found == wanted


def test_a_host_unknown_to_nova_stops_everything():
    topology = cloud()
    change = plan_topology_change(
        [], topology, set(topology.hosts) - {"dc1-r1-h1", "dc2-r1-h1"})
    assert change.steps == ()
    assert len(change.problems) == 2
    assert "host dc1-r1-h1 is not known to Nova" in change.problems[0]


def test_foreign_aggregates_are_left_alone():
    foreign = Aggregate(
        id=1, name="ssd", metadata={"ssd": "true", "aacloudy": "x"},
        hosts=("dc1-r1-h1", "stranger"), availability_zone="az1")
    topology = cloud()
    change = plan_topology_change([foreign], topology, topology.hosts)
    assert not change.problems
    assert all(
        isinstance(s, CreateAggregate) or s.aggregate != "ssd"
        for s in change.steps)
    assert foreign in apply([foreign], change.steps)


def test_an_operators_own_aggregates_are_used_as_they_are():
    """What says the right thing stays, whatever its name."""
    topology = cloud(dcs=1, racks=1)
    names = tuple(topology.hosts)
    own = Aggregate(
        id=5, name="row-7", hosts=names, metadata={
            "aacloud:dc": "dc1", "aacloud:rack": "dc1-r1",
            "aacloud:instance_disks": "shared", "cooling": "water"})
    assert plan_topology_change([own], topology, names).steps == ()
    half = dataclasses.replace(own, hosts=names[:1])
    change = plan_topology_change([half], topology, names)
    assert change.steps == (AddHost("row-7", 5, names[1]),)


def test_a_run_that_was_interrupted_is_taken_up():
    topology = cloud()
    bare = Aggregate(id=9, name="aacloud-dc-dc1")
    change = plan_topology_change([bare], topology, topology.hosts)
    assert SetMetadata(
        "aacloud-dc-dc1", 9, {"aacloud:dc": "dc1"}) in change.steps
    found, _ = topology_from_aggregates(apply([bare], change.steps))
    assert found == topology


def test_an_aggregate_with_our_name_that_is_not_ours_is_a_problem():
    topology = cloud()
    taken = Aggregate(id=9, name="aacloud-dc-dc1", hosts=("x",))
    change = plan_topology_change([taken], topology, topology.hosts)
    assert change.steps == ()
    assert "aggregate aacloud-dc-dc1 exists" in change.problems[0]


def test_hosts_are_not_moved_between_availability_zones():
    topology = cloud()
    wrong = Aggregate(
        id=9, name="az-east", metadata={"aacloud:dc": "dc2"},
        hosts=("dc1-r1-h1",), availability_zone="east")
    change = plan_topology_change([wrong], topology, topology.hosts)
    assert change.steps == ()
    assert "availability zone east" in change.problems[0]
    # A right one with a zone is not used for other hosts.
    right = dataclasses.replace(wrong, hosts=("dc2-r1-h1",))
    change = plan_topology_change([right], topology, topology.hosts)
    assert not change.problems
    assert all(isinstance(s, CreateAggregate) or s.aggregate != "az-east"
               for s in change.steps)
    found, _ = topology_from_aggregates(apply([right], change.steps))
    assert found == topology


def place(host: str, **metadata: str) -> Aggregate:
    return Aggregate(
        id=len(metadata), name=f"{host}-{metadata}", hosts=(host,),
        metadata={f"aacloud:{key}": v for key, v in metadata.items()})


def test_hosts_without_a_clear_place_are_left_out_and_named():
    aggregates = [
        place("good", dc="d", rack="r"),
        place("no-dc", rack="r"),
        place("no-rack", dc="d"),
        place("two-racks", dc="d", rack="r"),
        place("two-racks", rack="s"),
        place("two-dcs", dc="d", rack="r"),
        place("two-dcs", dc="e"),
        place("odd", dc="d", rack="r", instance_disks="floppy"),
        place("torn", dc="d", rack="r", instance_disks="local"),
        place("torn", instance_disks="shared"),
        place("spaced", dc="d", rack="r one"),
    ]
    topology, problems = topology_from_aggregates(aggregates)
    assert set(topology.hosts) == {"good", "odd", "torn"}
    assert topology.hosts["torn"].instance_disks == "unknown"
    assert topology.hosts["odd"].instance_disks == "unknown"
    for name in ("no-dc", "no-rack", "two-racks", "two-dcs", "odd", "torn",
                 "spaced"):
        assert sum(f"host {name}" in p for p in problems) == 1


def test_a_rack_in_two_data_centres_is_left_out_whole():
    topology, problems = topology_from_aggregates([
        place("a", dc="d", rack="r"), place("b", dc="e", rack="r"),
        place("c", dc="e", rack="s")])
    assert set(topology.hosts) == {"c"}
    assert problems == (
        ("rack r is in several data centres (d, e): its hosts a, b are left "
         "out"),)


topologies = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(st.integers(1, 4), st.sampled_from(
        ["shared", "local", "unknown"])),
    min_size=1,
).map(lambda chosen: Topology(hosts={
    name: Host(name=name, rack=f"r{rack}", dc=f"d{rack % 2}",
               instance_disks=disks)
    for name, (rack, disks) in chosen.items()}))


@settings(max_examples=300)
@given(topologies, topologies)
def test_any_topology_is_reached_from_any_other(old, wanted):
    start = build(old)
    change = plan_topology_change(start, wanted, wanted.hosts)
    assert not change.problems
    end = apply(start, change.steps)
    assert topology_from_aggregates(end) == (
        Topology(hosts=dict(sorted(wanted.hosts.items()))), ())
    again = plan_topology_change(end, wanted, wanted.hosts)
    assert again.steps == ()


aggregates_of_any_kind = st.lists(
    st.builds(
        Aggregate,
        id=st.integers(1, 50) | st.none(),
        name=st.sampled_from(
            ["x", "y", "aacloud-dc-d1", "aacloud-rack-r1"]),
        metadata=st.dictionaries(
            st.sampled_from(["aacloud:dc", "aacloud:rack", "ssd",
                             "aacloud:instance_disks", "aacloud:other"]),
            st.sampled_from(["d0", "d1", "r1", "r2", "shared", "", "a b"])),
        hosts=st.lists(st.sampled_from("abcdez")).map(tuple),
        availability_zone=st.sampled_from([None, None, "az"])),
    unique_by=lambda a: a.name)


@settings(max_examples=300)
@given(aggregates_of_any_kind, topologies)
def test_whatever_nova_holds_it_ends_well_or_with_a_problem(current, wanted):
    topology_from_aggregates(current)
    unique = [dataclasses.replace(a, hosts=tuple(dict.fromkeys(a.hosts)))
              for a in current]
    change = plan_topology_change(unique, wanted, wanted.hosts)
    if change.problems:
        assert change.steps == ()
        return
    end = apply(unique, change.steps)
    assert topology_from_aggregates(end)[0] == Topology(
        hosts=dict(sorted(wanted.hosts.items())))
    touched = {s.aggregate for s in change.steps
               if not isinstance(s, CreateAggregate)}
    for aggregate in unique:
        if not any(k.startswith("aacloud:") for k in aggregate.metadata):
            assert aggregate.name not in touched or not aggregate.hosts
