# SPDX-License-Identifier: Apache-2.0
"""Where a member may go, by hand."""

from __future__ import annotations

import dataclasses

import pytest

from aacloud.core import rules
from tests.unit.core.rules.worlds import group_of
from tests.unit.core.rules.worlds import LOST
from tests.unit.core.rules.worlds import on
from tests.unit.core.rules.worlds import rules_of
from tests.unit.core.rules.worlds import shaped

CLOUD = shaped((2, 2), (2, 2))
DOMAINS = rules.Domains(CLOUD)
HOSTS = sorted(CLOUD.hosts)


def allowed(group, occupancy, server="new", domains=DOMAINS, **more):
    """The racks whose hosts are all allowed, and single hosts beside."""
    found = rules.judge_group(group, occupancy, domains, server, **more)
    return {host for host in HOSTS if found.of(host).allowed}


def hosts_of(*prefixes):
    return {h for h in HOSTS if h.startswith(prefixes)}


def grouped(*texts, hosts=(), **more):
    occupancy = on(*hosts)
    return group_of(*texts, members=occupancy, **more), occupancy


def test_a_birth_into_an_empty_group_may_be_anywhere():
    for text in ("spread:host", "spread:dc:max_skew=1", "together:host"):
        group, occupancy = grouped(text)
        assert allowed(group, occupancy) == set(HOSTS)
        assert rules.judge_host(
            group, occupancy, DOMAINS, "new", HOSTS[0]) == rules.Ruling(True)


def test_spread_over_three_levels():
    group, occupancy = grouped(
        "spread:host", "spread:rack:max=2", "spread:dc:max_skew=1",
        hosts=["dc1-r1-h1", "dc1-r1-h2", "dc2-r1-h1"])
    assert allowed(group, occupancy) == {
        "dc2-r1-h2", "dc2-r2-h1", "dc2-r2-h2"}
    occupancy["s3"] = ("dc2-r1-h2",)
    group = dataclasses.replace(group, members=frozenset(occupancy))
    assert allowed(group, occupancy) == hosts_of("dc1-r2", "dc2-r2")


def test_a_birth_into_a_broken_group_may_not_make_it_worse():
    group, occupancy = grouped(
        "spread:rack", hosts=["dc1-r1-h1", "dc1-r1-h2", "dc1-r2-h1"])
    assert allowed(group, occupancy) == hosts_of("dc2")
    group, occupancy = grouped(
        "spread:dc:max_skew=1", hosts=["dc1-r1-h1"] * 3)
    assert allowed(group, occupancy) == hosts_of("dc2")


def test_a_neutral_birth_is_allowed_and_a_mending_one_preferred():
    three = rules.Domains(shaped((1,), (1,), (1,)))
    group, occupancy = grouped(
        "spread:dc:max_skew=1", hosts=["dc1-r1-h1"] * 3 + ["dc2-r1-h1"])
    verdict = {
        dc: rules.judge_host(
            group, occupancy, three, "new", f"{dc}-r1-h1")
        for dc in ("dc1", "dc2", "dc3")}
    assert not verdict["dc1"].allowed
    assert verdict["dc2"].allowed
    assert verdict["dc3"].allowed
    assert verdict["dc2"].penalty > verdict["dc3"].penalty == 0


def test_a_server_that_leaves_does_not_stand_in_its_own_way():
    group, occupancy = grouped(
        "spread:rack", hosts=["dc1-r1-h1", "dc1-r2-h1"])
    assert allowed(group, occupancy, "s0") == hosts_of("dc1-r1", "dc2")


def test_a_broken_group_is_mended_step_by_step():
    group, occupancy = grouped("spread:dc", hosts=["dc1-r1-h1"] * 3)
    # Neither step mends it all.
    assert allowed(group, occupancy, "s0") == set(HOSTS)
    occupancy["s0"] = ("dc2-r1-h1",)
    assert allowed(group, occupancy, "s1") == set(HOSTS)
    # The way back is worse.
    assert allowed(group, occupancy, "s0") == hosts_of("dc2")


