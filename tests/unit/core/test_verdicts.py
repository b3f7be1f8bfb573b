# SPDX-License-Identifier: Apache-2.0
"""Who is dead, case by case."""

from __future__ import annotations

import dataclasses
import json
import time

import pytest

from aacloud.core import verdicts
from aacloud.core.observations import NETWORKS
from aacloud.core.observations import Reach
from aacloud.core.topology import Level
from aacloud.core.topology import Topology
from aacloud.core.verdicts import DetectionPolicy
from aacloud.core.verdicts import HostState
from aacloud.core.verdicts import NetworkState
from aacloud.core.verdicts import NovaServiceView
from tests.unit.core.builders import cloud
from tests.unit.core.builders import NOW
from tests.unit.core.builders import Scene
from tests.unit.core.builders import UP_NOVA

H = "dc1-r1-h1"


def states(judgement: verdicts.Judgement) -> dict[str, str]:
    return {
        name: verdict.state.value
        for name, verdict in judgement.hosts.items()
        if verdict.state is not HostState.UP}


def only(judgement: verdicts.Judgement) -> verdicts.HostVerdict:
    assert set(states(judgement)) <= {H}
    return judgement.hosts[H]


def test_a_healthy_cloud_is_up_and_nobody_is_a_patient():
    judgement = Scene(cloud()).judge()
    assert states(judgement) == {}
    assert not judgement.self_cut_off
    assert judgement.self_reasons == ()
    assert judgement.patients == {}


def test_a_killed_host_is_dead_with_its_evidence():
    judgement = Scene(cloud()).kill(H).judge()
    verdict = only(judgement)
    assert verdict.state is HostState.DEAD
    assert verdict.suspect
    assert set(verdict.networks.values()) == {NetworkState.DOWN}
    assert {seen.vantage.value for seen in verdict.evidence} == {
        "own-rack", "other-rack", "other-dc"}
    assert all(seen.reach is Reach.DOWN for seen in verdict.evidence)
    assert verdict.rejected
    assert "silent on all networks" in verdict.reasons[0]
    json.dumps(verdict.as_dict())


@pytest.mark.parametrize("hosts", [
    ["dc1-r1-h1", "dc1-r1-h2"],
    ["dc1-r1-h1", "dc2-r2-h2"],
])
def test_two_dead_hosts_are_both_found(hosts):
    judgement = Scene(cloud()).kill(*hosts).judge()
    assert states(judgement) == dict.fromkeys(hosts, "dead")


@pytest.mark.parametrize(("cut", "state", "words"), [
    (["management"], HostState.UP, "management path is down"),
    (["tenant"], HostState.UP, "tenant path is down"),
    (["storage"], HostState.UP, "storage path is down"),
    (["management", "storage"], HostState.UP, "storage path is down"),
    (["management", "tenant"], HostState.NOT_SURE, "isolated"),
])
@pytest.mark.parametrize("heartbeat", [True, False])
def test_cut_networks_never_make_a_living_host_dead(
    cut, state, words, heartbeat,
):
    scene = Scene(cloud(), cut={(H, network) for network in cut})
    if not heartbeat:
        scene.mute.add(H)
    verdict = scene.judge().hosts[H]
    if heartbeat:
        # It still reports: it lives, whatever is cut.
        assert verdict.state is HostState.UP
    else:
        assert verdict.state is state
        assert words in " ".join(verdict.reasons)
    for network in cut:
        assert verdict.networks[network] is NetworkState.DOWN


def test_isolated_host_is_suspect_and_never_confirmed():
    scene = Scene(cloud()).kill(H)
    scene.cut.discard((H, "storage"))
    verdict = scene.judge().hosts[H]
    assert verdict.state is HostState.NOT_SURE
    assert verdict.suspect
    assert verdict.dead_since is None
    assert "guests may still write" in verdict.reasons[0]
    assert "dead: its storage path answers" in verdict.rejected


