# SPDX-License-Identifier: Apache-2.0
"""How the groups come into a scheduler process, and stay there."""

from collections.abc import Iterator
import os
import pathlib
import signal
import threading
import time

import pytest

from aacloud.rpc import envelope
from aacloud.rpc import snapshot as rpc_snapshot
from aacloud.scheduler.nova import snapshot_client
from aacloud.scheduler.nova import snapshot_file
from tests.unit.scheduler import stage


@pytest.fixture
def engine() -> stage.Engine:
    return stage.Engine(stage.group("g", "spread:rack", members=["a", "b"]))


@pytest.fixture
def scheduler(engine: stage.Engine) -> Iterator[stage.Scheduler]:
    with stage.Scheduler(engine) as made:
        yield made


def revision(scheduler: stage.Scheduler) -> int:
    view = scheduler.client.view()
    return 0 if view is None else view.index.revision


def test_nothing_runs_before_the_first_request(
    engine: stage.Engine, scheduler: stage.Scheduler,
) -> None:
    assert engine.asked == []
    assert revision(scheduler) == 2
    assert engine.asked == [None]
    assert engine.acks == {scheduler.client.name: 2}
    assert scheduler.client.name.endswith(f":{os.getpid()}")


def test_a_change_is_known_within_a_second(
    engine: stage.Engine, scheduler: stage.Scheduler,
) -> None:
    assert scheduler.refused(stage.Spec("c")) == set()
    engine.set(stage.group(
        "g", "fence:dc:domains=d1", members=["a", "b", "c"]))
    began = time.monotonic()
    engine.push()
    stage.until(lambda: bool(scheduler.refused(stage.Spec("c"))))
    assert time.monotonic() - began < 1.0
    assert engine.acks[scheduler.client.name] == 3
    assert engine.asked == [None, 2], "only what changed was asked for"


def test_a_lost_announcement_is_healed(engine: stage.Engine) -> None:
    with stage.Scheduler(engine, poll_interval=0.05) as scheduler:
        assert revision(scheduler) == 2
        engine.delete("id-g")
        stage.until(lambda: revision(scheduler) == 3)
        assert scheduler.refused(stage.Spec("b")) == set()


def test_an_old_announcement_asks_nothing(
    engine: stage.Engine, scheduler: stage.Scheduler,
) -> None:
    scheduler.client.view()
    for heard in engine.heard:
        heard(1)
    assert not scheduler.client._wake.is_set()


def test_an_engine_that_went_away(engine: stage.Engine) -> None:
    with stage.Scheduler(engine, poll_interval=0.05) as scheduler:
        scheduler.client.view()
        engine.down = True
        asked = len(engine.asked)
        stage.until(lambda: len(engine.asked) > asked + 2)
        assert revision(scheduler) == 2
        assert scheduler.client._thread is not None
        engine.set(stage.group("h"))
        engine.down = False
        stage.until(lambda: revision(scheduler) == 3)


