# SPDX-License-Identifier: Apache-2.0
"""Contradictions, against everything that could be placed."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.core import rules
from aacloud.core.rules.feasibility import Question
from aacloud.core.topology import Topology
from tests.unit.core.rules.worlds import rules_of
from tests.unit.core.rules.worlds import shaped
from tests.unit.core.rules.worlds import some_rules
from tests.unit.core.rules.worlds import topologies

CLOUD = shaped((2, 2), (2, 2))


def kept(some, places, domains):
    """Whether members on these hosts keep all rules."""
    occupancy = {str(n): (host,) for n, host in enumerate(places)}
    return all(
        rules.excess(
            rule, rules.count(rule, occupancy, occupancy, domains),
            domains) == 0
        for rule in some)


def placeable(some, domains, members):
    return any(
        kept(some, places, domains)
        for places in itertools.combinations_with_replacement(
            sorted(domains.topology.hosts), members))


@st.composite
def questions(draw):
    topology = draw(topologies)
    some = draw(st.lists(
        some_rules(topology, required=True), min_size=1, max_size=4))
    return topology, tuple(some), draw(st.integers(0, 5))


@settings(max_examples=200, deadline=None)
@given(questions())
def test_contradictions_are_those_of_brute_force(question):
    topology, some, members = question
    domains = rules.Domains(topology).within(some)
    found = rules.contradictions(some, topology, members)
    assert bool(found) is not placeable(some, domains, members)
    for contradiction in found:
        core = contradiction.rules
        assert set(core) <= set(some)
        assert contradiction.reason
        assert contradiction.example
        # It is one by itself, and without any one of its rules it is none.
        assert not placeable(core, domains, members)
        for rule in core:
            rest = [other for other in core if other != rule]
            assert Question(tuple(rest), domains).feasible(members)


@settings(max_examples=100, deadline=None)
@given(questions(), st.data())
def test_rules_are_left_out_inside_the_fences_of_all(question, data):
    topology, some, members = question
    domains = rules.Domains(topology).within(some)
    fewer = tuple(
        rule for rule in some if data.draw(st.booleans()))
    asked = Question(fewer, domains)
    assert asked.feasible(members) is placeable(fewer, domains, members)
    where = asked.placement(members)
    if where is not None:
        places = [host for host, n in where.items() for _ in range(n)]
        assert len(places) == members
        assert kept(fewer, places, domains)


def test_who_is_outside_the_fences_makes_nobody_uneven():
    spread, fence = rules_of(
        "spread:host:max=1:max_skew=1", "fence:rack:domains=dc1-r1")
    domains = rules.Domains(CLOUD).within([fence])
    assert Question((spread,), domains).feasible(8)
    assert not Question((spread, fence), domains).feasible(3)


@settings(max_examples=100, deadline=None)
@given(questions())
def test_a_placement_that_is_found_keeps_all_rules(question):
    topology, some, members = question
    domains = rules.Domains(topology).within(some)
    asked = Question(some, domains)
    where = asked.placement(members)
    assert (where is not None) is asked.feasible(members)
    if where is not None:
        places = [host for host, n in where.items() for _ in range(n)]
        assert len(places) == members
        assert kept(some, places, domains)
    most = asked.most_feasible(members)
    assert asked.feasible(most)
    assert not any(
        asked.feasible(n) for n in range(most + 1, members + 1))


@settings(max_examples=100, deadline=None)
@given(questions(), st.data())
def test_placements_avoid_what_is_dead_or_closed(question, data):
    topology, some, members = question
    dead = data.draw(st.sets(st.sampled_from(topology.dcs()), max_size=1))
    closed = data.draw(st.sets(
        st.sampled_from(sorted(topology.hosts)), max_size=2))
    domains = rules.Domains(topology, dead, closed).within(some)
    open_hosts = [
        host for host in sorted(topology.hosts)
        if topology.hosts[host].dc not in dead and host not in closed]
    assert Question(some, domains).feasible(members) is any(
        kept(some, places, domains)
        for places in itertools.combinations_with_replacement(
            open_hosts, members))


def told(members, *texts, topology=CLOUD):
    return [
        ([rules.format_rule(rule) for rule in found.rules], found.reason,
         found.example)
        for found in rules.contradictions(
            rules_of(*texts), topology, members)]


@pytest.mark.parametrize(("members", "texts"), [
    (8, ["spread:host"]),
    (2, ["together:host"]),
    (None, ["together:rack", "spread:host"]),
    (None, ["together:host", "spread:rack:max=2"]),
    (9, ["spread:dc:max_skew=1", "spread:rack:max_skew=1"]),
    (3, ["together:dc", "spread:dc:max_skew=1:prefer"]),
    (9, ["spread:host:prefer"]),
    (0, ["together:host", "spread:dc:max_skew=1"]),
    (1, ["together:host", "spread:host"]),
    # Skew inside a fence of one: nothing to compare with.
    (4, ["fence:dc:domains=dc1", "together:dc", "spread:dc:max_skew=1"]),
    (4, ["fence:dc:domains=dc1,nowhere", "spread:rack:max_skew=1"]),
])
def test_rules_that_go_together(members, texts):
    assert told(members, *texts) == []


@pytest.mark.parametrize(("members", "texts", "core"), [
    (9, ["spread:host"], ["spread:host:max=1"]),
    (None, ["together:host", "spread:host"],
     ["together:host", "spread:host:max=1"]),
    (None, ["spread:host", "together:dc", "spread:dc:max_skew=1"],
     ["together:dc", "spread:dc:max_skew=1"]),
    (3, ["spread:dc:max_skew=1", "fence:dc:domains=dc1", "spread:rack"],
     ["fence:dc:domains=dc1", "spread:rack:max=1"]),
    (1, ["fence:dc:domains=dc1", "fence:rack:domains=dc2-r1"],
     ["fence:dc:domains=dc1", "fence:rack:domains=dc2-r1"]),
    (1, ["fence:dc:domains=nowhere"], ["fence:dc:domains=nowhere"]),
    (4, ["spread:dc:max_skew=1:min_domains=3"],
     ["spread:dc:max_skew=1:min_domains=3"]),
    (5, ["spread:dc:max=3", "fence:dc:domains=dc1,dc2",
         "fence:rack:domains=dc1-r1,dc1-r2,dc2-r1"], None),
    (9, ["spread:rack:max=2", "spread:dc:max=5"], ["spread:rack:max=2"]),
])
def test_rules_that_do_not(members, texts, core):
    found = told(members, *texts)
    if core is None:
        assert found == []
    else:
        assert [rules_ for rules_, _reason, _example in found] == [core]


def test_a_contradiction_is_explained():
    (found,) = told(3, "fence:dc:domains=dc1", "spread:rack")
    _core, reason, example = found
    assert reason == (
        "fence:dc:domains=dc1 leaves 4 hosts; spread:rack:max=1 allows 1 in "
        "each of 2 racks: together they leave room for 2 of 3 members")
    assert example == (
        "2 members placed (dc1-r1: 1, dc1-r2: 1); number 3 has no place; "
        "refused: rack dc1-r1, dc1-r2 by spread:rack:max=1; dc dc2 by "
        "fence:dc:domains=dc1")


def test_skew_and_too_few_domains_are_explained():
    (found,) = told(4, "spread:dc:max_skew=1:min_domains=3")
    assert found[1] == (
        "spread:dc:max_skew=1:min_domains=3 wants no dc of 2 to hold more "
        "than 1 above the emptiest, and with fewer than 3 the emptiest "
        "counts as 0: it leaves room for 2 of 4 members")


def test_two_causes_are_both_told():
    assert [core for core, _r, _e in told(
        9, "spread:host", "spread:rack:max=2", "spread:dc:max=20")] == [
        ["spread:rack:max=2"], ["spread:host:max=1"]]


def test_of_a_cloud_without_hosts_nothing_is_known():
    assert told(2, "spread:host", topology=Topology(hosts={})) == []


def test_a_large_cloud_is_decided_exactly():
    cloud = shaped(*[(20,) * 40] * 3)
    assert told(
        2400, "spread:host", "spread:rack:max_skew=1",
        "spread:dc:max_skew=1", topology=cloud) == []
    ((core, _reason, _example),) = told(
        61, "spread:host:max=3", "together:rack", topology=cloud)
    assert core == ["spread:host:max=3", "together:rack"]


def test_unknown_names_in_fences():
    found = rules.unknown_domains(rules_of(
        "fence:dc:domains=dc1,dc9,dc1-r1", "spread:host",
        "fence:rack:domains=dc1-r1"), CLOUD)
    assert [(u.name, rules.format_rule(u.rule)) for u in found] == [
        ("dc1-r1", "fence:dc:domains=dc1,dc1-r1,dc9"),
        ("dc9", "fence:dc:domains=dc1,dc1-r1,dc9")]
    assert found[0].reason.endswith(
        "there is no dc 'dc1-r1', that is a rack")
    assert found[1].reason.endswith(
        "there is no dc 'dc9'; known are dc1, dc2")
