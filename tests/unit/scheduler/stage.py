# SPDX-License-Identifier: Apache-2.0
"""A scheduler's surroundings for tests: hosts, requests, an engine, cells."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import datetime
import threading
import time
from typing import Any
import uuid

from aacloud.core import rules
from aacloud.core.topology import Host
from aacloud.core.topology import Topology
from aacloud.rpc import snapshot as rpc_snapshot
from aacloud.scheduler.nova import deciding
from aacloud.scheduler.nova import index as group_index
from aacloud.scheduler.nova import occupancy
from aacloud.scheduler.nova import settings
from aacloud.scheduler.nova import snapshot_client

PROJECT = "p1"
NOW = datetime.datetime(2026, 5, 4, 3, 2, 1, tzinfo=datetime.timezone.utc)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until the condition holds."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        pause.wait(0.005)


class Aggregate:
    """One of Nova's host aggregates, as far as it is read."""

    def __init__(self, **metadata: str) -> None:
        self.metadata = {
            f"aacloud:{name}": value for name, value in metadata.items()}


class State:
    """A HostState."""

    def __init__(
        self, host: str, aggregates: Iterable[Aggregate] = (),
        instances: Iterable[str] = (),
    ) -> None:
        self.host = host
        self.aggregates = list(aggregates)
        self.instances = dict.fromkeys(instances)
        self.num_instances = 3
        self.stats = {"num_instances": "3"}

    def consume(self) -> None:
        """What nova-scheduler does to the host that it chose."""
        self.num_instances += 1


class Spec:
    """A RequestSpec."""

    def __init__(
        self, server: str | None = None, *hints: str,
        project: str = PROJECT, count: int = 1, **other: list[str],
    ) -> None:
        self.instance_uuid = server or str(uuid.uuid4())
        self.project_id = project
        self.num_instances = count
        # Nova names some for each move, and none for a birth.
        self.ignore_hosts: list[str] | None = None
        self.scheduler_hints: dict[str, list[str]] | None = dict(other)
        if hints:
            self.scheduler_hints["ha_group"] = list(hints)
        elif not other:
            self.scheduler_hints = None


def topology(dcs: int = 2, racks: int = 2, hosts: int = 2) -> Topology:
    """A cloud: ``d1-r2-h1`` is host 1 of rack ``d1-r2`` of ``d1``."""
    return Topology(hosts={
        name: Host(name, rack, dc)
        for dc, rack, name in (
            (f"d{d}", f"d{d}-r{r}", f"d{d}-r{r}-h{h}")
            for d in range(1, dcs + 1) for r in range(1, racks + 1)
            for h in range(1, hosts + 1))})


def states(cloud: Topology) -> list[State]:
    """HostStates of all hosts, without aggregates."""
    return [State(name) for name in cloud.hosts]


def group(
    name: str, *texts: str, members: Iterable[str] = (),
    mode: str = "enforce", revision: int = 1, project: str = PROJECT,
) -> rules.Group:
    """A group with rules by their text."""
    return rules.Group(
        id=f"id-{name}", name=name, project_id=project,
        mode=rules.GroupMode(mode),
        rules=tuple(rules.parse_rule(text) for text in texts),
        members=frozenset(members), revision=revision)


class Cells:
    """Where servers are; counts how often it was asked."""

    def __init__(self, **where: str) -> None:
        self.seen: dict[str, occupancy.Sighting] = {
            server.replace("_", "-"): occupancy.Sighting(host)
            for server, host in where.items()}
        self.asked: list[frozenset[str]] = []
        self.complete = True
        self.fails: Exception | None = None

    def read(
        self, servers: Collection[str], timeout_s: float,
    ) -> occupancy.Reading:
        """See ``occupancy.Occupancy``."""
        self.asked.append(frozenset(servers))
        if self.fails is not None:
            raise self.fails
        return occupancy.Reading(
            {one: self.seen[one] for one in servers if one in self.seen},
            self.complete)


class Listener:
    """Hears nothing by itself."""

    def start(self) -> None:
        """See ``snapshot_client.Listener``."""

    def stop(self, timeout: float = 5.0) -> None:
        """See ``snapshot_client.Listener``."""


