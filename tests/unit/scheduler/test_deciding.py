# SPDX-License-Identifier: Apache-2.0
"""Which hosts servers of groups may go to."""

from collections.abc import Iterator
import gc
import threading
import time
import types

import prometheus_client
import pytest

from aacloud.core.topology import Topology
from aacloud.scheduler.nova import deciding
from aacloud.scheduler.nova import occupancy
from aacloud.scheduler.nova import recent
from tests.unit.scheduler import stage

RACK = {"d1-r1-h1", "d1-r1-h2"}
ALL = set(stage.topology().hosts)
DC1 = {name for name in ALL if name.startswith("d1")}


def metric(name: str, **labels: str) -> float:
    return prometheus_client.REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
def scheduler() -> Iterator[stage.Scheduler]:
    engine = stage.Engine(
        stage.group("g", "spread:rack", members=["a", "b"]))
    with stage.Scheduler(engine, stage.Cells(a="d1-r1-h1")) as made:
        yield made


def test_a_server_of_no_group_costs_nothing(
    scheduler: stage.Scheduler,
) -> None:
    hosts = [object()]
    assert scheduler.decider.passing(hosts, stage.Spec("x")) is hosts
    assert scheduler.decider.penalties(hosts, stage.Spec("x")) is None
    other = stage.Spec("x", group=["native"])
    assert scheduler.decider.passing(hosts, other) is hosts
    assert scheduler.cells.asked == []
    assert len(scheduler.engine.asked) == 1


def test_a_member_keeps_clear_of_the_others(
    scheduler: stage.Scheduler,
) -> None:
    assert scheduler.refused(stage.Spec("b")) == RACK
    assert scheduler.cells.asked == [{"a", "b"}]
    # Where it is itself does not stand in its way.
    assert scheduler.refused(stage.Spec("a")) == set()


def test_members_on_hosts_that_are_not_offered_count(
    scheduler: stage.Scheduler,
) -> None:
    offered = [stage.State("d1-r1-h2"), stage.State("d2-r1-h1")]
    assert scheduler.passing(stage.Spec("b"), offered) == {"d2-r1-h1"}
    assert scheduler.passing(
        stage.Spec("b"), [stage.State("d1-r1-h2")]) == set()


def test_several_groups_are_kept_together() -> None:
    engine = stage.Engine(
        stage.group("g", "spread:rack", members=["a", "b"]),
        stage.group("f", "fence:dc:domains=d1", members=["b"]),
        stage.group("h", "spread:host", members=["b", "c"]))
    cells = stage.Cells(a="d1-r1-h1", c="d1-r2-h2")
    with stage.Scheduler(engine, cells) as scheduler:
        assert scheduler.passing(stage.Spec("b")) == {"d1-r2-h1"}
        assert len(cells.asked) == 1


def test_preferences_are_for_the_weigher() -> None:
    engine = stage.Engine(stage.group(
        "g", "spread:rack:prefer", "fence:dc:domains=d1",
        members=["a", "b"]))
    with stage.Scheduler(
        engine, stage.Cells(a="d1-r1-h1"),
    ) as scheduler:
        spec, hosts = stage.Spec("b"), stage.states(engine.cloud)
        assert scheduler.passing(spec, hosts) == DC1
        left = [one for one in hosts if one.host in DC1]
        assert set(scheduler.penalties(spec, left)) == RACK
        assert len(scheduler.cells.asked) == 1
        del spec
        # Without the filter it judges by itself.
        alone = stage.Spec("b")
        assert set(scheduler.penalties(alone, left)) == RACK


def test_a_move_counts_at_both_ends(scheduler: stage.Scheduler) -> None:
    scheduler.cells.seen["a"] = occupancy.Sighting(
        "d1-r1-h1", busy=True, moves=(
            occupancy.Moving("live-migration", "d1-r1-h1", "d2-r2-h1"),))
    assert scheduler.refused(stage.Spec("b")) == RACK | {
        "d2-r2-h1", "d2-r2-h2"}
    # Its own move does not: that is what is being decided.
    assert scheduler.refused(stage.Spec("a")) == set()


def test_a_broken_rule_gets_better_and_never_worse() -> None:
    engine = stage.Engine(
        stage.group("g", "spread:dc", members=["a", "b", "c"]))
    with stage.Scheduler(engine, stage.Cells(
        a="d1-r1-h1", b="d1-r1-h2", c="d1-r2-h1",
    )) as scheduler:
        assert scheduler.refused(stage.Spec("a")) == set()
        scheduler.cells.seen["c"] = occupancy.Sighting("d2-r1-h1")
        assert scheduler.refused(stage.Spec("c")) == DC1


