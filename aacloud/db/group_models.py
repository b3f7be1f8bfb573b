# SPDX-License-Identifier: Apache-2.0
"""The tables of HA server groups and of their repair plans.

All changes of groups stand in one row: each transaction that changes a group
first writes the only row of ``group_head``. So they commit one after the
other, on one server (its row lock) and on a Galera cluster alike (where the
later of two that met is undone), and a revision never becomes visible before
a lower one. Nothing else writes that row.

Plans are fenced like incidents, see ``models``.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from aacloud.db import columns
from aacloud.db import models

NAME = models.NAME
UUID = models.UUID
WORD = models.WORD
TABLE_OPTIONS = models.TABLE_OPTIONS

METADATA = models.Base.metadata


class GroupHead(models.Base):
    """One row: the revision of all groups together."""

    __tablename__ = "group_head"
    __table_args__ = (TABLE_OPTIONS,)

    id: orm.Mapped[int] = orm.mapped_column(
        sa.Integer, primary_key=True, autoincrement=False
    )
    revision: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    #: changes up to here are not told any more, only all groups
    pruned: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    #: grows with each transaction, also with one that changes no group
    writes: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)


class HAGroup(models.Base):
    """A group, or the trace of one that was deleted."""

    __tablename__ = "ha_groups"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "live_name"),
        sa.Index(None, "revision"),
        TABLE_OPTIONS,
    )

    id: orm.Mapped[str] = orm.mapped_column(UUID, primary_key=True)
    project_id: orm.Mapped[str] = orm.mapped_column(NAME)
    name: orm.Mapped[str] = orm.mapped_column(NAME)
    #: the name while it is not deleted
    live_name: orm.Mapped[str | None] = orm.mapped_column(NAME)
    mode: orm.Mapped[str] = orm.mapped_column(WORD)
    rules: orm.Mapped[list[Any]] = orm.mapped_column(columns.Json())
    window: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    #: of Nova's server group that it was imported from
    imported_from: orm.Mapped[str | None] = orm.mapped_column(UUID)
    #: grows when name, mode, rules or window change
    version: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    #: grows with every change, of the members too
    revision: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    created_by: orm.Mapped[str] = orm.mapped_column(NAME)
    created_at: orm.Mapped[datetime.datetime]
    updated_at: orm.Mapped[datetime.datetime]
    deleted_at: orm.Mapped[datetime.datetime | None]


class HAGroupMember(models.Base):
    """A server in a group, or the trace of one that left."""

    __tablename__ = "ha_group_members"
    __table_args__ = (
        sa.Index(None, "server"),
        sa.Index(None, "revision"),
        TABLE_OPTIONS,
    )

    group_id: orm.Mapped[str] = orm.mapped_column(
        UUID, sa.ForeignKey("ha_groups.id"), primary_key=True
    )
    server: orm.Mapped[str] = orm.mapped_column(UUID, primary_key=True)
    #: of the server; not always the group's
    project_id: orm.Mapped[str] = orm.mapped_column(NAME)
    origin: orm.Mapped[str] = orm.mapped_column(WORD)
    joined_at: orm.Mapped[datetime.datetime]
    left_at: orm.Mapped[datetime.datetime | None]
    #: it left because the server or the group is no more
    gone: orm.Mapped[bool]
    revision: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)


class HAGroupChange(models.Base):
    """What was done to a group, by whom."""

    __tablename__ = "ha_group_changes"
    __table_args__ = (
        sa.Index(None, "group_id", "revision"),
        TABLE_OPTIONS,
    )

    revision: orm.Mapped[int] = orm.mapped_column(
        sa.BigInteger, primary_key=True, autoincrement=False
    )
    group_id: orm.Mapped[str] = orm.mapped_column(UUID, primary_key=True)
    at: orm.Mapped[datetime.datetime]
    kind: orm.Mapped[str] = orm.mapped_column(WORD)
    changed_by: orm.Mapped[str] = orm.mapped_column(NAME)
    text: orm.Mapped[str] = orm.mapped_column(sa.Text)
    detail: orm.Mapped[dict[str, Any]]
    #: which write it belongs to, to know one's own after a lost connection
    ticket: orm.Mapped[str] = orm.mapped_column(UUID)


class HAGroupQuota(models.Base):
    """What a project may have, where it is not the default."""

    __tablename__ = "ha_group_quota"
    __table_args__ = (TABLE_OPTIONS,)

    project_id: orm.Mapped[str] = orm.mapped_column(NAME, primary_key=True)
    #: none means: the default; -1: no limit
    groups: orm.Mapped[int | None] = orm.mapped_column(sa.Integer)
    members: orm.Mapped[int | None] = orm.mapped_column(sa.Integer)
    set_by: orm.Mapped[str] = orm.mapped_column(NAME)
    set_at: orm.Mapped[datetime.datetime]


class HAGroupReport(models.Base):
    """The newest inspection of a group."""

    __tablename__ = "ha_group_reports"
    __table_args__ = (sa.Index(None, "state"), TABLE_OPTIONS)

    group_id: orm.Mapped[str] = orm.mapped_column(UUID, primary_key=True)
    state: orm.Mapped[str] = orm.mapped_column(WORD)
    revision: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    #: since when the group is in this state
    since: orm.Mapped[datetime.datetime]
    inspected_at: orm.Mapped[datetime.datetime]
    report: orm.Mapped[dict[str, Any]]


class ServerPlace(models.Base):
    """Where a member was when the engine saw it last."""

    __tablename__ = "server_places"
    __table_args__ = (TABLE_OPTIONS,)

    server: orm.Mapped[str] = orm.mapped_column(UUID, primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(NAME)
    project_id: orm.Mapped[str] = orm.mapped_column(NAME)
    #: two while it is moved
    hosts: orm.Mapped[list[str]]
    vm_state: orm.Mapped[str] = orm.mapped_column(WORD)
    seen_at: orm.Mapped[datetime.datetime]


class SchedulerAck(models.Base):
    """Up to which revision a scheduler knows the groups."""

    __tablename__ = "scheduler_acks"
    __table_args__ = (TABLE_OPTIONS,)

    scheduler: orm.Mapped[str] = orm.mapped_column(NAME, primary_key=True)
    revision: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    seen_at: orm.Mapped[datetime.datetime]


class FailOpen(models.Base):
    """A placement that a scheduler let pass without knowing the rules."""

    __tablename__ = "fail_opens"
    __table_args__ = (sa.Index(None, "checked_at", "at"), TABLE_OPTIONS)

    id: orm.Mapped[str] = orm.mapped_column(UUID, primary_key=True)
    scheduler: orm.Mapped[str] = orm.mapped_column(NAME)
    server: orm.Mapped[str] = orm.mapped_column(UUID)
    #: none when not even the group was known
    group_id: orm.Mapped[str | None] = orm.mapped_column(UUID)
    operation: orm.Mapped[str] = orm.mapped_column(WORD)
    reason: orm.Mapped[str] = orm.mapped_column(sa.Text)
    at: orm.Mapped[datetime.datetime]
    checked_at: orm.Mapped[datetime.datetime | None]


class HAPlan(models.Base):
    """A repair plan; ``live_scope`` lets a group have one of its own live."""

    __tablename__ = "ha_plans"
    __table_args__ = (
        sa.UniqueConstraint("live_scope"),
        sa.Index(None, "created_at", "id"),
        TABLE_OPTIONS,
    )

    id: orm.Mapped[str] = orm.mapped_column(UUID, primary_key=True)
    scope: orm.Mapped[str] = orm.mapped_column(NAME)
    live_scope: orm.Mapped[str | None] = orm.mapped_column(NAME)
    state: orm.Mapped[str] = orm.mapped_column(WORD)
    version: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    epoch: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    #: number of the last event; grows with each transaction
    serial: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    revision: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    created_at: orm.Mapped[datetime.datetime]
    updated_at: orm.Mapped[datetime.datetime]
    expires_at: orm.Mapped[datetime.datetime]
    closed_at: orm.Mapped[datetime.datetime | None]
    created_by: orm.Mapped[str] = orm.mapped_column(NAME)
    project_id: orm.Mapped[str | None] = orm.mapped_column(NAME)
    groups: orm.Mapped[list[str]]
    window: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    replan_of: orm.Mapped[str | None] = orm.mapped_column(UUID)
    replans: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    waiting: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    summary: orm.Mapped[dict[str, Any]]
    request_id: orm.Mapped[str | None] = orm.mapped_column(NAME)


class HAPlanStep(models.Base):
    """One move of a plan and where it stands."""

    __tablename__ = "ha_plan_steps"
    __table_args__ = (
        sa.Index(None, "intent_at"),
        sa.Index(None, "requested_at", "server"),
        TABLE_OPTIONS,
    )

    plan_id: orm.Mapped[str] = orm.mapped_column(
        UUID, sa.ForeignKey("ha_plans.id"), primary_key=True
    )
    number: orm.Mapped[int] = orm.mapped_column(
        sa.Integer, primary_key=True, autoincrement=False
    )
    server: orm.Mapped[str] = orm.mapped_column(UUID)
    name: orm.Mapped[str] = orm.mapped_column(NAME)
    project_id: orm.Mapped[str] = orm.mapped_column(NAME)
    source: orm.Mapped[str] = orm.mapped_column(NAME)
    destination: orm.Mapped[str | None] = orm.mapped_column(NAME)
    state: orm.Mapped[str] = orm.mapped_column(WORD)
    version: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    after: orm.Mapped[list[int]]
    why: orm.Mapped[list[str]]
    predicted_s: orm.Mapped[float] = orm.mapped_column(sa.Double)
    tries: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    spares: orm.Mapped[list[str]]
    intent_at: orm.Mapped[datetime.datetime | None]
    requested_at: orm.Mapped[datetime.datetime | None]
    request_id: orm.Mapped[str | None] = orm.mapped_column(NAME)
    migration_id: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    past_migrations: orm.Mapped[list[int]]
    landed_at: orm.Mapped[datetime.datetime | None]
    verified_at: orm.Mapped[datetime.datetime | None]
    down_since: orm.Mapped[datetime.datetime | None]
    not_before: orm.Mapped[datetime.datetime | None]
    reason_code: orm.Mapped[str | None] = orm.mapped_column(NAME)
    reason: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    snapshot: orm.Mapped[dict[str, Any]]


class HAPlanEvent(models.Base):
    """One line of a plan's story, numbered without a disorder."""

    __tablename__ = "ha_plan_events"
    __table_args__ = (TABLE_OPTIONS,)

    plan_id: orm.Mapped[str] = orm.mapped_column(
        UUID, sa.ForeignKey("ha_plans.id"), primary_key=True
    )
    id: orm.Mapped[int] = orm.mapped_column(
        sa.BigInteger, primary_key=True, autoincrement=False
    )
    at: orm.Mapped[datetime.datetime]
    kind: orm.Mapped[str] = orm.mapped_column(WORD)
    server: orm.Mapped[str | None] = orm.mapped_column(UUID)
    text: orm.Mapped[str] = orm.mapped_column(sa.Text)
    detail: orm.Mapped[dict[str, Any]]
    ticket: orm.Mapped[str] = orm.mapped_column(UUID)


class HAPlanOrder(models.Base):
    """What an operator told a plan."""

    __tablename__ = "ha_plan_orders"
    __table_args__ = (TABLE_OPTIONS,)

    plan_id: orm.Mapped[str] = orm.mapped_column(
        UUID, sa.ForeignKey("ha_plans.id"), primary_key=True
    )
    #: number of the event that tells of it
    id: orm.Mapped[int] = orm.mapped_column(
        sa.BigInteger, primary_key=True, autoincrement=False
    )
    command: orm.Mapped[str] = orm.mapped_column(WORD)
    set_by: orm.Mapped[str] = orm.mapped_column(NAME)
    reason: orm.Mapped[str] = orm.mapped_column(sa.Text)
    at: orm.Mapped[datetime.datetime]
