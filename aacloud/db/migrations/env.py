# SPDX-License-Identifier: Apache-2.0
"""What alembic runs to migrate: over the connection it was handed."""

from alembic import context

from aacloud.db import group_models


def run() -> None:
    """Run the steps; the caller opened the connection and commits."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=group_models.METADATA,
        compare_type=True,
        user_module_prefix="columns.",
    )
    with context.begin_transaction():
        context.run_migrations()


run()