@pytest.mark.parametrize("mode", ["off", "report"])
def test_modes_that_refuse_nothing(mode: str) -> None:
    engine = stage.Engine(stage.group(
        "g", "spread:rack", members=["a", "b"], mode=mode))
    before = metric("aacloud_scheduler_requests_total", passed="would")
    with stage.Scheduler(engine, stage.Cells(a="d1-r1-h1")) as scheduler:
        spec = stage.Spec("b")
        assert scheduler.refused(spec) == set()
        assert scheduler.penalties(spec) == {}
        report = mode == "report"
        assert bool(scheduler.cells.asked) is report
        assert metric(
            "aacloud_scheduler_requests_total", passed="would",
        ) == before + report


def test_an_evacuation_relaxes_spread_and_holds_the_fence() -> None:
    engine = stage.Engine(stage.group(
        "g", "spread:rack", "fence:dc:domains=d1", members=["a", "b"]))
    cells = stage.Cells(a="d1-r1-h1")
    cells.seen["b"] = occupancy.Sighting(
        "d1-r2-h1", busy=True, moves=(
            occupancy.Moving("evacuation", "d1-r2-h1", None),))
    with stage.Scheduler(engine, cells) as scheduler:
        spec = stage.Spec("b")
        assert scheduler.passing(spec) == DC1
        assert set(scheduler.penalties(spec)) >= RACK


def test_a_dead_data_centre_does_not_count_for_skew() -> None:
    engine = stage.Engine(stage.group(
        "g", "spread:dc:max_skew=1", members=["a", "b", "c"]))
    with stage.Scheduler(engine, stage.Cells(
        a="d1-r1-h1", b="d1-r1-h2",
    )) as scheduler:
        assert scheduler.refused(stage.Spec("c")) == DC1
        engine.dead = frozenset({"d2"})
        engine.set(stage.group("x"))
        scheduler.sync()
        assert scheduler.refused(stage.Spec("c")) == set()


def test_a_rebuild_in_place_is_left_alone(
    scheduler: stage.Scheduler,
) -> None:
    spec = stage.Spec("b", _nova_check_type=["rebuild"])
    hosts = [stage.State("d1-r1-h1")]
    assert scheduler.passing(spec, hosts) == {"d1-r1-h1"}
    assert scheduler.cells.asked == []


# -- where hosts stand --------------------------------------------------------

def test_aggregates_are_fresher_than_the_engine(
    scheduler: stage.Scheduler,
) -> None:
    moved = [stage.Aggregate(rack="d1-r1"), stage.Aggregate(dc="d1")]
    hosts = [stage.State("d1-r2-h1", moved), stage.State("d1-r2-h2"),
             stage.State("d1-r1-h1", [stage.Aggregate(rack="d1-r1")])]
    assert scheduler.passing(stage.Spec("b"), hosts) == {"d1-r2-h2"}
    before = scheduler.decider._places._merged
    scheduler.passing(stage.Spec("b"), hosts)
    assert scheduler.decider._places._merged is before
    # A new object in its place, as Nova tells of a change.
    hosts[0].aggregates = [
        stage.Aggregate(rack="d1-r2"), stage.Aggregate(dc="d1")]
    assert scheduler.passing(
        stage.Spec("b"), hosts) == {"d1-r2-h1", "d1-r2-h2"}


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("spread:rack", True), ("spread:rack:on_unknown=closed", False),
     ("fence:dc:domains=d1", False), ("spread:host", True)])
def test_a_host_without_a_place(text: str, allowed: bool) -> None:
    engine = stage.Engine(stage.group("g", text, members=["b"]))
    both = [stage.Aggregate(rack="x"), stage.Aggregate(rack="y")]
    hosts = [stage.State("new"), stage.State("d1-r1-h1", both)]
    with stage.Scheduler(engine) as scheduler:
        passed = scheduler.passing(stage.Spec("b"), hosts)
        assert passed == ({"new", "d1-r1-h1"} if allowed else set())
        recorded = {("b", ("id-g",), "no-place")}
        noted = allowed and "rack" in text
        assert scheduler.records() == (recorded if noted else set())


def test_a_member_on_a_host_of_its_own_kind_counts_there() -> None:
    engine = stage.Engine(
        stage.group("g", "spread:host", members=["a", "b"]))
    with stage.Scheduler(engine, stage.Cells(a="new")) as scheduler:
        hosts = [stage.State("new"), stage.State("newer")]
        assert scheduler.passing(stage.Spec("b"), hosts) == {"newer"}


# -- hints ----------------------------------------------------------------

