# SPDX-License-Identifier: Apache-2.0
"""What holds of every verdict: it is the inspector's."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from aacloud.core import rules
from tests.unit.core.rules.worlds import LOST
from tests.unit.core.rules.worlds import some_worlds

# A member, placed or not; one that is born into the group; somebody's.
SERVERS = st.sampled_from(["s0", "s1", "s2", "s3", "new", "other"])


def where_to(world):
    return [*sorted(world.topology.hosts), LOST, "lost-too"]


@settings(max_examples=150, deadline=None)
@given(some_worlds(), SERVERS)
def test_allowed_if_and_only_if_no_hard_excess_grows(world, server):
    before = world.excesses()
    for host in where_to(world):
        after = world.with_server(server, host).excesses()
        grows = any(
            rule.required and then > now for rule, now, then in zip(
                world.group.rules, before, after, strict=True))
        ruling = rules.judge_host(
            world.group, world.occupancy, world.domains, server, host)
        assert ruling.allowed is not grows
        assert bool(ruling.reasons) is bool(
            ruling.penalty or not ruling.allowed)


@settings(max_examples=100, deadline=None)
@given(some_worlds(), SERVERS)
def test_an_evacuation_holds_what_is_not_relaxed(world, server):
    before = world.excesses()
    for host in where_to(world):
        after = world.with_server(server, host).excesses()
        grown = [
            rule for rule, now, then in zip(
                world.group.rules, before, after, strict=True) if then > now]
        ruling = rules.judge_host(
            world.group, world.occupancy, world.domains, server, host,
            evacuation=True)
        assert ruling.allowed is not any(
            rule.required and rule.on_evacuate is rules.OnEvacuate.HOLD
            for rule in grown)
        # What is not refused is told by the penalty.
        assert not grown or ruling.penalty > 0


@settings(max_examples=100, deadline=None)
@given(some_worlds(), SERVERS, st.booleans(),
       st.sampled_from(rules.GroupMode))
def test_the_filter_agrees_on_every_host(world, server, evacuation, mode):
    group = dataclasses.replace(world.group, mode=mode)
    compiled = rules.judge_group(
        group, world.occupancy, world.domains, server, evacuation=evacuation)
    at_once = compiled.of_all(where_to(world))
    for number, host in enumerate(where_to(world)):
        ruling = rules.judge_host(
            group, world.occupancy, world.domains, server, host,
            evacuation=evacuation)
        found = compiled.of(host)
        assert at_once[number] == found
        assert found.allowed is ruling.allowed
        assert found.penalty == ruling.penalty
        assert len(found.reasons) == len(ruling.reasons)
        if not group.enforced:
            assert ruling.allowed
            assert not ruling.penalty


@settings(max_examples=100, deadline=None)
@given(some_worlds())
def test_a_server_may_always_stay(world):
    for server, place in world.occupancy.items():
        if server in world.group.members and len(place) == 1:
            assert rules.judge_host(
                world.group, world.occupancy, world.domains, server,
                place[0]).allowed


@settings(max_examples=100, deadline=None)
@given(some_worlds(most_rules=1), SERVERS)
def test_a_preference_that_grows_worse_has_a_penalty(world, server):
    preferred = dataclasses.replace(
        world.group.rules[0], strength=rules.Strength.PREFER)
    world = dataclasses.replace(world, group=dataclasses.replace(
        world.group, rules=(preferred,)))
    (before,) = world.excesses()
    for host in where_to(world):
        (after,) = world.with_server(server, host).excesses()
        ruling = rules.judge_host(
            world.group, world.occupancy, world.domains, server, host)
        assert ruling.allowed
        assert after <= before or ruling.penalty > 0


@settings(max_examples=100, deadline=None)
@given(some_worlds())
def test_one_member_more_is_foreseen_exactly(world):
    domains = world.domains.within(world.group.rules)
    for rule in world.group.rules:
        counts = rules.count(
            rule, world.group.members, world.occupancy, domains)
        state = rules.RuleState.of(rule, counts, domains)
        assert state.excess == rules.excess(rule, counts, domains)
        for name in [*domains.all(rule.level), rules.UNPLACED, "elsewhere"]:
            more = {**counts, name: counts.get(name, 0) + 1}
            assert state.after(name) == rules.excess(rule, more, domains)
