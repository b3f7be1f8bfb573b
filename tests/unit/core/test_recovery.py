# SPDX-License-Identifier: Apache-2.0
"""Plans of evacuation, case by case."""

from __future__ import annotations

from collections import Counter
import dataclasses
import itertools
import time

import pytest

from aacloud.core.recovery import DestinationView
from aacloud.core.recovery import GroupView
from aacloud.core.recovery import plan_evacuation
from aacloud.core.recovery import RecoveryPolicy
from aacloud.core.recovery import storage_verdict
from aacloud.core.topology import Host
from tests.unit.core.builders import cloud
from tests.unit.core.builders import destinations
from tests.unit.core.builders import flavor
from tests.unit.core.builders import server

H = "dc1-r1-h1"


def many(count, **changes):
    return [server(f"s{n:05}", **changes) for n in range(count)]


def plan(servers, where=None, topology=None, policy=None, repeats=None):
    topology = topology or cloud()
    return plan_evacuation(
        H, servers, destinations(topology) if where is None else where,
        topology, policy or RecoveryPolicy(), repeats)


def held(servers, **more):
    result = plan(servers, **more)
    assert result.moves == ()
    return {h.reason_code: h.reason for h in result.held}


def place(topology, host, **changes):
    view = next(d for d in destinations(topology) if d.host == host)
    return dataclasses.replace(view, **changes)


@pytest.mark.parametrize(("changes", "disks", "code"), [
    ({}, "shared", None),
    ({}, "local", "local-disk"),
    ({}, "unknown", "disk-unknown"),
    ({"image_ref": None, "volumes": ("v",)}, "local", None),
    ({"image_ref": None, "volumes": ("v",)}, "unknown", None),
    ({"image_ref": None}, "shared", "disk-unknown"),
    ({"image_ref": None, "volumes": ("v",),
      "flavor": flavor(ephemeral_gb=1)}, "local", "local-disk"),
    ({"image_ref": None, "volumes": ("v",),
      "flavor": flavor(swap_mb=512)}, "unknown", "disk-unknown"),
    ({"image_ref": None, "volumes": ("v",),
      "flavor": flavor(ephemeral_gb=1)}, "shared", None),
    ({"flavor": flavor(specs={"aacloud:instance_disks": "local"})},
     "shared", "local-disk"),
    ({"flavor": flavor(specs={"aacloud:instance_disks": " Shared "})},
     "local", None),
    ({"flavor": flavor(specs={"aacloud:instance_disks": "maybe"})},
     "shared", "disk-unknown"),
    # A volume beside a local root disk does not save the root disk.
    ({"volumes": ("v",)}, "local", "local-disk"),
])
def test_storage(changes, disks, code):
    verdict = storage_verdict(
        server(**changes),
        Host(name=H, rack="r", dc="d", instance_disks=disks))
    assert verdict.safe is (code is None)
    assert verdict.reason_code == code
    assert verdict.reasons


def test_a_host_outside_the_topology_has_unknown_disks():
    assert storage_verdict(server(), None).reason_code == "disk-unknown"
    assert storage_verdict(
        server(image_ref=None, volumes=("v",)), None).safe


@pytest.mark.parametrize(("changes", "code"), [
    ({"metadata": {"aacloud:ha": "off"}}, "ha-off"),
    ({"metadata": {"aacloud:ha": " HOLD "}}, "ha-hold"),
    ({"metadata": {"aacloud:ha": "delegate"}}, "delegated"),
    ({"vm_state": "paused"}, "vm-state"),
    ({"vm_state": "shelved_offloaded"}, "vm-state"),
    ({"vm_state": "building"}, "vm-state"),
    ({"vm_state": "deleted"}, "deleting"),
    ({"task_state": "deleting"}, "deleting"),
    ({"task_state": "migrating"}, "in-transit"),
    ({"task_state": "resize_finish"}, "in-transit"),
    ({"flavor": flavor(specs={"hw:tpm_version": "2.0"})}, "vtpm"),
    ({"flavor": flavor(vcpus=65)}, "no-capacity"),
    ({"flavor": flavor(ram_mb=65537)}, "no-capacity"),
    ({"flavor": flavor(root_gb=1001)}, "no-capacity"),
    ({"availability_zone": "elsewhere"}, "zone"),
])
def test_held_with_a_reason_and_a_way_out(changes, code):
    where = [dataclasses.replace(d, availability_zone="nova")
             for d in destinations(cloud())]
    reasons = held([server(**changes)], where=where)
    assert list(reasons) == [code]
    assert len(reasons[code]) > 20 or code == "ha-off"


@pytest.mark.parametrize("vm_state", ["active", "stopped", "error"])
@pytest.mark.parametrize("task_state", [None, "powering-off", "rebuilding"])
def test_what_nova_evacuates_is_moved(vm_state, task_state):
    result = plan([server(vm_state=vm_state, task_state=task_state)])
    assert len(result.moves) == 1


