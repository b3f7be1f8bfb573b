# SPDX-License-Identifier: Apache-2.0
"""Engines that crash, a Nova that errs: still one evacuation at a time.

A model of what the mover does around decide_evacuate(), against a Nova which
accepts every request, also a second one. Requests get lost, arrive late or
are answered with an error although they were taken; engines die between any
two steps, their clocks are wrong; destinations die.
"""

from __future__ import annotations

import dataclasses
import datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize
from hypothesis.stateful import precondition
from hypothesis.stateful import rule
from hypothesis.stateful import RuleBasedStateMachine

from aacloud.core.adoption import Adopt
from aacloud.core.adoption import AdoptionPolicy
from aacloud.core.adoption import decide_evacuate
from aacloud.core.adoption import Failed
from aacloud.core.adoption import Landed
from aacloud.core.adoption import Manual
from aacloud.core.adoption import Send
from aacloud.core.incidents import check_transition
from aacloud.core.incidents import ServerState
from aacloud.core.migrations import MigrationView
from aacloud.core.retries import FailureKind
from aacloud.core.retries import next_try
from aacloud.core.retries import Retry
from tests.unit.core.builders import later
from tests.unit.core.builders import record
from tests.unit.core.builders import server

S = ServerState
SOURCE = "dc1-r1-h1"
HTTP_TIMEOUT = 10.0
POLICY = AdoptionPolicy(request_grace_s=20.0)
SKEWS = st.sampled_from([0.0, -3600.0, 300.0, -45.0])


class Nova:
    """Takes every evacuation it is asked for, as the real one does.

    Like there, conductor writes the outcome into the first record that is
    "accepted", which need not be that of the request it works on.
    """

    def __init__(self) -> None:
        self.server = server()
        self.migrations: list[MigrationView] = []
        self.fenced: set[str] = {SOURCE}
        # destination -> index of the record that its compute writes to
        self.working: dict[str, int | None] = {}

    def evacuate(self, dest: str, at: float) -> None:
        alive = [d for d in self.working if d not in self.fenced]
        assert not alive, "a second evacuation beside a living one"
        assert self.server.host == SOURCE, "it had landed already"
        self.migrations.append(MigrationView(
            id=len(self.migrations) + 1, uuid=None, server="s1",
            source=SOURCE, dest=dest, status="accepted", type="evacuation",
            created_at_utc=later(at), updated_at_utc=later(at)))
        self.server = dataclasses.replace(
            self.server, task_state="rebuilding")
        self.working[dest] = None

    def goes_on(self, succeeds: bool, at: float) -> None:
        for dest, index in list(self.working.items()):
            if dest in self.fenced:
                continue
            if index is None:
                first = next(n for n, m in enumerate(self.migrations)
                             if m.status == "accepted")
                self.working[dest] = first
                self.write(first, "pre-migrating", at)
                self.server = dataclasses.replace(
                    self.server, task_state="rebuild_spawning")
                continue
            del self.working[dest]
            self.write(index, "done" if succeeds else "failed", at)
            self.server = dataclasses.replace(
                self.server, task_state=None,
                host=dest if succeeds else SOURCE)

    def write(self, index: int, status: str, at: float) -> None:
        self.migrations[index] = dataclasses.replace(
            self.migrations[index], status=status, updated_at_utc=later(at))


