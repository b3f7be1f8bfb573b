# SPDX-License-Identifier: Apache-2.0
"""What can be read of repair plans, and what operators write to them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import datetime
import uuid

import sqlalchemy as sa

from aacloud.core import groups as core_groups
from aacloud.db import api
from aacloud.db import books
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import plan_rows
from aacloud.db import story

_PLANS = plan_rows.PLANS
_STEPS = plan_rows.STEPS


class PlanReads:
    """Reads and orders, for everybody; see ``plans.Plans``."""

    def __init__(
        self,
        database: engine.Database,
        *,
        now: Callable[[], datetime.datetime] = api.utcnow,
    ) -> None:
        self._database = database
        self._now = now

    def get(
        self, plan_id: str, *, project_id: str | None = None
    ) -> core_groups.Plan:
        """One plan with its orders.

        :param project_id: of a user, who sees its own plans only
        :raises errors.NotFound: there is none with this id
        """
        wanted = [_PLANS.c.id == plan_id]
        if project_id is not None:
            wanted.append(_PLANS.c.project_id == project_id)
        found = self._database.read(
            f"plan {plan_id}",
            lambda connection: plan_rows.read_plans(connection, *wanted),
        )
        if not found:
            raise errors.NotFound("plan", plan_id)
        return found[0]

    def live(self, scope: str | None = None) -> tuple[core_groups.Plan, ...]:
        """The plans that wait or run, the newest first; no drafts.

        :param scope: only those of this scope
        """
        wanted: list[sa.ColumnElement[bool]] = [
            _PLANS.c.live_scope.is_not(None)
        ]
        if scope is not None:
            wanted.append(_PLANS.c.scope == scope)
        return self._database.read(
            "live plans",
            lambda connection: plan_rows.read_plans(connection, *wanted),
        )

    def list(
        self,
        *,
        scope: str | None = None,
        states: Collection[core_groups.PlanState] = (),
        project_id: str | None = None,
        is_open: bool | None = None,
        created_since: datetime.datetime | None = None,
        closed_since: datetime.datetime | None = None,
        window: Collection[str | None] = (),
        limit: int | None = None,
        marker: str | None = None,
    ) -> tuple[core_groups.Plan, ...]:
        """Plans, the newest first.

        :param states: any of these; empty means all
        :param is_open: only open ones (drafts too) or only closed ones
        :param closed_since: only those that ended since then
        :param window: of these windows, by their texts; empty means all
        :param limit: at most so many
        :param marker: id of the last plan of the page before
        :raises errors.NotFound: there is no plan with the marker's id
        """
        wanted: list[sa.ColumnElement[bool]] = []
        if scope is not None:
            wanted.append(_PLANS.c.scope == scope)
        if states:
            wanted.append(
                _PLANS.c.state.in_([state.value for state in states])
            )
        if project_id is not None:
            wanted.append(_PLANS.c.project_id == project_id)
        if is_open is not None:
            wanted.append(
                _PLANS.c.closed_at.is_(None)
                if is_open
                else _PLANS.c.closed_at.is_not(None)
            )
        if created_since is not None:
            wanted.append(_PLANS.c.created_at >= created_since)

        if closed_since is not None:
            wanted.append(_PLANS.c.closed_at >= closed_since)
        if window:
            wanted.append(
                sa.or_(
                    *(
                        _PLANS.c.window.is_(None)
                        if text is None
                        else _PLANS.c.window == text
                        for text in window
                    )
                )
            )

        def work(connection: sa.Connection) -> tuple[core_groups.Plan, ...]:
            after: list[sa.ColumnElement[bool]] = []
            if marker is not None:
                created_at = connection.scalar(
                    sa.select(_PLANS.c.created_at).where(
                        _PLANS.c.id == marker
                    )
                )
                if created_at is None:
                    raise errors.NotFound("plan", marker)
                after.append(
                    sa.or_(
                        _PLANS.c.created_at < created_at,
                        sa.and_(
                            _PLANS.c.created_at == created_at,
                            _PLANS.c.id < marker,
                        ),
                    )
                )
            return plan_rows.read_plans(
                connection, *wanted, *after, limit=limit
            )

        return self._database.read("list of plans", work)

    def steps(self, plan_id: str) -> tuple[core_groups.PlanStep, ...]:
        """The steps of a plan in the order of their numbers."""
        return self._database.read(
            f"steps of plan {plan_id}",
            lambda connection: plan_rows.read_steps(connection, plan_id),
        )

    def events(
        self, plan_id: str, since_id: int = 0, limit: int | None = None
    ) -> tuple[core_groups.PlanEvent, ...]:
        """The story of a plan in the order in which it was written."""
        table = plan_rows.EVENTS
        query = (
            sa.select(table)
            .where(table.c.plan_id == plan_id, table.c.id > since_id)
            .order_by(table.c.id)
        )
        if limit is not None:
            query = query.limit(limit)
        found = self._database.read(
            f"events of plan {plan_id}",
            lambda connection: connection.execute(query).all(),
        )
        return tuple(plan_rows.event(row) for row in found)

    def moves_begun_since(self, moment: datetime.datetime) -> int:
        """How many steps of all plans were begun since then, each once."""
        query = (
            sa.select(sa.func.count())
            .select_from(_STEPS)
            .where(
                _STEPS.c.intent_at >= moment,
                _STEPS.c.state != core_groups.StepState.SKIPPED.value,
            )
        )
        return self._database.read(
            "moves that were begun",
            lambda connection: connection.execute(query).scalar_one(),
        )

    def moved_since(
        self, moment: datetime.datetime, *, but_plan: str | None = None
    ) -> Mapping[str, datetime.datetime]:
        """When plans asked Nova last to move each server, since then.

        :param but_plan: id of a plan whose steps are left out
        """
        query = (
            sa.select(_STEPS.c.server, sa.func.max(_STEPS.c.requested_at))
            .where(_STEPS.c.requested_at >= moment)
            .group_by(_STEPS.c.server)
        )
        if but_plan is not None:
            query = query.where(_STEPS.c.plan_id != but_plan)
        found = self._database.read(
            "servers that were moved",
            lambda connection: connection.execute(query).all(),
        )
        return {row[0]: row[1] for row in found}

    def order(
        self,
        plan_id: str,
        command: core_groups.PlanCommand,
        *,
        by: str,
        reason: str,
        project_id: str | None = None,
    ) -> core_groups.PlanOrder:
        """Tell a plan what an operator wants of it.

        The leading engine reads it in its next turn. The plan's version
        stays, so that the engine's next write is not refused for it.

        :raises errors.NotFound: there is none with this id
        :raises errors.CommandRefused: it has gone too far for the command
        """
        asked = core_groups.PlanOrder(
            command=command,
            by=by,
            reason=reason[: story.TEXT_LIMIT],
            at=self._now(),
        )
        ticket = str(uuid.uuid4())
        wanted = [_PLANS.c.id == plan_id]
        if project_id is not None:
            wanted.append(_PLANS.c.project_id == project_id)

        def work(connection: sa.Connection, again: bool) -> None:
            # Before the state is read: from here on it stays what it is.
            connection.execute(
                sa.update(_PLANS)
                .where(*wanted)
                .values(serial=_PLANS.c.serial + 1)
            )
            if again and story.landed(
                connection, books.PLANS, plan_id, ticket
            ):
                return
            row = connection.execute(
                sa.select(_PLANS.c.state, _PLANS.c.serial).where(*wanted)
            ).one_or_none()
            if row is None:
                raise errors.NotFound("plan", plan_id)
            state = core_groups.PlanState(row.state)
            if state not in core_groups.COMMANDS_ACCEPTED_IN[command]:
                raise errors.CommandRefused(
                    plan_id, command.value, state.value, kind="plan"
                )
            story.add(
                connection,
                books.PLANS,
                plan_id,
                row.serial,
                [
                    story.Line(
                        "command",
                        f"{by} asks: {command.value}: {asked.reason}",
                        detail={"command": command.value, "by": by},
                    )
                ],
                at=asked.at,
                ticket=ticket,
            )
            connection.execute(
                sa.insert(plan_rows.ORDERS).values(
                    plan_id=plan_id,
                    id=row.serial,
                    command=command.value,
                    set_by=by,
                    reason=asked.reason,
                    at=asked.at,
                )
            )

        self._database.write(f"{command.value} of plan {plan_id}", work)
        return asked
