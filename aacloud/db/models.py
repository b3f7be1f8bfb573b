# SPDX-License-Identifier: Apache-2.0
"""The tables.

Two rules keep a deposed engine out, on one server and on a Galera cluster
alike, where only rows that both transactions *write* collide:

* each write that belongs to an incident also writes the incident's own row
  (``serial`` grows), and a takeover writes the rows of all open incidents;
* each write that belongs to no incident yet writes the leadership's row
  (``writes`` grows), and so does a takeover.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from aacloud.db import columns

NAME = sa.String(255)
UUID = sa.String(36)
WORD = sa.String(32)


class Base(orm.DeclarativeBase):
    """The registry of the tables; names are compared byte by byte."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime.datetime: columns.UtcDateTime(),
        dict[str, Any]: columns.Json(),
        list[str]: columns.Json(),
        list[int]: columns.Json(),
    }


TABLE_OPTIONS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


class Host(Base):
    """A compute host as the leading engine saw it last."""

    __tablename__ = "hosts"
    __table_args__ = (TABLE_OPTIONS,)

    name: orm.Mapped[str] = orm.mapped_column(NAME, primary_key=True)
    dc: orm.Mapped[str] = orm.mapped_column(NAME)
    rack: orm.Mapped[str] = orm.mapped_column(NAME)
    instance_disks: orm.Mapped[str] = orm.mapped_column(WORD)
    addresses: orm.Mapped[dict[str, Any]]
    boot_id: orm.Mapped[str | None] = orm.mapped_column(NAME)
    agent_seen_at: orm.Mapped[datetime.datetime | None]
    state: orm.Mapped[str] = orm.mapped_column(WORD)
    networks: orm.Mapped[dict[str, Any]]
    reasons: orm.Mapped[list[str]]
    nova: orm.Mapped[dict[str, Any]]
    updated_at: orm.Mapped[datetime.datetime]


class Leadership(Base):
    """Who leads, and the epoch that each of its writes must carry."""

    __tablename__ = "leaderships"
    __table_args__ = (TABLE_OPTIONS,)

    name: orm.Mapped[str] = orm.mapped_column(NAME, primary_key=True)
    epoch: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    holder: orm.Mapped[str] = orm.mapped_column(NAME)
    taken_at: orm.Mapped[datetime.datetime]
    #: which attempt took it, to know one's own after a lost connection
    ticket: orm.Mapped[str] = orm.mapped_column(UUID)
    writes: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)


class DomainMode(Base):
    """What the operator set for one domain; no row means: inherit."""

    __tablename__ = "domain_modes"
    __table_args__ = (TABLE_OPTIONS,)

    level: orm.Mapped[str] = orm.mapped_column(WORD, primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(NAME, primary_key=True)
    mode: orm.Mapped[str] = orm.mapped_column(WORD)
    reason: orm.Mapped[str] = orm.mapped_column(sa.Text)
    set_by: orm.Mapped[str] = orm.mapped_column(NAME)
    set_at: orm.Mapped[datetime.datetime]


class Incident(Base):
    """One incident; ``open_host`` lets a host have one open at a time."""

    __tablename__ = "incidents"
    __table_args__ = (
        sa.UniqueConstraint("open_host"),
        sa.Index(None, "opened_at", "id"),
        sa.Index(None, "host", "opened_at"),
        TABLE_OPTIONS,
    )

    id: orm.Mapped[str] = orm.mapped_column(UUID, primary_key=True)
    host: orm.Mapped[str] = orm.mapped_column(NAME)
    open_host: orm.Mapped[str | None] = orm.mapped_column(NAME)
    kind: orm.Mapped[str] = orm.mapped_column(WORD)
    state: orm.Mapped[str] = orm.mapped_column(WORD)
    mode: orm.Mapped[str] = orm.mapped_column(WORD)
    version: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    epoch: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    #: number of the last event; grows with each transaction
    serial: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    opened_at: orm.Mapped[datetime.datetime]
    updated_at: orm.Mapped[datetime.datetime]
    detected_at: orm.Mapped[datetime.datetime | None]
    closed_at: orm.Mapped[datetime.datetime | None]
    verdict: orm.Mapped[dict[str, Any]]
    proof: orm.Mapped[dict[str, Any] | None]
    waiting: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    summary: orm.Mapped[dict[str, Any]]
    request_id: orm.Mapped[str | None] = orm.mapped_column(NAME)


class IncidentServer(Base):
    """One server of an incident and where its move stands."""

    __tablename__ = "incident_servers"
    __table_args__ = (
        sa.Index(None, "requested_at", "server"),
        TABLE_OPTIONS,
    )

    incident_id: orm.Mapped[str] = orm.mapped_column(
        UUID, sa.ForeignKey("incidents.id"), primary_key=True
    )
    server: orm.Mapped[str] = orm.mapped_column(UUID, primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(NAME)
    project_id: orm.Mapped[str] = orm.mapped_column(NAME)
    state: orm.Mapped[str] = orm.mapped_column(WORD)
    version: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    wave: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    source: orm.Mapped[str] = orm.mapped_column(NAME)
    destination: orm.Mapped[str | None] = orm.mapped_column(NAME)
    spares: orm.Mapped[list[str]]
    tries: orm.Mapped[int] = orm.mapped_column(sa.Integer)
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


class IncidentEvent(Base):
    """One line of an incident's story, numbered without a disorder."""

    __tablename__ = "incident_events"
    __table_args__ = (TABLE_OPTIONS,)

    incident_id: orm.Mapped[str] = orm.mapped_column(
        UUID, sa.ForeignKey("incidents.id"), primary_key=True
    )
    id: orm.Mapped[int] = orm.mapped_column(
        sa.BigInteger, primary_key=True, autoincrement=False
    )
    at: orm.Mapped[datetime.datetime]
    kind: orm.Mapped[str] = orm.mapped_column(WORD)
    server: orm.Mapped[str | None] = orm.mapped_column(UUID)
    text: orm.Mapped[str] = orm.mapped_column(sa.Text)
    detail: orm.Mapped[dict[str, Any]]
    #: which write it belongs to, to know one's own after a lost connection
    ticket: orm.Mapped[str] = orm.mapped_column(UUID)


class IncidentCommand(Base):
    """What an operator asked of an incident."""

    __tablename__ = "incident_commands"
    __table_args__ = (TABLE_OPTIONS,)

    incident_id: orm.Mapped[str] = orm.mapped_column(
        UUID, sa.ForeignKey("incidents.id"), primary_key=True
    )
    #: number of the event that tells of it
    id: orm.Mapped[int] = orm.mapped_column(
        sa.BigInteger, primary_key=True, autoincrement=False
    )
    command: orm.Mapped[str] = orm.mapped_column(WORD)
    set_by: orm.Mapped[str] = orm.mapped_column(NAME)
    reason: orm.Mapped[str] = orm.mapped_column(sa.Text)
    at: orm.Mapped[datetime.datetime]