def test_a_server_that_is_being_moved_is_judged_without_both_ends():
    group, occupancy = grouped(
        "spread:rack", hosts=["dc1-r1-h1", "dc2-r1-h1"])
    occupancy["s0"] = ("dc1-r1-h1", "dc1-r2-h1")
    assert allowed(group, occupancy, "s0") == set(HOSTS) - hosts_of("dc2-r1")
    # To others it is at both.
    assert allowed(group, occupancy) == hosts_of("dc2-r2")


def test_together_goes_where_most_are():
    group, occupancy = grouped(
        "together:rack", hosts=["dc1-r1-h1", "dc1-r1-h2", "dc2-r2-h1"])
    assert allowed(group, occupancy) == hosts_of("dc1-r1")
    # The straggler may come home, and may also stray elsewhere: no worse.
    assert allowed(group, occupancy, "s2") == set(HOSTS)
    assert rules.judge_host(
        group, occupancy, DOMAINS, "s2", "dc1-r1-h2").penalty == 0
    assert rules.judge_host(
        group, occupancy, DOMAINS, "s2", "dc2-r1-h1").penalty > 0
    assert allowed(group, occupancy, "s0") == hosts_of("dc1-r1", "dc2-r2")


def test_a_fence_keeps_in():
    group, occupancy = grouped("fence:rack:domains=dc1-r1,dc2-r2")
    assert allowed(group, occupancy) == hosts_of("dc1-r1", "dc2-r2")


def test_a_fence_of_unknown_names_keeps_nobody_in():
    group, occupancy = grouped("fence:dc:domains=nowhere")
    assert allowed(group, occupancy) == set()
    ruling = rules.judge_host(group, occupancy, DOMAINS, "new", HOSTS[0])
    assert ruling.reasons == (
        "dc dc1 is outside the fence (fence:dc:domains=nowhere)",)


def test_a_fenced_group_is_spread_inside():
    group, occupancy = grouped(
        "fence:dc:domains=dc1", "spread:rack:max_skew=1",
        hosts=["dc1-r1-h1", "dc1-r2-h1"])
    assert allowed(group, occupancy) == hosts_of("dc1")


def test_with_a_dead_data_centre_it_still_schedules():
    group, occupancy = grouped(
        "spread:dc:max_skew=1", hosts=["dc1-r1-h1"] * 3)
    assert allowed(group, occupancy) == hosts_of("dc2")
    lost = rules.Domains(CLOUD, dead=["dc2"])
    assert hosts_of("dc1") <= allowed(group, occupancy, domains=lost)


def test_with_min_domains_it_waits_for_the_other():
    group, occupancy = grouped(
        "spread:dc:max_skew=1:min_domains=2", hosts=["dc1-r1-h1"])
    lost = rules.Domains(CLOUD, dead=["dc2"])
    assert allowed(group, occupancy) == hosts_of("dc2")
    assert not allowed(group, occupancy, domains=lost) & hosts_of("dc1")


@pytest.mark.parametrize(("text", "expected"), [
    ("spread:rack", True),
    ("spread:rack:on_unknown=closed", False),
    ("spread:rack:on_unknown=closed:prefer", True),
    ("fence:dc:domains=dc1", False),
    ("fence:dc:domains=dc1:on_unknown=open", True),
    # A host is a domain of its own, wherever it stands.
    ("spread:host:on_unknown=closed", True),
    ("fence:host:domains=dc1-r1-h1:on_unknown=open", False),
    (f"fence:host:domains={LOST}", True),
])
def test_a_host_without_a_place(text, expected):
    group, occupancy = grouped(text)
    ruling = rules.judge_host(group, occupancy, DOMAINS, "new", LOST)
    assert ruling.allowed is expected
    compiled = rules.judge_group(group, occupancy, DOMAINS, "new").of(LOST)
    assert (compiled.allowed, compiled.penalty) == (
        ruling.allowed, ruling.penalty)


def test_two_on_one_unknown_host_are_two_on_a_host():
    group, occupancy = grouped("spread:host", hosts=[LOST])
    judged = rules.judge_group(group, occupancy, DOMAINS, "new")
    assert not judged.of(LOST).allowed
    assert judged.of("lost-too").allowed