class Engine:
    """An engine, and the way to it."""

    def __init__(
        self, *groups: rules.Group, cloud: Topology | None = None,
    ) -> None:
        self.lock = threading.Lock()
        self.revision = 1
        self.groups: dict[str, rules.Group] = {}
        self.changed: dict[str, int] = {}
        self.cloud = topology() if cloud is None else cloud
        self.dead: frozenset[str] = frozenset()
        self.full: frozenset[str] | None = frozenset()
        self.limits: rpc_snapshot.MemberLimits | None = None
        self.down = False
        self.asked: list[int | None] = []
        self.acks: dict[str, int] = {}
        self.records: list[tuple[str, str, tuple[str, ...], str]] = []
        self.heard: list[Callable[[int], None]] = []
        for one in groups:
            self.set(one)

    def set(self, one: rules.Group) -> None:
        """Make or change a group."""
        with self.lock:
            self.revision += 1
            self.groups[one.id] = one
            self.changed[one.id] = self.revision

    def delete(self, group_id: str) -> None:
        """Delete a group."""
        with self.lock:
            self.revision += 1
            del self.groups[group_id]
            self.changed[group_id] = self.revision

    def push(self) -> None:
        """Announce the revision."""
        for heard in self.heard:
            heard(self.revision)

    def get_snapshot(
        self, known_revision: int | None, timeout_s: float,
        topology: str | None = None,
    ) -> rpc_snapshot.Snapshot:
        """See ``snapshot_client.Bus``."""
        with self.lock:
            self.asked.append(known_revision)
            if self.down:
                raise rpc_snapshot.Unavailable("nobody answers")
            everything = (
                known_revision is None or known_revision > self.revision)
            since = None if everything else known_revision
            told = [
                name for name, revision in self.changed.items()
                if since is None or revision > since]
            return rpc_snapshot.Snapshot(
                revision=self.revision, generated_at=NOW, since=since,
                groups=tuple(
                    self.groups[name] for name in told
                    if name in self.groups),
                gone=() if since is None else tuple(
                    name for name in told if name not in self.groups),
                topology=None if topology == rpc_snapshot.topology_digest(
                    self.cloud) else self.cloud, dead_dcs=self.dead,
                closed_hosts=frozenset(), full_projects=self.full,
                member_limits=self.limits)

    def ack(self, scheduler: str, revision: int) -> None:
        """See ``snapshot_client.Bus``."""
        self.acks[scheduler] = revision

    def record_fail_open(
        self, scheduler: str, server: str, wanted: tuple[str, ...],
        reason: str,
    ) -> None:
        """See ``snapshot_client.Bus``."""
        if self.down:
            raise rpc_snapshot.Unavailable("nobody answers")
        self.records.append((scheduler, server, tuple(wanted), reason))

    def listen(self, heard: Callable[[int], None], name: str) -> Listener:
        """See ``snapshot_client.Bus``."""
        self.heard.append(heard)
        return Listener()


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Known:
    """A client that knows what an engine knows, without a thread."""

    def __init__(self, engine: Engine) -> None:
        self.settings = settings.Settings()
        self._known = snapshot_client.View(
            group_index.compile_index(engine.get_snapshot(None, 1.0)), 0.0)

    def view(self) -> snapshot_client.View:
        """See ``SnapshotClient``."""
        return self._known

    def tell(self, told: Callable[[group_index.Index], None]) -> None:
        """See ``SnapshotClient``."""

    def record(self, entry: snapshot_client.FailOpen) -> None:
        """See ``SnapshotClient``."""


def decider(engine: Engine, cells: Cells) -> deciding.Decider:
    """A decider for a moment, without a thread."""
    return deciding.Decider(
        Known(engine), cells, lambda: 0.0)  # type: ignore[arg-type]


class Scheduler:
    """A scheduler process: client and decider over an engine and cells."""

    def __init__(
        self, engine: Engine, cells: Cells | None = None, **options: Any,
    ) -> None:
        options = {"poll_interval": 30.0, "first_wait": 5.0, **options}
        self.engine = engine
        self.cells = Cells() if cells is None else cells
        self.clock = Clock()
        self.client = snapshot_client.SnapshotClient(
            lambda: settings.Settings(**options), lambda: engine, self.clock)
        self.decider = deciding.Decider(self.client, self.cells, self.clock)

    def __enter__(self) -> Scheduler:
        return self

    def __exit__(self, *args: object) -> None:
        self.client.stop()

    def passing(
        self, spec: Spec, hosts: list[State] | None = None,
    ) -> set[str]:
        """The names of the hosts that a server may go to."""
        hosts = states(self.engine.cloud) if hosts is None else hosts
        return {one.host for one in self.decider.passing(hosts, spec)}

    def refused(
        self, spec: Spec, hosts: list[State] | None = None,
    ) -> set[str]:
        """The names of the others."""
        hosts = states(self.engine.cloud) if hosts is None else hosts
        return {one.host for one in hosts} - self.passing(spec, hosts)

    def penalties(
        self, spec: Spec, hosts: list[State] | None = None,
    ) -> Mapping[str, float]:
        """Host -> penalty, without those that have none."""
        hosts = states(self.engine.cloud) if hosts is None else hosts
        found = self.decider.penalties(hosts, spec)
        return {} if found is None else {
            one.host: penalty
            for one, penalty in zip(hosts, found, strict=True) if penalty}

    def sync(self) -> None:
        """Have it know what the engine knows."""
        self.client.view()
        self.engine.push()
        until(lambda: (
            self.client._view is not None
            and self.client._view.index.revision == self.engine.revision))

    def records(self) -> set[tuple[str, tuple[str, ...], str]]:
        """What waits to be recorded."""
        return {
            (one.server, one.groups, one.reason)
            for one in self.client._unrecorded}