@pytest.mark.parametrize("hint", ["g", "id-g"])
def test_a_birth_with_a_hint(scheduler: stage.Scheduler, hint: str) -> None:
    assert scheduler.refused(stage.Spec("new", hint)) == RACK
    assert len(scheduler.engine.asked) == 1


def test_hints_name_several_groups(scheduler: stage.Scheduler) -> None:
    scheduler.engine.set(stage.group("f", "fence:dc:domains=d2"))
    scheduler.sync()
    assert scheduler.passing(stage.Spec("new", "g", "f")) == ALL - DC1


def test_a_hint_that_is_not_known_is_asked_for_once(
    scheduler: stage.Scheduler,
) -> None:
    scheduler.client.view()
    scheduler.engine.set(stage.group("f", "fence:dc:domains=d2"))
    assert scheduler.passing(stage.Spec("new", "f")) == ALL - DC1
    assert scheduler.passing(stage.Spec("newer", "f")) == ALL - DC1
    assert len(scheduler.engine.asked) == 2


@pytest.mark.parametrize("policy", ["open", "closed"])
def test_a_hint_of_no_group_or_of_another_projects(policy: str) -> None:
    engine = stage.Engine(stage.group("g", "spread:rack", project="p2"))
    with stage.Scheduler(engine, unknown_hint=policy) as scheduler:
        for hint in ("nothing", "g", "id-g"):
            passed = scheduler.passing(stage.Spec("new", hint))
            assert passed == (ALL if policy == "open" else set())
        assert ("new", (), "unknown-hint") in scheduler.records() or (
            policy == "closed")


@pytest.mark.parametrize("policy", ["open", "closed"])
def test_a_hint_while_no_engine_answers(policy: str) -> None:
    engine = stage.Engine(stage.group("g", "spread:rack"))
    with stage.Scheduler(engine, on_unknown=policy) as scheduler:
        scheduler.client.view()
        engine.down = True
        passed = scheduler.passing(stage.Spec("new", "nothing"))
        assert passed == (ALL if policy == "open" else set())
        asked = len(engine.asked)
        scheduler.passing(stage.Spec("newer", "nothing"))
        assert len(engine.asked) == asked, "it is not asked each time"


def test_a_hint_counts_at_birth_only(scheduler: stage.Scheduler) -> None:
    # It left the group; Nova keeps its hint.
    scheduler.cells.seen["left"] = occupancy.Sighting("d2-r1-h1")
    assert scheduler.refused(stage.Spec("left", "g", "nothing")) == set()
    scheduler.cells.seen["born"] = occupancy.Sighting(
        None, "building", busy=True, launched=False)
    assert scheduler.refused(stage.Spec("born", "g")) == RACK


# -- siblings, and requests close to each other -----------------------------

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
    chosen.consume()
    assert done.wait(10)
    thread.join(10)
    assert {name[:5] for name in refused} == {"d1-r1", chosen.host[:5]}


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


def test_an_evacuation_does_not_wait(scheduler: stage.Scheduler) -> None:
    first = stage.Spec("first", "g")
    scheduler.passing(first)
    scheduler.cells.seen["b"] = occupancy.Sighting("d2-r1-h1", moves=(
        occupancy.Moving("evacuation", "d2-r1-h1", None),))
    began = time.monotonic()
    scheduler.passing(stage.Spec("b"))
    assert time.monotonic() - began < recent.TURN_S / 2
    assert first.instance_uuid == "first"


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


# -- what is not known --------------------------------------------------------

def test_no_snapshot_at_all() -> None:
    engine = stage.Engine()
    engine.down = True
    with stage.Scheduler(engine, first_wait=0.1) as scheduler:
        assert scheduler.refused(stage.Spec("b")) == set()
        assert scheduler.records() == {("b", (), "no-snapshot")}
        assert scheduler.penalties(stage.Spec("b")) == {}
        assert scheduler.refused(stage.Spec("c", "g")) == set()
        assert ("c", (), "hint-not-asked") in scheduler.records()


STALE = [
    ("spread:rack", False, set()),
    ("spread:rack:on_unknown=closed", False, ALL),
    ("spread:rack:on_unknown=closed", True, set()),
    ("fence:dc:domains=d1", False, ALL),
    ("fence:dc:domains=d1", True, ALL - DC1),
    ("spread:rack:prefer:on_unknown=closed", False, set()),
]