def test_an_evacuation_relaxes_spread_and_holds_the_fence():
    group, occupancy = grouped(
        "spread:dc:max=2", "fence:dc:domains=dc1",
        hosts=["dc1-r1-h1", "dc1-r1-h2"])
    assert allowed(group, occupancy) == set()
    assert allowed(group, occupancy, evacuation=True) == hosts_of("dc1")
    ruling = rules.judge_host(
        group, occupancy, DOMAINS, "new", "dc1-r2-h1", evacuation=True)
    assert ruling.penalty > 0
    assert ruling.reasons == (
        "dc dc1 holds 2 other members, at most 2 may be there "
        "(spread:dc:max=2, relaxed for the evacuation)",)


def test_a_relaxed_rule_weighs_more_than_a_preference():
    group, occupancy = grouped(
        "spread:rack", "spread:host:prefer", hosts=[
            "dc1-r1-h1", "dc1-r2-h1", "dc2-r1-h1", "dc2-r1-h2"])
    judged = rules.judge_group(
        group, occupancy, DOMAINS, "s0", evacuation=True)
    best = min(HOSTS, key=lambda host: judged.of(host).penalty)
    assert best.startswith(("dc1-r1", "dc2-r2"))
    assert judged.of("dc2-r1-h1").penalty > judged.of("dc1-r2-h1").penalty


def test_preferences_are_graded():
    group, occupancy = grouped(
        "spread:rack:prefer",
        hosts=["dc1-r1-h1", "dc1-r1-h1", "dc1-r2-h1"])
    judged = rules.judge_group(group, occupancy, DOMAINS, "new")
    assert allowed(group, occupancy) == set(HOSTS)
    assert [judged.of(f"{rack}-h1").penalty for rack in (
        "dc1-r1", "dc1-r2", "dc2-r1")] == [2, 1, 0]


def test_report_tells_and_off_is_silent():
    group, occupancy = grouped(
        "spread:host", hosts=["dc1-r1-h1"], mode=rules.GroupMode.REPORT)
    ruling = rules.judge_host(
        group, occupancy, DOMAINS, "new", "dc1-r1-h1")
    assert ruling.allowed
    assert not ruling.penalty
    assert ruling.reasons
    off = dataclasses.replace(group, mode=rules.GroupMode.OFF)
    assert rules.judge_host(
        off, occupancy, DOMAINS, "new", "dc1-r1-h1") == rules.Ruling(True)


def test_somebody_elses_server_is_not_taken_out():
    group, occupancy = grouped("spread:rack", hosts=["dc1-r1-h1"])
    occupancy["new"] = ("dc1-r1-h1",)
    # It joins: where it stands it would be the second.
    assert allowed(group, occupancy) == set(HOSTS) - hosts_of("dc1-r1")


@pytest.mark.parametrize(("text", "hosts", "domain", "told"), [
    ("spread:rack", ["dc1-r1-h1"], "dc1-r1",
     "rack dc1-r1 holds 1 other members, at most 1 may be there "
     "(spread:rack:max=1)"),
    ("spread:rack:max_skew=1", ["dc1-r1-h1"], "dc1-r1",
     "rack dc1-r1 would hold 2 members, the emptiest rack then holds 0, the "
     "fullest 2 (spread:rack:max_skew=1)"),
    ("together:rack", ["dc1-r1-h1"], "dc1-r2",
     "this rack holds 0 other members, another rack holds 1 "
     "(together:rack)"),
    ("fence:rack:domains=dc1-r1", [], "dc1-r2",
     "this rack is outside the fence (fence:rack:domains=dc1-r1)"),
    ("fence:rack:domains=dc1-r1", [], rules.UNPLACED,
     "the host has no place in the topology, so its rack is not known "
     "(fence:rack:domains=dc1-r1)"),
])
def test_what_a_refusal_says(text, hosts, domain, told):
    occupancy = on(*hosts)
    (rule,) = rules_of(text)
    found = rules.judge_domains(
        rule, rules.count(rule, occupancy, occupancy, DOMAINS), DOMAINS)
    assert not found[domain].allowed
    assert found[domain].reasons == (told,)
