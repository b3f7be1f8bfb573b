# SPDX-License-Identifier: Apache-2.0
"""Births into groups of a project that may have no more members."""

from __future__ import annotations

from collections.abc import Iterator
import logging

import pytest

from aacloud.rpc import envelope
from aacloud.rpc import snapshot as rpc_snapshot
from aacloud.scheduler.nova import index as group_index
from aacloud.scheduler.nova import occupancy
from tests.unit.scheduler import stage

MEMBER, NEW = "member", "new"


@pytest.fixture
def scheduler() -> Iterator[stage.Scheduler]:
    engine = stage.Engine(
        stage.group("web", "spread:host", members=[MEMBER]),
        stage.group("off", mode="off"),
        stage.group("shop", project="p2"))
    engine.full = frozenset({stage.PROJECT})
    with stage.Scheduler(engine, stage.Cells(member="d1-r1-h1")) as made:
        made.sync()
        yield made


@pytest.mark.parametrize("hints", [["web"], ["id-web"], ["off"]])
def test_refused(
    scheduler: stage.Scheduler, hints: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    assert scheduler.passing(stage.Spec(NEW, *hints)) == set()
    assert "p1 may have no more members" in caplog.text
    assert scheduler.records() == set()


def test_others_pass(scheduler: stage.Scheduler) -> None:
    """The projects beside it, its servers in no group, and its members."""
    everywhere = set(scheduler.engine.cloud.hosts)
    for spec in (
        stage.Spec(NEW, "shop", project="p2"), stage.Spec(NEW),
        stage.Spec(MEMBER, "web"),
    ):
        assert scheduler.passing(spec) == everywhere


def test_a_server_that_left_is_moved(scheduler: stage.Scheduler) -> None:
    """Nova repeats the hint of its birth."""
    scheduler.cells.seen[NEW] = occupancy.Sighting("d1-r1-h2", launched=True)
    assert scheduler.passing(stage.Spec(NEW, "web")) == set(
        scheduler.engine.cloud.hosts)


def test_what_cannot_be_told_from_a_birth(
    scheduler: stage.Scheduler,
) -> None:
    """While a cell does not answer, a move may look like one."""
    scheduler.cells.complete = False
    assert scheduler.passing(stage.Spec(NEW, "web"))


def test_old_news(scheduler: stage.Scheduler) -> None:
    scheduler.engine.down = True
    scheduler.clock.now += scheduler.client.settings.max_stale + 1.0
    assert scheduler.passing(stage.Spec(NEW, "web"))


def test_room_again_without_a_change_of_groups() -> None:
    engine = stage.Engine(stage.group("web", "spread:host"))
    engine.full = frozenset({stage.PROJECT})
    with stage.Scheduler(engine, poll_interval=0.01) as scheduler:
        scheduler.sync()
        assert not scheduler.passing(stage.Spec(NEW, "web"))
        engine.full = frozenset()
        stage.until(lambda: bool(scheduler.passing(stage.Spec(NEW, "web"))))


def test_an_engine_that_does_not_tell() -> None:
    engine = stage.Engine(stage.group("web"))
    engine.full = frozenset({"p1"})
    made = group_index.compile_index(engine.get_snapshot(None, 1.0))
    engine.full = None
    later = group_index.compile_index(engine.get_snapshot(2, 1.0), made)
    assert later.full == {"p1"}
    assert group_index.compile_index(
        engine.get_snapshot(None, 1.0)).full == frozenset()
    # A file is read after a long time: it does not keep them.
    assert later.snapshot().full_projects is None


def test_limits_are_as_they_were_until_an_older_engine_tells() -> None:
    engine = stage.Engine(stage.group("web"))
    engine.limits = rpc_snapshot.MemberLimits(3, {"p2": -1})
    made = group_index.compile_index(engine.get_snapshot(None, 1.0))
    assert made.limits == engine.limits
    engine.limits, engine.full = None, None
    later = group_index.compile_index(engine.get_snapshot(2, 1.0), made)
    assert later.limits == made.limits
    engine.full = frozenset({"p1"})
    older = group_index.compile_index(engine.get_snapshot(2, 1.0), later)
    assert (older.limits, older.full) == (None, {"p1"})


def test_it_travels() -> None:
    found = rpc_snapshot.Snapshot(
        1, stage.NOW, full_projects=frozenset({"b", "a"}))
    body = rpc_snapshot.snapshot_body(found)
    assert body["full_projects"] == ["a", "b"]
    assert rpc_snapshot.Reader().read(body).full_projects == {"a", "b"}
    del body["full_projects"]
    assert rpc_snapshot.Reader().read(body).full_projects is None


def test_limits_travel() -> None:
    limits = rpc_snapshot.MemberLimits(1000, {"p": -1, "q": 5})
    body = rpc_snapshot.snapshot_body(
        rpc_snapshot.Snapshot(1, stage.NOW, member_limits=limits))
    assert rpc_snapshot.Reader().read(body).member_limits == limits
    for wrong in (7, {}, {"usual": 1}, {"usual": "1", "projects": {}},
                  {"usual": 1, "projects": {"p": -2}}):
        with pytest.raises(envelope.MessageError):
            rpc_snapshot.Reader().read({**body, "member_limits": wrong})
