# SPDX-License-Identifier: Apache-2.0
"""Repair plans that nobody needs any more."""

from __future__ import annotations

from collections.abc import Sequence
import datetime

import sqlalchemy as sa

from aacloud.core import groups
from aacloud.db import plan_rows

#: Plans thrown away in one transaction.
BATCH = 50

_PLANS = plan_rows.PLANS
_PARTS = (plan_rows.ORDERS, plan_rows.EVENTS, plan_rows.STEPS)


def prune(connection: sa.Connection, before: datetime.datetime) -> int:
    """Throw away some plans that ended before; returns how many.

    Fewer than ``BATCH``: no more are left.
    """
    return _throw_away(
        connection,
        [
            row.id
            for row in connection.execute(
                sa.select(_PLANS.c.id)
                .where(_PLANS.c.closed_at < before)
                .order_by(_PLANS.c.closed_at)
                .limit(BATCH)
            )
        ],
    )


def replace_drafts(connection: sa.Connection, record: groups.Plan) -> None:
    """Throw away the drafts that a new draft takes the place of.

    Those of the same scope and maker, unless somebody ordered something of
    them.
    """
    older = sa.and_(
        _PLANS.c.scope == record.scope,
        _PLANS.c.created_by == record.created_by,
        _PLANS.c.state == groups.PlanState.DRAFT.value,
        _PLANS.c.id != record.id,
    )
    # Holds the rows: no order comes in from here on.
    connection.execute(
        sa.update(_PLANS).where(older).values(serial=_PLANS.c.serial + 1)
    )
    ordered = sa.select(plan_rows.ORDERS.c.plan_id)
    _throw_away(
        connection,
        [
            row.id
            for row in connection.execute(
                sa.select(_PLANS.c.id).where(
                    older, _PLANS.c.id.not_in(ordered)
                )
            )
        ],
    )


def _throw_away(connection: sa.Connection, ids: Sequence[str]) -> int:
    if not ids:
        return 0
    for table in _PARTS:
        connection.execute(sa.delete(table).where(table.c.plan_id.in_(ids)))
    return connection.execute(
        sa.delete(_PLANS).where(_PLANS.c.id.in_(ids))
    ).rowcount
