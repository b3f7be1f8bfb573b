# SPDX-License-Identifier: Apache-2.0
"""Why a broken group cannot be mended: looked for when somebody asks, and by
the engine that leads when it reads the whole cloud."""

from __future__ import annotations

import dataclasses

import pytest

from aacloud.db import errors as db_errors
from aacloud.groups import explaining
from aacloud.groups import reports
from tests.unit.groups import scripted_cloud
from tests.unit.groups.stage import Mode

HERE = "dc1-r1-h1"
PAIR = {"s1": HERE, "s2": HERE}


def full(stage, *but):
    """No host but those has any room."""
    for host in stage.topology.hosts:
        if host not in but:
            stage.cloud.room[host] = 0


def change(stage, **changes):
    for uuid, server in stage.cloud.servers.items():
        stage.cloud.servers[uuid] = dataclasses.replace(server, **changes)


def no_room(stage):
    full(stage)
    return "no room for 1 vCPU and 512 MB memory"


def large_disks(stage):
    flavor = dataclasses.replace(
        scripted_cloud.scripted_cloud.FLAVOR, root_gb=2000)
    change(stage, flavor=flavor)
    return "no room for 2000 GB disk (its local disks"


def pinned(stage):
    change(stage, availability_zone="az9")
    return "outside the zone"


def suspended(stage):
    change(stage, vm_state="paused")
    return "unpause it"


def another_rule(stage):
    stage.group(f"fence:host:domains={HERE}", name="stay", members=PAIR,
                mode=Mode.ENFORCE)
    return "would make fence:host:domains=dc1-r1-h1 of group stay worse"


def native_rule(stage):
    stage.cloud.native["n"] = scripted_cloud.recovery.GroupView(
        id="n", policy="affinity", members=("s1", "s2"), name="native",
        project_id="p")
    return "would make together:host of group n worse"


def disabled(stage):
    for name, compute in stage.cloud.computes.items():
        if name != HERE:
            compute.disabled_reason = "maintenance"
    return "is disabled"


@pytest.mark.parametrize("what, code", [
    (no_room, "capacity"), (large_disks, "capacity"), (pinned, "pinned"),
    (suspended, "unmovable"), (another_rule, "conflict"),
    (native_rule, "conflict"), (disabled, "closed")])
def test_the_reason(stage, what, code):
    group = stage.group("spread:host", members=PAIR, mode=Mode.REPORT)
    text = what(stage)
    engine = stage.engine()
    engine.watcher.look()
    (report,) = engine.answers.inspect([group], 20.0)
    (finding,) = report.rules
    assert finding.hindrance.code == code
    assert text in finding.hindrance.reason
    assert finding.hindrance.excess == 1
    assert report.sought_at == stage.time.utcnow()
    # It is kept, and told.
    (kept,) = stage.kept.get(group).report["rules"]
    assert kept["hindrance"]["code"] == code
    told = reports.told(stage.store.get(group).group, report, None)
    assert told["rules"][0]["hindrance"]["code"] == code


def test_what_can_be_mended_has_no_hindrance(stage):
    full(stage, "dc2-r2-h2")
    group = stage.group("spread:host", members=PAIR)
    (report,) = stage.engine().answers.inspect([group], 20.0)
    (finding,) = report.rules
    assert (finding.excess, finding.hindrance) == (1, None)
    assert report.sought_at is not None


def test_what_is_left_when_some_can_be_moved(stage):
    full(stage, "dc2-r2-h2")
    stage.cloud.room["dc2-r2-h2"] = 1
    group = stage.group("spread:host", members={**PAIR, "s3": HERE})
    (report,) = stage.engine().answers.inspect([group], 20.0)
    (finding,) = report.rules
    assert (finding.excess, finding.hindrance.excess) == (2, 1)


def test_kept_rules_cost_nothing(stage):
    group = stage.group("together:host", members=PAIR)
    (report,) = stage.engine().answers.inspect([group], 20.0)
    assert report.sought_at is None
    assert not stage.cloud.count("capacity")


