# SPDX-License-Identifier: Apache-2.0
"""Births, moves and deaths: told, told twice, out of order, or never."""

from __future__ import annotations

import random

import pytest

from aacloud.clouds import errors as cloud_errors
from aacloud.rpc import nova_notifications
from tests.unit.groups import scripted_cloud
from tests.unit.groups.stage import Mode

Fact = nova_notifications.Fact
Told = nova_notifications.Told


def hinted(server, *hints, project="p"):
    return Told(Fact.HINTED, server, project, hints=hints)


def born(server):
    return Told(Fact.BORN, server, "p")


def gone(server):
    return Told(Fact.GONE, server, "p")


@pytest.fixture
def engine(stage):
    return stage.engine()


def test_born_with_a_hint(stage, engine):
    group = stage.group("spread:host")
    stage.cloud.born("s1", "dc1-r1-h1", "web")
    before = stage.store.revision()
    engine.membership.handle(hinted("s1", "web"))
    assert stage.members(group) == {"s1"}
    assert engine.announced == [before + 1]
    # Told again, nothing is different.
    engine.membership.handle(hinted("s1", "web"))
    engine.membership.handle(born("s1"))
    assert stage.store.revision() == before + 1


def test_by_id_and_into_several_groups(stage, engine):
    one = stage.group("spread:host", name="one")
    two = stage.group("spread:rack", name="two")
    engine.membership.handle(hinted("s1", one, "two"))
    assert stage.members(one) == stage.members(two) == {"s1"}


def test_the_others_of_a_request_are_asked_for_their_hints(stage, engine):
    group = stage.group("spread:host")
    for name in ("s1", "s2", "s3"):
        stage.cloud.born(name, "dc1-r1-h1", "web")
    engine.membership.handle(hinted("s1", "web"))
    for name in ("s1", "s2", "s3"):
        engine.membership.handle(born(name))
    assert stage.members(group) == {"s1", "s2", "s3"}
    assert stage.cloud.count("server_in_full") == 2


def test_a_server_without_a_hint_costs_one_question(stage, engine):
    stage.cloud.born("s1", "dc1-r1-h1")
    engine.membership.handle(born("s1"))
    assert stage.store.members() == {}


@pytest.mark.parametrize(
    "hint, project", [("nobody", "p"), ("web", "another")])
def test_a_hint_that_means_no_group_of_the_project(
    stage, engine, hint, project
):
    group = stage.group("spread:host")
    engine.membership.handle(hinted("s1", hint, project=project))
    assert stage.members(group) == set()


def test_who_left_is_not_brought_back_by_its_hint(stage, engine):
    """Nova repeats the hint at every move, and shows it for ever."""
    group = stage.group("spread:host")
    stage.cloud.born("s1", "dc1-r1-h1", "web")
    engine.membership.handle(hinted("s1", "web"))
    stage.store.remove_members(group, ["s1"], by="ann")
    engine.membership.handle(hinted("s1", "web"))
    engine.lead()
    stage.run_for(70.0)
    assert stage.members(group) == set()


def test_deleted_servers_and_projects(stage, engine):
    group = stage.group("spread:host", members={
        "s1": "dc1-r1-h1", "s2": "dc1-r1-h2"})
    engine.membership.handle(gone("s1"))
    assert stage.members(group) == {"s2"}
    engine.membership.handle(gone("s1"))
    engine.membership.handle(Told(Fact.PROJECT_GONE, "p"))
    assert stage.store.list() == ()


def test_a_move_leads_to_an_inspection(stage, engine):
    group = stage.group("spread:host", mode=Mode.REPORT, members={
        "s1": "dc1-r1-h1", "s2": "dc1-r1-h2"})
    stage.run(lambda: engine.inspector.work() is None)
    assert stage.state(group) is None
    stage.cloud.servers["s2"] = stage.cloud.servers["s1"].__class__(
        **{**_fields(stage.cloud.servers["s2"]), "host": "dc1-r1-h1"})
    engine.membership.handle(Told(Fact.MOVED, "s2", "p"))
    engine.inspector.work()
    assert stage.state(group) == "violating"
    assert engine.notes.states(group) == ["violating"]


def _fields(server):
    return {name: getattr(server, name) for name in server.__slots__}


def test_what_nova_cannot_answer_now_is_told_again(stage, engine):
    stage.group("spread:host")
    stage.cloud.born("s1", "dc1-r1-h1", "web")
    stage.cloud.script = lambda number, name: scripted_cloud.Fault.UNKNOWN
    with pytest.raises(cloud_errors.CloudUnknown):
        engine.membership.handle(born("s1"))


class TestReconciliation:
    def test_at_the_start(self, stage):
        group = stage.group("spread:host", members={"s1": "dc1-r1-h1"})
        stage.cloud.born("s2", "dc1-r1-h2", "web")
        stage.cloud.dies("s1")
        engine = stage.engine().lead()
        stage.run(lambda: stage.members(group) == {"s2"})
        assert engine.announced[-1] == stage.store.revision()

    def test_a_server_that_the_list_overlooked_stays(self, stage):
        group = stage.group("spread:host", members={"s1": "dc1-r1-h1"})
        list_all = stage.cloud.servers_all
        stage.cloud.servers_all = lambda: tuple(
            one for one in list_all() if one.uuid != "s1")
        stage.engine().lead()
        stage.run_for(60.0)
        assert stage.members(group) == {"s1"}

    def test_nova_does_not_answer(self, stage):
        group = stage.group("spread:host", members={"s1": "dc1-r1-h1"})
        stage.cloud.dies("s1")
        stage.cloud.script = lambda number, name: (
            scripted_cloud.Fault.UNKNOWN if name == "servers_all" else None)
        stage.engine().lead()
        stage.run_for(60.0)
        assert stage.members(group) == {"s1"}
        stage.cloud.script = lambda number, name: None
        stage.run(lambda: not stage.members(group))

    def test_who_stands_by_reads_nothing(self, stage):
        stage.engine()
        stage.run_for(60.0)
        assert stage.cloud.count("servers_all") == 0


@pytest.mark.parametrize("seed", range(12))
def test_messages_dropped_doubled_and_reordered(seed, stage):
    """Whatever is told, in the end who lives and asked for it is in."""
    chance = random.Random(seed)
    group = stage.group("spread:host", mode=Mode.REPORT)
    engines = [stage.engine("one").lead(), stage.engine("two")]
    messages = []
    for number in range(20):
        name = f"s{number}"
        hints = ("web",) if chance.random() < 0.7 else ()
        stage.cloud.born(name, chance.choice(list(stage.topology.hosts)),
                         *hints)
        if hints:
            messages.append(hinted(name, *hints))
        messages.append(born(name))
        if chance.random() < 0.4:
            stage.cloud.dies(name)
            messages.append(gone(name))
    messages = [
        told for told in messages for _ in range(chance.choice((0, 1, 1, 2)))]
    chance.shuffle(messages)
    for told in messages:
        chance.choice(engines).membership.handle(told)
        if chance.random() < 0.2:
            stage.run_for(1.0)
    wanted = {
        server.uuid for server in stage.cloud.servers.values()
        if server.hints}
    stage.run(lambda: stage.members(group) == wanted)
    stage.run_for(70.0)
    assert stage.members(group) == wanted
