# SPDX-License-Identifier: Apache-2.0
"""Make the tables of HA server groups and of their repair plans."""

from alembic import op
import sqlalchemy as sa

from aacloud.db import columns

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of groups, quotas, schedulers and plans."""
    op.create_table(
        "fail_opens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("scheduler", sa.String(length=255), nullable=False),
        sa.Column("server", sa.String(length=36), nullable=False),
        sa.Column("group_id", sa.String(length=36), nullable=True),
        sa.Column("operation", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", columns.UtcDateTime(), nullable=False),
        sa.Column("checked_at", columns.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fail_opens")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_fail_opens_checked_at_at"),
        "fail_opens",
        ["checked_at", "at"],
        unique=False,
    )
    op.create_table(
        "group_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("pruned", sa.BigInteger(), nullable=False),
        sa.Column("writes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_head")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "ha_group_changes",
        sa.Column(
            "revision", sa.BigInteger(), autoincrement=False, nullable=False
        ),
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.Column("at", columns.UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("changed_by", sa.String(length=255), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("detail", columns.Json(), nullable=False),
        sa.Column("ticket", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint(
            "revision", "group_id", name=op.f("pk_ha_group_changes")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_ha_group_changes_group_id_revision"),
        "ha_group_changes",
        ["group_id", "revision"],
        unique=False,
    )
    op.create_table(
        "ha_group_quota",
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("groups", sa.Integer(), nullable=True),
        sa.Column("members", sa.Integer(), nullable=True),
        sa.Column("set_by", sa.String(length=255), nullable=False),
        sa.Column("set_at", columns.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_ha_group_quota")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "ha_group_reports",
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("since", columns.UtcDateTime(), nullable=False),
        sa.Column("inspected_at", columns.UtcDateTime(), nullable=False),
        sa.Column("report", columns.Json(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_ha_group_reports")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_ha_group_reports_state"),
        "ha_group_reports",
        ["state"],
        unique=False,
    )
    op.create_table(
        "ha_groups",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("live_name", sa.String(length=255), nullable=True),
        sa.Column("mode", sa.String(length=32), nullable=False),
        sa.Column("rules", columns.Json(), nullable=False),
        sa.Column("window", sa.Text(), nullable=True),
        sa.Column("imported_from", sa.String(length=36), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", columns.UtcDateTime(), nullable=False),
        sa.Column("updated_at", columns.UtcDateTime(), nullable=False),
        sa.Column("deleted_at", columns.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ha_groups")),
        sa.UniqueConstraint(
            "project_id",
            "live_name",
            name=op.f("uq_ha_groups_project_id_live_name"),
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_ha_groups_revision"), "ha_groups", ["revision"], unique=False
    )
    op.create_table(
        "ha_plans",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.String(length=255), nullable=False),
        sa.Column("live_scope", sa.String(length=255), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", columns.UtcDateTime(), nullable=False),
        sa.Column("updated_at", columns.UtcDateTime(), nullable=False),
        sa.Column("expires_at", columns.UtcDateTime(), nullable=False),
        sa.Column("closed_at", columns.UtcDateTime(), nullable=True),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=True),
        sa.Column("groups", columns.Json(), nullable=False),
        sa.Column("window", sa.Text(), nullable=True),
        sa.Column("replan_of", sa.String(length=36), nullable=True),
        sa.Column("replans", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Text(), nullable=True),
        sa.Column("summary", columns.Json(), nullable=False),
        sa.Column("request_id", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ha_plans")),
        sa.UniqueConstraint("live_scope", name=op.f("uq_ha_plans_live_scope")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_ha_plans_created_at_id"),
        "ha_plans",
        ["created_at", "id"],
        unique=False,
    )
    op.create_table(
        "scheduler_acks",
        sa.Column("scheduler", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", columns.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("scheduler", name=op.f("pk_scheduler_acks")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "server_places",
        sa.Column("server", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("hosts", columns.Json(), nullable=False),
        sa.Column("vm_state", sa.String(length=32), nullable=False),
        sa.Column("seen_at", columns.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("server", name=op.f("pk_server_places")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "ha_group_members",
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.Column("server", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=32), nullable=False),
        sa.Column("joined_at", columns.UtcDateTime(), nullable=False),
        sa.Column("left_at", columns.UtcDateTime(), nullable=True),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["ha_groups.id"],
            name=op.f("fk_ha_group_members_group_id"),
        ),
        sa.PrimaryKeyConstraint(
            "group_id", "server", name=op.f("pk_ha_group_members")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_ha_group_members_revision"),
        "ha_group_members",
        ["revision"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ha_group_members_server"),
        "ha_group_members",
        ["server"],
        unique=False,
    )
    op.create_table(
        "ha_plan_events",
        sa.Column("plan_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", columns.UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("server", sa.String(length=36), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("detail", columns.Json(), nullable=False),
        sa.Column("ticket", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"],
            ["ha_plans.id"],
            name=op.f("fk_ha_plan_events_plan_id"),
        ),
        sa.PrimaryKeyConstraint(
            "plan_id", "id", name=op.f("pk_ha_plan_events")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "ha_plan_orders",
        sa.Column("plan_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("command", sa.String(length=32), nullable=False),
        sa.Column("set_by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", columns.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"],
            ["ha_plans.id"],
            name=op.f("fk_ha_plan_orders_plan_id"),
        ),
        sa.PrimaryKeyConstraint(
            "plan_id", "id", name=op.f("pk_ha_plan_orders")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "ha_plan_steps",
        sa.Column("plan_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("server", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("destination", sa.String(length=255), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("after", columns.Json(), nullable=False),
        sa.Column("why", columns.Json(), nullable=False),
        sa.Column("predicted_s", sa.Double(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("spares", columns.Json(), nullable=False),
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
            ["plan_id"], ["ha_plans.id"], name=op.f("fk_ha_plan_steps_plan_id")
        ),
        sa.PrimaryKeyConstraint(
            "plan_id", "number", name=op.f("pk_ha_plan_steps")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_ha_plan_steps_intent_at"),
        "ha_plan_steps",
        ["intent_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_ha_plan_steps_requested_at_server"),
        "ha_plan_steps",
        ["requested_at", "server"],
        unique=False,
    )
    op.bulk_insert(
        sa.table(
            "group_head",
            sa.column("id"),
            sa.column("revision"),
            sa.column("pruned"),
            sa.column("writes"),
        ),
        [{"id": 1, "revision": 0, "pruned": 0, "writes": 0}],
    )
