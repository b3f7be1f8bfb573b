# SPDX-License-Identifier: Apache-2.0
"""What the API and the schedulers are answered."""

from __future__ import annotations

import dataclasses

import pytest

from aacloud.core import groups as core_groups
from aacloud.core import recovery
from aacloud.core import rules
from aacloud.rpc import groups as rpc_groups
from aacloud.rpc import groups_server
from aacloud.rpc import snapshot as snapshots
from tests.unit.groups import scripted_cloud
from tests.unit.groups.stage import Mode
from tests.unit.groups.stage import State

PAIR = {"s1": "dc1-r1-h1", "s2": "dc1-r1-h1"}


def question(group=None, dry_run=False):
    return groups_server.RepairQuestion(group, dry_run, "ann", "p")


@pytest.fixture
def engine(stage):
    return stage.engine()


def test_servers(stage, engine):
    stage.cloud.born("s1", "dc1-r1-h1")
    stage.cloud.born("s2", "")
    found = engine.answers.describe_servers(["s1", "s2", "nobody"])
    assert {(one.id, one.host) for one in found} == {
        ("s1", "dc1-r1-h1"), ("s2", None)}


def test_nova_does_not_answer(stage, engine):
    group = stage.group("spread:host", members=PAIR)
    stage.cloud.script = lambda number, name: scripted_cloud.Fault.UNKNOWN
    for ask in (
        lambda: engine.answers.describe_servers(["s1"]),
        lambda: engine.answers.inspect([group], 5.0),
        lambda: engine.answers.preview(group, [], [], 5.0),
        lambda: engine.answers.native_groups(None),
    ):
        with pytest.raises(rpc_groups.EngineUnavailable, match="Nova"):
            ask()


class TestPreview:
    def test_a_join_that_breaks_the_group(self, stage, engine):
        group = stage.group("spread:host", members={"s1": "dc1-r1-h1"})
        stage.cloud.born("s2", "dc1-r1-h1")
        report, plan = engine.answers.preview(group, ["s2"], [], 20.0)
        assert report.state == "violating"
        assert (len(plan.steps), plan.lower_bound, plan.gap) == (1, 1, 0)
        assert plan.id is None
        assert stage.members(group) == {"s1"}
        assert stage.all_plans() == []

    def test_a_leave_that_mends_it(self, stage, engine):
        group = stage.group("spread:host", members=PAIR)
        report, plan = engine.answers.preview(group, [], ["s2"], 20.0)
        assert (report.state, plan) == ("compliant", None)

    def test_another_group_of_the_server_is_minded(self, stage, engine):
        """s2 may leave dc1-r1-h1, and must stay in its rack."""
        stage.cloud.born("s2", "dc1-r1-h1")
        stage.group(
            "fence:rack:domains=dc1-r1", name="fenced", mode=Mode.ENFORCE,
            members=PAIR)
        group = stage.group("spread:host", members={"s1": "dc1-r1-h1"})
        _, plan = engine.answers.preview(group, ["s2"], [], 20.0)
        assert [step.destination for step in plan.steps] == ["dc1-r1-h2"]

    def test_no_such_group(self, engine):
        with pytest.raises(rpc_groups.EngineRefused, match="no HA server"):
            engine.answers.preview("nobody", [], [], 20.0)


class TestRepair:
    def test_a_dry_run_is_free(self, stage, engine):
        engine.lead()
        group = stage.group("spread:host", members=PAIR, mode=Mode.REPORT)
        plan = engine.answers.repair(question(group, dry_run=True), 20.0)
        stored = stage.plans.get(plan.id)
        assert stored.state is State.DRAFT
        assert (stored.scope, stored.created_by, stored.project_id) == (
            group, "ann", "p")
        stage.run_for(60.0)
        assert stage.cloud.live == []

    def test_a_dry_run_can_be_approved(self, stage, engine):
        engine.lead()
        group = stage.group("spread:host", members=PAIR, mode=Mode.REPORT)
        engine.answers.repair(question(group, dry_run=True), 20.0)
        stage.order(stage_command("approve"))
        stage.run(stage.is_(group, "compliant"))
        assert len(stage.cloud.live) == 1

    def test_it_is_begun_once_approved(self, make_stage):
        stage = make_stage(repair_approval=True)
        engine = stage.engine().lead()
        group = stage.group("spread:host", members=PAIR, mode=Mode.REPORT)
        plan = engine.answers.repair(question(group), 20.0)
        assert stage.plans.get(plan.id).state is State.AWAITING_APPROVAL
        with pytest.raises(rpc_groups.EngineRefused, match="plan"):
            engine.answers.repair(question(group), 20.0)
        stage.order(stage_command("approve"))
        stage.run(stage.is_(group, "compliant"))

    CLOSED = "cron:0 3 * * *;duration=2h;tz=UTC"

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_that_it_was_asked_for_opens_no_window(self, stage, dry_run):
        engine = stage.engine().lead()
        group = stage.group(
            "spread:host", members=PAIR, mode=Mode.REPORT,
            window=self.CLOSED)
        plan = engine.answers.repair(question(group, dry_run=dry_run), 20.0)
        if dry_run:
            stage.order(stage_command("approve"))
        stage.run_for(60.0)
        assert not stage.cloud.live
        assert stage.plans.get(plan.id).window == self.CLOSED

    def test_the_leader_is_asked(self, stage):
        stage.engine("one").lead()
        other = stage.engine("two")
        group = stage.group("spread:host", members=PAIR)
        plan = other.answers.repair(question(group, dry_run=True), 20.0)
        assert [holder for holder, _ in other.handed_on] == ["one"]
        assert stage.plans.get(plan.id).state is State.DRAFT

    def test_nobody_leads(self, stage, engine):
        group = stage.group("spread:host", members=PAIR)
        with pytest.raises(rpc_groups.EngineUnavailable, match="leads"):
            engine.answers.repair(question(group), 20.0)

    def test_what_is_off_stays_off(self, stage, engine):
        engine.lead()
        group = stage.group("spread:host", members=PAIR, mode=Mode.OFF)
        with pytest.raises(rpc_groups.EngineRefused, match="switched off"):
            engine.answers.repair(question(group), 20.0)