def test_only_nova_compute_died():
    scene = Scene(cloud(), nova={
        H: NovaServiceView(state="down", last_seen_age_s=90.0)})
    verdict = only(scene.judge())
    assert verdict.state is HostState.UP
    assert "nova-compute is down while the host lives" in " ".join(
        verdict.reasons)


def test_nova_forced_down_host_that_lives_is_not_called_broken():
    scene = Scene(cloud(), nova={H: NovaServiceView(
        state="down", forced_down=True, last_seen_age_s=90.0)})
    assert "nova-compute" not in " ".join(scene.judge().hosts[H].reasons)


def test_the_agent_says_that_nova_compute_is_down():
    view = Scene(cloud()).view()
    report = dataclasses.replace(
        view.reports[H], facts={"nova-compute": "down"})
    view = dataclasses.replace(view, reports={**view.reports, H: report})
    verdict = verdicts.judge(view, DetectionPolicy(), NOW).hosts[H]
    assert verdict.state is HostState.UP
    assert "restart it" in verdict.reasons[-1]


def test_only_the_agent_died_nova_compute_speaks_for_the_host():
    scene = Scene(cloud()).kill(H)
    scene.nova[H] = UP_NOVA
    verdict = only(scene.judge())
    assert verdict.state is HostState.NOT_SURE
    assert "aacloud-agent" in " ".join(verdict.reasons)
    # The symptoms are there all the same, so no time is lost.
    assert verdict.dead_since is not None
    assert verdict.life_age_s == UP_NOVA.last_seen_age_s


def test_nova_silence_counts_only_after_its_report_interval():
    policy = DetectionPolicy(nova_fresh_s=12.0)
    for age, state in ((11.9, HostState.NOT_SURE), (12.0, HostState.DEAD)):
        scene = Scene(cloud()).kill(H, nova_age=age)
        assert scene.judge(policy).hosts[H].state is state


def test_without_nova_nobody_is_dead():
    scene = Scene(cloud()).kill(H)
    view = dataclasses.replace(scene.view(), nova_services={})
    verdict = verdicts.judge(view, DetectionPolicy(), NOW).hosts[H]
    assert verdict.state is HostState.NOT_SURE
    assert "Nova could not be asked" in " ".join(verdict.reasons)


def test_sick_nova_control_plane_says_nothing_of_a_host():
    scene = Scene(cloud()).kill(H)
    for host in scene.topology.hosts:
        scene.nova[host] = NovaServiceView(
            state="down", last_seen_age_s=70.0, advanced=True)
    judgement = scene.judge()
    assert judgement.hosts[H].state is HostState.NOT_SURE
    assert not judgement.self_cut_off
    assert "control plane" in " ".join(judgement.hosts[H].reasons)


def test_rabbitmq_restart_makes_everything_unknown():
    """No report arrives: that is no evidence against anybody."""
    topology = cloud()
    scene = Scene(topology, mute=set(topology.hosts))
    judgement = scene.judge()
    assert judgement.self_cut_off
    assert "cut off" in judgement.self_reasons[0]
    for verdict in judgement.hosts.values():
        assert verdict.state is HostState.NOT_SURE
        assert set(verdict.networks.values()) == {NetworkState.UNKNOWN}
        assert verdict.dead_since is None


def test_reports_that_come_back_one_by_one_never_kill():
    topology = cloud()
    names = sorted(topology.hosts)
    for back in range(len(names) + 1):
        scene = Scene(topology, mute=set(names[back:]))
        assert "dead" not in states(scene.judge()).values()


@pytest.mark.parametrize("change", [
    {"lease_ok": False}, {"store_ok": False}, {"started": NOW - 2.0}])
def test_an_engine_in_doubt_of_itself_declares_nobody_dead(change):
    scene = Scene(cloud(), **change).kill(H)
    judgement = scene.judge()
    assert judgement.hosts[H].state is HostState.NOT_SURE
    # A standby watches on, so that it is ready when it takes over.
    assert judgement.hosts[H].dead_since == NOW - 10.0
    assert judgement.self_cut_off is ("started" not in change)
    assert judgement.self_reasons[0] in judgement.hosts[H].reasons


