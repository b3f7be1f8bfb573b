# SPDX-License-Identifier: Apache-2.0
"""Servers of one request, and requests that come close to each other."""

from collections.abc import Iterator
import gc
import threading
import time

import pytest

from aacloud.scheduler.nova import occupancy
from aacloud.scheduler.nova import recent
from tests.unit.scheduler import stage

RACK = {"d1-r1-h1", "d1-r1-h2"}
ALL = set(stage.topology().hosts)
DC1 = {name for name in ALL if name.startswith("d1")}


@pytest.fixture
def scheduler() -> Iterator[stage.Scheduler]:
    engine = stage.Engine(
        stage.group("g", "spread:rack", members=["a", "b"]))
    with stage.Scheduler(engine, stage.Cells(a="d1-r1-h1")) as made:
        yield made


def test_siblings_of_one_request_count() -> None:
    engine = stage.Engine(
        stage.group("g", "spread:rack:max=2", "spread:host"))
    with stage.Scheduler(engine) as scheduler:
        hosts = stage.states(engine.cloud)
        spec = stage.Spec("s0", "g", count=8)
        for number in range(8):
            spec.instance_uuid = f"s{number}"
            # As in Nova: each is chosen among what the one before left.
            hosts = list(scheduler.decider.passing(hosts, spec))
            hosts[0].consume()
        spec.instance_uuid = "s8"
        assert scheduler.decider.passing(hosts, spec) == []
        assert len(scheduler.cells.asked) == 1


def test_siblings_that_left_the_list_count() -> None:
    engine = stage.Engine(
        stage.group("g", "spread:rack:max=2", "spread:host"),
        cloud=stage.topology(1, 1, 3))
    with stage.Scheduler(engine) as scheduler:
        hosts = stage.states(engine.cloud)
        spec = stage.Spec("s0", "g", count=3)
        for number in range(2):
            spec.instance_uuid = f"s{number}"
            hosts = list(scheduler.decider.passing(hosts, spec))
            hosts[0].consume()
        spec.instance_uuid = "s2"
        # Both are on hosts that are not in the list any more.
        assert [one.host for one in hosts] == ["d1-r1-h2", "d1-r1-h3"]
        assert scheduler.decider.passing(hosts, spec) == []


def test_a_skew_does_not_end_a_request_of_many() -> None:
    engine = stage.Engine(
        stage.group("g", "spread:dc:max_skew=1", "spread:host"))
    with stage.Scheduler(engine) as scheduler:
        hosts = stage.states(engine.cloud)
        spec = stage.Spec("s0", "g", count=8)
        chosen = []
        for number in range(8):
            spec.instance_uuid = f"s{number}"
            hosts = list(scheduler.decider.passing(hosts, spec))
            chosen.append(hosts[0].host)
            hosts[0].consume()
            dcs = [name[:2] for name in chosen]
            assert abs(dcs.count("d1") - dcs.count("d2")) < 2
        assert set(chosen) == ALL


def test_a_host_that_others_refused_does_not_come_back() -> None:
    engine = stage.Engine(stage.group("g", "spread:dc:max_skew=1"))
    with stage.Scheduler(engine) as scheduler:
        spec = stage.Spec("s0", "g", count=3)
        hosts = list(scheduler.decider.passing(
            stage.states(engine.cloud), spec))
        full, free = hosts[0], hosts[1]
        assert full.host[:2] == free.host[:2] == "d1"
        full.consume()
        # Another filter refuses it from now on.
        hosts.remove(full)
        spec.instance_uuid = "s1"
        hosts = list(scheduler.decider.passing(hosts, spec))
        assert {one.host[:2] for one in hosts} == {"d2"}
        hosts[0].consume()
        spec.instance_uuid = "s2"
        hosts = list(scheduler.decider.passing(hosts, spec))
        assert free in hosts and full not in hosts


def test_alternates_keep_clear_of_all_siblings() -> None:
    engine = stage.Engine(stage.group("g", "spread:rack"))
    with stage.Scheduler(engine) as scheduler:
        everywhere = stage.states(engine.cloud)
        spec = stage.Spec("s0", "g", count=2)
        for number in range(2):
            spec.instance_uuid = f"s{number}"
            hosts = list(scheduler.decider.passing(everywhere, spec))
            hosts[0].consume()
        assert {one.host[:5] for one in scheduler.decider.passing(
            everywhere, spec)} == {"d2-r1", "d2-r2"}