def test_what_is_free_cannot_be_read(stage):
    """The inspection is answered all the same."""
    stage.cloud.script = lambda number, name: (
        scripted_cloud.Fault.UNKNOWN if name == "capacity" else None)
    group = stage.group("spread:host", members=PAIR)
    (report,) = stage.engine().answers.inspect([group], 20.0)
    assert report.state == "violating"
    assert (report.sought_at, report.rules[0].hindrance) == (None, None)


class TestTheLeader:
    """It looks when it reads the whole cloud, and remembers."""

    def prepared(self, stage):
        full(stage)
        group = stage.group("spread:host", members=PAIR, mode=Mode.REPORT)
        stage.engine().lead()
        stage.run(lambda: self.code(stage, group) == "capacity")
        return group

    def code(self, stage, group):
        try:
            (finding,) = stage.kept.get(group).report["rules"]
        except db_errors.NotFound:
            return None
        return finding["hindrance"] and finding["hindrance"]["code"]

    def test_repeats_it_at_no_cost(self, stage):
        group = self.prepared(stage)
        asked = stage.cloud.count("capacity")
        first = stage.kept.get(group)
        stage.run_for(100.0)
        later = stage.kept.get(group)
        assert later.inspected_at > first.inspected_at
        assert later.report["rules"] == first.report["rules"]
        assert later.report["sought_at"] == first.report["sought_at"]
        assert stage.cloud.count("capacity") == asked

    def test_looks_again_after_a_while(self, stage):
        group = self.prepared(stage)
        first = stage.kept.get(group)
        stage.cloud.room.clear()
        stage.run(lambda: self.code(stage, group) is None,
                  explaining.REMEMBERED_S + 60.0)
        assert stage.kept.get(group).inspected_at > first.inspected_at

    def test_forgets_it_when_a_member_moves(self, stage):
        group = self.prepared(stage)
        asked = stage.cloud.count("capacity")
        stage.cloud.born("s3", HERE)
        stage.store.add_members(group, {"s3": "p"}, by="ann")
        engine = stage.engines[0]
        engine.inspector.recheck([group])
        engine.inspector.work()
        # An event asks for nothing.
        assert stage.cloud.count("capacity") == asked
        assert stage.kept.get(group).report["sought_at"] is None
        stage.run(lambda: self.code(stage, group) == "capacity")
        (finding,) = stage.kept.get(group).report["rules"]
        assert finding["hindrance"]["excess"] == 2

    def slow(self, stage, monkeypatch, first_s):
        """Plans take 0.8 s; the first that is complete so long."""
        made = []

        def slowly(problem, limits, clock):
            made.append((limits.time_limit_s, sum(
                group.mode is Mode.REPAIR for group in problem.groups)))
            stage.time.go_to(stage.time.now + 0.8)
            plan = plan_repair(problem, limits, clock)
            return dataclasses.replace(plan, first_s=first_s)

        plan_repair = explaining.repair.plan_repair
        monkeypatch.setattr(explaining.repair, "plan_repair", slowly)
        return made

    def many(self, stage):
        full(stage)
        groups = [
            stage.group("spread:host", name=f"g{n}", mode=Mode.REPORT,
                        members={f"{n}-1": HERE, f"{n}-2": HERE})
            for n in range(16)]
        engine = stage.engine().lead()
        engine.watcher.look()
        engine.keeper.look()
        left = [
            group for group in groups if self.code(stage, group) is None]
        stage.conf.set_override(
            "reconcile_interval", 10.0, "aacloud_groups")
        return groups, left

    def test_looks_no_longer_than_it_may(self, stage, monkeypatch):
        made = self.slow(stage, monkeypatch, 0.3)
        groups, left = self.many(stage)
        assert made == [
            (2.0, 4), (pytest.approx(1.2), 4), (pytest.approx(0.4), 4)]
        assert len(left) == 4
        stage.run(lambda: all(
            self.code(stage, group) == "capacity" for group in groups))

    def test_takes_more_at_once_when_it_is_fast(self, stage, monkeypatch):
        made = self.slow(stage, monkeypatch, 0.01)
        _, left = self.many(stage)
        assert [number for _, number in made] == [4, 8, 4]
        assert left == []

    def test_says_nothing_when_not_all_was_tried(self, stage, monkeypatch):
        made = self.slow(stage, monkeypatch, 1.9)
        groups, left = self.many(stage)
        assert [number for _, number in made][:2] == [4, 2]
        assert left == groups

    @pytest.fixture
    def solving(self, stage, monkeypatch):
        """Makes plans with hard groups take long; tells what was asked."""
        made = []

        def slowly(problem, limits, clock):
            hard = [group.name for group in problem.groups
                    if group.mode is Mode.REPAIR
                    and group.name.startswith("hard")]
            took = min(1.9 if hard else 0.05, limits.time_limit_s)
            made.append(sorted(
                group.name for group in problem.groups
                if group.mode is Mode.REPAIR))
            stage.time.go_to(stage.time.now + took)
            return dataclasses.replace(
                plan_repair(problem, limits, clock), first_s=took)

        plan_repair = explaining.repair.plan_repair
        monkeypatch.setattr(explaining.repair, "plan_repair", slowly)
        return made

    def broken(self, stage, names):
        """The groups have no room; their ids."""
        full(stage)
        return [
            stage.group("spread:host", name=name, mode=Mode.REPORT,
                        members={f"{name}-{n}": HERE for n in range(2)})
            for name in names]

    @pytest.mark.parametrize("names", [
        ("hard", "e1", "e2", "e3"),
        ("e1", "e2", "hard1", "e3", "hard2", "e4", "e5"),
        (*(f"hard{n}" for n in range(6)), "e1", "e2"),
    ])
    def test_a_group_that_takes_long_starves_no_other(
            self, stage, solving, names):
        """Each gets its reason, and a hard one is not asked for again."""
        groups = self.broken(stage, names)
        stage.engine().lead()
        stage.run(lambda: all(
            self.code(stage, group) == "capacity" for group in groups),
            30.0 * 3 * len(names))
        for group, name in zip(groups, names, strict=True):
            (finding,) = stage.kept.get(group).report["rules"]
            assert finding["hindrance"]["reason"].endswith(
                "; not all was tried within 2 s"
            ) == name.startswith("hard")
            assert "no room" in finding["hindrance"]["reason"]
        # All of it is remembered, also what took long.
        del solving[:]
        stage.run_for(100.0)
        assert solving == []

    def test_what_is_not_found_in_time_says_so(self, stage, monkeypatch):
        def empty(problem, limits, clock):
            """As when the time is out before the first move."""
            stage.time.go_to(stage.time.now + limits.time_limit_s)
            plan = plan_repair(problem, dataclasses.replace(
                limits, time_limit_s=-1.0), clock)
            return dataclasses.replace(plan, first_s=limits.time_limit_s)

        plan_repair = explaining.repair.plan_repair
        monkeypatch.setattr(explaining.repair, "plan_repair", empty)
        group = stage.group("spread:host", members=PAIR, mode=Mode.REPORT)
        engine = stage.engine().lead()
        engine.watcher.look()
        stage.run(lambda: self.code(stage, group))
        (finding,) = stage.kept.get(group).report["rules"]
        assert finding["hindrance"] == {
            "code": "limit", "excess": 1,
            "reason": "no way to mend it was found within 2 s; a repair "
                      "looks for longer"}

    @pytest.mark.parametrize("reads", [0.5, 2.5, 10.0])
    def test_reading_takes_none_of_the_time(self, stage, reads):
        group, = self.broken(stage, ["slow"])
        read = stage.cloud.capacity

        def slowly(hosts):
            stage.time.go_to(stage.time.now + reads)
            return read(hosts)

        stage.cloud.capacity = slowly
        stage.engine().lead()
        stage.run(lambda: self.code(stage, group) == "capacity", 120.0)

    def test_a_short_solver_time_limit_starves_none(self, stage, solving):
        """One that is shorter than an explanation may take."""
        stage.conf.set_override("solver_time_limit", 1.0, "aacloud_groups")
        groups = self.broken(stage, ("hard1", "e1", "hard2"))
        stage.engine().lead()
        stage.run(lambda: all(
            self.code(stage, group) == "capacity" for group in groups))