@pytest.mark.parametrize(("text", "evacuation", "refused"), STALE)
def test_a_snapshot_that_is_too_old(
    text: str, evacuation: bool, refused: set[str],
) -> None:
    engine = stage.Engine(stage.group("g", text, members=["a", "b"]))
    cells = stage.Cells(a="d1-r1-h1", b="d1-r2-h1")
    if evacuation:
        cells.seen["b"] = occupancy.Sighting("d1-r2-h1", moves=(
            occupancy.Moving("evacuation", "d1-r2-h1", None),))
    with stage.Scheduler(engine, cells, max_stale=600) as scheduler:
        scheduler.client.view()
        closed = metric("aacloud_scheduler_fail_closed_total", reason="stale")
        scheduler.clock.now += 601
        spec = stage.Spec("b")
        assert scheduler.refused(spec) == refused
        opened = text == "spread:rack"
        if opened:
            assert scheduler.records() == {("b", ("id-g",), "stale")}
            assert set(scheduler.penalties(spec)) == RACK, "it advises"
        assert metric(
            "aacloud_scheduler_fail_closed_total", reason="stale",
        ) == closed + (refused == ALL)


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize(("text", "refused"), [
    ("spread:rack", set()),
    ("spread:rack:on_unknown=closed", ALL),
    ("fence:dc:domains=d1", ALL - DC1),
])
def test_cells_that_do_not_answer(
    text: str, refused: set[str], raises: bool,
) -> None:
    engine = stage.Engine(stage.group("g", text, members=["a", "b"]))
    cells = stage.Cells()
    cells.complete = False
    cells.fails = RuntimeError("no database") if raises else None
    with stage.Scheduler(engine, cells) as scheduler:
        # What the scheduler heard of by itself is better than nothing.
        hosts = stage.states(engine.cloud)
        hosts[0].instances["a"] = None
        spec = stage.Spec("b")
        assert scheduler.refused(spec, hosts) == refused
        if text == "spread:rack":
            assert scheduler.records() == {("b", ("id-g",), "occupancy")}
            assert set(scheduler.penalties(spec, hosts)) == RACK


# -- nothing may raise -----------------------------------------------------

class Broken:
    """Whatever is asked of it fails."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(f"{name} is broken")


def breakable(scheduler: stage.Scheduler) -> list[tuple[object, str]]:
    decider = scheduler.decider
    return [
        (decider, "_client"), (decider, "_where"), (decider, "_recent"),
        (decider, "_places"), (decider, "_clock"),
        (scheduler.client, "_view"), (deciding, "rules"),
        (deciding, "verdict"), (deciding, "snapshot_client"),
        (deciding, "metrics"), (deciding, "LOG"), (decider, "_pace"),
    ]


@pytest.mark.parametrize("number", range(12))
def test_every_collaborator_may_fail(
    scheduler: stage.Scheduler, number: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scheduler.client.view()
    monkeypatch.setattr(recent, "TURN_S", 0.05)
    owner, name = breakable(scheduler)[number]
    monkeypatch.setattr(owner, name, Broken())
    hosts = stage.states(scheduler.engine.cloud)
    for spec in (stage.Spec("b"), stage.Spec("x", "g"), stage.Spec("x")):
        assert len(scheduler.decider.passing(hosts, spec)) >= 6
        scheduler.decider.penalties(hosts, spec)
    assert isinstance(scheduler.decider.weight_multiplier, float)


@pytest.mark.parametrize("broken", [
    Broken(), None, types.SimpleNamespace(), types.SimpleNamespace(
        instance_uuid="b", scheduler_hints="no mapping", project_id=None,
        num_instances=None)], ids=["broken", "none", "empty", "odd"])
def test_a_request_that_is_not_understood(
    scheduler: stage.Scheduler, broken: object,
) -> None:
    hosts = stage.states(scheduler.engine.cloud)
    assert len(scheduler.decider.passing(hosts, broken)) >= 6
    scheduler.decider.penalties(hosts, broken)


def test_hosts_that_are_not_understood(scheduler: stage.Scheduler) -> None:
    hosts = [Broken()]
    assert scheduler.decider.passing(hosts, stage.Spec("b")) == hosts
    assert scheduler.decider.penalties(hosts, stage.Spec("b")) is None


def test_what_failed_is_counted_and_recorded(
    scheduler: stage.Scheduler, monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = metric("aacloud_scheduler_errors_total", where="filter")
    monkeypatch.setattr(scheduler.decider, "_places", Broken())
    scheduler.passing(stage.Spec("b"))
    assert metric(
        "aacloud_scheduler_errors_total", where="filter") == before + 1
    assert scheduler.records() == {("b", ("id-g",), "failed")}


def test_an_empty_cloud(scheduler: stage.Scheduler) -> None:
    assert scheduler.passing(stage.Spec("b"), []) == set()
    engine = stage.Engine(
        stage.group("g", "spread:rack", members=["b"]),
        cloud=Topology(hosts={}))
    with stage.Scheduler(engine) as other:
        assert other.passing(
            stage.Spec("b"), [stage.State("h")]) == {"h"}
