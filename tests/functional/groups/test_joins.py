# SPDX-License-Identifier: Apache-2.0
"""Many servers join at once, over real servers, and while these fail."""

from __future__ import annotations

from collections.abc import Callable
import time

from aacloud.core import groups as core_groups
from aacloud.core import rules
from tests.functional.groups import place as places

MANY = 50

#: Seconds after which a join has to count in every scheduler, once it was
#: answered; the rest is for a busy machine.
EFFECTIVE = 1.0


def births(place: places.Place) -> list[Callable[[], object]]:
    """Each tells what Nova tells of a birth, all with the same hint."""
    hosts = sorted(place.cloud.topology.hosts)[:20]
    works = []
    for number in range(MANY):
        server = places.server_id(number)
        place.cloud.born(server, hosts[number % len(hosts)], "web")

        def tell(server: str = server) -> None:
            send = place.notifier()
            send("scheduler.select_destinations.start", {
                "instance_uuid": server, "project_id": "p",
                "scheduler_hints": {"ha_group": ["web"]}})
            send("instance.create.end", {"uuid": server, "tenant_id": "p"})

        works.append(tell)
    return works


def test_fifty_are_born_at_once_and_mended(
    place: places.Place,
    record_property: Callable[[str, object], None],
) -> None:
    place.engines()
    scheduler = place.scheduler("sched:1")
    group = place.group(
        "spread:host", "spread:dc:max_skew=1", mode=rules.GroupMode.REPAIR)
    place.at_once(births(place))
    wanted = {places.server_id(number) for number in range(MANY)}
    took = place.eventually(lambda: place.members(group) == wanted)
    # Each joined once: none was written twice.
    joins = [
        change for change in place.store.history(group)
        if change.kind == "joined"]
    assert len(joins) == MANY
    lag = place.eventually(
        lambda: scheduler.groups[group].members == wanted)
    record_property("seconds until all were members", round(took, 2))
    record_property("seconds until the scheduler knew", round(lag, 2))
    assert lag < 5 * EFFECTIVE

    def mended() -> bool:
        report = place.api.inspect([group])[group]
        return report.state == "compliant"

    place.eventually(mended, 240.0)
    moved = [server for server, _from, _to in place.cloud.live]
    assert len(moved) == len(set(moved))
    record_property("moves that mended it", len(moved))
    # 20 hosts held 50: at least 30 had to go, the rest is for the balance.
    assert 30 <= len(moved) <= MANY


def test_a_join_counts_within_a_second(
    place: places.Place,
    record_property: Callable[[str, object], None],
) -> None:
    place.engines()
    schedulers = [place.scheduler(f"sched:{number}") for number in range(4)]
    group = place.group("spread:host")
    slowest = 0.0

    def join(number: int) -> None:
        nonlocal slowest
        server = places.server_id(number)
        place.cloud.born(server, "dc1-r1-h1")
        joined = place.store.add_members(group, {server: "p"}, by="ann")
        revision = joined.record.group.revision
        place.api.changed(revision)
        answered = time.monotonic()
        acks = place.api.wait_acked(revision, 20.0)
        slowest = max(slowest, time.monotonic() - answered)
        assert {ack.scheduler for ack in acks} == {
            each.name for each in schedulers}
        assert all(ack.revision >= revision for ack in acks)

    join(0)
    slowest = 0.0
    for number in range(1, 6):
        join(number)
    for each in schedulers:
        assert len(each.groups[group].members) == 6
    record_property("seconds of the slowest", round(slowest, 3))
    assert slowest < 3 * EFFECTIVE, slowest


def test_the_broker_is_killed_during_joins(
    place: places.Place,
    record_property: Callable[[str, object], None],
) -> None:
    """What it lost is found by the next reconciliation."""
    place.engines()
    group = place.group("spread:host")
    works = births(place)
    place.at_once(works[:10])
    place.eventually(lambda: len(place.members(group)) == 10)
    place.broker.kill()
    # Nova goes on to be asked; nobody hears of these.
    place.broker.start()
    place.at_once(works[40:])
    wanted = {places.server_id(number) for number in range(MANY)}
    took = place.eventually(lambda: place.members(group) == wanted)
    record_property("seconds until all were members", round(took, 2))
    joins = [
        change for change in place.store.history(group)
        if change.kind == "joined"]
    assert len(joins) == MANY
    # And notifications are heard again.
    server = places.server_id(MANY)
    place.cloud.born(server, "dc1-r1-h1", "web")
    place.notifier()("scheduler.select_destinations.start", {
        "instance_uuid": server, "project_id": "p",
        "scheduler_hints": {"ha_group": ["web"]}})
    place.eventually(lambda: server in place.members(group))


def test_the_leader_is_lost_while_it_repairs(place: places.Place) -> None:
    place.engines()
    place.cloud.takes_s = 3.0
    group = place.group("spread:host", mode=rules.GroupMode.REPAIR)
    for number in range(6):
        server = places.server_id(number)
        place.cloud.born(server, "dc1-r1-h1")
        place.store.add_members(group, {server: "p"}, by="ann")
    place.eventually(lambda: place.cloud.live)
    leader = next(
        daemon for daemon in place.daemons
        if daemon.checks()["engine"] == (True, "leads"))
    leader.stop()
    place.eventually(lambda: any(
        daemon.checks()["engine"] == (True, "leads")
        for daemon in place.daemons if daemon is not leader))
    place.eventually(lambda: (
        not place.plans.live()
        and place.plans.list(states=[core_groups.PlanState.DONE])))
    moved = [server for server, _from, _to in place.cloud.live]
    assert len(moved) == len(set(moved)) == 5
    assert place.api.inspect([group])[group].state == "compliant"
