# SPDX-License-Identifier: Apache-2.0
"""What Prometheus reads of the engine of server groups."""

import prometheus_client

LEADS = prometheus_client.Gauge(
    "aacloud_groups_leads", "1 while this engine leads")
TAKEOVERS = prometheus_client.Counter(
    "aacloud_groups_takeovers", "Times this engine took the lead")
EPOCH = prometheus_client.Gauge(
    "aacloud_groups_epoch", "The epoch this engine last led with")
REVISION = prometheus_client.Gauge(
    "aacloud_groups_revision", "The revision of the groups known here")
FACTS = prometheus_client.Counter(
    "aacloud_groups_facts", "What was told of servers and projects", ["fact"])
HINTS = prometheus_client.Counter(
    "aacloud_groups_hints", "Births with a hint, by what came of it",
    ["result"])
RECONCILIATIONS = prometheus_client.Counter(
    "aacloud_groups_reconciliations", "Readings of the whole cloud",
    ["result"])
RECONCILE_SECONDS = prometheus_client.Histogram(
    "aacloud_groups_reconcile_seconds", "Time of one reading of the cloud",
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300))
HEALED = prometheus_client.Counter(
    "aacloud_groups_healed", "What reconciliation found to be different",
    ["what"])
PROJECT_CHECKS = prometheus_client.Counter(
    "aacloud_groups_project_checks",
    "Rounds in which Keystone was asked for the projects of groups",
    ["result"])
GROUPS = prometheus_client.Gauge(
    "aacloud_groups", "Groups by how they stand", ["state"])
EXCESS = prometheus_client.Gauge(
    "aacloud_groups_excess",
    "Members too many, over the required rules of all groups")
INSPECT_SECONDS = prometheus_client.Histogram(
    "aacloud_groups_inspect_seconds", "Time to inspect groups, without Nova")
INSPECTED_AT = prometheus_client.Gauge(
    "aacloud_groups_inspected_timestamp_seconds",
    "When all groups were inspected last")
FAIL_OPENS = prometheus_client.Counter(
    "aacloud_groups_fail_opens",
    "Placements that schedulers let pass without knowing the rules")
PLANS = prometheus_client.Counter(
    "aacloud_groups_plans", "Repair plans, by how they ended", ["state"])
PLAN_SECONDS = prometheus_client.Histogram(
    "aacloud_groups_plan_seconds", "Time to make a repair plan",
    buckets=(0.1, 0.5, 1, 2, 5, 10, 20, 30, 60))
STEPS = prometheus_client.Counter(
    "aacloud_groups_steps", "Moves of repair plans, by how they ended",
    ["state"])
STEP_FAILURES = prometheus_client.Counter(
    "aacloud_groups_turn_failures", "Turns of the engine that raised")
