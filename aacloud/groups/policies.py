# SPDX-License-Identifier: Apache-2.0
"""The limits of ``aacloud.core``, made from the configuration.

They are made anew for each decision, so that options changed by a reload
count from the next look on.
"""

from __future__ import annotations

from oslo_config import cfg

from aacloud.core import adoption_live
from aacloud.core import planwork
from aacloud.core import repair
from aacloud.db import quotas


def quota(conf: cfg.ConfigOpts) -> quotas.Quota:
    """What a project may have for which nothing is set."""
    options = conf.aacloud_groups
    return quotas.Quota(options.quota_groups, options.quota_members)


def plan_limits(conf: cfg.ConfigOpts) -> planwork.PlanLimits:
    """How much of plans may be done."""
    options = conf.aacloud_groups
    return planwork.PlanLimits(
        max_moves=options.max_moves_per_window,
        parallel_total=options.parallel_total,
        parallel_per_host=options.parallel_per_host,
        parallel_per_rack=options.parallel_per_rack,
        parallel_inter_dc=options.parallel_inter_dc,
        cool_down_s=options.cool_down,
        abort_failures=options.abort_failures,
        max_replans=options.max_replans,
    )


def repair_limits(
    conf: cfg.ConfigOpts, time_limit_s: float | None = None
) -> repair.RepairLimits:
    """How plans are made.

    :param time_limit_s: seconds that whoever asked goes on waiting
    """
    options = conf.aacloud_groups
    limit = options.solver_time_limit
    return repair.RepairLimits(
        time_limit_s=limit if time_limit_s is None
        else max(0.1, min(limit, time_limit_s)),
        workers=options.solver_workers,
        max_moves=options.max_moves_per_window or None,
        parallel_total=options.parallel_total,
        parallel_per_host=options.parallel_per_host,
        parallel_per_rack=options.parallel_per_rack,
        parallel_inter_dc=options.parallel_inter_dc,
    )


def live_policy(conf: cfg.ConfigOpts) -> adoption_live.LivePolicy:
    """How long is waited for what of a live migration."""
    options = conf.aacloud_groups
    return adoption_live.LivePolicy(
        request_grace_s=options.request_grace,
        stuck_after_s=max(options.move_timeout, 600.0))
