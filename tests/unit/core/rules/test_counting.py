# SPDX-License-Identifier: Apache-2.0
"""Counts, and how far they are from a rule."""

from __future__ import annotations

import pytest

from aacloud.core import rules
from aacloud.core.topology import Level
from aacloud.core.topology import Topology
from tests.unit.core.rules.worlds import LOST
from tests.unit.core.rules.worlds import on
from tests.unit.core.rules.worlds import rules_of
from tests.unit.core.rules.worlds import shaped

CLOUD = shaped((2, 2), (2, 2), (1,))
DOMAINS = rules.Domains(CLOUD)


def counted(text, occupancy, members=None, domains=DOMAINS):
    (rule,) = rules_of(text)
    return rules.count(
        rule, occupancy if members is None else members, occupancy, domains)


def over(text, domains=DOMAINS, fences=(), **counts):
    (rule,) = rules_of(text)
    held = {name.replace("_", "-"): n for name, n in counts.items()}
    if "lost" in held:
        held[rules.UNPLACED] = held.pop("lost")
    return rules.excess(rule, held, domains.within(rules_of(*fences)))


def test_members_are_counted_where_they_are():
    occupancy = on("dc1-r1-h1", "dc1-r1-h2", "dc1-r2-h1", "dc2-r1-h1")
    assert counted("spread:dc", occupancy) == {"dc1": 3, "dc2": 1}
    assert counted("spread:rack", occupancy) == {
        "dc1-r1": 2, "dc1-r2": 1, "dc2-r1": 1}
    assert counted("spread:host", occupancy, ["s0", "s3", "s9"]) == {
        "dc1-r1-h1": 1, "dc2-r1-h1": 1}


def test_a_server_that_is_moved_counts_once_in_each_domain():
    occupancy = {"s0": ("dc1-r1-h1", "dc1-r2-h1"),
                 "s1": ("dc1-r1-h1", "dc1-r1-h2")}
    assert counted("spread:dc", occupancy) == {"dc1": 2}
    assert counted("spread:rack", occupancy) == {"dc1-r1": 2, "dc1-r2": 1}
    assert counted("spread:host", occupancy) == {
        "dc1-r1-h1": 2, "dc1-r2-h1": 1, "dc1-r1-h2": 1}


def test_a_server_without_a_host_counts_nowhere():
    assert counted("spread:dc", {"s0": ()}, ["s0", "s1"]) == {}


def test_a_host_without_a_place_is_a_domain_of_its_own_only():
    occupancy = {**on(LOST, LOST), "s2": (LOST, "dc1-r1-h1")}
    assert counted("spread:host", occupancy) == {LOST: 3, "dc1-r1-h1": 1}
    assert counted("spread:rack", occupancy) == {
        rules.UNPLACED: 3, "dc1-r1": 1}
    assert DOMAINS.of(Level.HOST, LOST) == LOST
    assert DOMAINS.of(Level.RACK, LOST) is None


@pytest.mark.parametrize(("text", "counts", "expected"), [
    ("spread:rack", {}, 0),
    ("spread:rack", {"dc1_r1": 1, "dc1_r2": 1}, 0),
    ("spread:rack", {"dc1_r1": 3, "dc1_r2": 2}, 3),
    ("spread:rack:max=2", {"dc1_r1": 3, "dc1_r2": 2}, 1),
    # Three data centres are eligible: the one without members counts 0.
    ("spread:dc:max_skew=1", {"dc1": 2, "dc2": 1}, 1),
    ("spread:dc:max_skew=1", {"dc1": 2, "dc2": 2, "dc3": 1}, 0),
    ("spread:dc:max_skew=2", {"dc1": 5, "dc2": 1, "dc3": 1}, 2),
    ("spread:dc:max_skew=1", {}, 0),
    # With as many domains as asked for the minimum is theirs, with fewer 0.
    ("spread:dc:max_skew=1:min_domains=3", {"dc1": 3, "dc2": 2, "dc3": 2}, 0),
    ("spread:dc:max_skew=1:min_domains=4", {"dc1": 3, "dc2": 2, "dc3": 2}, 2),
    ("spread:dc:max=1:max_skew=1", {"dc1": 3}, 4),
    ("together:dc", {}, 0),
    ("together:dc", {"dc1": 3}, 0),
    ("together:dc", {"dc1": 3, "dc2": 1, "dc3": 1}, 2),
    ("together:dc", {"dc1": 1, "dc2": 1}, 1),
    ("fence:dc:domains=dc1,dc2", {"dc1": 3, "dc2": 1}, 0),
    ("fence:dc:domains=dc1", {"dc1": 3, "dc2": 1, "dc3": 2}, 3),
    ("fence:dc:domains=nowhere", {"dc1": 3}, 3),
])
def test_excess(text, counts, expected):
    assert over(text, **counts) == expected


