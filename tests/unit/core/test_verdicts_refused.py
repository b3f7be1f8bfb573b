# SPDX-License-Identifier: Apache-2.0
"""A kernel that refuses probes lives: its host is not held dead."""

from __future__ import annotations

import dataclasses

import pytest

from aacloud.core import verdicts
from aacloud.core.observations import NETWORKS
from aacloud.core.observations import Reach
from aacloud.core.verdicts import DetectionPolicy
from aacloud.core.verdicts import HostState
from aacloud.core.verdicts import NetworkState
from tests.unit.core.builders import cloud
from tests.unit.core.builders import NOW
from tests.unit.core.builders import Scene
from tests.unit.core.test_verdicts import H
from tests.unit.core.test_verdicts import only
from tests.unit.core.test_verdicts import states


def refusing(
    world: verdicts.WorldView, observer: str, *networks: str,
    target: str = H, reach: Reach = Reach.UNKNOWN,
) -> verdicts.WorldView:
    """The same, but the target's kernel refuses this observer's probes."""
    report = world.reports[observer]
    report = dataclasses.replace(report, observations=tuple(
        dataclasses.replace(seen, reach=reach, refused=True)
        if seen.target == target and seen.network in networks else seen
        for seen in report.observations))
    return dataclasses.replace(
        world, reports={**world.reports, observer: report})


def watchers(world: verdicts.WorldView) -> list[str]:
    return [name for name, report in world.reports.items()
            if any(seen.target == H for seen in report.observations)]


def test_agent_and_nova_compute_died_but_the_kernel_lives():
    world = Scene(cloud()).kill(H).view()
    for observer in watchers(world):
        world = refusing(world, observer, *NETWORKS)
    verdict = only(verdicts.judge(world, DetectionPolicy(), NOW))
    assert verdict.state is HostState.NOT_SURE
    assert verdict.suspect
    assert verdict.dead_since is None
    assert verdict.reasons == (
        ("its kernel refuses probes on management, tenant, storage: the host "
         "lives, its agent does not run; start aacloud-agent"),)
    assert set(verdict.networks.values()) == {NetworkState.UNKNOWN}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("reach", [Reach.UNKNOWN, Reach.DOWN])
def test_one_refused_probe_holds_the_verdict_back(network, reach):
    scene = Scene(cloud()).kill(H)
    assert scene.judge().hosts[H].state is HostState.DEAD
    for observer in watchers(scene.view()):
        world = refusing(scene.view(), observer, network, reach=reach)
        verdict = only(verdicts.judge(world, DetectionPolicy(), NOW))
        assert verdict.state is HostState.NOT_SURE
        assert verdict.dead_since is None
        assert f"refuses probes on {network}:" in verdict.reasons[0]


def test_a_refused_probe_holds_only_while_its_report_is_fresh():
    scene = Scene(cloud()).kill(H)
    world = scene.view()
    observer = watchers(world)[0]
    world = refusing(world, observer, *NETWORKS)
    old = dataclasses.replace(world.reports[observer], received=NOW - 6.5)
    world = dataclasses.replace(
        world, reports={**world.reports, observer: old})
    judgement = verdicts.judge(world, DetectionPolicy(), NOW)
    assert judgement.hosts[H].state is HostState.DEAD


def test_nobody_is_held_back_by_the_kernel_of_another_or_by_itself():
    scene = Scene(cloud()).kill(H, "dc2-r1-h1")
    world = scene.view()
    for observer in watchers(world):
        world = refusing(
            world, observer, *NETWORKS, target="dc2-r1-h1")
    own = dataclasses.replace(
        world.reports["dc1-r1-h2"].observations[0],
        observer=H, target=H, reach=Reach.UNKNOWN, refused=True)
    report = dataclasses.replace(world.reports[H], observations=(own,))
    world = dataclasses.replace(world, reports={**world.reports, H: report})
    judgement = verdicts.judge(world, DetectionPolicy(), NOW)
    assert states(judgement)[H] == "dead"


def test_a_refused_probe_is_no_sign_of_life_and_makes_nobody_up():
    scene = Scene(cloud()).kill(H)
    before = scene.judge().hosts[H]
    world = scene.view()
    for observer in watchers(world):
        world = refusing(world, observer, *NETWORKS)
    after = verdicts.judge(world, DetectionPolicy(), NOW).hosts[H]
    assert after.life_age_s == before.life_age_s
    assert after.state is not HostState.UP
