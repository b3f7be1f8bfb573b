# SPDX-License-Identifier: Apache-2.0
"""What no plan betters is not planned from again and again, but is as soon as
something has changed."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from tests.unit.groups.stage import State

HERE = "dc1-r1-h1"
THERE = "dc1-r2-h1"
#: The stage's clock begins at noon, UTC.
OPEN = "cron:0 11 * * *;duration=12h;tz=UTC"

windows = pytest.mark.parametrize("window", [None, OPEN])


def lock(stage, server, locked):
    stage.cloud.servers[server] = dataclasses.replace(
        stage.cloud.servers[server], locked=locked)


def counted(owner, name):
    """Begin to count the calls of a method."""
    calls = []
    real = getattr(owner, name)

    def call(*args, **kwargs):
        calls.append(1)
        return real(*args, **kwargs)

    setattr(owner, name, call)
    return calls


def warned(caplog):
    return [
        one for one in caplog.records
        if one.name == "aacloud.groups.repairer"
        and one.levelno == logging.WARNING]


def stuck(make_stage, window=None, **options):
    stage = make_stage(default_window=window, **options)
    group = stage.group(f"fence:host:domains={THERE}", members={"a0": HERE})
    return stage, group


@windows
def test_a_server_is_unlocked(make_stage, window):
    stage, group = stuck(make_stage, window)
    lock(stage, "a0", True)
    stage.engine().lead()
    stage.run_for(120.0)
    assert not stage.all_plans()
    lock(stage, "a0", False)
    stage.run(stage.is_(group, "compliant"), 300.0)


@windows
def test_there_is_room_now(make_stage, window):
    stage, group = stuck(make_stage, window)
    stage.cloud.room[THERE] = 0
    stage.engine().lead()
    stage.run_for(120.0)
    assert not stage.all_plans()
    stage.cloud.room[THERE] = 8
    stage.run(stage.is_(group, "compliant"), 300.0)


@windows
def test_it_has_cooled_down(make_stage, window):
    stage, group = stuck(make_stage, window, cool_down=600.0)
    stage.engine().lead()
    stage.run(stage.is_(group, "compliant"))
    stage.store.delete(group, by="ann")
    other = stage.group(f"fence:host:domains={HERE}", name="other",
                        members={"a0": THERE})
    stage.run(stage.is_(other, "compliant"), 1500.0)


def test_one_picture_is_planned_from_once(make_stage, caplog):
    stage, group = stuck(make_stage)
    lock(stage, "a0", True)
    engine = stage.engine().lead()
    solves = counted(engine.repairer, "solve")
    stage.run(stage.is_(group, "violating"))
    reads = counted(stage.cloud, "capacity")
    with caplog.at_level(logging.WARNING):
        stage.run_for(600.0)
    assert len(solves) == 1
    # After 5, 10, 20... seconds, beside those of the explanations.
    told = warned(caplog)
    assert len(told) == 1
    assert 4 <= len(reads) <= 600 / 30 + 8


def test_a_cloud_that_always_changes_is_left_for_ten_minutes_at_most(
    make_stage, caplog
):
    """Somebody comes and goes all the time, but never helps."""
    stage, _ = stuck(make_stage)
    lock(stage, "a0", True)
    engine = stage.engine().lead()
    solves = counted(engine.repairer, "solve")
    with caplog.at_level(logging.WARNING):
        for number in range(20):
            stage.cloud.born(f"x{number}", "dc2-r1-h1")
            stage.run_for(60.0)
    assert 5 <= len(solves) <= 10
    told = warned(caplog)
    assert len(told) == 1


def test_what_is_in_the_way_now_is_told(make_stage, caplog):
    stage, group = stuck(make_stage)
    lock(stage, "a0", True)
    stage.cloud.room[THERE] = 0
    stage.engine().lead()
    with caplog.at_level(logging.WARNING):
        stage.run(stage.is_(group, "violating"))
        lock(stage, "a0", False)
        stage.run_for(300.0)
    told = warned(caplog)
    assert len(told) == 2


def test_another_group_is_not_held_back(make_stage):
    stage, group = stuck(make_stage)
    lock(stage, "a0", True)
    stage.engine().lead()
    stage.run_for(400.0)
    other = stage.group("spread:host", name="other",
                        members={"b0": HERE, "b1": HERE})
    stage.run(stage.is_(other, "compliant"), 60.0)
    assert stage.state(group) == "violating"
    stage.run(stage.plan_is(State.DONE))


def test_a_group_that_was_changed_is_not_held_back(make_stage):
    stage, group = stuck(make_stage)
    stage.cloud.room[THERE] = 0
    stage.engine().lead()
    stage.run_for(400.0)
    stage.cloud.room[THERE] = 8
    stage.store.update(group, by="ann", name="other")
    stage.run(stage.is_(group, "compliant"), 60.0)
