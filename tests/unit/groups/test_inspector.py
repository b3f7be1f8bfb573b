# SPDX-License-Identifier: Apache-2.0
"""How groups stand: kept, told when it changes, first where it is doubtful."""

from __future__ import annotations

from aacloud.core import migrations
from aacloud.groups import sight
from aacloud.groups import surroundings
from tests.unit.core import builders
from tests.unit.groups import scripted_cloud
from tests.unit.groups.stage import Mode

PAIR = {"s1": "dc1-r1-h1", "s2": "dc1-r1-h1"}


def test_all_are_inspected_and_kept(stage):
    bad = stage.group("spread:host", members=PAIR, mode=Mode.REPORT)
    good = stage.group("together:dc", members=PAIR, name="good")
    engine = stage.engine().lead()
    stage.run(stage.is_(bad, "violating"))
    assert stage.state(good) == "compliant"
    kept = stage.kept.get(bad).report
    (finding,) = kept["rules"]
    assert (finding["excess"], finding["least_moves"]) == (1, 1)
    assert kept["places"] == {"s1": ["dc1-r1-h1"], "s2": ["dc1-r1-h1"]}
    assert kept["names"]["s1"] == "name-s1"
    # Only what somebody has to know is told.
    assert [(state, bad) for state, _, bad in engine.notes.told] == [
        ("violating", True)]
    assert engine.places.list()["s1"].hosts == ("dc1-r1-h1",)


def test_a_server_under_way_counts_at_both_ends(stage):
    group = stage.group("spread:host", mode=Mode.REPORT, members={
        "s1": "dc1-r1-h1", "s2": "dc1-r1-h2"})
    engine = stage.engine()
    stage.cloud.takes_s = 100.0
    stage.cloud.live_migrate("s2", "dc1-r1-h1")
    (report,) = engine.answers.inspect([group], 20.0)
    assert report.state == "violating"
    assert set(report.places["s2"]) == {"dc1-r1-h1", "dc1-r1-h2"}


def test_where_a_server_counts():
    row = migrations.MigrationView(
        id=1, uuid="m", server="s1", source="a", dest="b", status="running",
        type="live-migration", created_at_utc=builders.UTC_NOW)

    def server(host, task=None):
        return scripted_cloud.recovery.ServerView(
            uuid="s1", name="s1", project_id="p", host=host,
            vm_state="active", task_state=task, power_state="running",
            flavor=scripted_cloud.scripted_cloud.FLAVOR)

    assert sight.place(server("a"), None) == ("a",)
    assert sight.place(server(""), None) == ()
    assert sight.place(server("a", "migrating"), row) == ("a", "b")
    # It ended between the two looks.
    assert sight.place(server("b"), row) == ("b",)


def test_a_lost_data_centre_degrades(stage):
    group = stage.group("spread:dc:max_skew=1", mode=Mode.REPORT, members={
        "s1": "dc1-r1-h1", "s2": "dc1-r1-h2", "s3": "dc2-r1-h1"})
    stage.engine().lead()
    stage.run(stage.is_(group, "compliant"))
    for host in stage.topology.hosts.values():
        if host.dc == "dc2":
            stage.cloud.kill(host.name)
    stage.run(stage.is_(group, "degraded"))


def test_which_data_centres_are_lost():
    topology = builders.cloud()
    up = scripted_cloud.adoption_live.HostNow(up=True, enabled=True)
    down = scripted_cloud.adoption_live.HostNow(up=False, enabled=True)

    def lost(dead=(), **of_dc):
        return surroundings.lost_dcs(topology, {
            host.name: of_dc[host.dc] for host in topology.hosts.values()
            if host.dc in of_dc}, dead)

    assert lost(dc1=up, dc2=up) == frozenset()
    assert lost(dc1=up, dc2=down) == {"dc2"}
    # Where nothing is known nothing is lost, nor when all seems to be.
    assert lost(dc1=up) == frozenset()
    assert lost(dc1=down, dc2=down) == frozenset()
    of_dc2 = topology.hosts_of(surroundings.topologies.Level.DC, "dc2")
    assert lost(of_dc2, dc1=up, dc2=up) == {"dc2"}


