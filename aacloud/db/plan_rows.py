# SPDX-License-Identifier: Apache-2.0
"""Between rows of the database and the records of repair plans."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import typing
from typing import Any

import sqlalchemy as sa

from aacloud.core import groups
from aacloud.db import errors
from aacloud.db import group_models
from aacloud.db import rows

PLANS = typing.cast(sa.Table, group_models.HAPlan.__table__)
STEPS = typing.cast(sa.Table, group_models.HAPlanStep.__table__)
EVENTS = typing.cast(sa.Table, group_models.HAPlanEvent.__table__)
ORDERS = typing.cast(sa.Table, group_models.HAPlanOrder.__table__)

#: Kept for the database's own sake, not part of the records.
_HIDDEN = frozenset({"live_scope", "serial", "ticket"})


def _fields(row: sa.Row[Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in row._mapping.items()
        if name not in _HIDDEN
    }


def order(row: sa.Row[Any]) -> groups.PlanOrder:
    """An operator's order."""
    return groups.PlanOrder(
        command=groups.PlanCommand(row.command),
        by=row.set_by,
        reason=row.reason,
        at=row.at,
    )


def plan(
    row: sa.Row[Any], orders: Iterable[groups.PlanOrder]
) -> groups.Plan:
    """A plan with its orders, oldest first."""
    fields = _fields(row)
    fields["state"] = groups.PlanState(row.state)
    fields["groups"] = tuple(row.groups)
    return groups.Plan(**fields, orders=tuple(orders))


def step(row: sa.Row[Any]) -> groups.PlanStep:
    """A step of a plan."""
    fields = _fields(row)
    fields["state"] = groups.StepState(row.state)
    for name in ("after", "why", "spares", "past_migrations"):
        fields[name] = tuple(fields[name])
    return groups.PlanStep(**fields)


def event(row: sa.Row[Any]) -> groups.PlanEvent:
    """An event of a plan."""
    return groups.PlanEvent(**_fields(row))


def values(record: groups.Plan | groups.PlanStep) -> dict[str, Any]:
    """What an INSERT of the record takes; orders are rows of their own."""
    found = rows.plain(
        {
            field.name: getattr(record, field.name)
            for field in dataclasses.fields(record)
        }
    )
    found.pop("orders", None)
    return found


def live_scope(record: groups.Plan) -> str | None:
    """What is unique of a live plan: the group that it is for alone."""
    if record.state not in groups.LIVE_PLANS:
        return None
    return record.id if record.scope == groups.CLOUD_SCOPE else record.scope


def refuse_second(connection: sa.Connection, record: groups.Plan) -> None:
    """Refuse a plan that would mend a group which a live one mends.

    Plans of other windows are no matter: a group has one window, and a plan
    leaves those alone that have another one by now.

    :raises errors.Duplicate: there is such a plan
    """
    found = connection.execute(
        sa.select(
            PLANS.c.id, PLANS.c.scope, PLANS.c.groups, PLANS.c.window
        ).where(PLANS.c.live_scope.is_not(None), PLANS.c.id != record.id)
    )
    for row in found:
        both = set(row.groups) & set(record.groups)
        if both and row.window == record.window:
            raise errors.Duplicate(
                "live repair plan of group", min(both), row.id
            )
        if row.scope == record.scope != groups.CLOUD_SCOPE:
            raise errors.Duplicate(
                "live repair plan of group", row.scope, row.id
            )


def read_plans(
    connection: sa.Connection,
    *wanted: sa.ColumnElement[bool],
    limit: int | None = None,
) -> tuple[groups.Plan, ...]:
    """Plans with their orders, the newest first."""
    query = (
        sa.select(PLANS)
        .where(*wanted)
        .order_by(PLANS.c.created_at.desc(), PLANS.c.id.desc())
    )
    if limit is not None:
        query = query.limit(limit)
    found = connection.execute(query).all()
    orders: dict[str, list[groups.PlanOrder]] = {}
    if found:
        for row in connection.execute(
            sa.select(ORDERS)
            .where(ORDERS.c.plan_id.in_([row.id for row in found]))
            .order_by(ORDERS.c.id)
        ):
            orders.setdefault(row.plan_id, []).append(order(row))
    return tuple(plan(row, orders.get(row.id, ())) for row in found)


def read_steps(
    connection: sa.Connection, plan_id: str
) -> tuple[groups.PlanStep, ...]:
    """Steps of a plan in the order of their numbers."""
    query = (
        sa.select(STEPS)
        .where(STEPS.c.plan_id == plan_id)
        .order_by(STEPS.c.number)
    )
    return tuple(step(row) for row in connection.execute(query))
