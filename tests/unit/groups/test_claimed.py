# SPDX-License-Identifier: Apache-2.0
"""An engine that died left moves that were claimed and not sent."""

from __future__ import annotations

import pytest

from aacloud.clouds import mover
from aacloud.core import groups as core_groups
from tests.unit.groups.stage import State
from tests.unit.groups.stage import Step

Command = core_groups.PlanCommand


def states(stage):
    return [step.state for plan in stage.all_plans()
            for step in stage.plans.steps(plan.id)]


@pytest.fixture
def claimed(make_stage, monkeypatch):
    """Two plans with a claimed move each, and the next engine."""
    stage = make_stage(repair_approval=True, parallel_total=2)
    stage.engine().lead()
    with monkeypatch.context() as patched:
        # It dies before it sends any.
        patched.setattr(mover.Mover, "_start", lambda self: None)
        stage.groups = []
        for name, host in (("a", "dc1-r1-h1"), ("b", "dc2-r2-h1")):
            stage.groups.append(stage.group(
                "spread:host", name=name,
                members={f"{name}{number}": host for number in range(2)}))
            count = len(stage.groups)
            stage.run(lambda count=count: len(stage.all_plans()) == count)
            stage.order(Command.APPROVE)
        stage.run(lambda: states(stage) == [Step.CLAIMED] * 2)
    stage.engines.clear()
    stage.engine("next").lead()
    return stage


def test_fewer_may_be_under_way_now(claimed):
    """Each would wait for the other; the older plan goes first."""
    claimed.conf.set_override("parallel_total", 1, "aacloud_groups")
    seen = []
    take = claimed.cloud._take_live

    def counted(uuid, host):
        request = take(uuid, host)
        seen.append(sum(row.unfinished for row in claimed.cloud.rows))
        return request

    claimed.cloud._take_live = counted
    for group in claimed.groups:
        claimed.run(claimed.is_(group, "compliant"))
    claimed.run(lambda: not claimed.plans.live())
    assert seen == [1, 1]
    assert [server[0] for server, *_ in claimed.cloud.live] == ["a", "b"]


def test_as_many_as_before(claimed):
    claimed.run(lambda: not claimed.plans.live())
    assert len(claimed.cloud.live) == 2
    assert "is not begun" not in "".join(claimed.story())


def test_the_older_one_is_paused(claimed):
    """What it claimed takes no place of those that may be under way."""
    claimed.conf.set_override("parallel_total", 1, "aacloud_groups")
    older, _ = claimed.all_plans()
    claimed.plans.order(older.id, Command.PAUSE, by="ann", reason="she knows")
    claimed.run(claimed.is_(claimed.groups[1], "compliant"))
    assert claimed.plans.get(older.id).state is State.PAUSED
    claimed.plans.order(older.id, Command.RESUME, by="ann", reason="go on")
    claimed.run(claimed.is_(claimed.groups[0], "compliant"))


def test_neither_has_room_any_more(claimed):
    """A claimed move of the other plan is no reason to wait for it."""
    for host in claimed.topology.hosts:
        claimed.cloud.room[host] = 0
    claimed.run(lambda: not claimed.plans.live())
    assert set(states(claimed)) == {Step.SKIPPED}