def test_what_was_let_pass_is_inspected_first(stage):
    group = stage.group("spread:host", members=PAIR, mode=Mode.REPORT)
    engine = stage.engine("one")
    engine.answers.fail_open("sched", "s2", [group], "no snapshot")
    assert engine.words.fail_opens()
    # Who heard it inspects at once, and whoever leads makes sure.
    engine.inspector.work()
    assert stage.state(group) == "violating"
    engine.lead()
    stage.run(lambda: not engine.words.fail_opens())


def test_nothing_is_known_of_the_topology_yet(stage):
    group = stage.group("spread:host", members=PAIR)
    engine = stage.engine()
    engine.watcher._now = None
    engine.inspector.recheck([group])
    assert engine.inspector.work() > 0
    assert stage.state(group) is None
    engine.watcher.look()
    assert engine.inspector.work() == 0.0
    assert stage.state(group) == "violating"


def test_a_deleted_group_is_forgotten(stage):
    group = stage.group("spread:host", members=PAIR, mode=Mode.REPORT)
    engine = stage.engine().lead()
    stage.run(stage.is_(group, "violating"))
    stage.store.delete(group, by="ann")
    engine.keeper._pruned_at = float("-inf")
    stage.run(lambda: not stage.kept.list())


def during_the_list(stage, happens):
    """Let something happen after Nova listed all servers, before its answer
    is there."""
    list_all = stage.cloud.servers_all

    def slow():
        found = list_all()
        stage.time.go_to(stage.time.now + 5.0)
        stage.cloud.servers_all = list_all
        happens()
        stage.time.go_to(stage.time.now + 5.0)
        return found

    stage.cloud.servers_all = slow


def test_who_is_born_during_a_reconciliation_counts(stage):
    group = stage.group("spread:host", members={"s1": "dc1-r1-h1"},
                        mode=Mode.REPORT)
    engine = stage.engine().lead()

    def birth():
        stage.cloud.born("s2", "dc1-r1-h1", "web")
        engine.membership.join("s2", "p", ["web"])

    during_the_list(stage, birth)
    engine.keeper.look()
    assert stage.state(group) == "violating"
    assert stage.kept.get(group).report["places"]["s2"] == ["dc1-r1-h1"]
    assert engine.places.list()["s2"].hosts == ("dc1-r1-h1",)


def test_the_report_that_was_read_last_counts(stage):
    """Not the one that was ready last."""
    group = stage.group("spread:host", mode=Mode.REPORT, members={
        "s1": "dc1-r1-h1", "s2": "dc1-r1-h2"})
    engine, other = stage.engine("one").lead(), stage.engine("two")

    def move():
        stage.cloud.dies("s2")
        stage.cloud.born("s2", "dc1-r1-h1")
        (found,) = other.answers.inspect([group], 20.0)
        assert found.state == "violating"

    during_the_list(stage, move)
    engine.keeper.look()
    assert engine.notes.told == []
    assert stage.state(group) == "violating"
    assert engine.places.list()["s2"].hosts == ("dc1-r1-h1",)
    kept = stage.kept.get(group)
    stage.run(lambda: stage.kept.get(group).inspected_at > kept.inspected_at)
    assert stage.state(group) == "violating"


def test_no_report_of_an_older_revision_counts(stage):
    group = stage.group("spread:host", mode=Mode.REPORT, members={
        "s1": "dc1-r1-h1", "s2": "dc1-r1-h1"})
    engine = stage.engine()
    engine.catalogue.refresh()
    older = engine.inspector.look(engine.catalogue.some([group]))
    stage.store.remove_members(group, ["s2"], by="ann")
    (found,) = engine.answers.inspect([group], 20.0)
    assert found.state == "compliant"
    stage.time.go_to(stage.time.now + 5.0)
    engine.inspector.keep(older[0], engine.reader.some(["s1", "s2"]))
    assert stage.state(group) == "compliant"
