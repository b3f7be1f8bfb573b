# SPDX-License-Identifier: Apache-2.0
"""What holds of every verdict, whatever was observed."""

from __future__ import annotations

import dataclasses

from hypothesis import assume
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from aacloud.core.observations import NETWORKS
from aacloud.core.observations import Observation
from aacloud.core.observations import Reach
from aacloud.core.topology import Topology
from aacloud.core.topology import Vantage
from aacloud.core.verdicts import DetectionPolicy
from aacloud.core.verdicts import HostState
from aacloud.core.verdicts import judge
from aacloud.core.verdicts import Judgement
from aacloud.core.verdicts import NetworkState
from aacloud.core.verdicts import NovaServiceView
from aacloud.core.verdicts import WorldView
from tests.unit.core.builders import cloud
from tests.unit.core.builders import NOW
from tests.unit.core.builders import Scene

POLICY = DetectionPolicy(confirm_s=0.0)
SILENCES = (None, 0.0, 3.0, 7.0, 9.0, 60.0)
AGES = (0.0, 0.5, 5.9, 6.1, 7.9, 8.1, 30.0)


@st.composite
def worlds(draw) -> WorldView:
    """A cloud with some dead hosts, and a few things that do not fit."""
    topology: Topology = cloud(
        dcs=draw(st.integers(1, 2)), racks=draw(st.integers(1, 3)),
        hosts=draw(st.integers(1, 3)))
    names = sorted(topology.hosts)
    scene = Scene(topology).kill(*draw(st.lists(
        st.sampled_from(names), max_size=2, unique=True)))
    world = dataclasses.replace(scene.view(), dead_since={})
    for _ in range(draw(st.integers(0, 6))):
        world = draw(disturbed(world, names))
    return world


@st.composite
def disturbed(draw, world: WorldView, names: list[str]) -> WorldView:
    what = draw(st.sampled_from(
        ["reach", "reach", "silence", "age", "gone", "nova", "engine"]))
    name = draw(st.sampled_from(names))
    if what == "engine":
        return dataclasses.replace(
            world, store_ok=draw(st.booleans()), lease_ok=draw(st.booleans()))
    if what == "nova":
        return dataclasses.replace(world, nova_services={
            **world.nova_services, name: NovaServiceView(
                state="up", forced_down=draw(st.booleans()),
                last_seen_age_s=draw(st.sampled_from(AGES)))})
    report = world.reports.get(name)
    if report is None or not report.observations:
        return world
    if what == "gone":
        return dataclasses.replace(world, reports={
            n: r for n, r in world.reports.items() if n != name})
    if what == "age":
        report = dataclasses.replace(
            report, received=NOW - draw(st.sampled_from(AGES)))
    else:
        at = draw(st.integers(0, len(report.observations) - 1))
        seen = report.observations[at]
        seen = dataclasses.replace(
            seen, reach=draw(st.sampled_from(Reach)) if what == "reach"
            else seen.reach, vantage=draw(st.sampled_from(Vantage)),
            silent_s=draw(st.sampled_from(SILENCES)))
        report = dataclasses.replace(report, observations=(
            *report.observations[:at], seen, *report.observations[at + 1:]))
    return dataclasses.replace(
        world, reports={**world.reports, name: report})


def dead(judgement: Judgement) -> set[str]:
    return {name for name, verdict in judgement.hosts.items()
            if verdict.state is HostState.DEAD}


def look(world: WorldView) -> Judgement:
    return judge(world, POLICY, NOW)


@settings(max_examples=150)
@given(worlds(), st.data())
def test_unknown_never_makes_anybody_dead(world, data):
    """More unknown results, or unknown instead of down: never one more."""
    before = dead(look(world))
    names = sorted(world.topology.hosts)
    changed = {}
    for observer, report in world.reports.items():
        seen = [
            dataclasses.replace(o, reach=Reach.UNKNOWN)
            if o.reach is Reach.DOWN and data.draw(st.booleans()) else o
            for o in report.observations]
        if data.draw(st.booleans()):
            seen.append(Observation(
                observer=observer, target=data.draw(st.sampled_from(names)),
                network=data.draw(st.sampled_from(NETWORKS)),
                vantage=Vantage.OTHER_DC, reach=Reach.UNKNOWN,
                silent_s=data.draw(st.sampled_from(SILENCES))))
        changed[observer] = dataclasses.replace(
            report, observations=tuple(seen))
    after = dead(look(dataclasses.replace(world, reports=changed)))
    assert after <= before


@settings(max_examples=150)
@given(worlds())
def test_nothing_but_unknown_leaves_nobody_dead(world):
    reports = {
        observer: dataclasses.replace(report, observations=tuple(
            dataclasses.replace(o, reach=Reach.UNKNOWN)
            for o in report.observations))
        for observer, report in world.reports.items()}
    assert not dead(look(dataclasses.replace(world, reports=reports)))


