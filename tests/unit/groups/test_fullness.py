# SPDX-License-Identifier: Apache-2.0
"""The quota of members: told to schedulers, who refuse births beyond it."""

from __future__ import annotations

import logging

import pytest

from aacloud.groups import fullness
from aacloud.rpc import nova_notifications
from aacloud.rpc import snapshot as snapshots
from tests.unit.groups.stage import Mode


@pytest.fixture
def stage(make_stage):
    return make_stage(quota_members=2)


def told(engine, known=None):
    found = snapshots.Reader().read(engine.answers.snapshot(known, None))
    return found.full_projects


def hinted(server):
    return nova_notifications.Told(
        nova_notifications.Fact.HINTED, server, "p", hints=("web",))


def test_full_when_all_its_groups_have_as_many(stage):
    engine = stage.engine()
    stage.group("spread:host", members={"s1": "dc1-r1-h1"}, name="web")
    assert told(engine) == set()
    stage.group("spread:host", members={"s1": "dc1-r1-h1"}, name="db",
                mode=Mode.OFF)
    assert told(engine) == {"p"}
    stage.store.remove_servers(["s1"], by="ann")
    assert told(engine) == set()


@pytest.mark.parametrize("limit, full", [
    (-1, set()), (0, {"p"}), (1, {"p"}), (2, set()), (None, set())])
def test_the_quota_of_the_project_counts(stage, limit, full):
    engine = stage.engine()
    stage.group("spread:host", members={"s1": "dc1-r1-h1"})
    revision = engine.catalogue.refresh()
    assert told(engine) == set()
    stage.quotas.set("p", groups=None, members=limit, by="ann")
    # No group changed: it is seen when it is looked again.
    stage.time.go_to(stage.time.now + fullness.EVERY_S)
    assert told(engine, revision) == full


def test_schedulers_count_what_is_left_themselves(stage):
    engine = stage.engine()
    stage.quotas.set("q", groups=None, members=7, by="ann")
    stage.quotas.set("r", groups=3, members=None, by="ann")
    found = snapshots.Reader().read(engine.answers.snapshot(None, None))
    assert found.member_limits == snapshots.MemberLimits(2, {"q": 7})


def test_who_was_born_beyond_it_is_a_member(stage, caplog):
    """Several at once: the schedulers did not know yet."""
    caplog.set_level(logging.WARNING)
    engine = stage.engine()
    group = stage.group("spread:host")
    for name in ("s1", "s2", "s3"):
        stage.cloud.born(name, "dc1-r1-h1", "web")
        engine.membership.handle(hinted(name))
    assert stage.members(group) == {"s1", "s2", "s3"}
    warnings = [
        record.getMessage() for record in caplog.records
        if "Raise the quota" in record.getMessage()]
    assert len(warnings) == 1
    assert "s3" in warnings[0]
    assert "may have 2 members" in warnings[0]
    assert told(engine) == {"p"}
    assert stage.quotas.get("p").used.members == 3