def test_fewer_than_half_of_the_known_agents_fresh_is_my_own_cut():
    topology = cloud()
    names = sorted(topology.hosts)
    enough = Scene(topology, mute=set(names[:4])).judge()
    assert not enough.self_cut_off
    too_few = Scene(topology, mute=set(names[:5])).judge()
    assert too_few.self_cut_off


def test_agents_that_left_the_topology_do_not_count_as_missing():
    scene = Scene(cloud(), known=frozenset({
        *cloud().hosts, *(f"retired-{n}" for n in range(20))}))
    assert not scene.judge().self_cut_off


def test_observer_with_a_dead_nic_is_the_patient():
    scene = Scene(cloud())
    scene.cut |= {(H, "storage")}
    judgement = scene.judge()
    assert set(judgement.patients) == {H}
    assert set(judgement.patients[H]) == {"storage"}
    assert states(judgement) == {}


def test_patients_votes_for_down_do_not_count():
    """Two observers only, both with a broken path: nothing is known."""
    scene = Scene(cloud()).kill(H)
    view = scene.view()
    reports = {}
    for name, report in view.reports.items():
        reports[name] = dataclasses.replace(report, observations=tuple(
            dataclasses.replace(seen, reach=Reach.DOWN, silent_s=15.0)
            for seen in report.observations))
    judgement = verdicts.judge(
        dataclasses.replace(view, reports=reports), DetectionPolicy(), NOW)
    assert len(judgement.patients) == len(reports) - 1
    assert "dead" not in states(judgement).values()


def test_a_patient_that_knows_less_stays_a_patient():
    """Else a probe that is not made would give its word weight again."""
    view = Scene(cloud()).view()
    report = view.reports[H]
    for network in NETWORKS:
        targets = [o for o in report.observations if o.network == network]
        half = len(targets) // 2
        for reach in (Reach.DOWN, Reach.UNKNOWN):
            seen = [
                dataclasses.replace(o, reach=Reach.DOWN if n < half
                                    else reach if n == half else Reach.UP)
                for n, o in enumerate(targets)]
            judgement = verdicts.judge(
                dataclasses.replace(view, reports={
                    **view.reports, H: dataclasses.replace(
                        report, observations=tuple(seen))}),
                DetectionPolicy(), NOW)
            assert list(judgement.patients[H]) == [network]


def test_an_answer_to_a_patient_is_still_an_answer():
    scene = Scene(cloud()).kill(H)
    view = scene.view()
    observer = next(
        name for name, report in view.reports.items()
        if any(o.target == H for o in report.observations))
    report = view.reports[observer]
    sick = dataclasses.replace(report, observations=tuple(
        dataclasses.replace(
            seen, reach=Reach.UP if seen.target == H else Reach.DOWN)
        for seen in report.observations))
    view = dataclasses.replace(
        view, reports={**view.reports, observer: sick})
    judgement = verdicts.judge(view, DetectionPolicy(), NOW)
    assert observer in judgement.patients
    assert judgement.hosts[H].state is HostState.UP


def test_hosts_known_to_be_away_do_not_make_patients_of_others():
    """Three of six targets dead and forced down: the fourth is found."""
    scene = Scene(cloud()).kill("dc1-r1-h2", "dc2-r1-h1", "dc2-r1-h2")
    for host in ("dc1-r1-h2", "dc2-r1-h1", "dc2-r1-h2"):
        scene.nova[host] = dataclasses.replace(
            scene.nova[host], forced_down=True)
    scene.kill("dc2-r2-h1")
    judgement = scene.judge()
    assert judgement.patients == {}
    assert judgement.hosts["dc2-r2-h1"].state is HostState.DEAD


