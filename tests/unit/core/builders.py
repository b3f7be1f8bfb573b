# SPDX-License-Identifier: Apache-2.0
"""Small clouds and what is seen in them, for the tests of core."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime

from aacloud.core import peers
from aacloud.core import verdicts
from aacloud.core.incidents import ServerRecord
from aacloud.core.incidents import ServerState
from aacloud.core.migrations import MigrationView
from aacloud.core.observations import NETWORKS
from aacloud.core.observations import Observation
from aacloud.core.observations import Reach
from aacloud.core.observations import Report
from aacloud.core.recovery import DestinationView
from aacloud.core.recovery import FlavorView
from aacloud.core.recovery import ServerView
from aacloud.core.topology import Host
from aacloud.core.topology import Topology

NOW = 1000.0
UTC_NOW = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
DOWN_NOVA = verdicts.NovaServiceView(
    state="down", last_seen_age_s=60.0, advanced=True)
UP_NOVA = verdicts.NovaServiceView(
    state="up", last_seen_age_s=2.0, advanced=True)


def later(seconds: float) -> datetime.datetime:
    return UTC_NOW + datetime.timedelta(seconds=seconds)


def cloud(
    dcs: int = 2, racks: int = 2, hosts: int = 2, disks: str = "shared",
) -> Topology:
    made = {}
    for d in range(1, dcs + 1):
        for r in range(1, racks + 1):
            for h in range(1, hosts + 1):
                rack = f"dc{d}-r{r}"
                name = f"{rack}-h{h}"
                made[name] = Host(
                    name=name, rack=rack, dc=f"dc{d}",
                    instance_disks=disks)  # type: ignore[arg-type]
    return Topology(hosts=made)


@dataclasses.dataclass
class Scene:
    """A cloud at one moment; told what is wrong, it makes a WorldView."""

    topology: Topology
    # (target, network) that nobody gets an answer from
    cut: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    # agents whose reports do not arrive
    mute: set[str] = dataclasses.field(default_factory=set)
    nova: dict[str, verdicts.NovaServiceView] = dataclasses.field(
        default_factory=dict)
    dead_since: Mapping[str, float] = dataclasses.field(default_factory=dict)
    age: float = 0.5
    mute_age: float = 20.0
    silent_s: float = 15.0
    started: float = 0.0
    store_ok: bool = True
    lease_ok: bool = True
    known: frozenset[str] | None = None
    now: float = NOW

    def kill(self, *hosts: str, nova_age: float = 20.0) -> Scene:
        """Hosts that died long enough ago for everybody to agree."""
        for host in hosts:
            self.mute.add(host)
            self.cut |= {(host, network) for network in NETWORKS}
            self.nova[host] = verdicts.NovaServiceView(
                state="down", last_seen_age_s=nova_age, advanced=True)
        self.dead_since = {
            **dict.fromkeys(hosts, self.now - 10.0), **self.dead_since}
        return self

    def view(self) -> verdicts.WorldView:
        assignment = peers.assign_targets(self.topology)
        reports = {}
        for observer, targets in assignment.items():
            age = self.mute_age if observer in self.mute else self.age
            reports[observer] = Report(
                observer=observer, boot_id=f"1-{observer}", seq=1,
                interval_s=1.0, received=self.now - age,
                observations=tuple(
                    self._observation(observer, target, network)
                    for target in targets for network in NETWORKS))
        services = {
            name: self.nova.get(name, UP_NOVA)
            for name in self.topology.hosts}
        return verdicts.WorldView(
            topology=self.topology, reports=reports,
            nova_services=services, store_ok=self.store_ok,
            lease_ok=self.lease_ok, engine_started=self.started,
            dead_since=self.dead_since,
            known_agents=(frozenset(self.topology.hosts)
                          if self.known is None else self.known))

    def judge(
        self, policy: verdicts.DetectionPolicy | None = None,
    ) -> verdicts.Judgement:
        return verdicts.judge(
            self.view(), policy or verdicts.DetectionPolicy(), self.now)

    def _observation(
        self, observer: str, target: peers.Target, network: str,
    ) -> Observation:
        lost = ((target.host, network) in self.cut
                or (observer, network) in self.cut)
        return Observation(
            observer=observer, target=target.host, network=network,
            vantage=target.vantage,
            reach=Reach.DOWN if lost else Reach.UP,
            misses=15 if lost else 0,
            silent_s=self.silent_s if lost else 0.2,
            rtt_ms=None if lost else 0.4)


def flavor(
    vcpus: int = 1, ram_mb: int = 64, root_gb: int = 1,
    specs: Mapping[str, str] | None = None, **other: int,
) -> FlavorView:
    return FlavorView(vcpus=vcpus, ram_mb=ram_mb, root_gb=root_gb,
                      extra_specs=specs or {}, **other)


def server(
    uuid: str = "s1", host: str = "dc1-r1-h1", **changes: object,
) -> ServerView:
    made = ServerView(
        uuid=uuid, name=f"name-{uuid}", project_id="p1", host=host,
        vm_state="active", task_state=None, power_state="running",
        flavor=flavor(), image_ref="image")
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def destinations(
    topology: Topology, *, vcpus: int = 64, ram_mb: int = 65536,
    disk_gb: int = 1000, without: Iterable[str] = (),
) -> tuple[DestinationView, ...]:
    return tuple(
        DestinationView(
            host=h.name, rack=h.rack, dc=h.dc, vcpus_free=vcpus,
            ram_mb_free=ram_mb, disk_gb_free=disk_gb)
        for h in topology.hosts.values() if h.name not in set(without))


def record(
    uuid: str = "s1", state: ServerState = ServerState.CLAIMED,
    **changes: object,
) -> ServerRecord:
    made = ServerRecord(
        incident_id="i1", server=uuid, name=f"name-{uuid}", project_id="p1",
        state=state, version=1, wave=2, source="dc1-r1-h1",
        destination="dc1-r1-h2", spares=("dc1-r2-h1", "dc1-r2-h2"),
        intent_at=UTC_NOW, snapshot={"vm_state": "active"})
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def evacuation(
    number: int = 7, status: str = "pre-migrating", uuid: str = "s1",
    dest: str | None = "dc1-r1-h2", **changes: object,
) -> MigrationView:
    made = MigrationView(
        id=number, uuid=f"m{number}", server=uuid, source="dc1-r1-h1",
        dest=dest, status=status, type="evacuation",
        created_at_utc=UTC_NOW, updated_at_utc=UTC_NOW)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]
