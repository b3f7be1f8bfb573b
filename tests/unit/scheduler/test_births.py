# SPDX-License-Identifier: Apache-2.0
"""Births that the engine does not know yet, against a quota of members."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses

import pytest

from aacloud.rpc import snapshot as rpc_snapshot
from aacloud.scheduler.nova import occupancy
from aacloud.scheduler.nova import recent
from tests.unit.scheduler import stage

WEB = stage.group("web", "fence:dc:domains=d1,d2", members=["m1"])


@pytest.fixture
def scheduler() -> Iterator[stage.Scheduler]:
    """Of four members that the project may have it has two."""
    engine = stage.Engine(
        WEB, stage.group("db", mode="report", members=["m2"]),
        stage.group("shop", project="p2"))
    engine.limits = rpc_snapshot.MemberLimits(4, {"p2": -1, "p3": 0})
    with stage.Scheduler(engine) as made:
        made.sync()
        yield made


def request(
    scheduler: stage.Scheduler, *servers: str, group: str = "web",
) -> list[bool]:
    """Place siblings as Nova does: which of them have got a host."""
    spec = stage.Spec(servers[0], group, count=len(servers))
    hosts = stage.states(scheduler.engine.cloud)
    found = []
    for server in servers:
        spec.instance_uuid = server
        left = list(scheduler.decider.passing(hosts, spec))
        found.append(bool(left))
        if not left:
            break
        left[0].consume()
    return found


def join(scheduler: stage.Scheduler, *members: str) -> None:
    """The engine hears of births, and tells who is in the group."""
    scheduler.engine.set(
        dataclasses.replace(WEB, members=frozenset(members)))
    scheduler.sync()


def test_siblings_count(scheduler: stage.Scheduler) -> None:
    assert request(scheduler, "a", "b", "c") == [True, True, False]
    # Nova places all of a request, or none: there is room as before.
    assert request(scheduler, "d", "e") == [True, True]
    assert request(scheduler, "f") == [False]


def test_births_before_count_in_each_group(
    scheduler: stage.Scheduler,
) -> None:
    assert request(scheduler, "a") == [True]
    assert request(scheduler, "b", group="db") == [True]
    assert request(scheduler, "c") == [False]
    assert request(scheduler, "c", group="db") == [False]
    assert request(scheduler, "d") == [False]


def test_a_server_of_two_groups_counts_twice(
    scheduler: stage.Scheduler,
) -> None:
    assert request(scheduler, "a", group="web,db") == [True]
    assert request(scheduler, "b") == [False]


def test_other_projects_have_their_own(scheduler: stage.Scheduler) -> None:
    assert request(scheduler, "a", "b") == [True, True]
    other = stage.Spec("c", "shop", project="p2")
    assert scheduler.passing(other)


def test_who_joined_counts_once(scheduler: stage.Scheduler) -> None:
    assert request(scheduler, "a") == [True]
    join(scheduler, "m1", "a")
    assert request(scheduler, "b") == [True]
    join(scheduler, "m1", "a", "b")
    assert request(scheduler, "c") == [False]


def test_who_was_deleted_makes_room(scheduler: stage.Scheduler) -> None:
    assert request(scheduler, "a", "b") == [True, True]
    join(scheduler, "m1", "a", "b")
    assert request(scheduler, "c") == [False]
    join(scheduler, "m1")
    assert request(scheduler, "c", "d") == [True, True]


def test_failed_births_make_room(scheduler: stage.Scheduler) -> None:
    assert request(scheduler, "a", "b") == [True, True]
    scheduler.cells.seen["a"] = occupancy.Sighting(
        None, vm_state="error", launched=False)
    assert request(scheduler, "c") == [True]
    assert request(scheduler, "d") == [False]


def test_births_that_never_appear(scheduler: stage.Scheduler) -> None:
    assert request(scheduler, "a", "b") == [True, True]
    scheduler.clock.now += recent.APPEAR_S - 1.0
    assert request(scheduler, "c") == [False]
    scheduler.clock.now += 2.0
    assert request(scheduler, "c") == [True]


def test_requests_that_got_no_host(scheduler: stage.Scheduler) -> None:
    """Another filter let nothing pass, which nobody tells."""
    for server in ("a", "b"):
        assert scheduler.passing(stage.Spec(server, "web"))
    scheduler.clock.now += recent.CHOICE_S + 0.1
    assert request(scheduler, "c", "d") == [True, True]


def test_the_same_server_again(scheduler: stage.Scheduler) -> None:
    """Nova asks again, for alternates."""
    assert request(scheduler, "a", "b") == [True, True]
    assert request(scheduler, "b") == [True]
    assert request(scheduler, "c") == [False]
