# SPDX-License-Identifier: Apache-2.0
"""What schedulers are told, over an in-process bus."""

from collections.abc import Iterator
import datetime
import threading
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from oslo_context import context as oslo_context
import oslo_messaging
import pytest

from aacloud.core import rules
from aacloud.core.topology import Host
from aacloud.core.topology import Topology
from aacloud.rpc import envelope
from aacloud.rpc import groups
from aacloud.rpc import groups_server
from aacloud.rpc import messaging
from aacloud.rpc import snapshot
from tests.unit.rpc import bus

NAMES = st.text(
    st.characters(codec="utf-8", categories=("L", "N")),
    min_size=1, max_size=12)
RULES = st.sampled_from([
    "spread:host", "spread:rack:max=2:prefer", "together:dc",
    "spread:dc:max_skew=1:min_domains=2:on_unknown=closed",
    "fence:dc:domains=dc1,dc2:on_evacuate=relax"]).map(rules.parse_rule)
GROUPS = st.builds(
    rules.Group, id=NAMES, name=NAMES, project_id=NAMES,
    mode=st.sampled_from(rules.GroupMode),
    rules=st.lists(RULES, max_size=3).map(tuple),
    members=st.frozensets(NAMES), revision=st.integers(0, 2**40))
MAYBE = st.none() | st.frozensets(NAMES, max_size=3)


@st.composite
def snapshots(draw: st.DrawFn) -> snapshot.Snapshot:
    since = draw(st.none() | st.integers(0, 1000))
    hosts = draw(st.none() | st.dictionaries(
        NAMES, st.tuples(NAMES, NAMES), max_size=4))
    return snapshot.Snapshot(
        revision=draw(st.integers(0, 2**40)),
        generated_at=draw(st.datetimes(
            timezones=st.just(datetime.timezone.utc))),
        groups=tuple(draw(st.lists(GROUPS, max_size=4))),
        since=since,
        gone=() if since is None else tuple(
            draw(st.frozensets(NAMES, max_size=3))),
        topology=None if hosts is None else Topology(hosts={
            name: Host(name, *place) for name, place in hosts.items()}),
        dead_dcs=draw(MAYBE), closed_hosts=draw(MAYBE))


@given(snapshots())
def test_it_is_read_as_told(told: snapshot.Snapshot) -> None:
    found = snapshot.Reader().read(snapshot.snapshot_body(told))
    assert set(found.gone) == set(told.gone)
    assert found.groups == told.groups
    for name in ("revision", "generated_at", "since", "topology",
                 "dead_dcs", "closed_hosts"):
        assert getattr(found, name) == getattr(told, name)


def body(**changes: object) -> dict[str, Any]:
    return {
        "format": 1, "revision": 3, "groups": [],
        "generated_at": "2026-05-04T03:02:01+00:00", **changes}


def entry(**changes: object) -> dict[str, Any]:
    return {
        "id": "i", "name": "n", "project_id": "p", "mode": "enforce",
        "revision": 1, "members": [], "rules": [], **changes}


@pytest.mark.parametrize("other", [2, None, "1", 0])
def test_another_format_is_refused(other: object) -> None:
    with pytest.raises(envelope.MessageError, match="same version") as found:
        snapshot.Reader().read(body(format=other))
    assert found.value.reason == "newer-version"


@pytest.mark.parametrize("wrong", [
    None, [], "x", body(revision=-1), body(revision="3"),
    body(generated_at="yesterday"),
    body(generated_at="2026-05-04T03:02:01"), body(groups={}),
    body(groups=[7]), body(groups=[entry(id=None)]), body(since="x"),
    body(topology=[]), body(topology={"h": "r"}),
    body(topology={"h": ["r", 1]}), body(dead_dcs="dc1"),
    body(dead_dcs=[1])])
def test_what_is_no_snapshot(wrong: object) -> None:
    with pytest.raises(envelope.MessageError) as found:
        snapshot.Reader().read(wrong)
    assert found.value.reason in ("malformed", "newer-version")


