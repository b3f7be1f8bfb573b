# SPDX-License-Identifier: Apache-2.0
"""The groups as the filter looks them up: made once, never changed."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime

from aacloud.core import rules
from aacloud.core import topology as core_topology
from aacloud.rpc import snapshot as rpc_snapshot

NOWHERE = core_topology.Topology(hosts={})


class Gap(Exception):
    """A change does not follow on what is known: all must be asked for."""


@dataclasses.dataclass(frozen=True, slots=True)
class Index:
    """All groups at one revision.

    :ivar groups: by id
    :ivar by_server: server -> ids of its groups that are not off
    :ivar by_name: (project, name) -> id
    :ivar domains: of the topology that the engine sent
    :ivar places: host -> (rack, data centre), of that topology
    :ivar digest: of that topology, as the engine is told
    :ivar skipped: ids of groups that are not understood here
    :ivar full: projects that may have no more members
    :ivar limits: how many members projects may have; None: the engine does
        not tell, but ``full``
    """

    revision: int
    generated_at: datetime.datetime
    groups: Mapping[str, rules.Group]
    by_server: Mapping[str, tuple[str, ...]]
    by_name: Mapping[tuple[str, str], str]
    domains: rules.Domains
    places: Mapping[str, tuple[str, str]]
    digest: str
    skipped: frozenset[str]
    full: frozenset[str] = frozenset()
    limits: rpc_snapshot.MemberLimits | None = None

    def hinted(self, text: str, project_id: str | None) -> rules.Group | None:
        """The group that a hint means: an id or a name of that project."""
        found = self.groups.get(text)
        if found is None:
            by_name = self.by_name.get((project_id or "", text))
            found = None if by_name is None else self.groups.get(by_name)
        if found is None or found.project_id != project_id:
            return None
        return found

    def snapshot(self) -> rpc_snapshot.Snapshot:
        """All that is known, as it travels; not what changes by itself, as
        the quotas do."""
        return rpc_snapshot.Snapshot(
            revision=self.revision,
            generated_at=self.generated_at,
            groups=tuple(self.groups.values()),
            topology=self.domains.topology,
            dead_dcs=self.domains.dead,
            closed_hosts=self.domains.closed,
        )


def compile_index(
    snapshot: rpc_snapshot.Snapshot, before: Index | None = None,
) -> Index:
    """Make an index of a snapshot, or of one index and what changed.

    Indexes share what did not change.

    :raises Gap: changes that began after the revision of ``before``
    """
    if snapshot.since is None:
        groups: dict[str, rules.Group] = {}
        by_server: dict[str, tuple[str, ...]] = {}
        skipped: set[str] = set()
    elif before is None or snapshot.since > before.revision:
        raise Gap(
            f"changes since revision {snapshot.since} do not follow on "
            f"{None if before is None else before.revision}")
    else:
        groups = dict(before.groups)
        by_server = dict(before.by_server)
        skipped = set(before.skipped)
    changed = {group.id for group in snapshot.groups}
    dropped = [
        group for group in (
            groups.pop(one, None)
            for one in (*snapshot.gone, *snapshot.skipped, *changed))
        if group is not None]
    for group in dropped:
        _leave(by_server, group)
    skipped -= changed
    skipped.difference_update(snapshot.gone)
    skipped.update(snapshot.skipped)
    for group in snapshot.groups:
        groups[group.id] = group
        if group.mode is not rules.GroupMode.OFF:
            _join(by_server, group)
    domains, places, digest = _domains(snapshot, before)
    return Index(
        revision=snapshot.revision,
        generated_at=snapshot.generated_at,
        groups=groups,
        by_server=by_server,
        by_name={
            (group.project_id, group.name): group.id
            for group in groups.values()}
        if dropped or changed or before is None else before.by_name,
        domains=domains,
        places=places,
        digest=digest,
        skipped=frozenset(skipped),
        full=_full(snapshot, before),
        limits=_limits(snapshot, before),
    )


def _full(
    snapshot: rpc_snapshot.Snapshot, before: Index | None,
) -> frozenset[str]:
    if snapshot.full_projects is not None:
        return snapshot.full_projects
    return frozenset() if before is None else before.full


def _limits(
    snapshot: rpc_snapshot.Snapshot, before: Index | None,
) -> rpc_snapshot.MemberLimits | None:
    if snapshot.member_limits is not None or before is None:
        return snapshot.member_limits
    # Of an older engine: what it says of full projects is newer.
    return before.limits if snapshot.full_projects is None else None


def _join(
    by_server: dict[str, tuple[str, ...]], group: rules.Group,
) -> None:
    alone = (group.id,)
    for server in group.members:
        others = by_server.get(server)
        by_server[server] = alone if others is None else others + alone


def _leave(
    by_server: dict[str, tuple[str, ...]], group: rules.Group,
) -> None:
    for server in group.members:
        left = tuple(
            one for one in by_server.get(server, ()) if one != group.id)
        if left:
            by_server[server] = left
        else:
            by_server.pop(server, None)


def _domains(
    snapshot: rpc_snapshot.Snapshot, before: Index | None,
) -> tuple[rules.Domains, Mapping[str, tuple[str, str]], str]:
    known = (rules.Domains(NOWHERE) if before is None else before.domains)
    topology = snapshot.topology or known.topology
    dead = known.dead if snapshot.dead_dcs is None else snapshot.dead_dcs
    closed = (known.closed if snapshot.closed_hosts is None
              else snapshot.closed_hosts)
    if before is not None and (
        topology == known.topology and dead == known.dead
        and closed == known.closed
    ):
        return known, before.places, before.digest
    return (
        rules.Domains(topology, dead, closed),
        places_of(topology.hosts.values()),
        rpc_snapshot.topology_digest(topology))


def places_of(
    hosts: Iterable[core_topology.Host],
) -> dict[str, tuple[str, str]]:
    """Host -> (rack, data centre)."""
    return {host.name: (host.rack, host.dc) for host in hosts}
