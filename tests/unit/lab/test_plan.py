# SPDX-License-Identifier: Apache-2.0
"""The plan of the lab: addresses, cables and routes fit together."""

import ipaddress

import pytest

from tests.lab import plan as planning
from tests.lab.plan import Kind
from tests.lab.plan import LabPlan
from tests.lab.plan import PlanError

PLANS = [
    LabPlan(),
    LabPlan(hosts_per_rack=1),
    LabPlan(hosts_per_rack=20),
    LabPlan(loopback=True),
]


@pytest.fixture(params=PLANS, ids=str)
def plan(request: pytest.FixtureRequest) -> LabPlan:
    return request.param


def test_the_usual_lab_has_the_nodes_that_the_readme_names() -> None:
    names = [node.name for node in LabPlan().nodes]
    assert names == [
        "dc1-ctl", "dc1-ha", "dc2-ctl", "dc2-ha", "witness",
        "dc1-r1-h1", "dc1-r1-h2", "dc1-r2-h1", "dc1-r2-h2",
        "dc2-r1-h1", "dc2-r1-h2", "dc2-r2-h1", "dc2-r2-h2",
        "oob",
    ]  # fmt: skip


def test_addresses_are_those_of_the_plan() -> None:
    plan = LabPlan()
    assert plan.node("dc1-ctl").mgmt == "10.21.1.2"
    assert plan.node("dc2-ha").mgmt == "10.22.1.3"
    assert plan.node("witness").mgmt == "10.23.1.2"
    assert plan.host("dc2-r2-h1").addresses == {
        "mgmt": "10.22.1.13",
        "tenant": "10.22.2.13",
        "storage": "10.22.3.13",
    }
    assert plan.bmc_address("dc1-r1-h1") == "10.20.0.101"
    assert plan.bmc_address("dc2-r2-h2") == "10.20.0.108"


def test_no_address_is_given_twice(plan: LabPlan) -> None:
    given = [
        address for node in plan.nodes for address in node.addresses.values()
    ]
    given += [plan.bmc_address(host.name) for host in plan.hosts]
    given += [
        plan.gateway(dc, net)
        for dc in planning.DCS
        for net in planning.NETWORKS
    ]
    assert len(given) == len(set(given))
    assert all(ipaddress.ip_address(address) for address in given)


def test_loopback_uses_loopback_addresses_only() -> None:
    plan = LabPlan(loopback=True)
    for node in plan.nodes:
        for address in node.addresses.values():
            assert ipaddress.ip_address(address).is_loopback
    for host in plan.hosts:
        assert ipaddress.ip_address(plan.bmc_address(host.name)).is_loopback


def test_interface_names_fit_into_the_kernel(plan: LabPlan) -> None:
    for link in plan.links:
        for port in (link.near, link.far):
            assert len(port.interface) <= 15, port
            assert len(port.bridge or "") <= 15, port


def test_no_interface_is_made_twice(plan: LabPlan) -> None:
    ends = [
        (port.namespace, port.interface)
        for link in plan.links
        for port in (link.near, link.far)
    ]
    assert len(ends) == len(set(ends))
    names = [link.name for link in plan.links]
    assert len(names) == len(set(names))


def test_every_end_of_a_cable_is_in_a_namespace_of_the_lab(
    plan: LabPlan,
) -> None:
    for link in plan.links:
        assert link.near.namespace in plan.namespaces
        assert link.far.namespace in plan.namespaces


def test_every_host_hangs_on_its_own_rack() -> None:
    plan = LabPlan()
    for host in plan.hosts:
        for link in plan.node_links(host.name):
            rack = host.name.split("-")[1]
            net = link.name.partition(":")[2]
            assert link.far.bridge == f"br-{rack}-{net}"
            assert link.far.namespace == plan.fabric(host.dc)


def test_the_witness_has_a_cable_to_each_dc() -> None:
    plan = LabPlan()
    assert [link.name for link in plan.node_links("witness")] == [
        "witness:dc1",
        "witness:dc2",
    ]
    assert {link.far.namespace for link in plan.node_links("witness")} == {
        "aalab-dc1-fabric",
        "aalab-dc2-fabric",
    }


def test_routes_lead_to_the_other_dc_by_the_same_network() -> None:
    routes = LabPlan().routes["aalab-dc1-r1-h1"]
    assert routes == (
        "10.22.1.0/24 via 10.21.1.1 dev mgmt",
        "10.23.1.2/32 via 10.21.1.1 dev mgmt",
        "10.22.2.0/24 via 10.21.2.1 dev tenant",
        "10.22.3.0/24 via 10.21.3.1 dev storage",
    )


def test_the_witness_does_not_stand_in_for_the_inter_dc_link() -> None:
    plan = LabPlan()
    for dc, other in (("dc1", "10.22"), ("dc2", "10.21")):
        lines = plan.routes[plan.fabric(dc)]
        across = [line for line in lines if line.startswith(other)]
        assert len(across) == 1
        assert " via 10.20.255." in across[0]


def test_no_route_leads_out_of_the_lab(plan: LabPlan) -> None:
    for lines in plan.routes.values():
        for line in lines:
            assert not line.startswith("default")


@pytest.mark.parametrize("count", [0, -1, 21])
def test_a_size_that_cannot_be_planned_is_refused(count: int) -> None:
    with pytest.raises(PlanError, match=f"1 to 20, not {count}"):
        LabPlan(hosts_per_rack=count)


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    plan = LabPlan()
    with pytest.raises(PlanError, match=r"no host named 'dc9'.*dc1-r1-h1"):
        plan.host("dc9")
    with pytest.raises(PlanError, match=r"no host named 'dc1-ctl'"):
        plan.host("dc1-ctl")
    with pytest.raises(PlanError, match=r"no node named 'x'.*witness"):
        plan.node("x")
    with pytest.raises(PlanError, match="no link named 'x:y'"):
        plan.link("x:y")


def test_every_host_is_in_one_rack_of_its_dc(plan: LabPlan) -> None:
    for host in plan.hosts:
        assert host.kind is Kind.HOST
        assert host.name.startswith(f"{host.rack}-")
        assert str(host.rack).startswith(f"{host.dc}-")
    racks = {host.rack for host in plan.hosts}
    assert len(racks) == len(planning.DCS) * len(planning.RACKS)


def test_labs_in_other_directories_have_other_namespaces() -> None:
    usual = planning.prefix_of("/var/lib/lab", "/var/lib/lab")
    other = planning.prefix_of("/srv/lab", "/var/lib/lab")
    assert usual == planning.DEFAULT_PREFIX
    spaces = set(LabPlan(prefix=usual).namespaces)
    others = set(LabPlan(prefix=other).namespaces)
    assert not spaces & others
    assert not any(space.startswith(usual) for space in others)
    assert len(others) == len(spaces)