@pytest.mark.parametrize("change", [
    {"mode": "dance"}, {"rules": [{"kind": "spiral", "level": "rack"}]},
    {"rules": [{"kind": "spread", "level": "rack", "colour": "red"}]},
    {"rules": ["spread:rack"]}, {"rules": [{"kind": ["x"], "level": {}}]}])
def test_a_group_that_is_not_understood_spoils_no_other(
    change: dict[str, object],
) -> None:
    found = snapshot.Reader().read(body(
        groups=[entry(**change), entry(id="good")]))
    assert [group.id for group in found.groups] == ["good"]
    assert found.skipped == ("i",)


def test_an_engine_that_cannot_tell() -> None:
    with pytest.raises(snapshot.Unavailable, match="no database"):
        snapshot.Reader().read({"unavailable": "no database"})


def test_rules_are_shared() -> None:
    told = [
        entry(id=name, rules=[{"kind": "spread", "level": "rack"}])
        for name in ("a", "b")]
    one, other = snapshot.Reader().read(body(groups=told)).groups
    assert one.rules[0] is other.rules[0]


# -- over the bus ----------------------------------------------------------

class Answers:
    """The engine's side, as far as schedulers ask it."""

    def __init__(self) -> None:
        self.acks: list[tuple[str, int]] = []
        self.opens: list[tuple[object, ...]] = []
        self.problem: Exception | None = None
        self.digests: list[str | None] = []

    def snapshot(
        self, known_revision: int | None, topology: str | None,
    ) -> dict[str, Any]:
        self.digests.append(topology)
        if self.problem is not None:
            raise self.problem
        return body(revision=known_revision or 7)

    def ack(self, scheduler: str, revision: int) -> None:
        self.acks.append((scheduler, revision))

    def fail_open(self, *told: object) -> None:
        if self.problem is not None:
            raise self.problem
        self.opens.append(told)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def client(answers: Answers) -> Iterator[snapshot.SnapshotClient]:
    with bus.transport() as transport:
        server = groups_server.groups_server(
            transport, answers, name="engine")  # type: ignore[arg-type]
        server.start()
        assert server.wait_listening(10)
        yield snapshot.SnapshotClient(transport)
        server.stop()


class OldEndpoint:
    """An engine of version 1.0."""

    target = oslo_messaging.Target(version="1.0")

    def __init__(self) -> None:
        self.asked: list[int | None] = []

    @oslo_messaging.expose
    def get_snapshot(
        self, context: object, known_revision: int | None = None,
    ) -> dict[str, Any]:
        self.asked.append(known_revision)
        return body(revision=known_revision or 7)


def test_an_engine_is_told_which_topology_is_known(
    client: snapshot.SnapshotClient, answers: Answers,
) -> None:
    client.get_snapshot(None, 5)
    client.get_snapshot(12, 5, "d1ge57")
    assert answers.digests == [None, "d1ge57"]


def test_a_scheduler_of_version_1_0_is_answered(answers: Answers) -> None:
    with bus.transport() as transport:
        server = groups_server.groups_server(
            transport, answers, name="engine")  # type: ignore[arg-type]
        server.start()
        assert server.wait_listening(10)
        client = messaging.get_client(
            transport, oslo_messaging.Target(
                exchange=groups.EXCHANGE, topic=groups.TOPIC, version="1.0"),
            timeout=5)
        found = client.call(
            oslo_context.RequestContext(overwrite=False), "get_snapshot",
            known_revision=12)
        assert found["revision"] == 12
        assert answers.digests == [None]
        server.stop()