def test_one_vantage_group_is_not_enough():
    """Seen down from one group alone: unknown."""
    scene = Scene(cloud()).kill(H)
    view = scene.view()
    reports = {
        name: dataclasses.replace(report, observations=tuple(
            seen for seen in report.observations
            if seen.target != H or seen.vantage.value == "other-dc"))
        for name, report in view.reports.items()}
    verdict = verdicts.judge(
        dataclasses.replace(view, reports=reports), DetectionPolicy(),
        NOW).hosts[H]
    assert verdict.state is HostState.NOT_SURE
    assert set(verdict.networks.values()) == {NetworkState.UNKNOWN}
    assert "seen down from other-dc" in verdict.reasons[0]


def test_where_an_observer_stands_is_told_by_the_topology():
    """An agent that claims another place does not make a second group."""
    scene = Scene(cloud()).kill(H)
    view = scene.view()
    reports = {}
    for name, report in view.reports.items():
        reports[name] = dataclasses.replace(report, observations=tuple(
            dataclasses.replace(seen, vantage=vantage)
            for seen in report.observations
            for vantage in type(seen.vantage)
            if seen.target != H or seen.vantage.value == "other-dc"))
    verdict = verdicts.judge(
        dataclasses.replace(view, reports=reports), DetectionPolicy(),
        NOW).hosts[H]
    assert verdict.state is HostState.NOT_SURE


def test_hosts_in_one_rack_alone_are_never_dead():
    scene = Scene(cloud(dcs=1, racks=1, hosts=5)).kill(H)
    verdict = scene.judge().hosts[H]
    assert verdict.state is HostState.NOT_SURE
    assert "one rack alone" in " ".join(verdict.reasons)


def test_one_dc_with_two_racks_has_two_groups_even_if_three_are_asked():
    policy = DetectionPolicy(down_vantage_groups=3)
    scene = Scene(cloud(dcs=1, racks=2, hosts=3)).kill(H)
    assert scene.judge(policy).hosts[H].state is HostState.DEAD


def test_a_whole_data_centre_out_of_sight_is_nobody_dead():
    topology = cloud(hosts=4)
    scene = Scene(topology).kill(*topology.hosts_of(Level.DC, "dc2"))
    judgement = scene.judge()
    assert "dead" not in states(judgement).values()
    assert all(judgement.hosts[h].suspect for h in states(judgement))


def test_a_host_whose_agent_never_reported_is_never_dead():
    topology = cloud()
    scene = Scene(topology, known=frozenset(topology.hosts) - {H}).kill(H)
    view = scene.view()
    reports = {n: r for n, r in view.reports.items() if n != H}
    verdict = verdicts.judge(
        dataclasses.replace(view, reports=reports), DetectionPolicy(),
        NOW).hosts[H]
    assert verdict.state is HostState.NOT_SURE
    assert not verdict.suspect
    assert "has ever reported" in verdict.reasons[0]


def test_symptoms_must_last_and_time_goes_on_counting():
    policy = DetectionPolicy(confirm_s=3.0)
    scene = Scene(cloud()).kill(H)
    scene.dead_since = {}
    first = scene.judge(policy)
    assert first.hosts[H].state is HostState.NOT_SURE
    assert first.dead_since() == {H: NOW}
    scene.dead_since = first.dead_since()
    scene.now = NOW + 2.9
    assert scene.judge(policy).hosts[H].state is HostState.NOT_SURE
    scene.now = NOW + 3.0
    assert scene.judge(policy).hosts[H].state is HostState.DEAD


@pytest.mark.parametrize("sign", ["heartbeat", "answer", "late answer"])
def test_flapping_starts_the_count_anew(sign):
    scene = Scene(cloud()).kill(H)
    if sign == "heartbeat":
        scene.mute.discard(H)
    elif sign == "answer":
        scene.cut.discard((H, "tenant"))
    else:
        scene.silent_s = 2.0
    judgement = scene.judge()
    assert judgement.hosts[H].state is not HostState.DEAD
    assert H not in judgement.dead_since()


