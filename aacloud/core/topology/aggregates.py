# SPDX-License-Identifier: Apache-2.0
"""Topology as Nova's host aggregates carry it.

A host's place is the metadata of the aggregates it is in. An aggregate is
ours as far as it carries ``aacloud:*`` metadata; all others are left alone.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import typing

from aacloud.core.topology.document import name_problem
from aacloud.core.topology.model import Host
from aacloud.core.topology.model import INSTANCE_DISKS
from aacloud.core.topology.model import InstanceDisks
from aacloud.core.topology.model import Topology

KEY_DC = "aacloud:dc"
KEY_RACK = "aacloud:rack"
KEY_DISKS = "aacloud:instance_disks"

#: Metadata key -> how an aggregate that we make for it is named.
NAMES: Mapping[str, str] = {
    KEY_DC: "aacloud-dc-{}",
    KEY_RACK: "aacloud-rack-{}",
    KEY_DISKS: "aacloud-disks-{}",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Aggregate:
    """One of Nova's host aggregates.

    :ivar id: Nova's id; None for one that is still to be made.
    """

    id: int | None
    name: str
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    availability_zone: str | None = None

    def places(self) -> dict[str, str]:
        """What it says of its hosts' place: our keys and their values."""
        return {k: v for k, v in self.metadata.items() if k in NAMES}


@dataclasses.dataclass(frozen=True, slots=True)
class CreateAggregate:
    """Make an aggregate and give it its metadata."""

    name: str
    metadata: Mapping[str, str]

    def __str__(self) -> str:
        return f"create aggregate {self.name} ({_pairs(self.metadata)})"


@dataclasses.dataclass(frozen=True, slots=True)
class SetMetadata:
    """Give an aggregate that exists its metadata."""

    aggregate: str
    aggregate_id: int | None
    metadata: Mapping[str, str]

    def __str__(self) -> str:
        return f"set {_pairs(self.metadata)} on aggregate {self.aggregate}"


@dataclasses.dataclass(frozen=True, slots=True)
class AddHost:
    """Put a host into an aggregate; without id it is made by this change."""

    aggregate: str
    aggregate_id: int | None
    host: str

    def __str__(self) -> str:
        return f"add host {self.host} to aggregate {self.aggregate}"


@dataclasses.dataclass(frozen=True, slots=True)
class RemoveHost:
    """Take a host out of an aggregate."""

    aggregate: str
    aggregate_id: int | None
    host: str

    def __str__(self) -> str:
        return f"remove host {self.host} from aggregate {self.aggregate}"


TopologyStep: typing.TypeAlias = (
    CreateAggregate | SetMetadata | AddHost | RemoveHost)


@dataclasses.dataclass(frozen=True, slots=True)
class TopologyChange:
    """What has to be done, in this order; nothing when there are problems."""

    steps: tuple[TopologyStep, ...]
    problems: tuple[str, ...] = ()


def topology_from_aggregates(
    aggregates: Sequence[Aggregate],
) -> tuple[Topology, tuple[str, ...]]:
    """Read the topology that Nova holds.

    :returns: the topology, and one sentence for each problem. A host whose
        place is not clear is left out of the topology.
    """
    said: dict[str, dict[str, set[str]]] = {}
    for aggregate in aggregates:
        for key, value in aggregate.places().items():
            for name in aggregate.hosts:
                said.setdefault(name, {}).setdefault(key, set()).add(value)
    problems: list[str] = []
    hosts: dict[str, Host] = {}
    for name in sorted(said):
        host = _host(name, said[name], problems)
        if host is not None:
            hosts[name] = host
    for rack, dcs in sorted(_dcs_of_racks(hosts.values()).items()):
        if len(dcs) > 1:
            inside = sorted(h.name for h in hosts.values() if h.rack == rack)
            problems.append(
                f"rack {rack} is in several data centres "
                f"({', '.join(sorted(dcs))}): its hosts "
                f"{', '.join(inside)} are left out")
            for outside in inside:
                del hosts[outside]
    return Topology(hosts=hosts), tuple(problems)


def _host(
    name: str, places: Mapping[str, Collection[str]], problems: list[str],
) -> Host | None:
    found: dict[str, str] = {}
    for key, what in ((KEY_DC, "data centre"), (KEY_RACK, "rack")):
        values = sorted(places.get(key, ()))
        if not values:
            problems.append(
                f"host {name} has no {what}: no aggregate that it is in "
                f"carries {key}; it is left out")
        elif len(values) > 1:
            problems.append(
                f"host {name} has more than one {what} "
                f"({', '.join(values)}); it is left out")
        else:
            unusable = name_problem(values[0])
            if unusable is None:
                found[key] = values[0]
            else:
                problems.append(
                    f"host {name}, {key}: {unusable}; it is left out")
    disks = _disks(name, sorted(places.get(KEY_DISKS, ())), problems)
    if len(found) < 2:
        return None
    return Host(name=name, rack=found[KEY_RACK], dc=found[KEY_DC],
                instance_disks=disks)


def _disks(
    name: str, values: Sequence[str], problems: list[str],
) -> InstanceDisks:
    if not values:
        return "unknown"
    if len(values) == 1:
        for known in INSTANCE_DISKS:
            if values[0] == known:
                return known
    problems.append(
        f"host {name}: {KEY_DISKS} says {', '.join(values) or 'nothing'}, "
        f"it can be one of {', '.join(INSTANCE_DISKS)}; taken as unknown, "
        f"so its servers on image disks would be held")
    return "unknown"


