# SPDX-License-Identifier: Apache-2.0
"""Modes, limits and the kill switch."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
import pytest

from aacloud.core.brakes import admit
from aacloud.core.brakes import BrakePolicy
from aacloud.core.brakes import effective_mode
from aacloud.core.brakes import Mode
from aacloud.core.topology import CLOUD_NAME
from aacloud.core.topology import Level
from aacloud.core.verdicts import DetectionPolicy
from aacloud.core.verdicts import judge
from tests.unit.core.builders import cloud
from tests.unit.core.builders import Scene

H = "dc1-r1-h1"
CLOUD = (Level.CLOUD, CLOUD_NAME)
DC = (Level.DC, "dc1")
RACK = (Level.RACK, "dc1-r1")
HOST = (Level.HOST, H)
ARMED, SHADOW, DISARMED = Mode.ARMED, Mode.SHADOW, Mode.DISARMED


@pytest.mark.parametrize(("settings", "mode", "words"), [
    ({}, SHADOW, "nothing is set"),
    ({CLOUD: ARMED}, ARMED, "armed at the cloud"),
    ({CLOUD: ARMED, DC: SHADOW}, SHADOW, "shadow at dc dc1"),
    ({CLOUD: SHADOW, RACK: ARMED}, ARMED, "armed at rack dc1-r1"),
    ({DC: SHADOW, RACK: SHADOW, HOST: ARMED}, ARMED, "armed at host"),
    ({HOST: SHADOW, CLOUD: ARMED}, SHADOW, "shadow at host"),
    ({CLOUD: DISARMED}, DISARMED, "disarmed at the cloud"),
    ({CLOUD: DISARMED, HOST: ARMED}, DISARMED, "disarmed at the cloud"),
    ({RACK: DISARMED, HOST: ARMED, CLOUD: ARMED}, DISARMED,
     "disarmed at rack dc1-r1"),
    ({HOST: DISARMED, CLOUD: ARMED}, DISARMED, "disarmed at host"),
    ({(Level.DC, "dc2"): DISARMED, CLOUD: ARMED}, ARMED, "armed at the cloud"),
    ({(Level.RACK, "dc1"): ARMED}, SHADOW, "nothing is set"),
])
def test_effective_mode(settings, mode, words):
    verdict = effective_mode(settings, cloud(), H)
    assert verdict.mode is mode
    assert words in verdict.reasons[0]


def test_disarm_wins_from_every_place():
    verdict = effective_mode(
        dict.fromkeys((CLOUD, DC, RACK, HOST), DISARMED), cloud(), H)
    assert len(verdict.reasons) == 4


@pytest.mark.parametrize(("settings", "mode"), [
    ({}, SHADOW), ({CLOUD: ARMED}, SHADOW),
    ({CLOUD: DISARMED}, DISARMED),
    ({(Level.HOST, "stranger"): DISARMED}, DISARMED),
    ({(Level.HOST, "stranger"): ARMED}, SHADOW),
])
def test_a_host_outside_the_topology_is_never_armed(settings, mode):
    assert effective_mode(settings, cloud(), "stranger").mode is mode


@given(st.dictionaries(
    st.sampled_from([CLOUD, DC, RACK, HOST, (Level.DC, "dc2")]),
    st.sampled_from(Mode)))
def test_nobody_is_armed_who_is_disarmed_anywhere_around(settings):
    mode = effective_mode(settings, cloud(), H).mode
    around = [settings[key] for key in (HOST, RACK, DC, CLOUD)
              if key in settings]
    if DISARMED in around:
        assert mode is DISARMED
    else:
        assert mode is (around[0] if around else SHADOW)


def ask(
    *dead: str, candidate: str = H, busy: tuple[str, ...] = (),
    settings: dict | None = None, policy: BrakePolicy | None = None,
    topology=None, **changes: object,
):
    topology = topology or cloud(racks=4, hosts=5)
    scene = dataclasses.replace(
        Scene(topology).kill(*dead), **changes)
    return admit(
        candidate, scene.judge(), busy, topology, policy or BrakePolicy(),
        {CLOUD: ARMED} if settings is None else settings)


def test_a_dead_host_in_an_armed_cloud_is_admitted():
    admission = ask(H)
    assert admission.go
    assert admission.brakes == ()
    assert admission.reasons == ("admitted", "armed at the cloud")


@pytest.mark.parametrize("mode", [SHADOW, DISARMED])
def test_not_armed_is_no_go_but_says_what_would_be(mode):
    admission = ask(H, settings={CLOUD: mode})
    assert not admission.go
    assert admission.mode is mode
    assert admission.brakes == ()
    assert "would be admitted" in admission.reasons[0]


def test_brakes_hold_in_shadow_mode_too():
    admission = ask(H, settings={}, busy=("dc1-r1-h2", "dc1-r1-h3"))
    assert not admission.go
    assert admission.mode is SHADOW
    assert "2 hosts of rack dc1-r1" in admission.brakes[0]


def test_a_host_that_is_not_dead_is_not_admitted():
    admission = ask()
    assert not admission.go
    assert "is not held dead now, but up" in admission.brakes[0]


def test_an_engine_that_is_cut_off_admits_nobody():
    admission = ask(H, lease_ok=False)
    assert not admission.go
    assert "leader lease" in admission.brakes[0]


def test_a_candidate_unknown_to_the_topology_is_not_admitted():
    admission = ask(candidate="stranger")
    assert not admission.go
    assert "not in the topology" in admission.brakes[0]


@pytest.mark.parametrize(("busy", "words"), [
    (("dc1-r1-h2",), None),
    (("dc1-r1-h2", "dc1-r1-h3"), "rack dc1-r1"),
    (("dc1-r2-h1", "dc1-r2-h2"), None),
    (("dc1-r2-h1", "dc1-r2-h2", "dc1-r3-h1", "dc1-r4-h1"), "dc dc1"),
    (("dc2-r1-h1", "dc2-r1-h2", "dc2-r2-h1", "dc2-r2-h2", "dc2-r3-h1"),
     None),
    (("dc2-r1-h1", "dc2-r1-h2", "dc2-r2-h1", "dc2-r2-h2", "dc2-r3-h1",
      "gone-from-topology"), "the cloud"),
    ((H, "dc1-r1-h2"), None),
])
def test_limits_on_hosts_at_once(busy, words):
    admission = ask(H, busy=busy)
    assert admission.go is (words is None)
    if words:
        assert words in admission.brakes[0]


def test_more_than_half_of_a_data_centre_suspect_stops():
    topology = cloud(dcs=2, racks=2, hosts=3)
    half = ("dc1-r1-h1", "dc1-r2-h1", "dc1-r2-h2")
    assert ask(*half, topology=topology).go
    more = ask(*half, "dc1-r1-h2", topology=topology)
    assert not more.go
    assert "4 of 6 hosts of data centre dc1 are suspect" in more.brakes[0]


def test_a_sick_data_centre_does_not_stop_the_other():
    topology = cloud(dcs=2, racks=2, hosts=3)
    sick = ("dc2-r1-h1", "dc2-r2-h1", "dc2-r2-h2", "dc2-r1-h2")
    assert ask(H, *sick, topology=topology).go


def test_two_degraded_data_centres_stop_everything():
    topology = cloud(dcs=2, racks=2, hosts=3)
    one = (H, "dc1-r2-h1", "dc2-r1-h1")
    assert ask(*one, topology=topology).go
    both = ask(*one, "dc2-r2-h1", topology=topology)
    assert not both.go
    assert "2 data centres are degraded at once" in both.brakes[0]


def test_suspects_need_not_be_dead():
    """Isolated hosts count, too: they are not well."""
    topology = cloud(dcs=2, racks=2, hosts=3)
    scene = Scene(topology).kill(
        H, "dc1-r2-h1", "dc2-r1-h1", "dc2-r2-h1")
    scene.cut -= {("dc2-r1-h1", "storage"), ("dc2-r2-h1", "storage")}
    admission = admit(
        H, scene.judge(), (), topology, BrakePolicy(), {CLOUD: ARMED})
    assert "degraded at once" in admission.brakes[0]


def test_hosts_never_watched_are_no_suspects():
    topology = cloud(dcs=2, racks=2, hosts=3)
    watched = frozenset(
        h for h in topology.hosts if h.startswith("dc1") or h[-1] == "1")
    scene = Scene(topology, known=watched).kill(H)
    view = scene.view()
    assert view.known_agents == watched
    unwatched = [h for h in topology.hosts if h not in watched]
    scene.kill(*unwatched)
    view = dataclasses.replace(
        scene.view(), reports={
            n: r for n, r in view.reports.items() if n in watched})
    judgement = judge(view, DetectionPolicy(), scene.now)
    assert [h for h, v in judgement.hosts.items() if v.suspect] == [H]
