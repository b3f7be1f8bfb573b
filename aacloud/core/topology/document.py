# SPDX-License-Identifier: Apache-2.0
"""The topology as the operator writes it, in one YAML file.

The file is read by the caller; what YAML made of it is checked here. ::

    dcs:
      dc1:
        racks:
          dc1-r1: {hosts: [dc1-r1-h1, dc1-r1-h2], instance_disks: shared}
          dc1-r2: {hosts: {dc1-r2-h1: {instance_disks: local}}}

``instance_disks`` may stand at a DC, a rack or a host; the nearest counts.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import re
import typing

from aacloud.core.topology.model import Host
from aacloud.core.topology.model import INSTANCE_DISKS
from aacloud.core.topology.model import InstanceDisks
from aacloud.core.topology.model import Topology
from aacloud.core.topology.model import TopologyError

# Names become names of aggregates and parts of URLs.
_NAME = re.compile(r"[^\s/,;?#%\x00-\x1f\x7f]{1,200}")


def parse_topology(document: object) -> Topology:
    """Make a topology from the content of the operator's file.

    :param document: what a YAML reader returned
    :raises TopologyError: with every problem that was found
    """
    parser = _Parser()
    parser.read(document)
    if parser.problems:
        raise TopologyError(parser.problems)
    return Topology(hosts=dict(sorted(parser.hosts.items())))


def name_problem(name: object) -> str | None:
    """Why something cannot be the name of a domain, or None if it can."""
    if not isinstance(name, str):
        return (f"the name {name!r} is a {type(name).__name__}, not text: "
                f"put it in quotes")
    if not _NAME.fullmatch(name):
        return (f"the name {name!r} is not usable: it needs 1 to 200 "
                f"characters, no spaces and none of / , ; ? # %")
    return None


@dataclasses.dataclass
class _Parser:
    problems: list[str] = dataclasses.field(default_factory=list)
    hosts: dict[str, Host] = dataclasses.field(default_factory=dict)
    racks: dict[str, str] = dataclasses.field(default_factory=dict)

    def read(self, document: object) -> None:
        if document is None:
            self.problems.append("the topology is empty: it needs 'dcs'")
            return
        top = self._mapping(document, "the topology", {"dcs"})
        if top is None:
            return
        if "dcs" not in top:
            self.problems.append("the topology: 'dcs' is missing")
            return
        for dc, body in self._named(top["dcs"], "dcs", "data centre"):
            self._read_dc(dc, body)

    def _read_dc(self, dc: str, body: object) -> None:
        place = f"dc {dc}"
        content = self._mapping(body, place, {"racks", "instance_disks"})
        if content is None:
            return
        disks = self._disks(content, place, "unknown")
        if "racks" not in content:
            self.problems.append(f"{place}: 'racks' is missing")
            return
        for rack, inner in self._named(
                content["racks"], f"{place}: racks", "rack"):
            if rack in self.racks:
                self.problems.append(
                    f"{place}: rack {rack} is already in dc "
                    f"{self.racks[rack]}; names of racks are unique in the "
                    f"cloud")
                continue
            self.racks[rack] = dc
            self._read_rack(dc, rack, inner, disks)

    def _read_rack(
        self, dc: str, rack: str, body: object, inherited: InstanceDisks,
    ) -> None:
        place = f"dc {dc}, rack {rack}"
        content = self._mapping(body, place, {"hosts", "instance_disks"})
        if content is None:
            return
        disks = self._disks(content, place, inherited)
        if "hosts" not in content:
            self.problems.append(f"{place}: 'hosts' is missing")
            return
        for name, inner in self._hosts(content["hosts"], f"{place}: hosts"):
            own = disks
            if inner is not None:
                where = f"{place}, host {name}"
                settings = self._mapping(inner, where, {"instance_disks"})
                if settings is not None:
                    own = self._disks(settings, where, disks)
            if name in self.hosts:
                other = self.hosts[name]
                twice = ("twice in this rack" if other.rack == rack else
                         f"already in rack {other.rack} of dc {other.dc}")
                self.problems.append(f"{place}: host {name} is {twice}")
                continue
            self.hosts[name] = Host(
                name=name, rack=rack, dc=dc, instance_disks=own)

    def _hosts(
        self, value: object, place: str,
    ) -> Iterator[tuple[str, object]]:
        if isinstance(value, (list, tuple)):
            if not value:
                self.problems.append(f"{place}: no host is named")
            for name in value:
                problem = name_problem(name)
                if problem is not None:
                    self.problems.append(f"{place}: {problem}")
                else:
                    yield typing.cast(str, name), None
            return
        yield from self._named(value, place, "host", "a list or mapping")

    def _named(
        self, value: object, place: str, what: str, shape: str = "a mapping",
    ) -> Iterator[tuple[str, object]]:
        if not isinstance(value, Mapping):
            self.problems.append(
                f"{place}: expected {shape} of names, got "
                f"{_shown(value)}")
            return
        if not value:
            self.problems.append(f"{place}: no {what} is named")
        for name, body in value.items():
            problem = name_problem(name)
            if problem is not None:
                self.problems.append(f"{place}: {problem}")
            else:
                yield name, body

    def _mapping(
        self, value: object, place: str, known: Collection[str],
    ) -> Mapping[object, object] | None:
        if not isinstance(value, Mapping):
            self.problems.append(
                f"{place}: expected a mapping, got {_shown(value)}")
            return None
        for key in value:
            if not isinstance(key, str) or key not in known:
                self.problems.append(
                    f"{place}: unknown key {key!r}; known are "
                    f"{', '.join(sorted(known))}")
        return value

    def _disks(
        self, content: Mapping[object, object], place: str,
        inherited: InstanceDisks,
    ) -> InstanceDisks:
        if "instance_disks" not in content:
            return inherited
        value = content["instance_disks"]
        for known in INSTANCE_DISKS:
            if value == known:
                return known
        self.problems.append(
            f"{place}: instance_disks is {_shown(value)}; it can be "
            f"{', '.join(INSTANCE_DISKS)}")
        return inherited


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    return f"{text} ({type(value).__name__})"
