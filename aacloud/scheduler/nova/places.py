# SPDX-License-Identifier: Apache-2.0
"""Which rack and data centre hosts are in, as Nova's aggregates say now.

The engine sends the topology of all hosts. That of the hosts at hand is in
``HostState.aggregates`` too, and fresher; where both differ, it counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
from typing import Any

from aacloud.core import rules
from aacloud.core import topology as core_topology
from aacloud.scheduler.nova import index as group_index

#: (rack, data centre); None when aggregates contradict each other.
Standing = tuple[str, str] | None

# So many sets of aggregates are remembered; a cloud has one for each rack.
_KEPT = 20_000


@dataclasses.dataclass(frozen=True, slots=True)
class _Merged:
    """The domains of one topology and these differences to it."""

    base: rules.Domains
    changes: frozenset[tuple[str, Standing]]
    domains: rules.Domains


class PlaceBook:
    """Remembers what sets of aggregates say. Safe for threads."""

    def __init__(self) -> None:
        # By the identity of the aggregates: nova-scheduler puts a new object
        # in place of one that changed. They are kept, so no id comes again.
        self._sets: dict[
            tuple[int, ...], tuple[Sequence[Any], bool, Standing]] = {}
        self._merged: _Merged | None = None

    def domains(
        self, index: group_index.Index, hosts: Iterable[Any],
    ) -> rules.Domains:
        """The domains of the cloud, with the hosts where they are now.

        :param hosts: Nova's HostStates
        """
        sets, places = self._sets, index.places
        changes: dict[str, Standing] = {}
        for host in hosts:
            aggregates = host.aggregates
            if not aggregates:
                continue
            key = tuple(map(id, aggregates))
            found = sets.get(key)
            if found is None:
                found = self._learn(key, aggregates)
            if found[1] and places.get(host.host) != found[2]:
                changes[host.host] = found[2]
        if not changes:
            return index.domains
        return self._merge(index, changes)

    def _learn(
        self, key: tuple[int, ...], aggregates: Sequence[Any],
    ) -> tuple[Sequence[Any], bool, Standing]:
        said: dict[str, set[str]] = {}
        for aggregate in aggregates:
            metadata = aggregate.metadata
            for name in (core_topology.KEY_RACK, core_topology.KEY_DC):
                if name in metadata:
                    said.setdefault(name, set()).add(metadata[name])
        racks = said.get(core_topology.KEY_RACK, set())
        dcs = said.get(core_topology.KEY_DC, set())
        standing: Standing = None
        if len(racks) == len(dcs) == 1:
            standing = (racks.copy().pop(), dcs.copy().pop())
        # Half a place says nothing: the engine may know better.
        speaks = standing is not None or max(len(racks), len(dcs)) > 1
        if len(self._sets) >= _KEPT:
            self._sets.clear()
        found = (list(aggregates), speaks, standing)
        self._sets[key] = found
        return found

    def _merge(
        self, index: group_index.Index, changes: dict[str, Standing],
    ) -> rules.Domains:
        wanted = frozenset(changes.items())
        merged = self._merged
        if (
            merged is not None and merged.base is index.domains
            and merged.changes == wanted
        ):
            return merged.domains
        hosts = dict(index.domains.topology.hosts)
        for name, standing in changes.items():
            if standing is None:
                hosts.pop(name, None)
            else:
                hosts[name] = core_topology.Host(name, *standing)
        domains = rules.Domains(
            core_topology.Topology(hosts=hosts),
            index.domains.dead, index.domains.closed)
        self._merged = _Merged(index.domains, wanted, domains)
        return domains