def test_lost_answers_are_not_waited_for_long(
    engine: stage.Engine, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next ones are waited for longer, until one comes."""
    answers = engine.get_snapshot
    errors: list[Exception] = [
        *[rpc_snapshot.NoAnswer("it is lost")] * 4,
        rpc_snapshot.Unavailable("RabbitMQ is away"),
        rpc_snapshot.NoAnswer("it is lost")]
    patience: list[float] = []

    def lossy(
        known: int | None, timeout_s: float, topology: str | None,
    ) -> rpc_snapshot.Snapshot:
        patience.append(timeout_s)
        if errors:
            raise errors.pop(0)
        return answers(known, timeout_s, topology)

    monkeypatch.setattr(engine, "get_snapshot", lossy)
    with stage.Scheduler(
        engine, poll_interval=0.01, first_wait=0.01,
    ) as scheduler:
        stage.until(lambda: revision(scheduler) == 2)
        stage.until(lambda: len(patience) >= 8)
    assert patience[:8] == [3.0, 6.0, 12.0, 20.0, 20.0, 3.0, 6.0, 3.0]


def test_it_is_asked_again_soon(
    engine: stage.Engine, monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine.down = True
    with stage.Scheduler(
        engine, poll_interval=600.0, first_wait=0.01,
    ) as scheduler:
        pauses: list[float] = []

        class Wake(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                assert timeout is not None
                pauses.append(timeout)
                return super().wait(0.001)

        monkeypatch.setattr(scheduler.client, "_wake", Wake())
        scheduler.client.view()
        # What passed is told when an engine answers; until then each try
        # would only hold up the next question for the groups.
        scheduler.client.record(snapshot_client.FailOpen("s", (), "stale"))
        told: list[object] = []
        monkeypatch.setattr(
            engine, "record_fail_open", lambda *what: told.append(what))
        stage.until(lambda: len(pauses) > 5)
        assert pauses[:5] == [0.5, 1.0, 2.0, 2.0, 2.0]
        assert not told
        engine.down = False
        stage.until(lambda: bool(told))
        stage.until(lambda: pauses[-1] == 600.0)


def test_the_first_request_waits_for_a_moment_only(
    engine: stage.Engine,
) -> None:
    engine.lock.acquire()
    try:
        with stage.Scheduler(engine, first_wait=0.2) as scheduler:
            began = time.monotonic()
            assert scheduler.client.view() is None
            assert 0.1 < time.monotonic() - began < 5
            engine.lock.release()
            stage.until(lambda: revision(scheduler) == 2)
    finally:
        if engine.lock.locked():
            engine.lock.release()


def test_many_first_requests_start_one_thread(engine: stage.Engine) -> None:
    with stage.Scheduler(engine) as scheduler:
        found: list[object] = []
        threads = [
            threading.Thread(
                target=lambda: found.append(scheduler.client.view()))
            for _ in range(16)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(20)
        assert len(found) == 16 and None not in found
        assert engine.asked == [None]


def test_the_topology_is_asked_for_when_it_differs(
    engine: stage.Engine, tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "groups.json"
    snapshot_file.write(path, engine.get_snapshot(None, 1))
    # Racks were swapped while the scheduler was away; no group was changed.
    engine.cloud = stage.topology(1, 4, 2)
    with stage.Scheduler(engine, snapshot_file=str(path)) as scheduler:
        scheduler.client.view()
        # The first was for the file; this one, for what changed since.
        assert engine.asked == [None, 2]
        view = scheduler.client.view()
        assert view is not None
        assert view.index.domains.topology == engine.cloud
        before = view.index.domains
        engine.set(stage.group("h"))
        scheduler.sync()
        view = scheduler.client.view()
        assert view is not None
        assert view.index.domains is before


def test_an_older_engine_is_believed_in_the_end(
    engine: stage.Engine,
) -> None:
    with stage.Scheduler(engine, poll_interval=0.05) as scheduler:
        engine.revision = 10
        engine.changed["id-g"] = 10
        assert revision(scheduler) == 10
        # One instance whose database lags, or a restored database.
        engine.revision = 5
        engine.changed["id-g"] = 5
        asked = len(engine.asked)
        stage.until(lambda: len(engine.asked) > asked + 2)
        assert revision(scheduler) == 10
        scheduler.clock.now += snapshot_client.OLDER_S + 1
        stage.until(lambda: revision(scheduler) == 5)


def test_changes_with_a_gap_are_asked_for_whole(
    engine: stage.Engine, monkeypatch: pytest.MonkeyPatch,
) -> None:
    with stage.Scheduler(engine) as scheduler:
        scheduler.client.view()
        engine.set(stage.group("h"))
        whole = engine.get_snapshot

        def gap(
            known: int | None, timeout_s: float, topology: str | None,
        ) -> object:
            found = whole(known, timeout_s, topology)
            if found.since is None:
                return found
            return rpc_snapshot.Snapshot(
                revision=found.revision, generated_at=stage.NOW, since=99)

        monkeypatch.setattr(engine, "get_snapshot", gap)
        scheduler.sync()
        assert engine.asked[-1] is None


@pytest.mark.parametrize("error", [
    envelope.MessageError("newer-version", "format 2"),
    envelope.malformed("no object"), RuntimeError("a bug"),
    MemoryError("very large")])
def test_an_answer_that_is_not_understood(
    engine: stage.Engine, monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    with stage.Scheduler(
        engine, poll_interval=0.05, first_wait=0.2,
    ) as scheduler:
        answered = threading.Event()

        def fail(*asked: object) -> object:
            answered.set()
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(engine, "get_snapshot", fail)
            assert scheduler.client.view() is None
            assert answered.is_set()
        stage.until(lambda: revision(scheduler) == 2)


# -- what passed is told ----------------------------------------------------

def test_what_passed_is_told_when_an_engine_is_back(
    engine: stage.Engine,
) -> None:
    with stage.Scheduler(engine, poll_interval=0.05) as scheduler:
        scheduler.client.view()
        engine.down = True
        for name in ("a", "b", "a"):
            scheduler.client.record(
                snapshot_client.FailOpen(name, ("id-g",), "stale"))
        engine.down = False
        stage.until(lambda: len(engine.records) == 2)
        assert engine.records == [
            (scheduler.client.name, name, ("id-g",), "stale")
            for name in ("a", "b")]


def test_no_more_than_so_many_wait(
    engine: stage.Engine, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshot_client, "MOST_UNRECORDED", 10)
    with stage.Scheduler(engine) as scheduler:
        for number in range(15):
            scheduler.client.record(
                snapshot_client.FailOpen(f"s{number}", (), "stale"))
        assert [one.server for one in scheduler.client._unrecorded] == [
            f"s{number}" for number in range(5, 15)]


# -- the file ---------------------------------------------------------------

def test_a_scheduler_that_starts_while_nobody_answers(
    engine: stage.Engine, tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "groups.json"
    with stage.Scheduler(engine, snapshot_file=str(path)) as first:
        first.client.view()
        stage.until(path.exists)
    engine.down = True
    cells = stage.Cells(a="d1-r1-h1")
    with stage.Scheduler(
        engine, cells, snapshot_file=str(path), first_wait=0.1,
    ) as scheduler:
        assert scheduler.refused(stage.Spec("b")) == {
            "d1-r1-h1", "d1-r1-h2"}
        # It is as old as its last confirmation.
        view = scheduler.client.view()
        assert view is not None
        assert scheduler.clock.now - view.synced < 60
        engine.down = False
        engine.set(stage.group("h"))
        scheduler.client._wake.set()
        stage.until(lambda: revision(scheduler) == 3)


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_file_that_cannot_be_used(
    engine: stage.Engine, tmp_path: pathlib.Path, content: bytes | None,
) -> None:
    path = tmp_path / "groups.json"
    if content is None:
        path = tmp_path / "nowhere" / "groups.json"
    else:
        path.write_bytes(content)
    engine.down = True
    with stage.Scheduler(
        engine, snapshot_file=str(path), first_wait=0.1, poll_interval=0.05,
    ) as scheduler:
        assert scheduler.refused(stage.Spec("b")) == set()
        assert scheduler.records() == {("b", (), "no-snapshot")}
        engine.down = False
        stage.until(lambda: revision(scheduler) == 2)
        if content is not None:
            stage.until(
                lambda: path.read_bytes() not in (b"", b"garbage"))
            assert snapshot_file.read(path)[0].revision == 2


def test_an_old_file_is_stale(
    engine: stage.Engine, tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "groups.json"
    snapshot_file.write(path, engine.get_snapshot(None, 1))
    then = time.time() - 7200
    os.utime(path, (then, then))
    engine.down = True
    cells = stage.Cells(a="d1-r1-h1")
    with stage.Scheduler(
        engine, cells, snapshot_file=str(path), first_wait=0.1,
    ) as scheduler:
        assert scheduler.refused(stage.Spec("b")) == set()
        assert scheduler.records() == {("b", ("id-g",), "stale")}


# -- workers ----------------------------------------------------------------

def test_workers_that_are_forked_have_threads_of_their_own(
    engine: stage.Engine,
) -> None:
    """Forked before the first request, as nova-scheduler does, and after."""
    with stage.Scheduler(engine) as scheduler:
        for _ in range(2):
            told, tell = os.pipe()
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                good = (
                    revision(scheduler) == 2
                    and engine.acks.get(scheduler.client.name) == 2
                    and scheduler.client.name.endswith(f":{os.getpid()}")
                    and len(scheduler.refused(stage.Spec("x"))) == 0)
                os.write(tell, b"good" if good else b"bad")
                os._exit(0)
            os.close(tell)
            assert os.read(told, 16) == b"good"
            os.close(told)
            os.waitpid(child, 0)
            assert revision(scheduler) == 2
        assert engine.acks == {scheduler.client.name: 2}


def test_many_threads_at_once(engine: stage.Engine) -> None:
    """Requests go on while groups change; each sees one revision whole."""
    names = [f"m{number}" for number in range(20)]
    cells = stage.Cells(**dict.fromkeys(names[:1], "d1-r1-h1"))
    wrong: list[object] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            refused = scheduler.refused(stage.Spec("m1"))
            if refused not in (set(), racks["d1-r1"], fence):
                wrong.append(refused)

    racks = {"d1-r1": {"d1-r1-h1", "d1-r1-h2"}}
    fence = {one for one in engine.cloud.hosts if one.startswith("d2")}
    with stage.Scheduler(engine, cells) as scheduler:
        scheduler.client.view()
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for one in threads:
            one.start()
        for number in range(60):
            rule = "spread:rack" if number % 2 else "fence:dc:domains=d1"
            engine.set(stage.group("m", rule, members=names))
            engine.push()
        stage.until(lambda: revision(scheduler) == engine.revision)
        done.set()
        for one in threads:
            one.join(20)
        assert not wrong
        assert not scheduler.records()
        assert scheduler.refused(stage.Spec("m1")) == racks["d1-r1"]
