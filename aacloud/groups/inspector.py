# SPDX-License-Identifier: Apache-2.0
"""How groups stand: found, kept, and told when it changes."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
import datetime
import logging
import threading

from aacloud.clouds import errors as cloud_errors
from aacloud.coordination import clock as clocks
from aacloud.core import rules
from aacloud.db import errors as db_errors
from aacloud.db import inspections
from aacloud.db import schedulers
from aacloud.groups import catalogue as catalogues
from aacloud.groups import explaining
from aacloud.groups import metrics
from aacloud.groups import movability
from aacloud.groups import reports
from aacloud.groups import sight as sights
from aacloud.groups import surroundings as around
from aacloud.rpc import group_messages
from aacloud.rpc import notifications
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

#: Seconds for which groups to be inspected again are gathered.
GATHER_S = 0.3
#: Groups that are inspected in one go.
BATCH = 200
#: Longest pause before the same is tried again, seconds.
LONGEST_PAUSE = 30.0


class NothingKnown(Exception):
    """The topology was not read yet; the text says why."""


class Inspector:
    """Inspects groups, on demand or because something changed.

    Safe for threads. Any engine inspects what it was told of; the leading
    one inspects all.
    """

    def __init__(
        self,
        catalogue: catalogues.Catalogue,
        reader: sights.Reader,
        watcher: around.Watcher,
        kept: inspections.Inspections,
        places: inspections.Places,
        words: schedulers.Schedulers,
        notifier: notifications.GroupNotifier,
        explainer: explaining.Explainer,
        clock: clocks.Clock | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._reader = reader
        self._watcher = watcher
        self._kept = kept
        self._places = places
        self._words = words
        self._notifier = notifier
        self._explainer = explainer
        self._clock = clock or clocks.Clock()
        self._lock = threading.Lock()
        self._again: dict[str, None] = {}
        self._failures = 0
        self._pace = rates.LogPace(clock=self._clock.monotonic)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    # -- a thread for what changed ------------------------------------------

    def start(self) -> None:
        """Begin to inspect what ``recheck`` names, in a thread."""
        self._thread = threading.Thread(
            target=self._run, name="inspector", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End; what is under way is not waited for any longer."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def recheck(self, groups: Collection[str], *, first: bool = False) -> None:
        """Inspect groups soon.

        :param first: before all others
        """
        if not groups:
            return
        with self._lock:
            if first:
                self._again = {**dict.fromkeys(groups), **self._again}
            else:
                self._again.update(dict.fromkeys(groups))
        self._wake.set()

    def work(self) -> float | None:
        """Inspect some of what is to be inspected again; never raises.

        :returns: seconds until it should be called again; None: when there
            is something to do
        """
        with self._lock:
            wanted = list(self._again)[:BATCH]
        if not wanted:
            return None
        try:
            self._catalogue.refresh()
            self.keep(*self.look(self._catalogue.some(wanted)))
        except (
            cloud_errors.CloudError, db_errors.DatabaseError, NothingKnown,
        ) as error:
            return self._later(str(error))
        except Exception as error:
            if self._pace.due(type(error).__name__) is not None:
                LOG.exception("Groups could not be inspected")
            return self._later(f"{type(error).__name__}: {error}")
        self._failures = 0
        with self._lock:
            for group in wanted:
                self._again.pop(group, None)
        return 0.0

    def _later(self, why: str) -> float:
        pause = float(min(LONGEST_PAUSE, 2 ** min(self._failures, 5)))
        self._failures += 1
        held_back = self._pace.due("unread")
        if held_back is not None:
            LOG.warning(
                "Groups cannot be inspected now (%s); trying again in %.0f s"
                "%s", why, pause, self._pace.text(held_back))
        return pause

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            pause = self.work()
            if pause is None:
                self._wake.wait()
                # More of the same cause comes within moments.
                self._stop.wait(GATHER_S)
            else:
                self._stop.wait(pause)

    # -- inspecting ---------------------------------------------------------

    def here(self) -> around.Surroundings:
        """The surroundings to judge by.

        :raises NothingKnown: there are none yet
        """
        found = self._watcher.known()
        if found is None:
            raise NothingKnown(
                "the topology is not known yet: "
                f"{self._watcher.trouble or 'it is being read'}")
        return found

    def look(
        self, groups: Sequence[rules.Group]
    ) -> tuple[Sequence[rules.Group], sights.Sight]:
        """Read the members of groups.

        :raises cloud_errors.CloudError: they could not be read
        """
        members = {
            member for group in groups for member in group.members
            if group.mode is not rules.GroupMode.OFF}
        return groups, self._reader.some(sorted(members))

    def report(
        self, groups: Iterable[rules.Group], sight: sights.Sight
    ) -> list[group_messages.Report]:
        """How groups stand by what was seen.

        :raises NothingKnown: there is no topology yet
        """
        here = self.here()
        wanted = list(groups)
        at = self._clock.utcnow()
        age = max(0.0, self._clock.monotonic() - sight.read_at)
        with metrics.INSPECT_SECONDS.time():
            members = {
                member for group in wanted for member in group.members}
            found = rules.inspect_all(
                wanted, sight.occupancy, here.domains(), age_s=age,
                blocked=movability.blocked(
                    (sight.servers[member] for member in members
                     if member in sight.servers), here))
        return [
            reports.message(group, one, sight, at)
            for group, one in zip(wanted, found, strict=True)]

    def keep(
        self,
        groups: Iterable[rules.Group],
        sight: sights.Sight,
        *,
        explain_s: float = 0.0,
        anew: bool = False,
    ) -> list[group_messages.Report]:
        """Inspect, keep what was found, and tell what is different.

        :param explain_s: seconds for which it is looked for why broken
            groups cannot be mended; 0: what is known of that is repeated
        :param anew: look again for what is known
        :raises NothingKnown: there is no topology yet
        :raises db_errors.DatabaseError: it could not be kept
        """
        known = {group.id: group for group in groups}
        found = self.report(known.values(), sight)
        here = self.here()
        if explain_s > 0:
            found = self._explainer.explain(
                known, found, sight, here, seconds=explain_s, anew=anew)
        else:
            found = self._explainer.remembered(found, here)
        by_id = {report.group_id: report for report in found}
        changed = self._kept.save(
            [reports.stored(report) for report in found])
        self._places.save(
            reports.places(known, sight, self._read_at(sight)))
        for group_id, before, after in changed:
            self._tell(known[group_id], by_id[group_id], before, after)
        return found

    def _read_at(self, sight: sights.Sight) -> datetime.datetime:
        age = self._clock.monotonic() - sight.read_at
        return self._clock.utcnow() - datetime.timedelta(
            seconds=max(0.0, age))

    def _tell(
        self,
        group: rules.Group,
        report: group_messages.Report,
        before: str | None,
        after: str,
    ) -> None:
        fine = (rules.GroupState.COMPLIANT.value, rules.GroupState.OFF.value)
        if before is None and after in fine:
            return
        bad = rules.GroupState(after) in reports.BAD
        LOG.log(
            logging.WARNING if bad else logging.INFO,
            "Group %s (%s) is %s, it was %s%s", group.name, group.id, after,
            before or "not known",
            "".join(
                f"; {rules.format_rule(one.rule)}: {one.reason}"
                for one in report.rules if one.excess))
        for one in report.rules:
            if one.hindrance is not None:
                LOG.warning(
                    "Group %s (%s) cannot be mended (%s), %d of its members "
                    "stay too many for %s: %s", group.name, group.id,
                    one.hindrance.code, one.hindrance.excess,
                    rules.format_rule(one.rule), one.hindrance.reason)
        self._notifier.group(
            after, reports.told(group, report, before), bad=bad)

    def check_fail_opens(self) -> int:
        """Inspect first where schedulers let something pass.

        :returns: how many such placements were looked at
        :raises cloud_errors.CloudError: their groups could not be read
        :raises db_errors.DatabaseError: the database does not answer
        """
        waiting = self._words.fail_opens(limit=BATCH)
        if not waiting:
            return 0
        self._catalogue.refresh()
        wanted = {one.group_id for one in waiting if one.group_id}
        servers = {one.server for one in waiting if not one.group_id}
        groups = {
            group.id: group
            for group in (
                *self._catalogue.some(wanted),
                *self._catalogue.neighbours(servers))}
        if groups:
            self.keep(*self.look(list(groups.values())))
        self._words.mark_checked([one.id for one in waiting])
        return len(waiting)

    def measure(self, found: Iterable[group_messages.Report]) -> None:
        """Show how all groups stand."""
        counts = {state.value: 0 for state in rules.GroupState}
        excess = 0
        for report in found:
            counts[report.state] = counts.get(report.state, 0) + 1
            excess += sum(
                one.excess for one in report.rules if one.rule.required)
        for state, number in counts.items():
            metrics.GROUPS.labels(state).set(number)
        metrics.EXCESS.set(excess)
        metrics.INSPECTED_AT.set(self._clock.utcnow().timestamp())