def test_a_clock_that_jumped_does_not_confirm_early():
    scene = Scene(cloud()).kill(H)
    scene.dead_since = {H: NOW + 500.0}
    assert scene.judge().hosts[H].dead_since == NOW


def test_a_recent_answer_speaks_for_the_host_even_if_all_say_down():
    scene = Scene(cloud()).kill(H)
    scene.silent_s = 4.0
    verdict = scene.judge().hosts[H]
    assert verdict.state is HostState.NOT_SURE
    assert "last answer was 4.5 s ago" in verdict.reasons[0]


def test_networks_that_are_not_probed_can_be_left_out():
    policy = DetectionPolicy(networks=("management", "tenant"))
    scene = Scene(cloud()).kill(H)
    verdict = scene.judge(policy).hosts[H]
    assert verdict.state is HostState.DEAD
    assert set(verdict.networks) == {"management", "tenant"}


def test_an_unprobed_network_stays_unknown_and_nobody_dies():
    scene = Scene(cloud()).kill(H)
    view = scene.view()
    reports = {
        name: dataclasses.replace(report, observations=tuple(
            seen for seen in report.observations
            if seen.network != "storage"))
        for name, report in view.reports.items()}
    verdict = verdicts.judge(
        dataclasses.replace(view, reports=reports), DetectionPolicy(),
        NOW).hosts[H]
    assert verdict.state is HostState.NOT_SURE
    assert "storage unknown: seen down from nowhere" in verdict.reasons[0]


def test_empty_cloud_and_strange_reports_do_no_harm():
    empty = Scene(Topology(hosts={})).judge()
    assert empty.hosts == {}
    view = Scene(cloud()).view()
    stranger = dataclasses.replace(
        view.reports[H], observer="stranger", observations=tuple(
            dataclasses.replace(
                seen, observer="stranger", target=target, network=network,
                reach=Reach.DOWN)
            for seen in view.reports[H].observations[:1]
            for target in (*view.topology.hosts, "nobody")
            for network in (*NETWORKS, "no-such-network")))
    judgement = verdicts.judge(
        dataclasses.replace(
            view, reports={**view.reports, "stranger": stranger}),
        DetectionPolicy(), NOW)
    assert states(judgement) == {}
    assert "stranger" not in judgement.patients


def test_five_hundred_hosts_are_judged_within_a_tick():
    scene = Scene(cloud(racks=10, hosts=25)).kill(H)
    view = scene.view()
    started = time.process_time()
    judgement = verdicts.judge(view, DetectionPolicy(), NOW)
    assert judgement.hosts[H].state is HostState.DEAD
    assert time.process_time() - started < 2.0


def follow(stamp, before=None, elapsed=0.0):
    return verdicts.follow_service(
        NovaServiceView(state="up", stamp=stamp), before, elapsed)


def test_reports_to_nova_are_followed_by_their_stamps():
    first = follow("10:00:00")
    assert (first.last_seen_age_s, first.advanced) == (0.0, False)
    same = follow("10:00:00", first, 4.0)
    assert (same.last_seen_age_s, same.advanced) == (4.0, False)
    new = follow("10:00:05", same, 1.0)
    assert (new.last_seen_age_s, new.advanced) == (0.0, True)
    old = follow("10:00:05", new, 30.0)
    assert (old.last_seen_age_s, old.advanced) == (30.0, True)
    never = follow(None, old, 1.0)
    assert (never.last_seen_age_s, never.advanced) == (None, False)
    back = follow("11:00:00", never, 1.0)
    assert (back.last_seen_age_s, back.advanced) == (0.0, True)


def test_an_engines_first_look_at_nova_is_no_sign_of_life():
    """Else a takeover would void the fence proof of a dead host."""
    scene = Scene(cloud()).kill(H)
    scene.nova[H] = follow("10:00:00")
    verdict = scene.judge().hosts[H]
    assert verdict.state is HostState.NOT_SURE
    assert verdict.life_age_s is not None and verdict.life_age_s > 10.0
