# SPDX-License-Identifier: Apache-2.0
"""HA server groups over real schedulers and real migrations."""

from __future__ import annotations

import collections
from collections.abc import Iterator

import pytest

from tests.lab.rest import RestError
from tests.lab.suite import truths
from tests.lab.suite.grouping import BORN
from tests.lab.suite.grouping import Grouping
from tests.lab.suite.grouping import TOLD
from tests.lab.suite.stage import Stage

MANY = 50


@pytest.mark.timeout(900)
def test_fifty_are_born_at_once_and_what_is_broken_is_mended(
    stage: Stage, groups: Grouping, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.ready()
    group = groups.make(
        "spread:rack:max_skew=1", "spread:dc:max_skew=1", mode="repair")
    ids = groups.born(MANY, hint={"ha_group": group})
    groups.await_members(group, ids)

    at_birth = groups.excess(group)
    born_at = groups.places(ids)
    mended = groups.mended(group, BORN)
    after = groups.excess(group)
    with capsys.disabled():
        print(
            f"\n{MANY} births at once: {sum(at_birth.values())} violations "
            f"({at_birth}), mended by {mended.moves} moves "
            f"{list(mended.plans)} (moves, bound); then {after}")

    # By the places that Nova has, not by what the engine says of them.
    now = groups.places(ids)
    racks = collections.Counter(
        stage.lab.plan.host(host).rack for host in now.values())
    dcs = collections.Counter(
        stage.lab.plan.host(host).dc for host in now.values())
    assert max(racks.values()) - min(racks.values()) <= 1, racks
    assert (len(racks), dcs["dc1"], dcs["dc2"]) == (4, MANY / 2, MANY / 2)
    assert not any(after.values()), after
    moved = {one for one in ids if born_at[one] != now[one]}
    moves = groups.moves(ids)
    assert moved == set(moves)
    assert all(len(one) == 1 for one in moves.values()), moves
    assert len(moved) == mended.moves
    assert all(moves == bound for moves, bound in mended.plans), mended
    groups.check_once(ids)
    groups.check_still(group, ids)


@pytest.fixture
def native(stage: Stage) -> Iterator[str]:
    """A server group of Nova's own: anti-affinity."""
    cloud = stage.lab.cloud
    made = cloud.post("nova-api", "/os-server-groups", {"server_group": {
        "name": Grouping.name(), "policy": "anti-affinity"}})
    yield made["server_group"]["id"]
    try:
        cloud.delete(
            "nova-api", f"/os-server-groups/{made['server_group']['id']}")
    except RestError as error:
        if error.status != 404:
            raise


def test_a_repair_never_breaks_a_group_of_novas_own(
    stage: Stage, groups: Grouping, native: str
) -> None:
    hosts = [node.name for node in stage.lab.plan.hosts]
    rack = stage.lab.plan.hosts[0].rack
    # Two fill the rack as far as Nova lets them, the third is elsewhere.
    theirs = groups.born(3, hint={"group": native}, hosts=hosts[:3])
    beside = stage.crew(hosts[2], 1)
    stage.ready()

    # The rack has two hosts, and each holds one of them already.
    fenced = groups.make(f"fence:rack:domains={rack}", members=theirs)
    found = groups.inspect(fenced)
    assert found["state"] == "violating", found
    plan = groups.plan(fenced)
    assert (plan["moves"], plan["excess_after"]) == (0, 1), plan
    (left,) = plan["left"]
    assert left["group_id"] == fenced
    assert native in left["reason"], left

    # It shares its host with another, for whom there is no such bar; both
    # may be moved, but one of them to few hosts only.
    spread = groups.make(
        "spread:host", members=[*beside.ids, theirs[2]])
    plan = groups.plan(spread)
    assert (plan["moves"], plan["excess_after"]) == (1, 0), plan
    groups.approve(plan["id"])
    ended = groups.carried_out(plan["id"])
    assert ended["plan"]["state"] == "done", groups.story(plan["id"])
    assert groups.excess(spread) == {"spread:host:max=1": 0}
    assert len(set(groups.places(theirs).values())) == 3
    assert len(groups.moves([*theirs, *beside.ids])) == 1
    groups.check_once([*theirs, *beside.ids])


def test_an_evacuation_relaxes_and_the_repair_mends(
    stage: Stage, groups: Grouping
) -> None:
    hosts = list(stage.lab.hosts)
    ids = groups.born(len(hosts), hint={}, hosts=hosts)
    stage.ready()
    group = groups.make("spread:host", members=ids, mode="repair")
    assert not any(groups.excess(group).values())

    victim = stage.host()
    (lost,) = (one for one, at in groups.places(ids).items() if at == victim)
    disks = truths.disks(stage.look, [lost])
    stage.crash(victim)
    incident = stage.incident_of(victim)
    stage.done(incident)
    truths.each_once(stage.look, [lost], victim, disks)
    found = groups.await_state(
        group, {"violating", "degraded", "unsatisfiable"})
    assert found["state"] != "unsatisfiable", groups.inspect(group)
    assert sum(groups.excess(group).values()) == 1

    stage.switch_on(victim)
    stage.returned(incident)
    mended = groups.mended(group)
    assert (mended.plans, mended.moves) == (((1, 1),), 1)
    assert sorted(groups.places(ids).values()) == sorted(hosts)
    assert len(groups.moves(ids)) == 1
    groups.check_once(ids)
    groups.await_state(group, {"compliant"}, TOLD)
