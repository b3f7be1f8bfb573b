# SPDX-License-Identifier: Apache-2.0
"""The answers to what the API and the schedulers ask.

Any engine answers; a plan is made by the leading one, to which the question
is handed on.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import datetime
import logging
import threading
from typing import Any
import uuid

from aacloud.clouds import errors as cloud_errors
from aacloud.clouds import ports
from aacloud.coordination import clock as clocks
from aacloud.core import rules
from aacloud.db import errors as db_errors
from aacloud.db import groups as stores
from aacloud.db import plans as plan_stores
from aacloud.db import schedulers
from aacloud.groups import asking
from aacloud.groups import catalogue as catalogues
from aacloud.groups import dry_runs
from aacloud.groups import inspector as inspectors
from aacloud.groups import metrics
from aacloud.groups import natives
from aacloud.groups import repairer as repairers
from aacloud.groups import reports
from aacloud.groups import sight as sights
from aacloud.groups import snapshots
from aacloud.rpc import group_messages
from aacloud.rpc import groups as rpc_groups
from aacloud.rpc import groups_server

LOG = logging.getLogger(__name__)

#: A scheduler not heard for so long is not waited for.
LIVES_S = 30.0
#: Seconds between two looks at what the schedulers know.
LOOK_S = 0.05
#: Seconds, of an inspection that somebody asked for, for what keeps broken
#: groups from being mended.
EXPLAIN_S = 5.0
#: Seconds of the caller's patience that are kept for the answer's way.
RESERVE_S = 2.0


RepairQuestion = groups_server.RepairQuestion

#: Hands a question on to the engine of this name.
Forward = Callable[[str, RepairQuestion], group_messages.Plan]


class Answers:
    """See :class:`aacloud.rpc.groups_server.Answers`. Safe for threads.

    :param member: the name of this engine
    :param leads: whether it leads
    """

    def __init__(
        self,
        store: stores.Groups,
        catalogue: catalogues.Catalogue,
        reader: sights.Reader,
        cloud: ports.Cloud,
        inspector: inspectors.Inspector,
        repairer: repairers.Repairer,
        plans: plan_stores.Plans,
        words: schedulers.Schedulers,
        maker: snapshots.SnapshotMaker,
        *,
        member: str,
        leads: Callable[[], bool],
        forward: Forward,
        stop: threading.Event,
        clock: clocks.Clock | None = None,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._reader = reader
        self._cloud = cloud
        self._inspector = inspector
        self._repairer = repairer
        self._plans = plans
        self._words = words
        self._maker = maker
        self._member = member
        self._leads = leads
        self._forward = forward
        self._stop = stop
        self._dry_runs = dry_runs.DryRuns()
        self._clock = clock or clocks.Clock()

    # -- the API ------------------------------------------------------------

    def describe_servers(
        self, servers: Sequence[str]
    ) -> Sequence[group_messages.ServerFacts]:
        """What Nova knows of servers."""
        with _told():
            found = self._reader.servers(servers)
        return [
            group_messages.ServerFacts(
                one.uuid, one.name, one.project_id, one.host or None)
            for one in found.values()]

    def inspect(
        self, wanted: Sequence[str], patience_s: float
    ) -> Sequence[group_messages.Report]:
        """How groups stand now."""
        with _told():
            self._catalogue.refresh()
            return self._inspector.keep(
                *self._inspector.look(self._catalogue.some(wanted)),
                explain_s=min(EXPLAIN_S, patience_s / 2), anew=True)

    def preview(
        self,
        group: str,
        joining: Sequence[str],
        leaving: Sequence[str],
        patience_s: float,
    ) -> tuple[group_messages.Report, group_messages.Plan | None]:
        """How a group would stand, and what would mend it."""
        begun = self._clock.monotonic()
        with _told():
            self._catalogue.refresh()
            changed = self._with(group, joining, leaving)
            concerned = [changed, *(
                one for one in self._catalogue.neighbours(changed.members)
                if one.id != group)]
            sight = self._reader.some(sorted({
                member for one in concerned for member in one.members}),
                full=True)
            (report,) = self._inspector.report([changed], sight)
            if report.state != rules.GroupState.VIOLATING.value:
                return report, None
            problem = self._repairer.problem(
                concerned, {group}, sight, self._inspector.here())
        spent = self._clock.monotonic() - begun
        plan = self._repairer.solve(problem, patience_s - spent - RESERVE_S)
        return report, reports.plan_message(plan, None)

    def _with(
        self, group: str, joining: Collection[str], leaving: Collection[str]
    ) -> rules.Group:
        found = self._catalogue.some([group])
        if not found:
            raise rpc_groups.EngineRefused(
                f"there is no HA server group {group}")
        (known,) = found
        return dataclasses.replace(
            known,
            members=(known.members | set(joining)) - set(leaving))

    def repair(
        self, question: RepairQuestion, patience_s: float
    ) -> group_messages.Plan:
        """The plan that mends a group or all, put into the journal."""
        if not self._leads():
            return self._handed_on(question)
        try:
            with (
                self._dry_runs.turn(question.project_id)
                if question.dry_run else contextlib.nullcontext()
            ):
                return self._repair(question, patience_s)
        except dry_runs.Busy as error:
            raise rpc_groups.EngineRefused(str(error)) from error

    def _repair(
        self, question: RepairQuestion, patience_s: float
    ) -> group_messages.Plan:
        group = question.group
        begun = self._clock.monotonic()
        with _told():
            self._catalogue.refresh()
            groups = list(self._catalogue.all().values())
            wanted = self._wanted(group)
            sight = self._reader.whole()
            here = self._inspector.here()
            # Which window has the most of them matters for all groups only.
            violating = [
                report for report in self._inspector.report(wanted, sight)
                if report.state == rules.GroupState.VIOLATING.value
            ] if group is None and not question.dry_run else []
            spent = self._clock.monotonic() - begun
            try:
                asked = self._repairer.asker.ask(
                    asking.Question(
                        wanted, group or repairers.CLOUD, question.dry_run,
                        question.by, question.project_id, violating),
                    groups, sight, here,
                    time_limit_s=patience_s - spent - RESERVE_S)
            except db_errors.Duplicate as error:
                raise rpc_groups.EngineRefused(
                    f"{error}; see 'openstack ha plan list'") from error
        message = reports.plan_message(
            asked.found, None if asked.plan is None else asked.plan.id)
        return dataclasses.replace(
            message, left=(*message.left, *asked.left))

    def _wanted(self, group: str | None) -> list[rules.Group]:
        if group is None:
            return [
                one for one in self._catalogue.all().values()
                if one.mode is rules.GroupMode.REPAIR]
        found = self._catalogue.some([group])
        if not found:
            raise rpc_groups.EngineRefused(
                f"there is no HA server group {group}")
        if found[0].mode is rules.GroupMode.OFF:
            raise rpc_groups.EngineRefused(
                f"HA server group {group} is switched off: set its mode to "
                "report, enforce or repair first")
        return found

    def _handed_on(self, question: RepairQuestion) -> group_messages.Plan:
        with _told():
            leader = self._plans.leader()
        if leader is None or leader.holder == self._member:
            raise rpc_groups.EngineUnavailable(
                "no aacloud-groups leads now: plans are made by the leading "
                "one. Ask again in some seconds; if that lasts, look at etcd")
        return self._forward(leader.holder, question)

    def wait_acked(
        self, revision: int, patience_s: float
    ) -> Sequence[group_messages.Ack]:
        """Wait until the schedulers that live have a revision."""
        deadline = self._clock.monotonic() + patience_s
        while True:
            with _told():
                since = self._clock.utcnow() - datetime.timedelta(
                    seconds=LIVES_S)
                acks = self._words.acks(since=since)
            if (
                all(ack.revision >= revision for ack in acks)
                or self._clock.monotonic() + LOOK_S >= deadline
                or self._stop.wait(LOOK_S)
            ):
                return [
                    group_messages.Ack(
                        ack.scheduler, ack.revision, ack.seen_at)
                    for ack in acks]

    def native_groups(
        self, group: str | None
    ) -> Sequence[group_messages.NativeGroup]:
        """Nova's own server groups."""
        with _told():
            found = self._cloud.server_groups()
        return [
            group_messages.NativeGroup(
                one.id, one.name, one.project_id, one.policy,
                natives.rules_of(one), one.members)
            for one in found
            if group is None or one.id == group]

    def resolve(self, text: str, project_id: str) -> str | None:
        """The id of the group that a hint means."""
        with _told():
            try:
                return self._store.find(text, project_id=project_id).id
            except db_errors.NotFound:
                return None

    # -- the schedulers -----------------------------------------------------

    def snapshot(
        self, known_revision: int | None, topology: str | None
    ) -> dict[str, Any]:
        """Groups, or what changed of them."""
        with _told():
            return self._maker.body(known_revision, topology)

    def ack(self, scheduler: str, revision: int) -> None:
        """A scheduler works with a revision."""
        with _told():
            self._words.ack(scheduler, revision)

    def fail_open(
        self, scheduler: str, server: str, wanted: Sequence[str], reason: str
    ) -> None:
        """A scheduler let a server pass without knowing enough."""
        metrics.FAIL_OPENS.inc()
        LOG.warning(
            "Scheduler %s let server %s pass without knowing enough (%s)",
            scheduler or "of unknown name", server, reason)
        with _told():
            for group in wanted or (None,):
                self._words.record_fail_open(schedulers.FailOpen(
                    id=str(uuid.uuid4()), scheduler=scheduler, server=server,
                    group_id=group, operation="unknown", reason=reason,
                    at=self._clock.utcnow()))
        self._inspector.recheck(wanted, first=True)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Say of what does not answer that it does not."""
    try:
        yield
    except cloud_errors.CloudError as error:
        raise rpc_groups.EngineUnavailable(
            f"Nova cannot be asked: {error}") from error
    except inspectors.NothingKnown as error:
        raise rpc_groups.EngineUnavailable(str(error)) from error
    except db_errors.JournalUnavailable as error:
        raise rpc_groups.EngineUnavailable(
            f"the database does not answer: {error}") from error
    except db_errors.StaleJournal as error:
        raise rpc_groups.EngineUnavailable(
            f"another engine leads now, ask again: {error}") from error
