# SPDX-License-Identifier: Apache-2.0
"""What the leading engine does again and again: reconcile, inspect, plan.

One reading of Nova serves all three. It is made less often where it takes
long: a cloud is never read for more than a quarter of the time.
"""

from __future__ import annotations

from collections.abc import Callable
import datetime
import logging

from oslo_config import cfg

from aacloud.clouds import errors as cloud_errors
from aacloud.coordination import clock as clocks
from aacloud.core import rules
from aacloud.db import errors as db_errors
from aacloud.db import groups as stores
from aacloud.db import inspections
from aacloud.db import schedulers
from aacloud.groups import catalogue as catalogues
from aacloud.groups import inspector as inspectors
from aacloud.groups import reconciliation
from aacloud.groups import repairer as repairers
from aacloud.groups import settling
from aacloud.groups import sight as sights
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

#: Seconds between two looks at what is due.
TICK_S = 1.0
#: Of the time so much may be spent on reading the cloud: one part in these.
SHARE = 4.0
#: Longest pause after errors in a row, seconds.
LONGEST_S = 60.0
#: Seconds of a round, of those that read the whole cloud, for what keeps
#: broken groups from being mended.
EXPLAIN_S = 2.0
#: Seconds between two clearings of what nobody needs any more.
PRUNE_S = 3600.0


class Keeper:
    """All methods are called by one thread.

    :param leads: whether this engine leads
    :param announce: is told each new revision
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        store: stores.Groups,
        catalogue: catalogues.Catalogue,
        reconciler: reconciliation.Reconciler,
        reader: sights.Reader,
        inspector: inspectors.Inspector,
        repairer: repairers.Repairer,
        kept: inspections.Inspections,
        places: inspections.Places,
        words: schedulers.Schedulers,
        *,
        leads: Callable[[], bool],
        announce: Callable[[int], None],
        clock: clocks.Clock | None = None,
    ) -> None:
        self._conf = conf
        self._store = store
        self._catalogue = catalogue
        self._reconciler = reconciler
        self._reader = reader
        self._inspector = inspector
        self._repairer = repairer
        self._kept = kept
        self._places = places
        self._words = words
        self._leads = leads
        self._announce = announce
        self._clock = clock or clocks.Clock()
        self._announced = 0
        self._failures = 0
        self._reconciled_at = float("-inf")
        self._inspected_at = float("-inf")
        self._pruned_at = float("-inf")
        self._settling = settling.Settling(catalogue)
        #: Groups that came to rest, and may be planned for now.
        self._rested: set[str] = set()
        self._not_before = float("-inf")
        self._seen: object = None
        self._pace = rates.LogPace(clock=self._clock.monotonic)
        #: Why the database cannot be used, or None.
        self.store_trouble: str | None = "the database was not asked yet"
        #: When the last round came to its end, monotonic; None: never.
        self.round_at: float | None = None

    def take_over(self) -> None:
        """Begin anew: what the engine before had seen is not known here."""
        self._reconciled_at = self._inspected_at = float("-inf")
        self._not_before = float("-inf")

    def look(self) -> float:
        """Do what is due; never raises.

        :returns: seconds until the next look
        """
        try:
            self._look()
        except db_errors.DatabaseError as error:
            self.store_trouble = str(error)
            return self._later(f"the database does not answer: {error}")
        except (cloud_errors.CloudError, inspectors.NothingKnown) as error:
            return self._later(str(error))
        except Exception as error:
            if self._pace.due(type(error).__name__) is not None:
                LOG.exception("This round failed")
            return self._later(f"{type(error).__name__}: {error}")
        self._failures = 0
        return TICK_S

    def _later(self, why: str) -> float:
        pause = float(min(LONGEST_S, TICK_S * 2 ** min(self._failures, 8)))
        self._failures += 1
        held_back = self._pace.due("failed")
        if held_back is not None:
            LOG.warning(
                "The groups cannot be looked after now (%s); trying again in "
                "%.0f s%s", why, pause, self._pace.text(held_back))
        return pause

    def _look(self) -> None:
        revision = self._catalogue.refresh()
        self.store_trouble = None
        self._note_changes()
        if not self._leads():
            self.round_at = self._clock.monotonic()
            return
        if revision > self._announced:
            # Whoever wrote it may have died before it was announced.
            self._announce(revision)
            self._announced = revision
        self._inspector.check_fail_opens()
        now = self._clock.monotonic()
        options = self._conf.aacloud_groups
        if now >= self._not_before and (
            now - self._reconciled_at >= options.reconcile_interval
            or now - self._inspected_at >= options.inspect_interval
            or self._rested_broken()
            or self._changed()
        ):
            self._round(now)
        if now - self._pruned_at >= PRUNE_S:
            self._prune()
            self._pruned_at = now
        self.round_at = self._clock.monotonic()

    def _note_changes(self) -> None:
        self._rested |= self._settling.note(
            self._clock.monotonic(), self._conf.aacloud_groups.settle_time)

    def _rested_broken(self) -> bool:
        """Whether a group that came to rest waits to be mended."""
        rested = [
            group.id for group in self._catalogue.some(self._rested)
            if group.mode is rules.GroupMode.REPAIR]
        self._rested.clear()
        return bool(rested) and bool(self._kept.list(
            rested, states=(rules.GroupState.VIOLATING.value,)))

    def _changed(self) -> bool:
        """Whether the topology, or what of it is lost, is another one."""
        here = self._inspector.here()
        return self._seen != (here.topology, here.dead_dcs, here.closed)

    def _round(self, now: float) -> None:
        here = self._inspector.here()
        options = self._conf.aacloud_groups
        reconcile = now - self._reconciled_at >= options.reconcile_interval
        if reconcile:
            sight = self._reconciler.run().sight
            self._reconciled_at = now
        self._catalogue.refresh()
        self._note_changes()
        groups = list(self._catalogue.all().values())
        if reconcile:
            # These groups are younger than the look at the servers: who was
            # born into one meanwhile counts.
            sight = self._reader.completed(sight, {
                member for group in groups for member in group.members
                if group.mode is not rules.GroupMode.OFF})
        else:
            _, sight = self._inspector.look(groups)
        found = self._inspector.keep(
            groups, sight, explain_s=EXPLAIN_S if sight.whole else 0.0)
        self._inspector.measure(found)
        self._inspected_at = now
        self._seen = (here.topology, here.dead_dcs, here.closed)
        took = self._clock.monotonic() - now
        self._not_before = now + SHARE * took
        if not self._leads():
            return
        self._repairer.drop_outdated(groups, found, sight, here)
        broken = {
            report.group_id for report in found
            if report.state == rules.GroupState.VIOLATING.value}
        restless = self._settling.restless(broken)
        rested = [
            report for report in found if report.group_id not in restless]
        if self._repairer.due(groups, rested):
            if not sight.whole:
                sight = self._reader.whole()
            self._repairer.consider(groups, sight, here, rested)

    def _prune(self) -> None:
        retention = datetime.timedelta(
            seconds=self._conf.aacloud_groups.trace_retention)
        before = self._clock.utcnow() - retention
        self._store.prune(before)
        self._words.prune(before)
        self._repairer.prune()
        known = self._catalogue.all()
        self._kept.forget([
            report.group_id for report in self._kept.list()
            if report.group_id not in known])
        members = {
            member for group in known.values() for member in group.members}
        self._places.forget([
            server for server in self._places.list()
            if server not in members])