def stage_command(word):
    return core_groups.PlanCommand(word)


class TestSnapshot:
    def read(self, engine, known=None, topology=None):
        return snapshots.Reader().read(
            engine.answers.snapshot(known, topology))

    def test_all(self, stage, engine):
        group = stage.group("spread:host", members=PAIR)
        found = self.read(engine)
        assert found.revision == stage.store.revision()
        assert [one.id for one in found.groups] == [group]
        assert found.groups[0].members == {"s1", "s2"}
        assert set(found.topology.hosts) == set(stage.topology.hosts)
        assert (found.since, found.dead_dcs, found.closed_hosts) == (
            None, frozenset(), frozenset())

    def test_what_changed(self, stage, engine):
        one = stage.group("spread:host", members=PAIR)
        two = stage.group("spread:rack", name="two")
        known = self.read(engine).revision
        assert self.read(engine, known).groups == ()
        stage.store.add_members(two, {"s9": "p"}, by="ann")
        stage.store.delete(one, by="ann")
        found = self.read(engine, known)
        assert found.since == known
        assert [group.id for group in found.groups] == [two]
        assert found.gone == (one,)
        # An engine that was just started knows no changes, but all groups.
        fresh = stage.engine("two")
        found = self.read(fresh, known)
        assert found.since is None
        assert [group.id for group in found.groups] == [two]

    def test_a_revision_that_never_was(self, stage, engine):
        stage.group("spread:host")
        assert self.read(engine, 999).since is None

    def test_the_topology_is_told_to_whom_has_another(self, stage, engine):
        found = self.read(engine)
        known = found.revision
        has = snapshots.topology_digest(found.topology)
        assert self.read(engine, known, has).topology is None
        assert self.read(engine, None, has).topology is None
        # One of version 1.0, which does not tell what it has.
        assert self.read(engine, known).topology == found.topology
        del stage.topology.hosts["dc2-r2-h2"]
        stage.time.go_by(10.0)
        engine.watcher.look()
        # However long ago that was, and whatever engine it asks.
        stage.time.go_by(100_000.0)
        engine.watcher.look()
        later = self.read(engine, known, has).topology
        assert "dc2-r2-h2" not in later.hosts
        has = snapshots.topology_digest(later)
        assert self.read(engine, known, has).topology is None

    def test_hosts_that_take_nothing(self, stage, engine):
        stage.cloud.computes["dc1-r1-h1"].disabled_reason = "upkeep"
        engine.watcher.look()
        assert self.read(engine).closed_hosts == {"dc1-r1-h1"}


class TestAcks:
    def test_all_have_it(self, engine):
        engine.answers.ack("one", 5)
        engine.answers.ack("two", 7)
        found = engine.answers.wait_acked(5, 5.0)
        assert {ack.scheduler: ack.revision for ack in found} == {
            "one": 5, "two": 7}

    def test_one_does_not(self, stage, engine):
        engine.answers.ack("one", 5)
        engine.answers.ack("two", 4)
        engine.answers._stop.wait = stage.time.go_by
        begun = stage.time.now
        found = engine.answers.wait_acked(5, 3.0)
        assert [ack.scheduler for ack in found if ack.revision < 5] == ["two"]
        assert stage.time.now - begun == pytest.approx(3.0, abs=0.2)

    def test_who_is_gone_is_not_waited_for(self, stage, engine):
        engine.answers.ack("dead", 4)
        stage.time.go_by(60.0)
        engine.answers.ack("one", 5)
        found = engine.answers.wait_acked(5, 5.0)
        assert [ack.scheduler for ack in found] == ["one"]


def test_novas_own_groups(stage, engine):
    stage.cloud.native["n1"] = recovery.GroupView(
        id="n1", policy="anti-affinity", members=("s1",), max_per_host=2,
        name="db", project_id="p")
    stage.cloud.native["n2"] = dataclasses.replace(
        stage.cloud.native["n1"], id="n2", policy="soft-affinity")
    one, two = engine.answers.native_groups(None)
    assert (one.name, one.project_id, one.members) == ("db", "p", ("s1",))
    assert [rules.format_rule(rule) for rule in one.rules] == [
        "spread:host:max=2"]
    assert [rules.format_rule(rule) for rule in two.rules] == [
        "together:host:prefer"]
    assert [one.id for one in engine.answers.native_groups("n2")] == ["n2"]


def test_a_hint_is_resolved(stage, engine):
    group = stage.group("spread:host")
    assert engine.answers.resolve("web", "p") == group
    assert engine.answers.resolve(group, "p") == group
    assert engine.answers.resolve("web", "another") is None