@pytest.mark.parametrize(("text", "closed", "opened"), [
    ("spread:dc:max=2", 3, 1),
    ("spread:dc:max_skew=3", 2, 0),
    ("together:dc", 2, 0),
    ("fence:dc:domains=dc1", 2, 0),
])
def test_members_without_a_place_are_too_many_if_closed(
    text, closed, opened,
):
    for word, expected in (("closed", closed), ("open", opened)):
        assert over(
            f"{text}:on_unknown={word}", dc1=3, lost=2) == expected


def test_a_dead_data_centre_is_not_eligible():
    domains = rules.Domains(CLOUD, dead=["dc2"])
    assert domains.eligible(Level.DC) == {"dc1", "dc3"}
    assert domains.eligible(Level.RACK) == {"dc1-r1", "dc1-r2", "dc3-r1"}
    assert domains.all(Level.DC) == {"dc1", "dc2", "dc3"}
    # Neither is its emptiness a reason to hold back, nor its fullness.
    assert over("spread:dc:max_skew=1", domains, dc1=3, dc3=3) == 0
    assert over("spread:dc:max_skew=1", domains, dc1=3, dc2=9, dc3=2) == 0
    # But a limit is a limit.
    assert over("spread:dc:max=2", domains, dc1=2, dc2=3) == 1


def test_min_domains_counts_the_eligible():
    rule = "spread:dc:max_skew=1:min_domains=2"
    cloud = shaped((1,), (1,))
    assert over(rule, rules.Domains(cloud), dc1=2, dc2=2) == 0
    assert over(rule, rules.Domains(cloud, ["dc2"]), dc1=3) == 2


def test_without_an_eligible_domain_skew_is_kept():
    domains = rules.Domains(shaped((1,)), ["dc1"])
    assert over("spread:dc:max_skew=1", domains, dc1=5) == 0
    empty = rules.Domains(Topology(hosts={}))
    assert over("spread:rack:max_skew=1", empty, lost=5) == 0


def test_a_domain_of_closed_hosts_alone_is_not_eligible():
    domains = rules.Domains(
        CLOUD, closed=["dc1-r1-h1", "dc1-r2-h1", "dc1-r2-h2"])
    assert domains.eligible(Level.RACK) == {
        "dc1-r1", "dc2-r1", "dc2-r2", "dc3-r1"}
    assert domains.eligible(Level.DC) == domains.all(Level.DC)


def test_skew_is_measured_inside_the_required_fences():
    counts = {"dc1_r1": 2, "dc1_r2": 2}
    rule, fence = "spread:rack:max_skew=1", "fence:dc:domains=dc1"
    assert over(rule, **counts) == 1
    assert over(rule, fences=[fence], **counts) == 0
    assert over(rule, fences=[fence + ":prefer"], **counts) == 1
    inside = DOMAINS.within(rules_of(fence, "fence:rack:domains=dc1-r2"))
    assert inside.eligible(Level.HOST) == {"dc1-r2-h1", "dc1-r2-h2"}
    assert inside.eligible(Level.DC) == {"dc1"}
    assert inside.within(()).eligible(Level.DC) == DOMAINS.all(Level.DC)


def test_narrowed_domains_are_kept_up_to_a_number():
    fences = [
        rules_of(f"fence:host:domains=h{n}") for n in range(200)]
    for fence in fences:
        assert DOMAINS.within(fence).eligible(Level.HOST) == frozenset()
    assert DOMAINS.within(fences[-1]) is DOMAINS.within(fences[-1])
    assert len(DOMAINS._kept) <= 64


def test_the_whole_cloud_has_nothing_dead():
    domains = rules.Domains(CLOUD, ["dc2"], ["dc1-r1-h1"]).within(
        rules_of("fence:dc:domains=dc1,dc2"))
    assert domains.eligible(Level.DC) == {"dc1"}
    assert domains.whole().eligible(Level.DC) == {"dc1", "dc2"}
    assert DOMAINS.whole() is DOMAINS