def _dcs_of_racks(hosts: Collection[Host]) -> dict[str, set[str]]:
    dcs: dict[str, set[str]] = {}
    for host in hosts:
        dcs.setdefault(host.rack, set()).add(host.dc)
    return dcs


def plan_topology_change(
    current: Sequence[Aggregate],
    wanted: Topology,
    known_hosts: Collection[str],
) -> TopologyChange:
    """What to do so that Nova's aggregates say what is wanted.

    Applied to its own result it gives no steps. Aggregates without our
    metadata are not touched, nor those with an availability zone: moving a
    host in or out of one would change the zone of its servers.

    :param known_hosts: the compute hosts that Nova knows
    """
    planner = _Planner(current, wanted)
    planner.check_hosts(known_hosts)
    planner.take_out()
    planner.put_in()
    if planner.problems:
        return TopologyChange(steps=(), problems=tuple(planner.problems))
    return TopologyChange(steps=(
        *planner.made, *planner.removed, *planner.added))


class _Planner:
    def __init__(
        self, current: Sequence[Aggregate], wanted: Topology,
    ) -> None:
        self.current = sorted(
            current, key=lambda a: (a.id is None, a.id or 0, a.name))
        self.places = {
            host.name: _wanted_places(host)
            for host in wanted.hosts.values()}
        self.problems: list[str] = []
        self.made: list[TopologyStep] = []
        self.removed: list[TopologyStep] = []
        self.added: list[TopologyStep] = []
        # (key, value) -> hosts which an aggregate already puts there
        self.placed: dict[tuple[str, str], set[str]] = {}

    def check_hosts(self, known_hosts: Collection[str]) -> None:
        known = set(known_hosts)
        self.problems.extend(
            f"host {name} is not known to Nova: no nova-compute of that "
            f"name has ever registered (see 'openstack compute service "
            f"list')"
            for name in sorted(self.places) if name not in known)

    def take_out(self) -> None:
        for aggregate in self.current:
            says = aggregate.places()
            if not says:
                continue
            for host in sorted(set(aggregate.hosts)):
                if self._fits(host, says):
                    for item in says.items():
                        self.placed.setdefault(item, set()).add(host)
                elif aggregate.availability_zone is not None:
                    self.problems.append(
                        f"aggregate {aggregate.name} says {_pairs(says)} of "
                        f"host {host}, which is not wanted, but it makes "
                        f"the availability zone "
                        f"{aggregate.availability_zone}, too: unset its "
                        f"aacloud: metadata first")
                else:
                    self.removed.append(
                        RemoveHost(aggregate.name, aggregate.id, host))

    def put_in(self) -> None:
        for (key, value), hosts in sorted(self._by_place().items()):
            missing = sorted(hosts - self.placed.get((key, value), set()))
            if not missing:
                continue
            target = self._aggregate_for(key, value, hosts)
            if target is None:
                continue
            self.added.extend(
                AddHost(target.name, target.id, host) for host in missing)
            # One aggregate may say more than one thing of its hosts.
            for item in target.places().items():
                self.placed.setdefault(item, set()).update(missing)

    def _fits(self, host: str, says: Mapping[str, str]) -> bool:
        places = self.places.get(host)
        return places is not None and all(
            places.get(key) == value for key, value in says.items())

    def _by_place(self) -> dict[tuple[str, str], set[str]]:
        hosts: dict[tuple[str, str], set[str]] = {}
        for host, places in self.places.items():
            for item in places.items():
                hosts.setdefault(item, set()).add(host)
        return hosts

    def _aggregate_for(
        self, key: str, value: str, hosts: Collection[str],
    ) -> Aggregate | None:
        for aggregate in self._carrying(key, value):
            says = aggregate.places()
            if all(self._fits(host, says) for host in hosts):
                return aggregate
        name = NAMES[key].format(value)
        for aggregate in self.current:
            if aggregate.name != name:
                continue
            if not (aggregate.hosts or aggregate.metadata):
                # Made by a run that was interrupted before the metadata.
                self.made.append(
                    SetMetadata(name, aggregate.id, {key: value}))
                return aggregate
            self.problems.append(
                f"aggregate {name} exists, but cannot carry {key}={value} "
                f"(metadata: {_pairs(aggregate.metadata) or 'none'}; "
                f"availability zone: {aggregate.availability_zone}): "
                f"rename it or correct its metadata")
            return None
        self.made.append(CreateAggregate(name, {key: value}))
        return Aggregate(id=None, name=name, metadata={key: value})

    def _carrying(self, key: str, value: str) -> Iterator[Aggregate]:
        for aggregate in self.current:
            if (aggregate.metadata.get(key) == value
                    and aggregate.availability_zone is None):
                yield aggregate


def _wanted_places(host: Host) -> dict[str, str]:
    places = {KEY_DC: host.dc, KEY_RACK: host.rack}
    if host.instance_disks != "unknown":
        places[KEY_DISKS] = host.instance_disks
    return places


def _pairs(metadata: Mapping[str, str]) -> str:
    return ", ".join(f"{k}={v}" for k, v in sorted(metadata.items()))
