# SPDX-License-Identifier: Apache-2.0
"""Compiled groups."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
import pytest

from aacloud.core import rules
from aacloud.core.topology import Topology
from aacloud.rpc import snapshot as rpc_snapshot
from aacloud.scheduler.nova import index as group_index
from tests.unit.scheduler import stage

SERVERS = [f"s{number}" for number in range(6)]

GROUPS = st.builds(
    stage.group, st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(["spread:rack", "together:dc"]),
    members=st.sets(st.sampled_from(SERVERS)),
    mode=st.sampled_from(["off", "report", "enforce", "repair"]))


def meaning(index: group_index.Index) -> object:
    return (
        index.revision, dict(index.groups),
        {server: set(ids) for server, ids in index.by_server.items()},
        dict(index.by_name), index.domains.topology, index.domains.dead,
        index.places, index.skipped)


@given(st.lists(
    st.one_of(GROUPS, st.sampled_from(["id-a", "id-b", "id-c", "id-d"])),
    max_size=12))
def test_changes_make_what_all_groups_make(
    changes: list[rules.Group | str],
) -> None:
    engine = stage.Engine()
    index = group_index.compile_index(engine.get_snapshot(None, 1))
    for number, change in enumerate(changes):
        if isinstance(change, rules.Group):
            engine.set(change)
        elif change in engine.groups:
            engine.delete(change)
        if number % 3 == 0:
            continue
        index = group_index.compile_index(
            engine.get_snapshot(index.revision, 1), index)
    index = group_index.compile_index(
        engine.get_snapshot(index.revision, 1), index)
    assert meaning(index) == meaning(
        group_index.compile_index(engine.get_snapshot(None, 1)))


def test_changes_that_do_not_follow() -> None:
    engine = stage.Engine(stage.group("a"))
    index = group_index.compile_index(engine.get_snapshot(None, 1))
    later = dataclasses.replace(
        engine.get_snapshot(None, 1), since=index.revision + 5)
    with pytest.raises(group_index.Gap):
        group_index.compile_index(later, index)
    with pytest.raises(group_index.Gap):
        group_index.compile_index(later)


def test_hints_are_of_one_project() -> None:
    engine = stage.Engine(
        stage.group("a"), stage.group("b", project="p2"))
    index = group_index.compile_index(engine.get_snapshot(None, 1))
    assert index.hinted("a", "p1") is index.groups["id-a"]
    assert index.hinted("id-a", "p1") is index.groups["id-a"]
    for text in ("b", "id-b", "c", ""):
        assert index.hinted(text, "p1") is None
    assert index.hinted("a", None) is None


def test_what_did_not_change_is_shared() -> None:
    engine = stage.Engine(stage.group("a", members=["s1"]))
    index = group_index.compile_index(engine.get_snapshot(None, 1))
    engine.set(stage.group("b", members=["s1"]))
    changed = engine.get_snapshot(index.revision, 1)
    later = group_index.compile_index(changed, index)
    assert later.domains is index.domains
    assert later.groups["id-a"] is index.groups["id-a"]
    assert later.by_server["s1"] == ("id-a", "id-b")
    without = dataclasses.replace(
        changed, topology=None, dead_dcs=None, closed_hosts=None)
    assert group_index.compile_index(without, index).domains is index.domains
    dead = dataclasses.replace(without, dead_dcs=frozenset({"d1"}))
    assert group_index.compile_index(
        dead, index).domains.dead == frozenset({"d1"})


def test_a_group_that_is_not_understood_is_not_kept() -> None:
    engine = stage.Engine(stage.group("a", members=["s1"]))
    index = group_index.compile_index(engine.get_snapshot(None, 1))
    odd = rpc_snapshot.Snapshot(
        revision=9, generated_at=stage.NOW, since=index.revision,
        skipped=("id-a",))
    later = group_index.compile_index(odd, index)
    assert later.skipped == {"id-a"}
    assert not later.by_server and "id-a" not in later.groups
    again = group_index.compile_index(dataclasses.replace(
        odd, since=9, revision=10, skipped=(),
        groups=(stage.group("a", members=["s1"]),)), later)
    assert not again.skipped and "s1" in again.by_server


def test_a_snapshot_of_an_index_makes_it_again() -> None:
    engine = stage.Engine(stage.group("a", "spread:rack", members=["s1"]))
    engine.dead = frozenset({"d2"})
    index = group_index.compile_index(engine.get_snapshot(None, 1))
    body = rpc_snapshot.snapshot_body(index.snapshot())
    again = group_index.compile_index(rpc_snapshot.Reader().read(body))
    assert meaning(again) == meaning(index)
    assert isinstance(again.domains.topology, Topology)
