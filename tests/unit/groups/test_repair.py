# SPDX-License-Identifier: Apache-2.0
"""A broken group is mended: planned, approved, moved, once."""

from __future__ import annotations

import datetime

import pytest

from aacloud.core import groups as core_groups
from aacloud.core import recovery
from aacloud.rpc import groups_server
from tests.unit.core import builders
from tests.unit.groups import scripted_cloud
from tests.unit.groups.stage import Mode
from tests.unit.groups.stage import State
from tests.unit.groups.stage import Step

Command = core_groups.PlanCommand

#: Three servers of which two share a host, all in one data centre.
CROWDED = {
    "s1": "dc1-r1-h1", "s2": "dc1-r1-h1", "s3": "dc1-r1-h2"}


def moved_once(stage):
    servers = [server for server, _source, _to in stage.cloud.live]
    assert len(servers) == len(set(servers)), stage.cloud.live


def test_a_broken_group_is_mended_with_the_fewest_moves(stage):
    group = stage.group(
        "spread:host", "spread:dc:max_skew=1", members=CROWDED)
    engine = stage.engine().lead()
    stage.run(stage.is_(group, "violating"))
    stage.run(stage.is_(group, "compliant"))
    assert len(stage.cloud.live) == 1
    assert len(set(stage.hosts_of("s1", "s2", "s3"))) == 3
    stage.run(stage.plan_is(State.DONE))
    assert {step.state for step in stage.steps()} == {Step.VERIFIED}
    assert engine.notes.states(group) == ["violating", "compliant"]
    # Nothing is done any more.
    stage.run_for(120.0)
    assert len(stage.cloud.live) == 1
    assert len(stage.all_plans()) == 1


def test_the_log_speaks_of_a_plan(stage, caplog):
    caplog.set_level("INFO")
    group = stage.group("spread:host", members=CROWDED)
    stage.engine().lead()
    stage.run(stage.is_(group, "compliant"))
    stage.run(stage.plan_is(State.DONE))
    of_mover = [
        record.getMessage() for record in caplog.records
        if record.name == "aacloud.clouds.mover"]
    assert of_mover
    assert all(
        line.startswith(f"Plan {stage.plan().id}, server s")
        for line in of_mover), of_mover


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.REPORT, Mode.ENFORCE])
def test_in_other_modes_nothing_is_moved(stage, mode):
    group = stage.group("spread:host", members=CROWDED, mode=mode)
    stage.engine().lead()
    stage.run_for(60.0)
    assert not stage.cloud.live
    assert not stage.all_plans()
    assert stage.state(group) == ("off" if mode is Mode.OFF else "violating")


def test_a_plan_waits_for_approval(make_stage):
    stage = make_stage(repair_approval=True)
    group = stage.group("spread:host", members=CROWDED)
    stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    stage.run_for(60.0)
    assert not stage.cloud.live
    assert "approv" in (stage.plan().waiting or "")
    stage.order(Command.APPROVE)
    stage.run(stage.is_(group, "compliant"))
    moved_once(stage)
    assert len(stage.all_plans()) == 1


def test_a_plan_that_nobody_approved_is_made_anew_when_servers_moved(
    make_stage,
):
    stage = make_stage(repair_approval=True)
    stage.group("spread:host", members={
        "s1": "dc1-r1-h1", "s2": "dc1-r1-h1",
        "s3": "dc2-r1-h1", "s4": "dc2-r1-h1"})
    stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    first = stage.plan()
    (step, *_) = stage.steps()
    stage.cloud.live_migrate(step.server, "dc2-r2-h2")
    stage.run(lambda: len(stage.all_plans()) == 2)
    assert stage.plans.get(first.id).state is State.EXPIRED
    assert len(stage.steps()) == 1


def test_a_plan_that_nobody_approved_goes_when_it_is_not_needed(make_stage):
    stage = make_stage(repair_approval=True)
    group = stage.group("spread:host", members=CROWDED)
    stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    stage.cloud.live_migrate("s1", "dc2-r2-h2")
    stage.run(stage.plan_is(State.EXPIRED))
    stage.run_for(30.0)
    assert stage.state(group) == "compliant"
    assert len(stage.all_plans()) == 1


