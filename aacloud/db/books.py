# SPDX-License-Identifier: Apache-2.0
"""What the leading engines keep: incidents, and repair plans.

Both are kept in the same way, each in tables of its own: a head with a version
and an epoch, entries (servers, steps) with versions, and a story of events.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import Any

import sqlalchemy as sa

from aacloud.db import plan_rows
from aacloud.db import rows


@dataclasses.dataclass(frozen=True, slots=True)
class Book:
    """The tables of one kind of thing, and its words.

    :ivar word: what a head is called in messages
    :ivar plural: several of them
    :ivar key: column of entries and events that names the head
    :ivar is_open: condition of the heads that have not ended
    :ivar title: a head in the operator's words
    """

    word: str
    plural: str
    head: sa.Table
    entries: sa.Table
    events: sa.Table
    key: str
    is_open: sa.ColumnElement[bool]
    title: Callable[[sa.Row[Any]], str]


INCIDENTS = Book(
    word="incident",
    plural="incidents",
    head=rows.INCIDENTS,
    entries=rows.SERVERS,
    events=rows.EVENTS,
    key="incident_id",
    is_open=rows.INCIDENTS.c.open_host.is_not(None),
    title=lambda row: f"incident {row.id} of host {row.host}",
)

PLANS = Book(
    word="plan",
    plural="plans",
    head=plan_rows.PLANS,
    entries=plan_rows.STEPS,
    events=plan_rows.EVENTS,
    key="plan_id",
    is_open=plan_rows.PLANS.c.closed_at.is_(None),
    title=lambda row: f"plan {row.id} of {row.scope}",
)
