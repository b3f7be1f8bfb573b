# SPDX-License-Identifier: Apache-2.0
"""What the agent counts, for prometheus."""

import prometheus_client

PROBES_SENT = prometheus_client.Counter(
    "aacloud_probes_sent",
    "Probes sent to peers.",
    ["network"],
)
PROBES_MISSED = prometheus_client.Counter(
    "aacloud_probes_missed",
    "Probes that were not answered in time.",
)
PROBES_REFUSED = prometheus_client.Counter(
    "aacloud_probes_refused",
    "Probes that the kernel of the peer refused: no agent runs there.",
    ["network"],
)
PROBES_ANSWERED = prometheus_client.Counter(
    "aacloud_probes_answered",
    "Probes that were answered, in time or late.",
    ["network"],
)
PROBE_SECONDS = prometheus_client.Histogram(
    "aacloud_probe_seconds",
    "Round trips of probes that were answered in time.",
    ["network"],
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1.0),
)
ANSWERS_SENT = prometheus_client.Counter(
    "aacloud_probe_answers_sent",
    "Probes of peers that were answered.",
    ["network"],
)
DROPS = prometheus_client.Counter(
    "aacloud_probe_drops",
    "Datagrams that were dropped, by reason.",
    ["network", "reason"],
)
PATHS = prometheus_client.Gauge(
    "aacloud_probe_paths",
    "Paths (a peer on a network) that are probed.",
)
REPORTS = prometheus_client.Counter(
    "aacloud_agent_reports",
    "Reports to the engines, by outcome.",
    ["outcome"],
)