def two() -> list[stage.State]:
    """HostStates as each request has its own."""
    return [stage.State("d2-r1-h1"), stage.State("d2-r2-h1")]


def test_a_birth_counts_before_anybody_knows_of_it(
    scheduler: stage.Scheduler,
) -> None:
    hosts = two()
    spec = stage.Spec("first", "g")
    assert len(scheduler.decider.passing(hosts, spec)) == 2
    del spec
    gc.collect()
    hosts[0].consume()
    # Not in its cell yet.
    assert scheduler.passing(stage.Spec("b"), two()) == {"d2-r2-h1"}
    # In its cell, without a host yet; then with one; then it runs.
    for sighting in (
        occupancy.Sighting(None, "building", True, False),
        occupancy.Sighting(None, "building", False, False),
        occupancy.Sighting("d2-r1-h1", "building", True, False),
        occupancy.Sighting("d2-r1-h1", "active"),
    ):
        scheduler.cells.seen["first"] = sighting
        assert scheduler.passing(stage.Spec("b"), two()) == {"d2-r2-h1"}
    # It went elsewhere after a failed build, or failed for good.
    scheduler.cells.seen["first"] = occupancy.Sighting(
        "d2-r2-h1", "active")
    assert scheduler.passing(stage.Spec("b"), two()) == {"d2-r1-h1"}
    scheduler.cells.seen["first"] = occupancy.Sighting(
        None, "error", False, False)
    assert len(scheduler.passing(stage.Spec("b"), two())) == 2


def test_other_workers_count_a_birth_once_it_is_a_member(
    scheduler: stage.Scheduler,
) -> None:
    engine, cells = scheduler.engine, scheduler.cells
    with stage.Scheduler(engine, cells) as other:
        hosts = two()
        scheduler.passing(stage.Spec("first", "g"), hosts)
        hosts[0].consume()
        cells.seen["first"] = occupancy.Sighting("d2-r1-h1")
        assert scheduler.passing(stage.Spec("b"), two()) == {"d2-r2-h1"}
        # Nova knows where it is, and nobody there that it is in the group.
        assert len(other.passing(stage.Spec("b"), two())) == 2
        # No engine comes back: the first one forgets it, too.
        scheduler.clock.now += recent.KEEP_S + 1
        assert len(scheduler.passing(stage.Spec("b"), two())) == 2
        engine.set(stage.group(
            "g", "spread:rack", members=["a", "b", "first"]))
        for each in (scheduler, other):
            each.sync()
            assert each.passing(stage.Spec("b"), two()) == {"d2-r2-h1"}


def test_a_birth_that_never_came_is_forgotten(
    scheduler: stage.Scheduler,
) -> None:
    hosts = two()
    scheduler.passing(stage.Spec("first", "g"), hosts)
    hosts[0].consume()
    assert scheduler.passing(stage.Spec("b"), two()) == {"d2-r2-h1"}
    scheduler.clock.now += 61
    assert len(scheduler.passing(stage.Spec("b"), two())) == 2


def test_requests_of_one_group_take_turns(
    scheduler: stage.Scheduler,
) -> None:
    first, hosts = stage.Spec("first", "g"), stage.states(
        scheduler.engine.cloud)
    chosen = scheduler.decider.passing(hosts, first)[0]
    done = threading.Event()
    refused: set[str] = set()

    def second() -> None:
        refused.update(scheduler.refused(stage.Spec("second", "g")))
        done.set()

    thread = threading.Thread(target=second)
    thread.start()
    # One of another group need not wait for it.
    scheduler.engine.set(stage.group("h", "spread:rack"))
    scheduler.sync()
    scheduler.passing(stage.Spec("other", "h"))
    assert not done.wait(0.1)
    asked = list(scheduler.cells.asked)
    # What happens while it waits counts: "b" came up on a host, "c" joined.
    scheduler.cells.seen["b"] = occupancy.Sighting("d1-r2-h1")
    scheduler.cells.seen["c"] = occupancy.Sighting("d2-r2-h1")
    scheduler.engine.set(stage.group(
        "g", "spread:rack", members=["a", "b", "c"]))
    scheduler.sync()
    chosen.consume()
    assert done.wait(10)
    thread.join(10)
    assert chosen.host == "d1-r2-h1"
    assert {name[:5] for name in refused} == {"d1-r1", "d1-r2", "d2-r2"}
    # It read once, when its turn had come.
    assert scheduler.cells.asked[len(asked):] == [
        {"a", "b", "c", "first", "second"}]
    assert len(asked) == 2, "that is, first and other"