def test_a_plan_that_did_all_is_no_reason_to_stop(make_stage):
    """However often groups are broken anew, each time they are mended."""
    stage = make_stage(max_replans=0, cool_down=0.0)
    group = stage.group("spread:host", members=CROWDED)
    stage.engine().lead()
    for count in (1, 2, 3):
        stage.run(stage.is_(group, "compliant"))
        stage.run(lambda: not stage.plans.live())
        assert len(stage.all_plans()) == count
        name = f"new{count}"
        stage.cloud.born(name, stage.hosts_of("s3")[0])
        stage.store.add_members(group, {name: "p"}, by="ann")
        stage.run(stage.is_(group, "violating"))


def test_a_step_is_checked_right_before_it_is_begun(make_stage):
    stage = make_stage(repair_approval=True)
    group = stage.group("spread:host", members=CROWDED)
    engine = stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    (step,) = stage.steps()
    # The host that it was to go to is given another member.
    stage.cloud.born("s4", step.destination)
    stage.store.add_members(group, {"s4": "p"}, by="ann")
    stage.order(Command.APPROVE)
    engine.keeper._not_before = float("inf")
    stage.run(lambda: stage.steps()[0].state is Step.SKIPPED)
    assert "worse" in stage.steps()[0].reason
    assert not stage.cloud.live


def test_what_is_mended_already_is_left_alone(make_stage):
    stage = make_stage(repair_approval=True)
    stage.group("spread:host", members=CROWDED)
    engine = stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    (step,) = stage.steps()
    other = "s1" if step.server == "s2" else "s2"
    stage.cloud.live_migrate(other, "dc2-r2-h2")
    stage.time.go_by(10.0)
    engine.keeper._not_before = float("inf")
    stage.order(Command.APPROVE)
    stage.run(lambda: stage.steps()[0].state is Step.SKIPPED)
    assert "mended already" in stage.steps()[0].reason


class TestWindow:
    CLOSED = "cron:0 3 * * *;duration=2h;tz=UTC"
    #: The stage's clock begins at noon, UTC.
    OPEN = "cron:0 12 * * *;duration=1h;tz=UTC"

    def test_nothing_is_moved_outside_of_it(self, stage):
        stage.group("spread:host", members=CROWDED, window=self.CLOSED)
        stage.engine().lead()
        stage.run_for(120.0)
        assert not stage.all_plans()

    def test_inside_it_is_mended(self, stage):
        group = stage.group(
            "spread:host", members=CROWDED, window=self.OPEN)
        stage.engine().lead()
        stage.run(stage.is_(group, "compliant"))
        assert stage.plan().window == self.OPEN

    def test_it_is_planned_before_but_begun_inside(self, make_stage):
        stage = make_stage(repair_approval=True)
        stage.group("spread:host", members=CROWDED, window=self.CLOSED)
        stage.engine().lead()
        stage.run(stage.plan_is(State.AWAITING_APPROVAL))
        stage.order(Command.APPROVE)
        stage.run_for(120.0)
        assert not stage.cloud.live
        assert "closed until" in stage.plan().waiting
        stage.time.go_to(stage.time.now + 15 * 3600)
        stage.run(lambda: stage.cloud.live)

    def test_a_move_that_cannot_end_in_it_is_not_begun(self, make_stage):
        stage = make_stage(move_overhead=1800.0)
        stage.group("spread:host", members=CROWDED, window=self.OPEN)
        stage.time.go_by(1801.0)
        stage.engine().lead()
        stage.run(stage.plan_is(State.RUNNING))
        stage.run_for(60.0)
        assert not stage.cloud.live
        assert "the window closes" in stage.plan().waiting


