# SPDX-License-Identifier: Apache-2.0
"""What messaging counts, for prometheus."""

import prometheus_client

REPORTS_RECEIVED = prometheus_client.Counter(
    "aacloud_reports_received",
    "Reports of agents that were accepted.",
)
REPORTS_REFUSED = prometheus_client.Counter(
    "aacloud_reports_refused",
    "Reports that were not accepted, by reason.",
    ["reason"],
)
OBSERVATIONS_SKIPPED = prometheus_client.Counter(
    "aacloud_observations_skipped",
    "Observations of a kind that this engine does not know.",
)
REPORT_DELAY = prometheus_client.Histogram(
    "aacloud_report_delay_seconds",
    "How long reports were under way.",
    buckets=(0.01, 0.05, 0.25, 1.0, 2.5, 6.0),
)
PEERS_ANSWERED = prometheus_client.Counter(
    "aacloud_peers_requests",
    "Questions of agents for their peers, by outcome.",
    ["outcome"],
)
NOTIFICATIONS = prometheus_client.Counter(
    "aacloud_notifications",
    "Notifications out, by outcome.",
    ["outcome"],
)
GROUP_ANSWERS = prometheus_client.Histogram(
    "aacloud_groups_answer_seconds",
    "Time to answer a question about server groups.",
    ["method"],
)
NOVA_NOTIFICATIONS = prometheus_client.Counter(
    "aacloud_nova_notifications",
    "Nova's notifications about servers, by outcome.",
    ["outcome"],
)