def test_a_request_that_failed_keeps_nobody_waiting(
    scheduler: stage.Scheduler, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent, "TURN_S", 60.0)
    full = [stage.State("d1-r1-h2")]
    refused = stage.Spec("refused", "g")
    assert scheduler.passing(refused, full) == set()
    assert scheduler.refused(stage.Spec("b")) == RACK
    # One that Nova found no host for, and dropped.
    dropped = stage.Spec("dropped", "g")
    scheduler.passing(dropped)
    del dropped
    gc.collect()
    assert scheduler.refused(stage.Spec("b")) == RACK
    # One that Nova keeps in its memory for a while.
    kept = stage.Spec("kept", "g")
    scheduler.passing(kept)
    scheduler.clock.now += recent.CHOICE_S + 0.1
    assert scheduler.refused(stage.Spec("b")) == RACK
    assert refused and kept


def test_nobody_waits_for_ever(
    scheduler: stage.Scheduler, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent, "TURN_S", 0.1)
    first = stage.Spec("first", "g")
    scheduler.passing(first)
    assert scheduler.refused(stage.Spec("b")) == RACK
    assert first.instance_uuid == "first"


def test_an_evacuation_waits_for_a_moment_only(
    scheduler: stage.Scheduler, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent, "TURN_S", 60.0)
    monkeypatch.setattr(recent, "MOVE_TURN_S", 0.2)
    first = stage.Spec("first", "g")
    scheduler.passing(first)
    scheduler.cells.seen["b"] = occupancy.Sighting("d2-r1-h1", moves=(
        occupancy.Moving("evacuation", "d2-r1-h1", None),))
    spec = stage.Spec("b")
    spec.ignore_hosts = ["d2-r1-h1"]
    began = time.monotonic()
    scheduler.passing(spec)
    assert 0.2 <= time.monotonic() - began < 10.0
    assert first.instance_uuid == "first"
    assert len(scheduler.cells.asked) == 2


def test_a_move_takes_no_turn_of_groups_that_its_server_left(
    scheduler: stage.Scheduler, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent, "MOVE_TURN_S", 60.0)
    first = stage.Spec("first", "g")
    scheduler.passing(first)
    # It was born with the hint, is in another group now, and is moved.
    scheduler.engine.set(stage.group(
        "h", "fence:dc:domains=d2", members=["left"]))
    scheduler.sync()
    scheduler.cells.seen["left"] = occupancy.Sighting("d2-r1-h1")
    spec = stage.Spec("left", "g", "forgotten")
    spec.ignore_hosts = ["d2-r1-h1"]
    asked = len(scheduler.engine.asked)
    assert scheduler.refused(spec) == DC1
    assert scheduler.cells.asked[-1] == {"left"}
    assert len(scheduler.engine.asked) == asked, "no hint is looked up"
    assert first.instance_uuid == "first"


def test_a_request_that_breaks_keeps_nobody_waiting(
    scheduler: stage.Scheduler, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent, "TURN_S", 60.0)
    broken = stage.Spec("broken", "g")
    with monkeypatch.context() as patch:
        patch.setattr(scheduler.decider, "_places", None)
        assert scheduler.refused(broken) == set()
    assert scheduler.refused(stage.Spec("b")) == RACK
    assert broken.instance_uuid == "broken"


def test_two_moves_at_the_same_moment(scheduler: stage.Scheduler) -> None:
    scheduler.cells.seen["a"] = occupancy.Sighting("d1-r1-h1", busy=True)
    hosts = two()
    assert len(scheduler.passing(stage.Spec("a"), hosts)) == 2
    hosts[0].consume()
    # Nova does not say yet where it goes; it is counted at both ends.
    assert scheduler.passing(stage.Spec("b"), two()) == {"d2-r2-h1"}
    # It was given up.
    scheduler.cells.seen["a"] = occupancy.Sighting("d1-r1-h1")
    assert len(scheduler.passing(stage.Spec("b"), two())) == 2
