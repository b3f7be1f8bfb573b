# SPDX-License-Identifier: Apache-2.0
"""Hosts and the topology."""

from __future__ import annotations

import pytest

from aacloud.core import brakes
from aacloud.core import topology
from tests.unit.api import stage as stages
from tests.unit.api.stage import Stage


def test_hosts(stage: Stage) -> None:
    incident = stage.add_incident(host="dc2-r1-h2")
    answer = stage.call("GET", "/v1/hosts")
    assert answer.status == 200
    hosts = {host["name"]: host for host in answer.json["hosts"]}
    assert list(hosts) == sorted(stages.HOSTS)
    host = hosts["dc2-r1-h2"]
    assert (host["dc"], host["rack"]) == ("dc2", "dc2-r1")
    assert host["state"] == "up"
    assert host["mode"] == "shadow"
    assert host["incident_id"] == incident.id
    assert hosts["dc1-r1-h1"]["incident_id"] is None
    assert host["agent_seen_at"] == "2026-11-22T10:00:00.000000Z"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"dc": "dc1"}, 4),
        ({"rack": "dc2-r2"}, 2),
        ({"dc": "dc1", "rack": "dc2-r2"}, 0),
        ({"state": "up"}, 8),
        ({"state": "dead"}, 0),
        ({"dc": "nowhere"}, 0),
    ],
)
def test_filters(stage: Stage, query: dict[str, str], count: int) -> None:
    answer = stage.call("GET", "/v1/hosts", params=query)
    assert len(answer.json["hosts"]) == count


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("zone=nova", '"zone"'),
        ("state=gone", "'state'"),
        ("dc=dc1&dc=dc2", "'dc'"),
    ],
)
def test_wrong_filters(stage: Stage, query: str, named: str) -> None:
    answer = stage.call("GET", "/v1/hosts", query_string=query)
    assert answer.status == 400
    assert named in answer.json["error"]["message"]


def test_host(stage: Stage) -> None:
    stage.modes.set(
        topology.Level.RACK,
        "dc1-r1",
        brakes.Mode.DISARMED,
        reason="works",
        by="joe",
    )
    incident = stage.add_incident(host="dc1-r1-h1")
    answer = stage.call("GET", "/v1/hosts/dc1-r1-h1")
    assert answer.status == 200
    host = answer.json["host"]
    assert host["mode"] == "disarmed"
    assert "dc1-r1" in host["mode_reasons"][0]
    assert host["incident_id"] == incident.id
    assert host["reasons"] == ["its agent reports"]


def test_host_has_the_same_mode_alone_as_in_the_list(stage: Stage) -> None:
    for level, name, mode in (
        (topology.Level.CLOUD, "cloud", brakes.Mode.ARMED),
        (topology.Level.DC, "dc2", brakes.Mode.DISARMED),
        (topology.Level.HOST, "dc1-r2-h2", brakes.Mode.SHADOW),
    ):
        stage.modes.set(level, name, mode, reason="test", by="joe")
    for host in stage.call("GET", "/v1/hosts").json["hosts"]:
        alone = stage.call("GET", f"/v1/hosts/{host['name']}")
        assert alone.json["host"] == host


def test_unknown_host_is_named(stage: Stage) -> None:
    answer = stage.call("GET", "/v1/hosts/dc9-r1-h1")
    assert answer.status == 404
    assert "dc9-r1-h1" in answer.json["error"]["message"]


def test_topology(stage: Stage) -> None:
    answer = stage.call("GET", "/v1/topology")
    assert answer.status == 200
    dcs = answer.json["topology"]["dcs"]
    assert [dc["name"] for dc in dcs] == ["dc1", "dc2"]
    assert [rack["name"] for rack in dcs[1]["racks"]] == ["dc2-r1", "dc2-r2"]
    (first, second) = dcs[1]["racks"][0]["hosts"]
    assert first == {
        "name": "dc2-r1-h1",
        "instance_disks": "shared",
        "state": "up",
        "mode": "shadow",
    }
    assert second["name"] == "dc2-r1-h2"


def test_nothing_is_known_yet(stage: Stage) -> None:
    stage.journal.save_hosts([], forget=stages.HOSTS)
    assert stage.call("GET", "/v1/hosts").json == {"hosts": []}
    assert stage.call("GET", "/v1/topology").json == {"topology": {"dcs": []}}
