# SPDX-License-Identifier: Apache-2.0
"""Which hosts servers of groups may go to."""

from collections.abc import Iterator

import prometheus_client
import pytest

from aacloud.scheduler.nova import occupancy
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