def test_a_server_that_may_kill_its_hosts_is_held():
    assert plan([server()], repeats={"s1": 1}).moves
    reasons = held([server()], repeats={"s1": 2})
    assert "2 times within 24 hours" in reasons["repeated"]


def test_no_destination_at_all():
    topology = cloud()
    for where in (
            (),
            [place(topology, H)],
            [place(topology, "dc1-r1-h2", up=False)],
            [place(topology, "dc1-r1-h2", enabled=False)],
            [DestinationView(host="stranger", rack="", dc="", vcpus_free=9,
                             ram_mb_free=9999, disk_gb_free=99)]):
        assert list(held([server()], where=where)) == ["no-destination"]


def test_only_servers_of_the_host_and_each_once():
    result = plan([server("a"), server("a"), server("b", host="dc1-r1-h2")])
    assert [m.server.uuid for m in result.moves] == ["a"]
    assert result.held == ()


def test_own_data_centre_first_then_the_other():
    topology = cloud()
    where = destinations(topology, vcpus=2)
    result = plan(many(8), where=where)
    dcs = Counter(
        topology.hosts[m.destination].dc for m in result.moves)
    assert dcs == {"dc1": 6, "dc2": 2}
    far = [m for m in result.moves if m.destination.startswith("dc2")]
    assert far[0].reasons == ("dc1 cannot hold it, goes to dc2",)
    near = plan(many(8), where=where, policy=RecoveryPolicy(other_dc=False))
    assert len(near.moves) == 6
    assert {h.reason_code for h in near.held} == {"no-capacity"}


def test_even_spread_over_the_destinations():
    result = plan(many(48))
    assert Counter(m.destination for m in result.moves) == {
        "dc1-r1-h2": 16, "dc1-r2-h1": 16, "dc1-r2-h2": 16}


def test_fuller_hosts_take_the_odd_ones_last():
    topology = cloud()
    where = [dataclasses.replace(d, running=int(d.host[-1]))
             for d in destinations(topology)]
    result = plan(many(4), where=where)
    assert Counter(m.destination for m in result.moves)["dc1-r2-h1"] == 2


def test_largest_first_so_that_all_fit():
    topology = cloud(racks=1, hosts=3)
    where = destinations(topology, vcpus=4, without=(
        "dc2-r1-h1", "dc2-r1-h2", "dc2-r1-h3"))
    servers = [*many(4), server("big", flavor=flavor(vcpus=4, ram_mb=512))]
    result = plan(servers, where=where, topology=topology)
    assert result.held == ()
    alone = next(m for m in result.moves if m.server.uuid == "big")
    assert sum(m.destination == alone.destination for m in result.moves) == 1


def test_waves_follow_priority_and_get_the_capacity_first():
    topology = cloud(dcs=1, racks=1)
    priorities = [None, "0", "3", "1", "2", "9", "x", " 1 "]
    servers = [
        server(f"s{n}", metadata={} if p is None
               else {"aacloud:ha_priority": p})
        for n, p in enumerate(priorities)]
    result = plan(servers, topology=topology,
                  where=destinations(topology, vcpus=7))
    assert [m.wave for m in result.moves] == [0, 1, 1, 2, 2, 2, 2]
    # The least important one does not fit any more.
    assert [h.server.uuid for h in result.held] == ["s2"]
    noted = next(m for m in result.moves if m.server.uuid == "s6")
    assert "taken as 2" in noted.reasons[-1]


def test_destinations_take_turns():
    result = plan(many(30))
    names = [m.destination for m in result.moves]
    assert all(a != b for a, b in itertools.pairwise(names))


def test_turns_go_on_from_one_wave_to_the_next():
    servers = [server(f"s{n}", metadata={"aacloud:ha_priority": str(n % 4)})
               for n in range(40)]
    names = [m.destination for m in plan(servers).moves]
    assert all(a != b for a, b in itertools.pairwise(names))


def test_spares_are_others_and_near_ones_first():
    topology = cloud()
    for move in plan(many(12)).moves:
        assert len(move.spares) == 2
        assert len({move.destination, *move.spares}) == 3
        assert all(topology.hosts[s].dc == "dc1" for s in move.spares)
    few = plan(many(2), policy=RecoveryPolicy(spares=4)).moves[0]
    assert len(few.spares) == 4
    assert [topology.hosts[s].dc for s in few.spares] == [
        "dc1", "dc1", "dc2", "dc2"]
    assert plan(many(2), policy=RecoveryPolicy(spares=0)).moves[0].spares == ()


def grouped(count, policy="anti-affinity", elsewhere=None, per_host=1):
    names = [f"g{n}" for n in range(count)]
    group = GroupView(
        id="web", policy=policy, max_per_host=per_host,
        members=(*names, *(elsewhere or {})),
        hosts={**dict.fromkeys(names, H), **(elsewhere or {})})
    return [server(name, server_group=group) for name in names]