def test_an_engine_of_version_1_0_is_asked_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = OldEndpoint()
    with bus.transport() as transport:
        server = messaging.get_server(
            transport, oslo_messaging.Target(
                exchange=groups.EXCHANGE, topic=groups.TOPIC, server="old"),
            [old])
        server.start()
        client = snapshot.SnapshotClient(transport)
        assert client.get_snapshot(12, 5, "d1ge57").revision == 12
        asked: list[str] = []
        call = client._call
        monkeypatch.setattr(
            client, "_call", lambda method, timeout_s, *version, **keys: (
                asked.extend(version)
                or call(method, timeout_s, *version, **keys)))
        # For a while it is not asked the newer question, which its log
        # would tell of each time.
        assert client.get_snapshot(13, 5, "d1ge57").revision == 13
        assert asked == []
        client._old_until = 0.0
        assert client.get_snapshot(14, 5, "d1ge57").revision == 14
        assert asked == ["1.1"]
        assert old.asked == [12, 13, 14]
        server.stop()
        server.wait()


NAMED = {"a": ("r1", "d1"), "b": ("r1", "d1"), "c": ("r2", "d2")}


def topology(named: dict[str, tuple[str, str]]) -> Topology:
    return Topology(hosts={
        name: Host(name, *place) for name, place in named.items()})


def test_digests_tell_topologies_apart() -> None:
    one = snapshot.topology_digest(topology(NAMED))
    # The order is nothing, and what is read of a message is the same.
    assert one == snapshot.topology_digest(
        topology(dict(reversed(NAMED.items()))))
    told = snapshot.Reader().read(snapshot.snapshot_body(snapshot.Snapshot(
        1, datetime.datetime.now(datetime.timezone.utc),
        topology=Topology(hosts={
            name: Host(name, *place, "shared")
            for name, place in NAMED.items()}))))
    assert told.topology is not None
    assert snapshot.topology_digest(told.topology) == one
    others = [
        {**NAMED, "d": ("r1", "d1")}, {**NAMED, "c": ("r1", "d2")},
        {**NAMED, "c": ("r2", "d1")}, {"a": ("r1", "d1")}, {}]
    assert len({
        one, *(snapshot.topology_digest(topology(other)) for other in others)
    }) == 6


def test_asking_an_engine(
    client: snapshot.SnapshotClient, answers: Answers,
) -> None:
    assert client.get_snapshot(None, 5).revision == 7
    assert client.get_snapshot(12, 5).revision == 12
    client.ack("host:1", 12)
    client.record_fail_open("host:1", "s1", ("g1",), "stale")
    # An answered call came after the cast.
    pause = threading.Event()
    for _ in range(200):
        if answers.acks:
            break
        pause.wait(0.02)
    assert answers.acks == [("host:1", 12)]
    assert answers.opens == [("host:1", "s1", ["g1"], "stale")]


def test_an_engine_with_a_problem(
    client: snapshot.SnapshotClient, answers: Answers,
) -> None:
    answers.problem = groups.EngineUnavailable("the database is away")
    with pytest.raises(snapshot.Unavailable, match="database is away"):
        client.get_snapshot(None, 5)
    with pytest.raises(snapshot.Unavailable, match="database is away"):
        client.record_fail_open("host:1", "s1", (), "stale")


def test_nobody_there() -> None:
    with bus.transport() as transport:
        client = snapshot.SnapshotClient(transport)
        with pytest.raises(snapshot.Unavailable, match="see that one runs"):
            client.get_snapshot(None, 0.2)


def test_every_scheduler_hears_of_a_change() -> None:
    heard: list[tuple[str, int]] = []
    both = threading.Event()

    def hear(name: str, revision: int) -> None:
        heard.append((name, revision))
        if len(heard) == 2:
            both.set()

    with bus.transport() as transport:
        servers = [
            snapshot.changes_server(
                transport, lambda revision, name=name: hear(name, revision),
                name=name)
            for name in ("one", "other")]
        for server in servers:
            server.start()
            assert server.wait_listening(10)
        groups.GroupsClient(transport).changed(17)
        assert both.wait(10)
        assert sorted(heard) == [("one", 17), ("other", 17)]
        for server in servers:
            server.stop()
