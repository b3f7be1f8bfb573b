# SPDX-License-Identifier: Apache-2.0
"""Projects that Keystone deleted while nobody heard of it."""

from __future__ import annotations

import logging

import pytest

from aacloud.clouds import errors
from aacloud.groups import projects
from tests.unit.groups.stage import Mode

HOUR = 3600.0


@pytest.fixture
def stage(make_stage):
    return make_stage(
        inspect_interval=600.0, reconcile_interval=1000.0)


def owned(stage, *owners):
    """A group of each of these projects."""
    return {
        owner: stage.store.create(
            "web", owner, by="ann", mode=Mode.REPORT, rules=[]).id
        for owner in owners}


def left(stage):
    return {record.group.project_id for record in stage.store.list()}


def rounds(stage, number):
    """Make so many rounds, an interval apart."""
    engine = stage.engines[0]
    engine.catalogue.refresh()
    for _ in range(number):
        engine.projects.look()
        stage.time.go_to(stage.time.now + HOUR)


@pytest.fixture
def engine(stage):
    return stage.engine().lead()


def test_lost_notification(make_stage):
    """With all parts at work, and the time that it takes."""
    stage = make_stage(
        inspect_interval=600.0, reconcile_interval=1000.0,
        project_check_interval=300.0)
    owned(stage, "p1", "p2")
    engine = stage.engine().lead()
    stage.run_for(60.0)
    stage.projects.gone = {"p1"}
    stage.run_for(300.0)
    assert left(stage) == {"p1", "p2"}
    stage.run_for(360.0)
    assert left(stage) == {"p2"}
    assert engine.announced[-1] == stage.store.revision()


def test_one_round_is_not_enough(stage, engine):
    owned(stage, "p1")
    stage.projects.gone = {"p1"}
    rounds(stage, 1)
    stage.projects.gone = set()
    rounds(stage, 1)
    stage.projects.gone = {"p1"}
    rounds(stage, 1)
    assert left(stage) == {"p1"}
    rounds(stage, 1)
    assert left(stage) == set()


def test_what_one_engine_saw_counts_for_it_alone(stage, engine):
    owned(stage, "p1")
    stage.projects.gone = {"p1"}
    rounds(stage, 1)
    engine.lease.leads = False
    rounds(stage, 1)
    engine.lease.leads = True
    rounds(stage, 1)
    assert left(stage) == {"p1"}


@pytest.mark.parametrize("error, advice", [
    (errors.CloudRefused(401, "no", "show project p2: no (HTTP 401)"),
     "a role"),
    (errors.CloudRefused(403, "no", "show project p2: no (HTTP 403)"),
     "identity:get_project"),
    (errors.CloudUnknown("show project p2: sick (HTTP 503)"), "HTTP 503"),
    (ValueError("a fault of ours"), "a fault of ours"),
])
@pytest.mark.parametrize("fails", ["p2", "service"])
def test_nothing_counts_in_an_odd_round(
    stage, engine, caplog, fails, error, advice
):
    caplog.set_level(logging.WARNING)
    owned(stage, "p1", "p2")
    stage.projects.gone = {"p1"}
    rounds(stage, 1)
    stage.projects.fails = {fails: error}
    rounds(stage, 3)
    assert left(stage) == {"p1", "p2"}
    assert advice in caplog.text
    stage.projects.fails = {}
    rounds(stage, 1)
    assert left(stage) == {"p2"}


def test_an_odd_round_is_tried_again_soon(stage, engine):
    owned(stage, "p1")
    engine.catalogue.refresh()
    stage.projects.fails = {"p1": errors.CloudUnknown("sick")}
    engine.projects.look()
    stage.time.go_to(stage.time.now + projects.AGAIN_S - 1.0)
    engine.projects.look()
    assert stage.projects.asked.count("p1") == 1
    stage.time.go_to(stage.time.now + 1.0)
    engine.projects.look()
    assert stage.projects.asked.count("p1") == 2


def test_a_keystone_that_does_not_know_us(stage, engine, caplog):
    owned(stage, "p1")
    stage.projects.gone = {"p1", "service"}
    rounds(stage, 3)
    assert left(stage) == {"p1"}
    assert "[aacloud_keystone]" in caplog.text


def test_brake(stage, engine, caplog):
    names = [f"p{number}" for number in range(12)]
    owned(stage, *names)
    stage.projects.gone = set(names[:11])
    rounds(stage, 3)
    assert left(stage) == set(names)
    assert "project_check_brake (10)" in caplog.text
    stage.conf.set_override("project_check_brake", 11, "aacloud_groups")
    rounds(stage, 2)
    assert left(stage) == {"p11"}


@pytest.mark.parametrize("options, leads", [
    ({"project_check_interval": 0}, True), ({}, False)])
def test_nobody_is_asked(make_stage, options, leads):
    stage = make_stage(**options)
    owned(stage, "p1")
    stage.engine().lead().lease.leads = leads
    rounds(stage, 2)
    assert stage.projects.asked == []


def test_no_groups_no_questions(stage, engine):
    rounds(stage, 2)
    assert stage.projects.asked == []
