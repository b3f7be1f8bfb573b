# SPDX-License-Identifier: Apache-2.0
"""Times, counts and domains in words."""

from __future__ import annotations

import pytest

from aacloud.client.osc import failover
from aacloud.client.osc import host
from aacloud.client.osc import incident
from aacloud.client.osc import texts
from aacloud.client.osc import topology
from aacloud.client.osc import trees
from tests.unit.client import answers


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0.0 s"),
        (4.25, "4.2 s"),
        (59.94, "59.9 s"),
        (60.0, "1 min 00 s"),
        (185.4, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7800.0, "2 h 10 min"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert texts.duration(seconds) == text


def test_times() -> None:
    moment = "2026-11-22T09:08:07.654321Z"
    assert texts.clock(moment) == "09:08:07.6"
    assert texts.date(moment) == "2026-11-22 09:08:07"
    assert (texts.clock(None), texts.date(None)) == ("-", "-")
    later = "2026-11-23T09:08:07.654321Z"
    assert texts.seconds_between(moment, later) == 86400.0


def test_lists() -> None:
    assert texts.listed("abc") == "a, b, c"
    assert texts.listed("abcd", most=2) == "a, b and 2 more"
    assert texts.counted(1, "host") == "1 host"
    assert texts.counted(0, "host") == "0 hosts"


def test_downtimes() -> None:
    servers = [
        answers.server(0, "verified", downtime_s=10.0),
        answers.server(1, "manual"),
    ]
    assert "downtime of 1 server: shortest 10.0 s" in texts.downtimes(servers)
    assert "no downtime" in texts.downtimes(servers[1:])


HOSTS = [
    answers.effective("dc1-r1-h1", "armed"),
    answers.effective("dc1-r1-h2", "shadow"),
    answers.effective("dc1-r2-h1", "armed"),
    answers.effective("dc1-r2-h2", "armed"),
    answers.effective("dc2-r1-h1", "disarmed"),
    answers.effective("dc2-r1-h2", "disarmed"),
]


def test_what_is_not_armed_by_the_widest_domains() -> None:
    assert failover.others({"effective": HOSTS}, "armed") == [
        "host dc1-r1-h2: shadow",
        "dc dc2: disarmed",
    ]
    armed = [host for host in HOSTS if host["mode"] == "armed"]
    assert failover.others({"effective": armed}, "armed") == []


def test_what_follows() -> None:
    armed, shadow = failover.following(HOSTS[:4])
    assert armed == (
        "when one of these 3 hosts dies, it is fenced and its servers are "
        "evacuated without a question: dc1-r1-h1, dc1-r2-h1, dc1-r2-h2"
    )
    assert shadow == (
        "when dc1-r1-h2 dies, an incident tells what would be done; nothing "
        "is done"
    )
    assert failover.following([]) == ["no host is in it yet"]


def test_nova_in_a_few_words() -> None:
    assert host.nova_words({"state": "up"}) == "up"
    assert host.nova_words({}) == "-"
    down = {"state": "down", "forced_down": True, "disabled": True}
    assert host.nova_words(down) == "down, forced-down, disabled"


def test_fields_of_an_incident() -> None:
    shown = incident.fields_for_people(
        answers.incident(
            "returned",
            closed_at=answers.at(125),
            proof={"reasons": ["power read Off", "twice"]},
            verdict={"host": "dc1-r1-h1", "state": "dead"},
            commands=[
                {
                    "command": "cancel",
                    "by": "joe",
                    "reason": "why not",
                    "at": answers.at(3),
                }
            ],
            summary={"servers": 2},
        )
    )
    assert shown["lasted"] == "2 min 05 s"
    assert shown["proof"] == "power read Off\ntwice"
    assert shown["verdict"] == "host: dc1-r1-h1\nstate: dead"
    assert shown["commands"] == "2026-11-22 10:00:03 cancel by joe: why not"
    assert shown["summary: servers"] == "2"


def leaf(name: str) -> answers.JSON:
    return {
        "name": name,
        "state": "up",
        "mode": "armed",
        "instance_disks": "shared",
    }


def test_tree() -> None:
    dcs = [
        {
            "name": "dc1",
            "racks": [
                {"name": "r1", "hosts": [leaf("h1"), leaf("host2")]},
                {"name": "r2", "hosts": [leaf("h3")]},
            ],
        },
        {"name": "dc2", "racks": [{"name": "r3", "hosts": [leaf("h4")]}]},
    ]
    assert list(topology.tree(dcs, trees.PLAIN)) == [
        "cloud: 2 data centres, 3 racks, 4 hosts (4 up; 4 armed)",
        "|- dc1",
        "|  |- r1",
        "|  |  |- h1     up        armed     shared disks",
        "|  |  `- host2  up        armed     shared disks",
        "|  `- r2",
        "|     `- h3     up        armed     shared disks",
        "`- dc2",
        "   `- r3",
        "      `- h4     up        armed     shared disks",
    ]
    drawn = list(topology.tree(dcs, trees.DRAWN))
    assert drawn[3] == "│  │  ├─ h1     up        armed     shared disks"


def test_empty_tree_says_what_to_do() -> None:
    (line,) = topology.tree([], trees.PLAIN)
    assert "aacloud-manage topology apply" in line


def test_columns_of_lines() -> None:
    column = texts.LinesColumn(["a", "b"])
    assert column.human_readable() == "a\nb"
    assert column.machine_readable() == ["a", "b"]
    assert texts.LinesColumn([]).human_readable() == "-"


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("detected", "closes"),
        ("fencing", "closes"),
        ("fenced", "closes"),
        ("forced-down", "the others stay on dc1-r1-h1"),
        ("evacuating", "the others stay on dc1-r1-h1"),
    ],
)
def test_what_follows_a_cancel(state: str, word: str) -> None:
    told = incident.after_cancel(
        {"id": "i1", "host": "dc1-r1-h1", "state": state}
    )
    assert word in told
