# SPDX-License-Identifier: Apache-2.0
"""Two engines in any order of steps: a model says who may write."""

from __future__ import annotations

import dataclasses
import pathlib
import tempfile

import hypothesis
from hypothesis import stateful
from hypothesis import strategies

from aacloud.core import incidents
from aacloud.db import errors
from tests.unit.db import worlds

ENGINES = strategies.sampled_from(["dc1-ha", "dc2-ha"])


@dataclasses.dataclass
class Memory:
    """What an engine read last, and when in the model's count of writes."""

    engine: worlds.Engine
    incident: incidents.Incident
    incident_writes: int
    server: incidents.ServerRecord
    server_writes: int


class TwoEngines(stateful.RuleBasedStateMachine):
    """The epoch, and how often each row was written, by the model."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.database = worlds.open_database(worlds.make_file(
            pathlib.Path(self.directory.name) / "aacloud.sqlite"))
        first = worlds.Engine("dc1-ha", self.database)
        second = worlds.Engine("dc2-ha", self.database)
        self.epoch = first.take_over()
        self.leader = first.name
        incident, [server] = first.open_with_servers(1)
        self.writes = {"incident": 0, "server": 0}
        self.state = incident.state
        self.tries = 0
        self.events = 2
        self.memories = {
            engine.name: Memory(engine, incident, 0, server, 0)
            for engine in (first, second)
        }

    def teardown(self) -> None:
        self.database.dispose()
        self.directory.cleanup()

    def leads(self, memory: Memory) -> bool:
        return memory.engine.epoch == self.epoch

    @stateful.rule(who=ENGINES)
    def take_over(self, who: str) -> None:
        self.epoch += 1
        assert self.memories[who].engine.take_over() == self.epoch
        self.leader = who
        self.writes["incident"] += 1
        self.writes["server"] += 1
        self.events += 1

    @stateful.rule(who=ENGINES)
    def look(self, who: str) -> None:
        memory = self.memories[who]
        memory.incident = memory.engine.journal.incident(memory.incident.id)
        [memory.server] = memory.engine.journal.servers(memory.incident.id)
        memory.incident_writes = self.writes["incident"]
        memory.server_writes = self.writes["server"]

    @stateful.rule(who=ENGINES)
    def change_the_incident(self, who: str) -> None:
        memory = self.memories[who]
        allowed = (
            self.leads(memory)
            and memory.incident_writes == self.writes["incident"]
        )
        try:
            memory.incident = memory.engine.journal.advance(
                memory.incident, memory.incident.state, event_text=who
            )
        except errors.StaleJournal as refused:
            assert not allowed
            if memory.engine.epoch is not None and not self.leads(memory):
                # It may also be told that its record is of another reign.
                assert refused.deposed or "read under" in refused.reason
        else:
            assert allowed
            self.writes["incident"] += 1
            memory.incident_writes = self.writes["incident"]
            self.events += 1

    @stateful.rule(who=ENGINES)
    def change_the_server(self, who: str) -> None:
        memory = self.memories[who]
        allowed = (
            self.leads(memory)
            and memory.server_writes == self.writes["server"]
        )
        try:
            memory.server = memory.engine.journal.update_server(
                memory.server, memory.server.state, tries=self.tries + 1
            )
        except errors.StaleJournal:
            assert not allowed
        else:
            assert allowed
            self.tries += 1
            self.writes["server"] += 1
            memory.server_writes = self.writes["server"]
            self.events += 1

    @stateful.rule(who=ENGINES)
    def note(self, who: str) -> None:
        memory = self.memories[who]
        allowed = self.leads(memory) and memory.incident.epoch == self.epoch
        try:
            memory.engine.journal.note(memory.incident, who)
        except errors.StaleJournal:
            assert not allowed
        else:
            assert allowed
            self.events += 1

    @stateful.rule(who=ENGINES, host=strategies.integers(0, 3))
    def open(self, who: str, host: int) -> None:
        memory = self.memories[who]
        try:
            opened = memory.engine.open(f"host-{host}")
        except errors.StaleJournal:
            assert not self.leads(memory)
        else:
            assert self.leads(memory)
            assert opened.epoch == self.epoch

    @stateful.invariant()
    def the_rows_are_as_the_model_says(self) -> None:
        one = next(iter(self.memories.values()))
        journal = one.engine.journal
        incident = journal.incident(one.incident.id)
        assert incident.epoch == self.epoch
        assert incident.version == 1 + self.writes["incident"]
        [server] = journal.servers(incident.id)
        assert server.version == 1 + self.writes["server"]
        assert server.tries == self.tries
        leader = journal.leader()
        assert leader is not None
        assert (leader.epoch, leader.holder) == (self.epoch, self.leader)
        assert [event.id for event in journal.events(incident.id)] == list(
            range(1, self.events + 1)
        )


TwoEngines.TestCase.settings = hypothesis.settings(
    max_examples=20,
    stateful_step_count=20,
    deadline=None,
    # A busy disk is no fault of the examples.
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
TestTwoEngines = TwoEngines.TestCase
