# SPDX-License-Identifier: Apache-2.0
"""Repair plans: reads and orders for all, writes for the leading engine.

Plans are kept like incidents, see ``journal``: each write of the engine is
one transaction, is refused when another engine has taken over or the record
was changed since it was read, and tells an event.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import datetime
import threading
from typing import Any
import uuid

import sqlalchemy as sa

from aacloud.core import groups as core_groups
from aacloud.db import api
from aacloud.db import books
from aacloud.db import changes
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import leadership
from aacloud.db import plan_pruning
from aacloud.db import plan_reads
from aacloud.db import plan_rows
from aacloud.db import rows
from aacloud.db import story
from aacloud.db import writer

#: The name of the leadership.
GROUPS = "groups"

#: What ``advance`` may change beside the state.
PLAN_COLUMNS = frozenset({"waiting", "summary", "expires_at", "request_id"})

#: What a step may change beside the state.
STEP_COLUMNS = frozenset(
    field.name for field in dataclasses.fields(core_groups.PlanStep)
) - {"plan_id", "number", "server", "state", "version"}


@dataclasses.dataclass(frozen=True, slots=True)
class StepChange:
    """What is to be written of one step.

    :ivar record: as it was read
    :ivar state: the new state, or the old one to change columns alone
    :ivar columns: what else changes, of ``STEP_COLUMNS``
    :ivar text: what the event says; None tells the states
    :ivar detail: what the event says, for programs
    """

    record: core_groups.PlanStep
    state: core_groups.StepState
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    text: str | None = None
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _nobody() -> int | None:
    return None


class Plans(plan_reads.PlanReads):
    """Reads and orders for everybody, the writes of the engine that leads.

    Safe for threads. Every method raises
    :class:`~aacloud.db.errors.JournalUnavailable` when the database does
    not answer; after one whose ``unknown`` is set, read the row again.

    :param epoch_source: the epoch that this engine leads with (what
        ``take_over`` returned), or None while it does not lead
    """

    def __init__(
        self,
        database: engine.Database,
        epoch_source: Callable[[], int | None] = _nobody,
        *,
        name: str = GROUPS,
        now: Callable[[], datetime.datetime] = api.utcnow,
    ) -> None:
        super().__init__(database, now=now)
        self._leadership = name
        #: One engine leads, so that this keeps two of its threads from
        #: making plans of the same group live.
        self._going_live = threading.Lock()
        self._writer = writer.FencedWriter(
            database, epoch_source, leadership_name=name, book=books.PLANS
        )

    def leader(self) -> leadership.Leadership | None:
        """Who leads, or None when nobody ever did."""
        return leadership.read(self._database, self._leadership)

    def take_over(self, name: str, holder: str) -> int:
        """Depose whoever led, and adopt every plan that has not ended.

        :param name: the leadership, the one that this journal writes for
        :param holder: this engine, as shown to operators
        :returns: the new epoch
        :raises errors.StaleJournal: another engine took over meanwhile
        """
        if name != self._leadership:
            raise ValueError(
                f"this journal writes for {self._leadership}, not for {name}"
            )
        return leadership.take_over(
            self._database, name, holder, now=self._now, book=books.PLANS
        )

    def create(
        self,
        scope: str,
        steps: Sequence[core_groups.PlanStep],
        *,
        state: core_groups.PlanState,
        expires_at: datetime.datetime,
        revision: int,
        created_by: str,
        event_text: str,
        groups: Collection[str] = (),
        project_id: str | None = None,
        window: str | None = None,
        replan_of: core_groups.Plan | None = None,
        summary: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        plan_id: str | None = None,
    ) -> core_groups.Plan:
        """Record a plan with its steps.

        A draft takes the place of the drafts of the same scope that
        ``created_by`` made before.

        :param steps: their ``plan_id`` and ``version`` are set here
        :param state: DRAFT, AWAITING_APPROVAL or APPROVED
        :param replan_of: the plan whose rest this one takes up
        :raises errors.Duplicate: a live plan of the same window has one of
            the groups, or is for this group alone
        :raises errors.StaleJournal: another engine leads
        """
        if state not in _FIRST:
            raise ValueError(f"a plan does not begin as {state.value}")
        epoch = self._writer.epoch()
        now = self._now()
        new_id = plan_id or str(uuid.uuid4())
        plan = core_groups.Plan(
            id=new_id,
            scope=scope,
            state=state,
            version=1,
            epoch=epoch,
            revision=revision,
            created_at=now,
            updated_at=now,
            expires_at=expires_at,
            created_by=created_by,
            groups=tuple(sorted(groups)),
            project_id=project_id,
            window=window,
            replan_of=None if replan_of is None else replan_of.id,
            replans=0 if replan_of is None else replan_of.replans + 1,
            summary=summary or {},
            request_id=request_id or f"req-{new_id}",
        )
        live = state in core_groups.LIVE_PLANS
        moves = [
            plan_rows.values(
                dataclasses.replace(step, plan_id=new_id, version=1)
            )
            for step in steps
        ]
        ticket = str(uuid.uuid4())

        def work(connection: sa.Connection, again: bool) -> None:
            leadership.hold(connection, self._leadership, epoch)
            if again and story.landed(
                connection, books.PLANS, new_id, ticket
            ):
                return
            if live:
                plan_rows.refuse_second(connection, plan)
            if state is core_groups.PlanState.DRAFT:
                plan_pruning.replace_drafts(connection, plan)
            connection.execute(
                sa.insert(plan_rows.PLANS).values(
                    **plan_rows.values(plan),
                    live_scope=plan_rows.live_scope(plan),
                    serial=1,
                )
            )
            if moves:
                connection.execute(sa.insert(plan_rows.STEPS), moves)
            story.add(
                connection,
                books.PLANS,
                new_id,
                1,
                [
                    story.Line(
                        "state",
                        event_text,
                        detail={"to": state.value, "epoch": epoch},
                    )
                ],
                at=now,
                ticket=ticket,
            )

        with self._going_live:
            self._database.write(f"new plan of {scope}", work)
        return plan

    def advance(
        self,
        plan: core_groups.Plan,
        new_state: core_groups.PlanState,
        *,
        event_text: str,
        detail: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> core_groups.Plan:
        """Write the next state of a plan, or with the same state only some
        columns.

        A new state ends the wait: ``waiting`` is cleared unless given.

        :param columns: what else changes, of ``PLAN_COLUMNS``
        :returns: the plan as it was written
        :raises errors.StaleJournal: another engine leads, or the plan was
            changed since it was read
        :raises errors.Duplicate: a draft was to become live, and a live
            plan has one of its groups
        :raises core_incidents.IllegalTransition: it may not follow
        """
        changes.refuse_unknown(columns, PLAN_COLUMNS)
        if new_state is not plan.state:
            core_groups.check_plan_transition(plan.state, new_state)
            columns.setdefault("waiting", None)
        now = self._now()
        closed = new_state in core_groups.CLOSED_PLANS
        written = dataclasses.replace(
            plan,
            state=new_state,
            version=plan.version + 1,
            updated_at=now,
            closed_at=now if closed else None,
            **columns,
        )
        live = plan_rows.live_scope(written)
        values = rows.plain(
            {
                **columns,
                "state": new_state,
                "closed_at": written.closed_at,
                "live_scope": live,
            }
        )
        becomes_live = (
            live is not None and plan.state not in core_groups.LIVE_PLANS
        )
        line = story.Line(
            "state" if new_state is not plan.state else "plan",
            event_text,
            detail={
                **(detail or {}),
                "from": plan.state.value,
                "to": new_state.value,
            },
        )
        with self._going_live if becomes_live else contextlib.nullcontext():
            self._writer.write(
                f"plan {plan.id} of {plan.scope}",
                {plan.id: [line]},
                now,
                read_under=plan.epoch,
                version=plan.version,
                values=(
                    {**values, "live_scope": None} if becomes_live else values
                ),
                more=(
                    (lambda connection: _make_live(connection, written))
                    if becomes_live
                    else None
                ),
            )
        return written

    def note(
        self,
        plan: core_groups.Plan,
        text: str,
        kind: str = "note",
        *,
        server: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an event; the plan's version stays.

        :raises errors.StaleJournal: another engine leads, or the plan is
            closed
        """
        self._writer.write(
            f"note to plan {plan.id} of {plan.scope}",
            {plan.id: [story.Line(kind, text, server, detail or {})]},
            self._now(),
            read_under=plan.epoch,
        )

    def update_step(
        self,
        record: core_groups.PlanStep,
        state: core_groups.StepState,
        *,
        event_text: str | None = None,
        detail: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> core_groups.PlanStep:
        """Write one step's next state; see ``update_steps``."""
        return self.update_steps(
            [StepChange(record, state, columns, event_text, detail or {})]
        )[0]

    def update_steps(
        self, steps: Collection[StepChange]
    ) -> tuple[core_groups.PlanStep, ...]:
        """Write the next states of several steps: all of them or none.

        :returns: the records as they were written, in the given order
        :raises errors.StaleJournal: another engine leads, or one of the
            steps was changed since it was read; names the first
        :raises core_incidents.IllegalTransition: one may not follow
        """
        written = tuple(_apply(step) for step in steps)
        if not written:
            return ()
        keys = [(record.plan_id, record.number) for record in written]
        if len(set(keys)) != len(keys):
            raise ValueError("a step is given twice")
        lines: dict[str, list[story.Line]] = {}
        for step in steps:
            lines.setdefault(step.record.plan_id, []).append(_line(step))

        def update(connection: sa.Connection) -> None:
            # Sorted, so that no two writers wait for each other.
            for _key, step in sorted(
                zip(keys, steps, strict=True), key=lambda pair: pair[0]
            ):
                _write_step(connection, step)

        first = written[0]
        what = f"step {first.number} of plan {first.plan_id}"
        if len(written) > 1:
            what += f" and {len(written) - 1} more"
        self._writer.write(what, lines, self._now(), more=update)
        return written

    def prune(self, before: datetime.datetime) -> int:
        """Throw away plans that ended before, with all that is theirs.

        :returns: how many
        """
        thrown = 0
        while True:
            count = self._database.write(
                "old plans",
                lambda connection, _again: plan_pruning.prune(
                    connection, before
                ),
            )
            thrown += count
            if count < plan_pruning.BATCH:
                return thrown


_FIRST = frozenset(
    {
        core_groups.PlanState.DRAFT,
        core_groups.PlanState.AWAITING_APPROVAL,
        core_groups.PlanState.APPROVED,
    }
)


def _make_live(connection: sa.Connection, plan: core_groups.Plan) -> None:
    plan_rows.refuse_second(connection, plan)
    table = plan_rows.PLANS
    connection.execute(
        sa.update(table)
        .where(table.c.id == plan.id)
        .values(live_scope=plan_rows.live_scope(plan))
    )


def _apply(change: StepChange) -> core_groups.PlanStep:
    """The record as it is once the change is written."""
    changes.refuse_unknown(change.columns, STEP_COLUMNS)
    record = change.record
    if change.state is not record.state:
        core_groups.check_step_transition(record.state, change.state)
    return dataclasses.replace(
        record,
        state=change.state,
        version=record.version + 1,
        **change.columns,
    )


def _line(change: StepChange) -> story.Line:
    """The event of the change."""
    record = change.record
    if change.text is not None:
        text = change.text
    elif change.state is record.state:
        changed = ", ".join(sorted(change.columns)) or "nothing"
        text = f"step {record.number}, {record.name}: {changed} changed"
    else:
        text = (
            f"step {record.number}, {record.name}: {record.state.value} -> "
            f"{change.state.value}"
        )
    return story.Line(
        "step",
        text,
        server=record.server,
        detail={
            **change.detail,
            "step": record.number,
            "from": record.state.value,
            "to": change.state.value,
        },
    )


def _write_step(connection: sa.Connection, change: StepChange) -> None:
    """Write the row; its plan's row is held by this transaction.

    :raises errors.StaleJournal: it is not the version that was read
    """
    record = change.record
    table = plan_rows.STEPS
    here = sa.and_(
        table.c.plan_id == record.plan_id, table.c.number == record.number
    )
    updated = connection.execute(
        sa.update(table)
        .where(here, table.c.version == record.version)
        .values(
            **rows.plain(change.columns),
            state=change.state.value,
            version=record.version + 1,
        )
    )
    if updated.rowcount == 1:
        return
    found = connection.execute(
        sa.select(table.c.version, table.c.state).where(here)
    ).one_or_none()
    reason = (
        "it is not recorded in this plan"
        if found is None
        else f"it was changed meanwhile: version {record.version} was read, "
        f"it is {found.version} now ({found.state})"
    )
    raise errors.StaleJournal(
        f"step {record.number} ({record.server}) of plan {record.plan_id}",
        reason,
        deposed=False,
    )
