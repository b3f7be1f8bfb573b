# SPDX-License-Identifier: Apache-2.0
"""What Prometheus reads of the engine."""

import prometheus_client

LEADS = prometheus_client.Gauge(
    "aacloud_failover_leads", "1 while this engine leads")
TAKEOVERS = prometheus_client.Counter(
    "aacloud_failover_takeovers", "Times this engine took the lead")
EPOCH = prometheus_client.Gauge(
    "aacloud_failover_epoch", "The epoch this engine last led with")
HOSTS = prometheus_client.Gauge(
    "aacloud_hosts", "Hosts by verdict", ["state"])
CUT_OFF = prometheus_client.Gauge(
    "aacloud_failover_cut_off",
    "1 while this engine takes itself for the one that is cut off")
OPEN_INCIDENTS = prometheus_client.Gauge(
    "aacloud_incidents_open", "Incidents that are not closed", ["state"])
STEP_FAILURES = prometheus_client.Counter(
    "aacloud_failover_step_failures", "Steps of incidents that raised")
TICK_SECONDS = prometheus_client.Histogram(
    "aacloud_failover_tick_seconds", "Time of one look at the cloud")
SERVERS = prometheus_client.Counter(
    "aacloud_servers_recovered", "Servers by how their move ended",
    ["result"])
DOWNTIME = prometheus_client.Histogram(
    "aacloud_server_downtime_seconds",
    "From the last sign of life of the host to the server running elsewhere",
    buckets=(5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1800))