@settings(max_examples=200)
@given(worlds(), st.data())
def test_a_refused_probe_keeps_its_host_alive_and_changes_nobody_else(
    world, data,
):
    observer = data.draw(st.sampled_from(sorted(world.reports) or ["x"]))
    assume(observer in world.reports)
    target = data.draw(st.sampled_from(sorted(world.topology.hosts)))
    assume(target != observer)
    report = world.reports[observer]
    network = data.draw(st.sampled_from(NETWORKS))
    changed = dataclasses.replace(world, reports={
        **world.reports, observer: dataclasses.replace(
            report, observations=(
                *report.observations,
                Observation(
                    observer=observer, target=target, network=network,
                    vantage=Vantage.OWN_RACK, reach=Reach.UNKNOWN,
                    misses=data.draw(st.integers(0, 99)), refused=True)))})
    before, after = look(world), look(changed)
    assert dead(after) <= dead(before)
    if NOW - report.received <= POLICY.report_ttl_s:
        assert target not in dead(after)
    for name, verdict in after.hosts.items():
        if verdict.state is HostState.UP:
            assert before.hosts[name].state is HostState.UP
        if name != target and before.patients == after.patients:
            assert verdict == before.hosts[name]


@settings(max_examples=200)
@given(worlds(), st.data())
def test_an_answer_more_never_makes_its_host_dead(world, data):
    observer = data.draw(st.sampled_from(sorted(world.reports) or ["x"]))
    assume(observer in world.reports)
    target = data.draw(st.sampled_from(sorted(world.topology.hosts)))
    assume(target != observer)
    report = world.reports[observer]
    network = data.draw(st.sampled_from(NETWORKS))
    more = dataclasses.replace(report, observations=(
        *report.observations,
        Observation(
            observer=observer, target=target, network=network,
            vantage=Vantage.OWN_RACK, reach=Reach.UP, silent_s=0.1)))
    changed = dataclasses.replace(
        world, reports={**world.reports, observer: more})
    before, after = look(world), look(changed)
    if target not in dead(before):
        assert target not in dead(after)
    if NOW - report.received <= POLICY.report_ttl_s:
        assert target not in dead(after)
        assert after.hosts[target].networks[network] is NetworkState.UP
    if before.patients == after.patients:
        assert dead(after) <= dead(before)


@settings(max_examples=200)
@given(worlds(), st.data())
def test_a_report_that_is_missing_never_makes_another_host_dead(world, data):
    """Silence is no evidence: drop a report that vouches for nobody."""
    mute = [
        name for name, report in world.reports.items()
        if all(o.reach is not Reach.UP and o.silent_s is None
               for o in report.observations)]
    if not mute:
        observer = data.draw(st.sampled_from(sorted(world.reports) or ["x"]))
        assume(observer in world.reports)
        report = world.reports[observer]
        world = dataclasses.replace(world, reports={
            **world.reports, observer: dataclasses.replace(
                report, observations=tuple(
                    dataclasses.replace(o, silent_s=None)
                    for o in report.observations
                    if o.reach is not Reach.UP))})
        mute = [observer]
    gone = mute[0]
    before = dead(look(world))
    after = dead(look(dataclasses.replace(world, reports={
        name: report for name, report in world.reports.items()
        if name != gone})))
    assert after - {gone} <= before


@settings(max_examples=300)
@given(worlds())
def test_dead_rests_on_fresh_evidence_from_two_places(world):
    judgement = look(world)
    for name in dead(judgement):
        verdict = judgement.hosts[name]
        assert world.store_ok and world.lease_ok
        assert not judgement.self_cut_off
        assert verdict.heartbeat_age_s is None or (
            verdict.heartbeat_age_s >= POLICY.heartbeat_timeout_s)
        service = world.nova_services[name]
        assert service.last_seen_age_s >= POLICY.nova_fresh_s
        assert set(verdict.networks) == set(NETWORKS)
        for network in NETWORKS:
            assert verdict.networks[network] is NetworkState.DOWN
            votes = [o for o in verdict.evidence if o.network == network]
            assert len({
                world.topology.vantage(o.observer, name)
                for o in votes}) >= 2
            for vote in votes:
                report = world.reports[vote.observer]
                assert NOW - report.received <= POLICY.report_ttl_s
                assert vote.reach is Reach.DOWN
                assert vote.observer != name
                assert network not in judgement.patients.get(
                    vote.observer, {})
                assert vote.silent_s is None or (
                    vote.silent_s + NOW - report.received
                    >= POLICY.heartbeat_timeout_s)


@settings(max_examples=150)
@given(worlds(), st.floats(0.0, 10.0))
def test_dead_needs_the_symptoms_to_last(world, lasted):
    policy = dataclasses.replace(POLICY, confirm_s=5.0)
    since = dict.fromkeys(world.topology.hosts, NOW - lasted)
    judgement = judge(
        dataclasses.replace(world, dead_since=since), policy, NOW)
    if NOW - (NOW - lasted) < 5.0:
        assert not dead(judgement)
    else:
        assert dead(judgement) == dead(look(world))


@settings(max_examples=100)
@given(worlds())
def test_every_host_gets_a_verdict_with_a_reason(world):
    judgement = look(world)
    assert set(judgement.hosts) == set(world.topology.hosts)
    for verdict in judgement.hosts.values():
        assert verdict.reasons
        assert all(verdict.reasons)
        assert (verdict.dead_since is None) or (
            verdict.state is not HostState.UP)


def test_these_worlds_do_hold_dead_hosts():
    """The properties above would say nothing if nobody ever died."""
    found = []

    @settings(max_examples=200, deadline=None, database=None)
    @given(worlds())
    def count(world):
        found.append(len(dead(look(world))))

    count()
    assert sum(found) >= 10
