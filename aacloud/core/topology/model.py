# SPDX-License-Identifier: Apache-2.0
"""Where hosts stand: host, rack, data centre."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import enum
import typing

#: The name under which the whole cloud is addressed at Level.CLOUD.
CLOUD_NAME = "cloud"

InstanceDisks = typing.Literal["shared", "local", "unknown"]

#: What ``instance_disks`` may say.
INSTANCE_DISKS: tuple[InstanceDisks, ...] = ("shared", "local", "unknown")


class Level(str, enum.Enum):
    """How large a domain is: host < rack < dc < cloud."""

    HOST = "host"
    RACK = "rack"
    DC = "dc"
    CLOUD = "cloud"


class Vantage(str, enum.Enum):
    """Where an observer stands, seen from its target."""

    OWN_RACK = "own-rack"
    OTHER_RACK = "other-rack"
    OTHER_DC = "other-dc"


class TopologyError(ValueError):
    """A topology that cannot be used, with every problem found in it.

    :ivar problems: one sentence each, with the place it stands at.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """One compute host and where it stands.

    :ivar rack: full name, unique in the cloud, for instance ``dc1-r1``.
    :ivar instance_disks: where Nova keeps the guests' disks of this host.
        ``unknown`` is treated like ``local``: such a server is held.
    """

    name: str
    rack: str
    dc: str
    instance_disks: InstanceDisks = "unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class Topology:
    """All hosts of the cloud, each in one rack and one data centre."""

    hosts: Mapping[str, Host]

    def dcs(self) -> tuple[str, ...]:
        """The names of the data centres, sorted."""
        return tuple(sorted({host.dc for host in self.hosts.values()}))

    def racks(self, dc: str | None = None) -> tuple[str, ...]:
        """The names of the racks, of one data centre or of all, sorted."""
        return tuple(sorted({
            host.rack for host in self.hosts.values()
            if dc is None or host.dc == dc}))

    def hosts_of(self, level: Level, name: str) -> tuple[str, ...]:
        """The names of the hosts in a domain, sorted; empty if unknown."""
        if level is Level.CLOUD:
            return tuple(sorted(self.hosts)) if name == CLOUD_NAME else ()
        return tuple(sorted(
            host.name for host in self.hosts.values()
            if _domain(host, level) == name))

    def domain_of(self, host: str, level: Level) -> str:
        """The name of the domain of that level which a host is in.

        :raises KeyError: the host is not in the topology
        """
        return _domain(self.hosts[host], level)

    def vantage(self, observer: str, target: str) -> Vantage:
        """From where an observer sees a target.

        :raises KeyError: one of them is not in the topology
        """
        here, there = self.hosts[observer], self.hosts[target]
        if here.dc != there.dc:
            return Vantage.OTHER_DC
        if here.rack != there.rack:
            return Vantage.OTHER_RACK
        return Vantage.OWN_RACK

    def describe(self) -> str:
        """The topology as an indented tree, one line a domain or host."""
        lines = []
        for dc in self.dcs():
            lines.append(dc)
            for rack in self.racks(dc):
                lines.append(f"  {rack}")
                for name in self.hosts_of(Level.RACK, rack):
                    disks = self.hosts[name].instance_disks
                    lines.append(f"    {name}  (instance disks: {disks})")
        return "\n".join(lines)


def _domain(host: Host, level: Level) -> str:
    if level is Level.HOST:
        return host.name
    if level is Level.RACK:
        return host.rack
    if level is Level.DC:
        return host.dc
    return CLOUD_NAME