@pytest.mark.parametrize(("disks", "changes", "seconds"), [
    ("shared", {}, 0),
    ("local", {}, 60 + 30 + 2),
    ("unknown", {}, 60 + 30 + 2),
    ("local", {"spec": "shared"}, 0),
    ("shared", {"spec": "local"}, 60 + 30 + 2),
    ("local", {"image_ref": None, "volumes": ("v",)}, 30 + 2),
])
def test_disks_that_are_copied_take_their_time(
    make_stage, disks, changes, seconds
):
    stage = make_stage(
        repair_approval=True, migration_rate=1024.0, move_overhead=10.0)
    stage.cloud.topology = builders.cloud(disks=disks)
    changes = dict(changes)
    spec = changes.pop("spec", None)
    flavor = builders.flavor(
        ram_mb=2048, root_gb=60, ephemeral_gb=30, swap_mb=1500,
        specs={"aacloud:instance_disks": spec} if spec else None)
    stage.cloud.room.update(dict.fromkeys(stage.topology.hosts, 100))
    for server in ("s1", "s2"):
        stage.cloud.born(server, "dc1-r1-h1", flavor=flavor, **changes)
    stage.group("spread:host", members=dict.fromkeys(
        ("s1", "s2"), "dc1-r1-h1"))
    stage.engine().lead()
    stage.run(stage.plan_is(State.AWAITING_APPROVAL))
    assert stage.steps()[0].predicted_s == 10 + 2 + seconds


class TestFarWindow:
    """It opens after plans are too old."""

    #: On Wednesdays; the stage's clock begins on a Sunday, at noon.
    FAR = "cron:0 3 * * 3;duration=2h;tz=UTC"
    DAY = 24 * 3600.0
    OPENS = 2 * DAY + 15 * 3600.0

    def plan(self, make_stage, **options):
        stage = make_stage(
            repair_approval=True, plan_lifetime=3600.0, **options)
        group = stage.group("spread:host", members=CROWDED, window=self.FAR)
        stage.engine().lead()
        stage.run(stage.plan_is(State.AWAITING_APPROVAL))
        assert stage.plan().expires_at > (
            stage.plan().created_at + datetime.timedelta(days=2))
        return stage, group

    def test_the_approval_holds(self, make_stage):
        stage, group = self.plan(make_stage)
        stage.order(Command.APPROVE)
        stage.run(stage.plan_is(State.APPROVED))
        stage.time.go_by(2 * self.DAY)
        stage.run_for(60.0)
        assert stage.plan().state is State.APPROVED
        assert not stage.cloud.live
        stage.time.go_by(self.OPENS - 2 * self.DAY)
        stage.run(stage.is_(group, "compliant"))
        assert len(stage.all_plans()) == 1

    def test_it_ends_with_its_window(self, make_stage):
        stage, _ = self.plan(make_stage, max_replans=0)
        plan = stage.plan()
        stage.time.go_to(
            stage.time.now + (plan.expires_at - plan.created_at)
            .total_seconds() + 60.0)
        stage.run(
            lambda: stage.plans.get(plan.id).state is State.EXPIRED)
        # The next window has a plan of its own, and a count of its own.
        stage.run(lambda: len(stage.all_plans()) == 2)

    def test_a_draft_that_is_approved_lasts_as_long(self, make_stage):
        stage = make_stage(plan_lifetime=3600.0)
        group = stage.group(
            "spread:host", members=CROWDED, window=self.FAR,
            mode=Mode.ENFORCE)
        engine = stage.engine().lead()
        made = engine.answers.repair(groups_server.RepairQuestion(
            group, True, "ann", "p"), 20.0)
        stage.order(Command.APPROVE)
        stage.run(stage.plan_is(State.APPROVED))
        stage.time.go_by(self.DAY)
        stage.run_for(60.0)
        assert stage.plans.get(made.id).state is State.APPROVED

    def test_plans_made_ahead_count_for_their_window(self, make_stage):
        """Each time it is stopped one more is made, until it is enough."""
        stage, _ = self.plan(make_stage, max_replans=1)
        stage.order(Command.STOP)
        stage.run(lambda: len(stage.all_plans()) == 2)
        assert stage.plan().replan_of == stage.all_plans()[0].id
        stage.order(Command.STOP)
        stage.run(stage.plan_is(State.STOPPED))
        stage.run_for(120.0)
        assert len(stage.all_plans()) == 2
        # In the window itself it is enough, too; the next one is another.
        stage.time.go_by(self.OPENS)
        stage.run_for(60.0)
        assert len(stage.all_plans()) == 2
        stage.time.go_by(self.DAY)
        stage.run(lambda: len(stage.all_plans()) == 3)