class OneServer(RuleBasedStateMachine):
    """One record, one server, engines that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.nova = Nova()
        self.now = 0.0
        self.record = record(destination="d0", spares=("d1", "d2", "d3"))
        self.watched_from: float | None = 0.0
        self.skew = 0.0
        self.on_the_wire: list[tuple[float, str]] = []

    @initialize(skew=SKEWS)
    def start(self, skew: float) -> None:
        self.skew = skew

    def wall(self) -> datetime.datetime:
        return later(self.now + self.skew)

    def write(self, state: ServerState, **changes: object) -> None:
        if state is not self.record.state:
            check_transition(self.record.state, state)
        self.record = dataclasses.replace(
            self.record, state=state, **changes)  # type: ignore[arg-type]

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 11.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        due = [d for at, d in self.on_the_wire if at <= self.now]
        self.on_the_wire = [
            (at, d) for at, d in self.on_the_wire if at > self.now]
        for destination in due:
            self.nova.evacuate(destination, self.now)

    @rule(succeeds=st.booleans())
    def nova_works(self, succeeds: bool) -> None:
        self.nova.goes_on(succeeds, self.now)

    @rule()
    @precondition(lambda self: len(self.nova.fenced) < 3)
    def a_destination_dies(self) -> None:
        """What was to be done there is never done; nothing is put right."""
        self.nova.fenced |= set(self.nova.working)

    @rule()
    def the_engine_dies(self) -> None:
        self.watched_from = None

    @rule(skew=SKEWS)
    @precondition(lambda self: self.watched_from is None)
    def another_takes_over(self, skew: float) -> None:
        self.watched_from, self.skew = self.now, skew

    @rule(
        answers=st.sampled_from([True, True, True, False]),
        call=st.sampled_from(
            ["taken", "error", "late", "lost", "crash", "refused"]),
        delay=st.floats(0.1, HTTP_TIMEOUT))
    @precondition(lambda self: self.watched_from is not None)
    def the_engine_looks(
        self, answers: bool, call: str, delay: float,
    ) -> None:
        if self.record.state in (S.LANDED, S.MANUAL):
            return
        if self.record.state is S.RETRY:
            if self.record.not_before > self.wall():
                return
            self.write(S.CLAIMED, requested_at=None, request_id=None,
                       migration_id=None)
        assert self.watched_from is not None
        outcome = decide_evacuate(
            self.record, self.nova.server if answers else None,
            self.nova.migrations if answers else None, self.wall(), POLICY,
            watched_s=self.now - self.watched_from, fenced=self.nova.fenced)
        if isinstance(outcome, Send):
            self.send(call, delay)
        elif isinstance(outcome, Adopt):
            if self.record.state is not S.MIGRATING:
                self.write(S.MIGRATING, migration_id=outcome.migration.id)
        elif isinstance(outcome, Landed):
            assert outcome.host == self.nova.server.host
            self.write(S.LANDED)
        elif isinstance(outcome, Manual):
            self.write(S.MANUAL, reason_code=outcome.reason_code)
        elif isinstance(outcome, Failed):
            self.fail(outcome.kind, outcome.settled)

    def fail(self, kind: FailureKind, settled: tuple[int, ...]) -> None:
        after = next_try(self.record, kind, self.wall())
        if isinstance(after, Retry):
            self.write(
                S.RETRY, tries=after.tries, not_before=after.at,
                destination=after.destination or "d9", spares=after.spares,
                past_migrations=(*self.record.past_migrations, *settled))
        else:
            self.write(S.MANUAL, reason_code=after.reason_code)

    def send(self, call: str, delay: float) -> None:
        assert not self.on_the_wire, "sent while a request is on its way"
        self.write(S.REQUESTED, requested_at=self.wall())
        self.watched_from = self.now
        destination = self.record.destination or "d9"
        if call == "crash":
            self.watched_from = None
        elif call == "late":
            self.on_the_wire.append((self.now + delay, destination))
        elif call == "refused":
            self.fail(FailureKind.REFUSED, ())
        elif call in ("taken", "error"):
            self.nova.evacuate(destination, self.now)
            if call == "taken":
                self.write(S.REQUESTED, request_id="req-1")

    def teardown(self) -> None:
        """When the trouble is over, the server ends in one place or held."""
        self.skew = 0.0
        for _ in range(400):
            if self.record.state in (S.LANDED, S.MANUAL):
                break
            if self.watched_from is None:
                self.another_takes_over(0.0)
            self.time_passes(10.0)
            self.the_engine_looks(True, "taken", 1.0)
            self.nova.goes_on(True, self.now)
        assert self.record.state in (S.LANDED, S.MANUAL)
        if self.record.state is S.LANDED:
            assert self.nova.server.host != SOURCE


OneServer.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None)
TestOneServer = OneServer.TestCase
