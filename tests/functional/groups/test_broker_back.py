# SPDX-License-Identifier: Apache-2.0
"""A scheduler has the groups again soon after RabbitMQ is back."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import threading
import time
import typing

import oslo_messaging
import pytest

from aacloud.groups import snapshots
from aacloud.rpc import groups as rpc_groups
from aacloud.rpc import messaging
from aacloud.rpc import snapshot as rpc_snapshot
from aacloud.scheduler.nova import settings
from aacloud.scheduler.nova import snapshot_client
from tests.functional.groups import place as places

#: Seconds after which a scheduler has to know, once it can be told.
SOON = 5.0


class Bus(snapshot_client.MessagingBus):
    """The way to the engines; remembers why questions failed."""

    problems: typing.ClassVar[list[str]]

    def get_snapshot(
        self, known_revision: int | None, timeout_s: float,
        topology: str | None = None,
    ) -> rpc_snapshot.Snapshot:
        try:
            return super().get_snapshot(known_revision, timeout_s, topology)
        except rpc_snapshot.Unavailable as error:
            self.problems.append(str(error))
            raise


@contextlib.contextmanager
def scheduler(
    place: places.Place, name: str = "one",
) -> Iterator[snapshot_client.SnapshotClient]:
    """A scheduler's real copy of the groups."""
    conf = place.configuration(name)
    Bus.problems = []
    made = snapshot_client.SnapshotClient(
        lambda: settings.Settings(first_wait=20.0, host=name),
        lambda: Bus(lambda: messaging.init(conf)))
    try:
        yield made
    finally:
        made.stop()


def revision(client: snapshot_client.SnapshotClient) -> int:
    view = client.view()
    return 0 if view is None else view.index.revision


def join(place: places.Place, group: str) -> int:
    """Nobody is told of it: it is found by who asks."""
    joined = place.store.add_members(
        group, {places.server_id(0): "p"}, by="ann")
    return joined.record.group.revision


@pytest.mark.parametrize("away", [1.0, 12.0])
def test_the_broker_was_away(
    place: places.Place,
    record_property: Callable[[str, object], None],
    away: float,
) -> None:
    place.engines()
    group = place.group("spread:host")
    with scheduler(place) as one, scheduler(place, "two") as two:
        place.eventually(lambda: revision(one) and revision(two))
        place.broker.kill()
        wanted = join(place, group)
        gone = time.monotonic()
        place.eventually(lambda: time.monotonic() - gone > away)
        place.broker.start()
        began = time.monotonic()
        place.eventually(lambda: min(revision(one), revision(two)) >= wanted)
        took = time.monotonic() - began
        record_property("seconds until both had them", round(took, 2))
        assert took < SOON


def test_no_engine_listens_yet(
    place: places.Place,
    record_property: Callable[[str, object], None],
) -> None:
    """The scheduler was quicker than the engines to find the broker."""
    place.engines()
    group = place.group("spread:host")
    with scheduler(place) as one:
        place.eventually(lambda: revision(one))
        for engine in place.daemons:
            engine.stop()
        place.daemons.clear()
        place.broker.kill()
        wanted = join(place, group)
        place.broker.start()
        # What it asks now nobody hears, and it does not wait for an answer.
        place.eventually(lambda: any(
            "no aacloud-groups listens" in problem
            for problem in Bus.problems), 2 * SOON)
        engine = place.engine("late")
        place.eventually(lambda: engine.checks()["messaging"][0])
        began = time.monotonic()
        place.eventually(lambda: revision(one) >= wanted)
        took = time.monotonic() - began
        record_property("seconds until it had them", round(took, 2))
        assert took < SOON


def test_an_answer_is_lost(
    place: places.Place, monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    place.engines()
    group = place.group("spread:host")
    asked, over = threading.Event(), threading.Event()
    body = snapshots.SnapshotMaker.body

    def silent(*question: object) -> object:
        if not asked.is_set():
            asked.set()
            over.wait(places.DEADLINE)
        return body(*question)

    with scheduler(place) as one:
        place.eventually(lambda: revision(one))
        monkeypatch.setattr(snapshots.SnapshotMaker, "body", silent)
        wanted = join(place, group)
        one._wake.set()
        assert asked.wait(places.DEADLINE)
        began = time.monotonic()
        try:
            place.eventually(lambda: revision(one) >= wanted)
            took = time.monotonic() - began
        finally:
            over.set()
        record_property("seconds until it had them", round(took, 2))
        assert took < SOON


class OldEndpoint:
    """An engine whose questions have version 1.0."""

    target = oslo_messaging.Target(version="1.0")

    @oslo_messaging.expose
    def get_snapshot(
        self, context: object, known_revision: int | None = None,
    ) -> dict[str, object]:
        return {
            "format": 1, "revision": 7, "groups": [],
            "generated_at": "2026-05-04T03:02:01+00:00"}


def test_an_engine_of_the_version_before(place: places.Place) -> None:
    transport = messaging.init(place.configuration("old"))
    server = messaging.get_server(
        transport, oslo_messaging.Target(
            exchange=rpc_groups.EXCHANGE, topic=rpc_groups.TOPIC,
            server="old"),
        [OldEndpoint()])
    server.start()
    client = rpc_snapshot.SnapshotClient(transport)
    assert client.get_snapshot(7, 20.0, "d1ge57").revision == 7
    server.stop()
    server.wait()
    transport.cleanup()
