# SPDX-License-Identifier: Apache-2.0
"""What is free is read once for moves that begin together, and never used
when it is not known any more."""

from __future__ import annotations

from concurrent import futures
import dataclasses
import threading

import pytest

from aacloud.clouds import errors as cloud_errors
from aacloud.core import groups as core_groups
from aacloud.groups import room as rooms
from tests.unit.failover import virtual_time
from tests.unit.groups.stage import State
from tests.unit.groups.test_several_plans import approve_all
from tests.unit.groups.test_several_plans import crowd

Step = core_groups.StepState

WIDE = {"parallel_total": 9, "parallel_per_host": 9, "parallel_per_rack": 9,
        "parallel_inter_dc": 9}


def test_moves_that_begin_together_read_it_once(make_stage):
    """Once for the engine's look at all, once right before they are sent."""
    stage = make_stage(repair_approval=True, **WIDE)
    stage.group("spread:host", members=crowd("a", "dc1-r1-h1", 6))
    engine = stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    engine.keeper._not_before = float("inf")
    approve_all(stage)
    before = stage.cloud.count("capacity")
    stage.run(lambda: stage.cloud.live)
    assert len(stage.cloud.live) == 5
    assert stage.cloud.count("capacity") == before + 2


def planned(make_stage):
    """A stage with a plan of two moves to one host, and its checks."""
    stage = make_stage(repair_approval=True, **WIDE)
    for name, host in (("a", "dc1-r1-h1"), ("b", "dc2-r2-h1")):
        stage.group("spread:host", members=crowd(name, host), name=name)
    engine = stage.engine().lead()
    stage.cloud.room.update({
        **dict.fromkeys(stage.topology.hosts, 0), "dc1-r2-h1": 2})
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    one, other = stage.steps()
    assert one.destination == other.destination == "dc1-r2-h1"
    return stage, engine.executor._checks, one, other


@pytest.mark.parametrize("state", [Step.REQUESTED, Step.MIGRATING])
def test_what_was_begun_since_it_was_read_is_taken_off(make_stage, state):
    """Nova shows the other move now; what is free was read before that."""
    stage, checks, one, other = planned(make_stage)
    sent = dataclasses.replace(other, state=state)
    plan = stage.plan()
    assert checks.check(plan, [one, sent], [one]).right == (one,)
    stage.cloud.live_migrate(other.server, other.destination)
    stage.cloud.room["dc1-r2-h1"] = 1
    before = stage.cloud.count("capacity")
    assert checks.check(plan, [one, sent], [one]).right == (one,)
    assert stage.cloud.count("capacity") == before
    # It was two when it was read, and one of them is the other move's.
    stage.cloud.born("x", "dc1-r2-h1")
    stage.time.go_by(rooms.KEPT_S + 0.1)
    assert "no room" in checks.check(plan, [one, sent], [one]).refused[1]


def test_what_was_free_is_not_used_for_long(make_stage):
    stage, checks, one, other = planned(make_stage)
    plan = stage.plan()
    assert checks.check(plan, [one, other], [one]).right
    stage.cloud.room["dc1-r2-h1"] = 0
    stage.time.go_by(rooms.KEPT_S + 0.1)
    assert not checks.check(plan, [one, other], [one]).right


@pytest.mark.parametrize("state", [Step.MIGRATING, Step.LANDED])
def test_a_move_that_goes_on_is_a_reason_to_read_again(make_stage, state):
    stage, checks, one, other = planned(make_stage)
    plan = stage.plan()
    sent = dataclasses.replace(other, state=Step.REQUESTED)
    assert checks.check(plan, [one, sent], [one]).right
    stage.cloud.room["dc1-r2-h1"] = 0
    later = dataclasses.replace(other, state=state)
    assert not checks.check(plan, [one, later], [one]).right


class SlowCloud:
    def __init__(self):
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.reads = 0
        self.fails = False

    def capacity(self, hosts):
        self.reads += 1
        self.begun.set()
        assert self.go_on.wait(20.0)
        if self.fails:
            self.fails = False
            raise cloud_errors.CloudUnknown("silent")
        return dict.fromkeys(hosts)


def test_who_comes_meanwhile_shares_what_is_read():
    """Also when the reading takes longer than it may be kept."""
    time = virtual_time.VirtualTime()
    cloud = SlowCloud()
    reader = rooms.RoomReader(cloud, time.clock())
    with futures.ThreadPoolExecutor(4) as pool:
        found = [
            pool.submit(reader.read, ("h1",), {}, "key") for _ in range(4)]
        assert cloud.begun.wait(20.0)
        time.go_by(30.0)
        cloud.go_on.set()
        assert {id(one.result()) for one in found} == {id(found[0].result())}
    assert cloud.reads == 1


def test_a_failure_is_not_kept():
    cloud = SlowCloud()
    cloud.go_on.set()
    reader = rooms.RoomReader(cloud, virtual_time.VirtualTime().clock())
    assert reader.read(("h1",), {}, 1).hosts == {"h1": None}
    cloud.fails = True
    with pytest.raises(cloud_errors.CloudUnknown):
        reader.read(("h1",), {}, 2)
    assert reader.read(("h1", "h2"), {}, 1).hosts == {"h1": None, "h2": None}
    assert cloud.reads == 3


def test_many_moves_fill_no_host_beyond_what_is_free(make_stage):
    stage = make_stage(repair_approval=True, max_replans=9, **WIDE)
    for number, host in enumerate(("dc1-r1-h1", "dc2-r2-h1", "dc2-r1-h1")):
        stage.group("spread:host", members=crowd(f"g{number}", host, 3),
                    name=f"g{number}")
    stage.cloud.room.update({
        **dict.fromkeys(stage.topology.hosts, 3), "dc1-r1-h2": 4})
    stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    stage.run(lambda: (approve_all(stage), not stage.plans.live())[1])
    assert stage.cloud.count("live_migrate") == len(stage.cloud.live) >= 4
