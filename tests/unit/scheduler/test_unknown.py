# SPDX-License-Identifier: Apache-2.0
"""What is not known, and what fails: nothing of it may raise."""

from collections.abc import Iterator
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
