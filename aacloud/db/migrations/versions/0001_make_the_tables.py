# SPDX-License-Identifier: Apache-2.0
"""Make the tables of hosts, modes, incidents and the leadership."""

from alembic import op
import sqlalchemy as sa

from aacloud.db import columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table of the first release."""
    op.create_table(
        "domain_modes",
        sa.Column("level", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("mode", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.String(length=255), nullable=False),
        sa.Column("set_at", columns.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("level", "name", name=op.f("pk_domain_modes")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "hosts",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("dc", sa.String(length=255), nullable=False),
        sa.Column("rack", sa.String(length=255), nullable=False),
        sa.Column("instance_disks", sa.String(length=32), nullable=False),
        sa.Column("addresses", columns.Json(), nullable=False),
        sa.Column("boot_id", sa.String(length=255), nullable=True),
        sa.Column("agent_seen_at", columns.UtcDateTime(), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("networks", columns.Json(), nullable=False),
        sa.Column("reasons", columns.Json(), nullable=False),
        sa.Column("nova", columns.Json(), nullable=False),
        sa.Column("updated_at", columns.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_hosts")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("open_host", sa.String(length=255), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("mode", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", columns.UtcDateTime(), nullable=False),
        sa.Column("updated_at", columns.UtcDateTime(), nullable=False),
        sa.Column("detected_at", columns.UtcDateTime(), nullable=True),
        sa.Column("closed_at", columns.UtcDateTime(), nullable=True),
        sa.Column("verdict", columns.Json(), nullable=False),
        sa.Column("proof", columns.Json(), nullable=True),
        sa.Column("waiting", sa.Text(), nullable=True),
        sa.Column("summary", columns.Json(), nullable=False),
        sa.Column("request_id", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
        sa.UniqueConstraint("open_host", name=op.f("uq_incidents_open_host")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_incidents_host_opened_at"),
        "incidents",
        ["host", "opened_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_incidents_opened_at_id"),
        "incidents",
        ["opened_at", "id"],
        unique=False,
    )
    op.create_table(
        "leaderships",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("taken_at", columns.UtcDateTime(), nullable=False),
        sa.Column("ticket", sa.String(length=36), nullable=False),
        sa.Column("writes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leaderships")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "incident_commands",
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("command", sa.String(length=32), nullable=False),
        sa.Column("set_by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", columns.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["incidents.id"],
            name=op.f("fk_incident_commands_incident_id"),
        ),
        sa.PrimaryKeyConstraint(
            "incident_id", "id", name=op.f("pk_incident_commands")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "incident_events",
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", columns.UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("server", sa.String(length=36), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("detail", columns.Json(), nullable=False),
        sa.Column("ticket", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["incidents.id"],
            name=op.f("fk_incident_events_incident_id"),
        ),
        sa.PrimaryKeyConstraint(
            "incident_id", "id", name=op.f("pk_incident_events")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "incident_servers",
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("server", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("destination", sa.String(length=255), nullable=True),
        sa.Column("spares", columns.Json(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("intent_at", columns.UtcDateTime(), nullable=True),
        sa.Column("requested_at", columns.UtcDateTime(), nullable=True),
        sa.Column("request_id", sa.String(length=255), nullable=True),
        sa.Column("migration_id", sa.BigInteger(), nullable=True),
        sa.Column("past_migrations", columns.Json(), nullable=False),
        sa.Column("landed_at", columns.UtcDateTime(), nullable=True),
        sa.Column("verified_at", columns.UtcDateTime(), nullable=True),
        sa.Column("down_since", columns.UtcDateTime(), nullable=True),
        sa.Column("not_before", columns.UtcDateTime(), nullable=True),
        sa.Column("reason_code", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("snapshot", columns.Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["incidents.id"],
            name=op.f("fk_incident_servers_incident_id"),
        ),
        sa.PrimaryKeyConstraint(
            "incident_id", "server", name=op.f("pk_incident_servers")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_incident_servers_requested_at_server"),
        "incident_servers",
        ["requested_at", "server"],
        unique=False,
    )
