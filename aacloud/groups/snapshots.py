# SPDX-License-Identifier: Apache-2.0
"""What schedulers are told of the groups and of what surrounds them."""

from __future__ import annotations

from typing import Any

from aacloud.coordination import clock as clocks
from aacloud.core import topology as topologies
from aacloud.groups import catalogue as catalogues
from aacloud.groups import fullness as fullnesses
from aacloud.groups import surroundings as around
from aacloud.rpc import snapshot as snapshots


class SnapshotMaker:
    """Makes snapshots of the catalogue. Safe for threads."""

    def __init__(
        self,
        catalogue: catalogues.Catalogue,
        watcher: around.Watcher,
        fullness: fullnesses.Fullness,
        clock: clocks.Clock | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._watcher = watcher
        self._fullness = fullness
        self._clock = clock or clocks.Clock()
        self._digest: tuple[topologies.Topology, str] | None = None

    def body(self, known: int | None, topology: str | None) -> dict[str, Any]:
        """All groups, or what changed since a revision.

        The topology comes with them unless it is what the scheduler has.

        :param topology: digest of the one that it has; None: none, or it is
            of a version that does not tell
        :raises db_errors.DatabaseError: the groups could not be read
        """
        self._catalogue.refresh()
        # Before the groups: whoever fills a project is a member in them.
        full_projects, limits = self._fullness.told()
        revision, groups, gone, full = self._catalogue.since(known)
        here = self._watcher.known()
        news = here is not None and (
            topology != self._digest_of(here.topology))
        return snapshots.snapshot_body(snapshots.Snapshot(
            revision=revision,
            generated_at=self._clock.utcnow(),
            groups=groups,
            since=None if full else known,
            gone=gone,
            topology=here.topology if here is not None and news else None,
            dead_dcs=None if here is None else here.dead_dcs,
            closed_hosts=None if here is None else here.closed,
            full_projects=full_projects, member_limits=limits))

    def _digest_of(self, topology: topologies.Topology) -> str:
        known = self._digest
        if known is None or known[0] is not topology:
            known = (topology, snapshots.topology_digest(topology))
            self._digest = known
        return known[1]