class TestOrders:
    MANY = {f"s{number}": "dc1-r1-h1" for number in range(1, 6)}

    def test_paused_and_resumed(self, make_stage):
        stage = make_stage(parallel_total=1)
        group = stage.group("spread:host", members=self.MANY)
        stage.engine().lead()
        stage.run(lambda: stage.cloud.live)
        stage.order(Command.PAUSE)
        stage.run(stage.plan_is(State.PAUSED))
        stage.run_for(60.0)
        count = len(stage.cloud.live)
        assert count <= 2
        stage.order(Command.RESUME)
        stage.run(stage.is_(group, "compliant"))
        assert len(stage.cloud.live) == 4
        moved_once(stage)

    def test_stopped(self, make_stage):
        stage = make_stage(parallel_total=1, max_replans=0)
        stage.group("spread:host", members=self.MANY)
        stage.engine().lead()
        stage.run(lambda: stage.cloud.live)
        stage.order(Command.STOP)
        stage.run(stage.plan_is(State.STOPPED))
        count = len(stage.cloud.live)
        assert count < 4
        assert all(
            not row.unfinished for row in stage.cloud.rows)

    def test_no_more_than_the_cap(self, make_stage):
        stage = make_stage(max_moves_per_window=2)
        stage.group("spread:host", members=self.MANY)
        stage.engine().lead()
        stage.run(lambda: len(stage.cloud.live) == 2)
        stage.run_for(120.0)
        assert len(stage.cloud.live) == 2


class TestFailures:
    def test_another_way_is_found(self, stage):
        group = stage.group("spread:host", members=CROWDED)
        stage.cloud.fails.update(("s1", "s2"))
        stage.engine().lead()
        stage.run(stage.plan_is(State.DONE))
        assert {step.state for step in stage.steps()} == {Step.MANUAL}
        # The other one of the two is free to go.
        stage.cloud.fails.clear()
        stage.run(stage.is_(group, "compliant"))
        assert len(stage.all_plans()) == 2
        assert stage.plan().replan_of == stage.all_plans()[0].id
        moved_once(stage)

    def test_too_many_end_the_plan(self, make_stage):
        stage = make_stage(abort_failures=2, max_replans=0)
        members = TestOrders.MANY
        stage.group("spread:host", members=members)
        stage.cloud.fails.update(members)
        stage.engine().lead()
        stage.run(stage.plan_is(State.FAILED))
        stage.run_for(120.0)
        assert len(stage.all_plans()) == 1

    def test_what_takes_far_too_long_is_aborted(self, make_stage):
        stage = make_stage(move_timeout=60.0, max_replans=0)
        stage.cloud.takes_s = 1000.0
        stage.group("spread:host", members=CROWDED)
        stage.engine().lead()
        stage.run(stage.plan_is(State.DONE))
        (step,) = stage.steps()
        assert step.state is Step.MANUAL
        assert "cancelled" in step.reason
        assert stage.cloud.count("abort_live_migration") == 1
        assert any("is asked to abort it" in line for line in stage.story())

    def test_nova_is_silent_for_a_while(self, stage):
        group = stage.group("spread:host", members=CROWDED)
        stage.engine().lead()
        stage.run(stage.plan_is(State.RUNNING))
        until = stage.time.now + 40.0
        stage.cloud.script = lambda number, name: (
            scripted_cloud.Fault.UNKNOWN
            if stage.time.now < until else None)
        stage.run(stage.is_(group, "compliant"))
        moved_once(stage)


def test_nothing_begins_while_a_host_is_being_recovered(stage):
    stage.group("spread:host", members=CROWDED)
    engine = stage.engine().lead()
    engine.held.append("the servers of host h9 are being recovered")
    stage.run(stage.plan_is(State.APPROVED))
    stage.run_for(60.0)
    assert not stage.cloud.live
    assert "h9" in stage.plan().waiting
    engine.held.clear()
    stage.run(stage.plan_is(State.DONE))


def test_novas_own_group_is_honoured(stage):
    """s1 and s2 are to part, and Nova keeps s2 with s9."""
    stage.cloud.born("s9", "dc1-r1-h1")
    group = stage.group(
        "spread:host", members={"s1": "dc1-r1-h1", "s2": "dc1-r1-h1"})
    stage.cloud.native["n"] = recovery.GroupView(
        id="n", policy="affinity", members=("s2", "s9"))
    stage.engine().lead()
    stage.run(stage.is_(group, "compliant"))
    assert [server for server, _, _ in stage.cloud.live] == ["s1"]
