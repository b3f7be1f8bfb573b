# SPDX-License-Identifier: Apache-2.0
"""The model of the topology and the operator's file."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.core.topology import CLOUD_NAME
from aacloud.core.topology import Level
from aacloud.core.topology import parse_topology
from aacloud.core.topology import Topology
from aacloud.core.topology import TopologyError
from aacloud.core.topology import Vantage
from tests.unit.core.builders import cloud


def rack(*hosts: object, **more: object) -> dict[str, object]:
    return {"hosts": list(hosts), **more}


GOOD = {"dcs": {
    "dc1": {"instance_disks": "shared", "racks": {
        "dc1-r1": rack("a", "b"),
        "dc1-r2": {"hosts": {
            "c": {"instance_disks": "local"}, "d": None, "e": {}}},
    }},
    "dc2": {"racks": {"dc2-r1": rack("f", instance_disks="local")}},
}}


def test_a_good_file_gives_every_host_its_place():
    topology = parse_topology(GOOD)
    assert {n: (h.dc, h.rack, h.instance_disks)
            for n, h in topology.hosts.items()} == {
        "a": ("dc1", "dc1-r1", "shared"),
        "b": ("dc1", "dc1-r1", "shared"),
        "c": ("dc1", "dc1-r2", "local"),
        "d": ("dc1", "dc1-r2", "shared"),
        "e": ("dc1", "dc1-r2", "shared"),
        "f": ("dc2", "dc2-r1", "local"),
    }


def test_disks_nobody_speaks_of_are_unknown():
    topology = parse_topology({"dcs": {"x": {"racks": {"y": rack("z")}}}})
    assert topology.hosts["z"].instance_disks == "unknown"


def one(hosts: object) -> object:
    return {"dcs": {"dc1": {"racks": {"r1": {"hosts": hosts}}}}}


@pytest.mark.parametrize(("document", "words"), [
    (None, "is empty"),
    ([], "expected a mapping"),
    ("dcs", "expected a mapping"),
    ({}, "'dcs' is missing"),
    ({"dcs": None}, "got nothing"),
    ({"dcs": {}}, "no data centre is named"),
    ({"dcs": ["dc1"]}, "expected a mapping of names"),
    ({"dcs": {"dc1": None}}, "dc dc1: expected a mapping, got nothing"),
    ({"dcs": {"dc1": {}}}, "dc dc1: 'racks' is missing"),
    ({"dcs": {"dc1": {"racks": {}}}}, "no rack is named"),
    ({"dcs": {"dc1": {"racks": {"r": {}}}}},
     "dc dc1, rack r: 'hosts' is missing"),
    ({"dcs": {"dc1": {"racks": {"r": None}}}},
     "dc dc1, rack r: expected a mapping"),
    ({"dcs": {1: {"racks": {"r": rack("h")}}}}, "put it in quotes"),
    ({"dcs": {True: {"racks": {"r": rack("h")}}}}, "put it in quotes"),
    ({"dcs": {"": {"racks": {"r": rack("h")}}}}, "not usable"),
    ({"dcs": {"a b": {"racks": {"r": rack("h")}}}}, "not usable"),
    ({"dcs": GOOD["dcs"], "hots": 1}, "unknown key 'hots'"),
    (one([]), "no host is named"),
    (one({}), "no host is named"),
    (one("h1"), "expected a list or mapping of names"),
    (one(None), "got nothing"),
    (one([None]), "put it in quotes"),
    (one([["h"]]), "put it in quotes"),
    (one([""]), "not usable"),
    (one(["a", "a"]), "host a is twice in this rack"),
    (one({"a": 3}), "host a: expected a mapping"),
    (one({"a": {"disks": "local"}}), "unknown key 'disks'"),
    (one({"a": {"instance_disks": "cloudy"}}), "instance_disks is 'cloudy'"),
    (one({"a": {"instance_disks": ["local"]}}), "instance_disks is"),
    ({"dcs": {"dc1": {"racks": {"r1": rack("a"), "r2": rack("a")}}}},
     "host a is already in rack r1 of dc dc1"),
    ({"dcs": {"dc1": {"racks": {"r1": rack("a")}},
              "dc2": {"racks": {"r1": rack("b")}}}},
     "rack r1 is already in dc dc1"),
])
def test_a_bad_file_is_refused_with_the_place(document, words):
    with pytest.raises(TopologyError) as caught:
        parse_topology(document)
    assert words in str(caught.value)
    assert all(isinstance(p, str) and p for p in caught.value.problems)


def test_every_problem_is_named_at_once():
    with pytest.raises(TopologyError) as caught:
        parse_topology({
            "x": 1,
            "dcs": {
                "dc1": {"racks": {"r1": rack("a", "a", ""), "r2": rack()}},
                "dc2": {"racks": {"r3": rack("a"), "r1": rack("b")}},
            }})
    assert len(caught.value.problems) == 6


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats()
    | st.text(max_size=6) | st.binary(max_size=3) | st.dates()
    | st.sampled_from(["shared", "local", "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(
            st.text(max_size=6) | st.integers() | st.none()
            | st.sampled_from(
                ["dcs", "racks", "hosts", "instance_disks", "a", "b"]),
            inner, max_size=4)),
    max_leaves=20)


def shaped(inner):
    """Documents that are nearly right, to get past the first checks."""
    names = st.sampled_from(["a", "b", "c", "", "x y"]) | st.integers(0, 2)
    hosts = inner | st.lists(names, max_size=4) | st.dictionaries(
        names, inner, max_size=3)
    racks = st.dictionaries(
        names, inner | st.fixed_dictionaries(
            {"hosts": hosts}, optional={"instance_disks": inner}),
        max_size=3)
    return st.fixed_dictionaries({"dcs": inner | st.dictionaries(
        names, inner | st.fixed_dictionaries(
            {"racks": inner | racks}, optional={"instance_disks": inner}),
        max_size=3)})


@settings(max_examples=500)
@given(json_like | shaped(json_like))
def test_any_document_parses_or_names_its_problems(document):
    try:
        topology = parse_topology(document)
    except TopologyError as error:
        assert error.problems
        assert all(isinstance(p, str) and p for p in error.problems)
    else:
        assert topology.hosts
        check(topology)


def check(topology: Topology) -> None:
    """Each host is in one rack, each rack in one data centre."""
    where: dict[str, str] = {}
    for name, host in topology.hosts.items():
        assert name == host.name
        assert where.setdefault(host.rack, host.dc) == host.dc


def test_domains():
    topology = cloud()
    assert topology.dcs() == ("dc1", "dc2")
    assert topology.racks() == ("dc1-r1", "dc1-r2", "dc2-r1", "dc2-r2")
    assert topology.racks("dc2") == ("dc2-r1", "dc2-r2")
    assert topology.hosts_of(Level.RACK, "dc1-r2") == (
        "dc1-r2-h1", "dc1-r2-h2")
    assert len(topology.hosts_of(Level.DC, "dc1")) == 4
    assert len(topology.hosts_of(Level.CLOUD, CLOUD_NAME)) == 8
    assert topology.hosts_of(Level.CLOUD, "other") == ()
    assert topology.hosts_of(Level.HOST, "dc1-r1-h1") == ("dc1-r1-h1",)
    assert topology.hosts_of(Level.RACK, "none") == ()
    assert topology.domain_of("dc2-r1-h2", Level.RACK) == "dc2-r1"
    assert topology.domain_of("dc2-r1-h2", Level.DC) == "dc2"
    assert topology.domain_of("dc2-r1-h2", Level.HOST) == "dc2-r1-h2"
    assert topology.domain_of("dc2-r1-h2", Level.CLOUD) == CLOUD_NAME
    with pytest.raises(KeyError):
        topology.domain_of("nobody", Level.DC)


@pytest.mark.parametrize(("observer", "vantage"), [
    ("dc1-r1-h2", Vantage.OWN_RACK),
    ("dc1-r2-h1", Vantage.OTHER_RACK),
    ("dc2-r1-h1", Vantage.OTHER_DC),
])
def test_vantage(observer, vantage):
    topology = cloud()
    assert topology.vantage(observer, "dc1-r1-h1") is vantage
    assert topology.vantage("dc1-r1-h1", observer) is vantage


def test_description_names_every_domain_once():
    lines = [line.split("(")[0].strip()
             for line in cloud().describe().splitlines()]
    assert lines == [
        "dc1", "dc1-r1", "dc1-r1-h1", "dc1-r1-h2",
        "dc1-r2", "dc1-r2-h1", "dc1-r2-h2",
        "dc2", "dc2-r1", "dc2-r1-h1", "dc2-r1-h2",
        "dc2-r2", "dc2-r2-h1", "dc2-r2-h2"]
