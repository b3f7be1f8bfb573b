# SPDX-License-Identifier: Apache-2.0
"""How groups stand."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import settings
import pytest

from aacloud.core import rules
from aacloud.core.rules import GroupState
from tests.unit.core.rules.worlds import group_of
from tests.unit.core.rules.worlds import LOST
from tests.unit.core.rules.worlds import on
from tests.unit.core.rules.worlds import shaped
from tests.unit.core.rules.worlds import some_worlds

CLOUD = shaped((2, 2), (2, 2))
DOMAINS = rules.Domains(CLOUD)
R1 = ("dc1-r1-h1", "dc1-r1-h2")


def report(*texts, hosts=(), domains=DOMAINS, blocked=None, **more):
    occupancy = on(*hosts)
    group = group_of(*texts, members=occupancy, **more)
    return rules.inspect(
        group, occupancy, domains, age_s=2.5, blocked=blocked or {})


def test_a_group_that_is_kept():
    found = report(
        "spread:host", "together:dc", "fence:dc:domains=dc1", hosts=R1)
    assert found == rules.GroupReport(
        "g1", 7, GroupState.COMPLIANT, found.rules, 2.5)
    assert [dict(rule.counts) for rule in found.rules] == [
        dict.fromkeys(R1, 1), {"dc1": 2}, {"dc1": 2}]
    for rule in found.rules:
        assert rule.state is GroupState.COMPLIANT
        assert (rule.excess, rule.least_moves, rule.blocked,
                rule.reason) == (0, 0, (), "")


def test_an_empty_group_is_compliant():
    assert report(
        "together:host", "spread:dc:max_skew=1:min_domains=9",
    ).state is GroupState.COMPLIANT


def test_a_group_that_is_broken():
    found = report(
        "spread:rack", "spread:dc:max_skew=1", hosts=[*R1, "dc1-r2-h1"])
    assert found.state is GroupState.VIOLATING
    racks, dcs = found.rules
    assert (racks.excess, racks.least_moves) == (1, 1)
    assert racks.reason == "rack dc1-r1 holds 2 instead of at most 1"
    assert racks.limit == "at most 1 in a rack"
    assert (dcs.excess, dcs.least_moves) == (2, 1)
    assert dcs.reason == (
        "the fullest dc holds 3, the emptiest counts 0: that is 3 apart "
        "instead of at most 1")


@pytest.mark.parametrize(("text", "hosts", "reason"), [
    ("together:rack", [*R1, "dc2-r1-h1"],
     "1 members are not in the rack that holds most (2)"),
    ("fence:rack:domains=dc1-r2", [*R1, "dc2-r1-h1", "dc1-r2-h1"],
     "members are in rack dc1-r1, dc2-r1"),
    ("spread:dc:max=1:max_skew=1", ["dc1-r1-h1"] * 2,
     "dc dc1 holds 2 instead of at most 1; the fullest dc holds 2, the "
     "emptiest counts 0: that is 2 apart instead of at most 1"),
    ("spread:host", [h for h in [*R1, "dc1-r2-h1", "dc2-r1-h1"]
                     for _ in range(2)],
     "host dc1-r1-h1 holds 2, dc1-r1-h2 holds 2, dc1-r2-h1 holds 2 and 1 "
     "more instead of at most 1"),
])
def test_what_is_broken_is_told(text, hosts, reason):
    found = report(text, hosts=hosts)
    assert found.state is GroupState.VIOLATING
    assert found.rules[0].reason == reason


def test_a_preference_does_not_break_a_group():
    found = report("spread:rack:prefer", hosts=R1)
    assert found.state is GroupState.COMPLIANT
    assert found.rules[0].state is GroupState.VIOLATING
    assert found.rules[0].least_moves == 1


def test_a_group_that_is_off_is_not_looked_at():
    found = report("spread:rack", hosts=R1, mode=rules.GroupMode.OFF)
    assert found.state is GroupState.OFF
    assert found.rules == ()


def test_one_rule_that_cannot_be_kept():
    found = report("spread:dc:max=2", hosts=["dc1-r1-h1"] * 5)
    assert found.state is GroupState.UNSATISFIABLE
    (rule,) = found.rules
    assert (rule.excess, rule.least_moves) == (3, 2)
    assert "no placement brings it below 1 too many" in rule.reason


def test_rules_in_each_others_way():
    found = report("together:host", "spread:host", hosts=R1)
    assert found.state is GroupState.UNSATISFIABLE
    together, spread = found.rules
    assert together.state is GroupState.UNSATISFIABLE
    assert together.reason.endswith(
        "2 members cannot keep it together with spread:host:max=1")
    # The other one is kept at present.
    assert spread.state is GroupState.COMPLIANT


def test_a_dead_data_centre_degrades_skew():
    lost = rules.Domains(CLOUD, dead=["dc2"])
    found = report("spread:dc:max_skew=1", hosts=R1 * 2, domains=lost)
    assert found.state is GroupState.DEGRADED
    assert found.rules[0].excess == 0
    assert found.rules[0].reason == (
        "kept over what is left: data centre dc2 is dead")
    # Without a rule that looks at it, nothing is lost.
    assert report(
        "spread:host", hosts=R1, domains=lost).state is GroupState.COMPLIANT
    # Nor is it where the fence shuts it out anyway.
    assert report(
        "spread:rack:max_skew=2", "fence:dc:domains=dc1", hosts=R1,
        domains=lost).state is GroupState.COMPLIANT


def test_what_only_a_dead_data_centre_could_mend_is_degraded():
    lost = rules.Domains(CLOUD, dead=["dc2"])
    found = report("spread:rack", hosts=[
        *R1, "dc1-r2-h1", "dc1-r2-h2"], domains=lost)
    assert found.state is GroupState.DEGRADED
    (rule,) = found.rules
    assert (rule.excess, rule.least_moves) == (2, 0)
    assert rule.reason.endswith(
        "data centre dc2 is dead: until that is back, no move brings it "
        "below 2 too many")
    # While a move still betters it, it is violated.
    found = report("spread:rack", hosts=R1 * 2, domains=lost)
    assert found.state is GroupState.VIOLATING
    assert (found.rules[0].excess, found.rules[0].least_moves) == (3, 1)


def test_min_domains_holds_while_a_data_centre_is_dead():
    lost = rules.Domains(CLOUD, dead=["dc2"])
    found = report(
        "spread:dc:max_skew=1:min_domains=2", hosts=R1, domains=lost)
    assert found.state is GroupState.DEGRADED
    assert found.rules[0].excess == 1
    assert "as fewer than 2 are eligible" in found.rules[0].reason


def test_rules_in_each_others_way_while_a_data_centre_is_dead():
    lost = rules.Domains(CLOUD, dead=["dc2"])
    texts = ("spread:rack:max=2", "spread:host")
    hosts = ["dc1-r1-h1"] * 2 + ["dc1-r2-h1", "dc1-r2-h2", "dc1-r2-h2"]
    assert report(*texts, hosts=hosts).state is GroupState.VIOLATING
    fenced = report(
        "fence:rack:domains=dc1-r1,dc2-r1", "spread:host",
        hosts=["dc1-r1-h1"] * 3, domains=lost)
    assert fenced.rules[1].reason.endswith(
        "3 members cannot keep it together with "
        "fence:rack:domains=dc1-r1,dc2-r1 while data centre dc2 is dead")


def test_closed_hosts_leave_no_room():
    domains = rules.Domains(CLOUD, closed=["dc2-r1-h1", "dc2-r1-h2"])
    texts = ["spread:rack"]
    found = report(
        *texts, hosts=["dc1-r1-h1", "dc1-r2-h1", "dc2-r2-h1", "dc2-r2-h2"],
        domains=domains)
    assert found.state is GroupState.DEGRADED
    assert "hosts dc2-r1-h1, dc2-r1-h2 take no servers" in (
        found.rules[0].reason)


def test_members_without_a_place_are_unknown():
    found = report("spread:rack", "spread:host", hosts=["dc1-r1-h1", LOST])
    assert found.state is GroupState.UNKNOWN
    rack, host = found.rules
    assert rack.state is GroupState.UNKNOWN
    assert rack.counts == {"dc1-r1": 1, rules.UNPLACED: 1}
    assert rack.reason == (
        "host lost has no place in the topology: add it to a rack and data "
        "centre")
    assert host.state is GroupState.COMPLIANT
    fence = report("fence:dc:domains=dc1", hosts=["dc1-r1-h1", LOST])
    assert fence.state is GroupState.UNKNOWN
    assert (fence.rules[0].excess, fence.rules[0].least_moves) == (1, 1)


def test_what_is_known_to_be_broken_is_not_unknown():
    found = report("spread:rack", hosts=[*R1, LOST])
    assert found.state is GroupState.VIOLATING
    assert "dc1-r1 holds 2" in found.rules[0].reason
    assert "host lost" in found.rules[0].reason


def test_the_worst_required_rule_speaks_for_the_group():
    found = report(
        "fence:dc:domains=dc1:on_unknown=open", "together:rack",
        hosts=["dc2-r1-h1", LOST])
    assert [rule.state for rule in found.rules] == [
        GroupState.VIOLATING, GroupState.UNKNOWN]
    assert found.state is GroupState.VIOLATING


def test_who_cannot_be_moved_is_told():
    blocked = {"s0": ["local disk"], "s1": ["pinned", "busy"],
               "s2": ["local disk"]}
    found = report(
        "spread:rack", hosts=[*R1, "dc1-r2-h1"], blocked=blocked)
    (rule,) = found.rules
    assert rule.blocked == ("s0: local disk", "s1: pinned, busy")
    assert rule.reason.endswith(
        "1 moves are needed, and only 0 of the 2 members that could leave "
        "can be moved")
    found = report(
        "spread:rack", hosts=[*R1, "dc1-r2-h1"], blocked={"s1": []})
    assert found.rules[0].blocked == ("s1: cannot be moved",)
    assert "are needed" not in found.rules[0].reason
    assert report(
        "spread:rack", hosts=R1, blocked={"s9": ["x"]}).rules[0].blocked == ()


@pytest.mark.parametrize(("text", "hosts", "named"), [
    ("fence:dc:domains=dc2", [*R1, "dc2-r1-h1"], {"s0", "s1"}),
    ("together:rack", [*R1, "dc2-r1-h1"], {"s2"}),
    ("spread:dc:max_skew=1", ["dc1-r1-h1"] * 2, {"s0", "s1"}),
    ("spread:dc:max_skew=1", ["dc1-r1-h1"] * 3 + ["dc2-r1-h1"],
     {"s0", "s1", "s2"}),
    ("spread:dc:max_skew=2:min_domains=3",
     ["dc1-r1-h1"] * 3 + ["dc2-r1-h1"] * 2, {"s0", "s1", "s2"}),
    ("spread:dc:max=1:on_unknown=closed",
     ["dc1-r1-h1", "dc1-r1-h1", LOST, "dc2-r1-h1"], {"s0", "s1", "s2"}),
])
def test_only_those_who_would_leave_are_named(text, hosts, named):
    found = report(
        text, hosts=hosts, blocked={f"s{n}": ["x"] for n in range(9)})
    (rule,) = found.rules
    wanted = named if rule.least_moves else set()
    assert {entry.split(":")[0] for entry in rule.blocked} == wanted


def test_limits_read_like_sentences():
    assert [rules.limit_text(rules.parse_rule(text)) for text in (
        "spread:host", "spread:dc:max=4:max_skew=1:min_domains=2",
        "together:rack", "fence:dc:domains=b,a")] == [
        "at most 1 in a host",
        "at most 4 in a dc, at most 1 more than in the emptiest dc, over at "
        "least 2 of them",
        "all in one rack", "only in dc a, b"]


@settings(max_examples=100, deadline=None)
@given(some_worlds())
def test_reports_are_true(world):
    found = rules.inspect(
        world.group, world.occupancy, world.domains, age_s=0.0)
    domains = world.domains.within(world.group.rules)
    assert [rule.rule for rule in found.rules] == list(world.group.rules)
    for rule in found.rules:
        counts = rules.count(
            rule.rule, world.group.members, world.occupancy, domains)
        assert rule.counts == counts
        assert rule.excess == rules.excess(rule.rule, counts, domains)
        cure = rules.mend(rule.rule, counts, domains)
        assert rule.least_moves == cure.moves
        if rule.state is GroupState.COMPLIANT:
            assert not rule.excess
            assert not rule.reason
        else:
            assert rule.reason
    hard = {rule.state for rule in found.rules if rule.rule.required}
    if hard <= {GroupState.COMPLIANT}:
        assert found.state is GroupState.COMPLIANT
    else:
        assert found.state in hard - {GroupState.COMPLIANT}


@settings(max_examples=50, deadline=None)
@given(some_worlds(), some_worlds())
def test_many_are_inspected_as_each_is(one, other):
    groups = [one.group, dataclasses.replace(other.group, id="g2")]
    assert rules.inspect_all(
        groups, one.occupancy, one.domains, age_s=1.0) == tuple(
        rules.inspect(group, one.occupancy, one.domains, age_s=1.0)
        for group in groups)