def test_members_of_an_anti_affinity_group_part():
    result = plan(grouped(5))
    used = [m.destination for m in result.moves]
    assert len(set(used)) == 5
    assert result.held == ()


def test_hosts_with_members_are_avoided():
    taken = {"m1": "dc1-r1-h2", "m2": "dc1-r2-h1"}
    result = plan(grouped(1, elsewhere=taken))
    assert result.moves[0].destination == "dc1-r2-h2"
    assert not set(result.moves[0].spares) & set(taken.values())


def test_spares_do_not_clash_with_other_members():
    result = plan(grouped(4))
    used = {m.destination for m in result.moves}
    for move in result.moves:
        assert not used & set(move.spares)


def test_no_host_left_for_a_group():
    result = plan(grouped(9))
    assert len(result.moves) == 7
    assert [h.reason_code for h in result.held] == ["anti-affinity"] * 2
    assert "group web" in result.held[0].reason


def test_a_group_that_allows_two_on_a_host():
    result = plan(grouped(6, per_host=2), policy=RecoveryPolicy(
        other_dc=False))
    assert Counter(m.destination for m in result.moves) == {
        "dc1-r1-h2": 2, "dc1-r2-h1": 2, "dc1-r2-h2": 2}


@pytest.mark.parametrize("policy", ["soft-affinity", "soft-anti-affinity"])
def test_soft_groups_are_no_reason_to_hold(policy):
    assert len(plan(grouped(12, policy)).moves) == 12


def test_affinity_without_members_elsewhere_is_held():
    """Nova would find no valid host and set the server to ERROR."""
    assert "hard affinity" in held(grouped(2, "affinity"))["affinity"]


def test_affinity_goes_where_the_others_are():
    result = plan(grouped(2, "affinity", {"m1": "dc2-r1-h1"}))
    assert {m.destination for m in result.moves} == {"dc2-r1-h1"}
    topology = cloud()
    full = [place(topology, "dc2-r1-h1", vcpus_free=1),
            place(topology, "dc1-r1-h2")]
    result = plan(grouped(2, "affinity", {"m1": "dc2-r1-h1"}), where=full)
    assert len(result.moves) == 1
    assert result.held[0].reason_code == "affinity"


def test_pinned_servers_stay_in_their_zone():
    topology = cloud()
    where = [
        dataclasses.replace(d, availability_zone="east" if d.dc == "dc1"
                            else "west")
        for d in destinations(topology)]
    servers = [
        server("e", availability_zone="east"),
        server("w", availability_zone="west"), server("any")]
    result = plan(servers, where=where)
    at = {m.server.uuid: m for m in result.moves}
    assert topology.hosts[at["e"].destination].dc == "dc1"
    assert topology.hosts[at["w"].destination].dc == "dc2"
    assert all(s.startswith("dc2") for s in at["w"].spares)


def test_a_host_outside_the_topology_spreads_over_all():
    topology = cloud()
    lost = dataclasses.replace(server(), host="lost", image_ref=None,
                               volumes=("v",))
    result = plan_evacuation(
        "lost", [lost], destinations(topology), topology)
    assert len(result.moves) == 1


def test_no_servers_no_plan():
    result = plan([])
    assert (result.moves, result.held) == ((), ())


def seconds_for(servers, where, topology):
    started = time.process_time()
    result = plan_evacuation(H, servers, where, topology)
    assert len(result.moves) == len(servers)
    return time.process_time() - started, result


def test_ten_thousand_servers_on_five_hundred_hosts():
    topology = cloud(racks=10, hosts=25)
    servers = [
        server(f"s{n:05}", flavor=flavor(
            vcpus=1 + n % 4, ram_mb=64 * (1 + n % 10), root_gb=n % 3),
            metadata={"aacloud:ha_priority": str(n % 4)})
        for n in range(10_000)]
    taken, result = seconds_for(
        servers, destinations(topology, vcpus=128), topology)
    assert taken < 10.0
    near = Counter(m.destination for m in result.moves
                   if m.destination.startswith("dc1"))
    assert max(near.values()) - min(near.values()) <= 8


def test_no_two_servers_alike_is_still_not_quadratic():
    topology = cloud(racks=10, hosts=25)
    where = destinations(topology, vcpus=10_000, ram_mb=10_000_000)

    def unlike(count):
        return [server(f"s{n:05}", flavor=flavor(ram_mb=64 + n))
                for n in range(count)]

    few, _ = seconds_for(unlike(500), where, topology)
    many_more, _ = seconds_for(unlike(2000), where, topology)
    assert many_more < 10 * few


def test_ten_thousand_servers_of_one_flavor():
    topology = cloud(racks=10, hosts=25)
    started = time.process_time()
    result = plan_evacuation(
        H, many(10_000), destinations(topology, vcpus=200), topology)
    assert time.process_time() - started < 5.0
    counts = Counter(m.destination for m in result.moves)
    assert max(counts.values()) - min(counts.values()) <= 1
