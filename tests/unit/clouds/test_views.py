# SPDX-License-Identifier: Apache-2.0
"""From Nova's JSON to views, and how long services are silent."""

import datetime

import pytest

from aacloud.clouds import capacity
from aacloud.clouds import errors
from aacloud.clouds import heartbeats
from aacloud.clouds import views
from aacloud.core import recovery
from aacloud.core import topology as topologies

UTC = datetime.timezone.utc


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05.000000",
        "2026-01-02T05:04:05+02:00",
    ],
)
def test_all_of_novas_times_are_utc(text):
    assert views.moment(text) == datetime.datetime(
        2026, 1, 2, 3, 4, 5, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "document",
    [
        {"id": "s1", "status": "UNKNOWN", "tenant_id": "p"},
        {"id": "s1", "status": "ACTIVE"},
        {},
        None,
        [],
    ],
)
def test_half_a_server_is_unknown(document):
    with pytest.raises(errors.CloudUnknown):
        views.parsed("show server", views.server, document)


def service(stamp, **values):
    return {
        "host": "h1",
        "state": "up",
        "status": "enabled",
        "forced_down": False,
        "disabled_reason": None,
        "updated_at": stamp,
        **values,
    }


def test_silence_is_counted_by_our_clock():
    beats = heartbeats.Heartbeats()
    assert beats.view(service(None), 0.0).last_seen_age_s is None
    first = beats.view(service("2026-01-01T00:00:00"), 100.0)
    assert first.last_seen_age_s == 0.0
    silent = beats.view(service("2026-01-01T00:00:00"), 107.0)
    assert silent.last_seen_age_s == 7.0
    again = beats.view(service("2026-01-01T00:00:10"), 110.0)
    assert (again.last_seen_age_s, again.advanced) == (0.0, True)


def test_switching_a_service_is_no_sign_of_life_of_its_host():
    beats = heartbeats.Heartbeats()
    beats.view(service("2026-01-01T00:00:00"), 100.0)
    beats.view(service("2026-01-01T00:00:00"), 110.0)
    switched = {"status": "disabled", "disabled_reason": "by hand"}
    seen = beats.view(service("2026-01-01T00:00:12", **switched), 115.0)
    assert seen.disabled and seen.last_seen_age_s == 15.0
    seen = beats.view(service("2026-01-01T00:00:12", **switched), 116.0)
    assert seen.last_seen_age_s == 16.0
    seen = beats.view(service("2026-01-01T00:00:20", **switched), 120.0)
    assert seen.last_seen_age_s == 0.0


def test_capacity_is_summed_up_over_a_hosts_tree():
    summaries = {
        "root": {
            "root_provider_uuid": "root",
            "resources": {
                "MEMORY_MB": {"capacity": 1000, "used": 400},
                "DISK_GB": {"capacity": 50, "used": 60},
            },
        },
        "numa0": {
            "root_provider_uuid": "root",
            "resources": {
                "VCPU": {"capacity": 8, "used": 3},
                "PCPU": {"capacity": 2, "used": 0},
            },
        },
        "diskless": {
            "root_provider_uuid": "diskless",
            "resources": {"MEMORY_MB": {"capacity": 10, "used": 0}},
        },
    }
    free = capacity._sum_up(summaries)
    assert (free["root"].vcpus, free["root"].ram_mb) == (7, 600)
    assert free["root"].disk_gb == 0
    assert free["diskless"].disk_gb is None
    topology = topologies.Topology(
        {"h1": topologies.Host("h1", "r1", "dc1")}
    )
    services = {
        "h1": {"host": "h1", "state": "up", "status": "enabled"},
        "h2": {"host": "h2", "state": "up", "status": "enabled"},
    }
    hypervisors = [
        {"id": "diskless", "service": {"host": "h1"}, "running_vms": 3},
        {"id": "root", "service": {"host": "h2"}},
        {"id": "full", "service": {"host": "h1"}},
    ]
    (only,) = capacity.destinations(topology, services, hypervisors, free)
    assert (only.host, only.running, only.disk_gb_free) == (
        "h1", 3, capacity.PLENTY,
    )


def test_groups_know_where_their_members_are():
    def server(uuid, host):
        return recovery.ServerView(
            uuid=uuid, name=uuid, project_id="p", host=host,
            vm_state="active", task_state=None, power_state="running",
            flavor=recovery.FlavorView(1, 512, 1),
        )

    groups = [
        recovery.GroupView("g1", "anti-affinity", ("a", "b", "gone")),
        recovery.GroupView("g2", "affinity", ("x", "y")),
    ]
    asked = []

    def hosts_of(uuids):
        asked.extend(uuids)
        return {"b": "h2"}

    a, c = capacity.with_groups(
        [server("a", "h1"), server("c", "h1")], groups, hosts_of
    )
    # The group that concerns nobody costs nothing.
    assert asked == ["b", "gone"]
    assert a.server_group.hosts == {"a": "h1", "b": "h2"}
    assert c.server_group is None
