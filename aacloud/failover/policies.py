# SPDX-License-Identifier: Apache-2.0
"""The policies of ``aacloud.core``, made from the configuration.

They are made anew for each decision, so that options changed by a reload
count from the next tick on.
"""

from __future__ import annotations

from oslo_config import cfg

from aacloud.core import adoption
from aacloud.core import brakes
from aacloud.core import concurrency
from aacloud.core import recovery
from aacloud.core import returning
from aacloud.core import verdicts


def detection(conf: cfg.ConfigOpts) -> verdicts.DetectionPolicy:
    """When a host counts as dead."""
    options = conf.aacloud_failover
    return verdicts.DetectionPolicy(
        report_ttl_s=options.report_ttl,
        heartbeat_timeout_s=options.heartbeat_timeout,
        down_vantage_groups=options.down_vantage_groups,
        patient_share=options.patient_share,
        confirm_s=options.confirm,
        warmup_s=options.warmup,
        quorum_share=options.quorum_share,
        nova_fresh_s=options.nova_fresh,
    )


def brake(conf: cfg.ConfigOpts) -> brakes.BrakePolicy:
    """How much may be recovered at a time."""
    options = conf.aacloud_failover
    return brakes.BrakePolicy(
        hosts_per_rack=options.hosts_per_rack,
        hosts_per_dc=options.hosts_per_dc,
        hosts_per_cloud=options.hosts_per_cloud,
        suspect_share_per_dc=options.suspect_share_per_dc,
    )


def adoption_policy(conf: cfg.ConfigOpts) -> adoption.AdoptionPolicy:
    """When a request whose outcome is unknown may be sent again."""
    return adoption.AdoptionPolicy(
        request_grace_s=conf.aacloud_failover.request_grace)


def recovery_policy(conf: cfg.ConfigOpts) -> recovery.RecoveryPolicy:
    """How an evacuation is planned."""
    return recovery.RecoveryPolicy(
        repeats_per_server_24h=conf.aacloud_failover.repeats_per_server)


def return_policy(conf: cfg.ConfigOpts) -> returning.ReturnPolicy:
    """When a host counts as well again."""
    options = conf.aacloud_failover
    return returning.ReturnPolicy(
        agent_fresh_s=options.report_ttl, clean_s=options.return_clean)


def concurrency_of(conf: cfg.ConfigOpts) -> concurrency.Concurrency:
    """With how many moves at a time a leader begins, and its limits."""
    options = conf.aacloud_failover
    return concurrency.Concurrency(
        limit=min(8, options.concurrency_max),
        ceiling=options.concurrency_max,
        per_destination=options.concurrency_per_destination)
