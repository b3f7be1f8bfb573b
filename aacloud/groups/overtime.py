# SPDX-License-Identifier: Apache-2.0
"""Live migrations that take far longer than they may."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import datetime
import logging

from aacloud.clouds import errors as cloud_errors
from aacloud.clouds import ports
from aacloud.core import groups as core_groups
from aacloud.core import incidents
from aacloud.db import plans as plan_stores
from aacloud.groups import under_way

LOG = logging.getLogger(__name__)


def abort(
    plan: core_groups.Plan,
    work: under_way.Work,
    records: Sequence[incidents.ServerRecord],
    plans: plan_stores.Plans,
    cloud: ports.Cloud,
    *,
    may_act: Callable[[], bool],
    now: datetime.datetime,
    limit: datetime.timedelta,
) -> None:
    """Ask Nova to abort what takes longer than the limit, each once.

    :raises db_errors.DatabaseError: that could not be told first
    """
    for record in records:
        migration = record.migration_id
        if (
            record.state is not incidents.ServerState.MIGRATING
            or migration is None or migration in work.aborted
            or record.requested_at is None
            or now - record.requested_at < limit
            or not may_act()
        ):
            continue
        work.aborted.add(migration)
        plans.note(
            plan, f"{record.name}: live migration {migration} takes more "
            f"than {limit.total_seconds():.0f} s ([aacloud_groups] "
            "move_timeout): Nova is asked to abort it",
            server=record.server)
        try:
            cloud.abort_live_migration(record.server, migration)
        except (
            cloud_errors.CloudNotFound, cloud_errors.CloudRefused
        ) as error:
            LOG.info(
                "Plan %s: live migration %d ended before it was aborted: "
                "%s", plan.id, migration, error)
        except cloud_errors.CloudError as error:
            LOG.warning(
                "Plan %s: it is not known whether live migration %d is "
                "aborted: %s", plan.id, migration, error)
