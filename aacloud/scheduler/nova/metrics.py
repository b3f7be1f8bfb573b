# SPDX-License-Identifier: Apache-2.0
"""What Prometheus reads of the filter, in the process of nova-scheduler."""

import prometheus_client

REQUESTS = prometheus_client.Counter(
    "aacloud_scheduler_requests",
    "Servers of HA groups that were judged: all (hosts passed), some, none; "
    "would: a group that only reports would have refused hosts.",
    ["passed"],
)
FAIL_OPEN = prometheus_client.Counter(
    "aacloud_scheduler_fail_open",
    "Servers that passed although something was not known, by reason.",
    ["reason"],
)
FAIL_CLOSED = prometheus_client.Counter(
    "aacloud_scheduler_fail_closed",
    "Servers that were refused because something was not known, by reason.",
    ["reason"],
)
ERRORS = prometheus_client.Counter(
    "aacloud_scheduler_errors",
    "Failures inside the filter or weigher; the server passed.",
    ["where"],
)
UNRECORDED = prometheus_client.Counter(
    "aacloud_scheduler_unrecorded",
    "Servers that passed and whose record was dropped: too many waited.",
)
SECONDS = prometheus_client.Histogram(
    "aacloud_scheduler_filter_seconds",
    "Time of the filter for a server of an HA group, with its query.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
SYNCS = prometheus_client.Counter(
    "aacloud_scheduler_syncs",
    "Questions for the groups, by outcome.",
    ["outcome"],
)
SNAPSHOT_FILE = prometheus_client.Counter(
    "aacloud_scheduler_snapshot_file",
    "Uses of the snapshot on disk, by outcome.",
    ["outcome"],
)
REVISION = prometheus_client.Gauge(
    "aacloud_scheduler_revision",
    "The revision of the groups that this process works with.",
)
SYNCED = prometheus_client.Gauge(
    "aacloud_scheduler_synced_timestamp_seconds",
    "When the engine last confirmed that revision, UTC.",
)
SKIPPED = prometheus_client.Gauge(
    "aacloud_scheduler_groups_skipped",
    "Groups that are not understood here, and so are not kept.",
)
