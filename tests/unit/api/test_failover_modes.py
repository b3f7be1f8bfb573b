# SPDX-License-Identifier: Apache-2.0
"""The failover modes."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from aacloud.core import brakes
from aacloud.core import topology
from tests.unit.api import stage as stages
from tests.unit.api.stage import Stage

MODES = "/v1/failover/modes"


def put(stage: Stage, domain: str, mode: str = "armed") -> stages.Answer:
    return stage.call(
        "PUT",
        f"{MODES}/{domain}",
        json={"mode": mode, "reason": "rollout is over"},
    )


def test_as_delivered_everything_is_in_shadow(stage: Stage) -> None:
    answer = stage.call("GET", MODES)
    assert answer.json["modes"] == []
    effective = answer.json["effective"]
    assert [host["host"] for host in effective] == sorted(stages.HOSTS)
    assert {host["mode"] for host in effective} == {"shadow"}


def test_arm_the_cloud(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answer = put(stage, "cloud/cloud")
    assert answer.status == 200
    setting = answer.json["mode"]
    assert setting["mode"] == "armed"
    assert setting["reason"] == "rollout is over"
    assert setting["set_by"] == "joe (8f2a)"
    assert answer.json["previous"] is None
    assert {host["mode"] for host in answer.json["effective"]} == {"armed"}
    (line,) = [record.getMessage() for record in caplog.records]
    for part in ("cloud", "armed", "joe (8f2a)", "rollout is over"):
        assert part in line
    assert stage.call("GET", MODES).json["modes"] == [setting]


def test_previous_setting_is_told(stage: Stage) -> None:
    first = put(stage, "rack/dc1-r2", "shadow").json["mode"]
    answer = put(stage, "rack/dc1-r2", "disarmed")
    assert answer.json["previous"] == first
    inside = [host["host"] for host in answer.json["effective"]]
    assert inside == ["dc1-r2-h1", "dc1-r2-h2"]


def test_disarmed_around_wins(stage: Stage) -> None:
    put(stage, "dc/dc1", "disarmed")
    answer = put(stage, "host/dc1-r1-h1", "armed")
    (host,) = answer.json["effective"]
    assert host["mode"] == "disarmed"
    assert "dc1" in host["reasons"][0]


def test_widest_domain_comes_first(stage: Stage) -> None:
    for domain in ("host/dc1-r1-h1", "rack/dc2-r1", "dc/dc1", "cloud/cloud"):
        put(stage, domain)
    levels = [
        setting["level"] for setting in stage.call("GET", MODES).json["modes"]
    ]
    assert levels == ["cloud", "dc", "rack", "host"]


@pytest.mark.parametrize(
    ("domain", "named"),
    [
        ("galaxy/dc1", '"galaxy"'),
        ("dc/dc9", '"dc9"'),
        ("dc/dc1-r1", '"dc1-r1"'),
        ("rack/dc1", '"dc1"'),
        ("host/dc1-r1", '"dc1-r1"'),
        ("cloud/all", '"all"'),
        ("host/%20", '" "'),
        ("HOST/dc1-r1-h1", '"HOST"'),
    ],
)
def test_unknown_domains_are_named_and_nothing_is_stored(
    stage: Stage, domain: str, named: str
) -> None:
    answer = put(stage, domain)
    assert answer.status == 400
    assert named in answer.json["error"]["message"]
    assert stage.modes.list() == ()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"mode": "on", "reason": "x"}, ("'mode'", "armed", '"on"')),
        ({"mode": None, "reason": "x"}, ("'mode'",)),
        ({"mode": ["armed"], "reason": "x"}, ("'mode'",)),
        ({"reason": "x"}, ("'mode'",)),
        ({"mode": "armed"}, ("'reason'",)),
        ({"mode": "armed", "reason": ""}, ("'reason'",)),
        ({"mode": "armed", "reason": " \t"}, ("'reason'",)),
        ({"mode": "armed", "reason": 7}, ("'reason'", "text", "7")),
        ({"mode": "armed", "reason": "a\nb"}, ("'reason'",)),
        ({"mode": "armed", "reason": "end\n"}, ("'reason'",)),
        ({"mode": "armed", "reason": "x" * 256}, ("'reason'", "255")),
        (
            {"mode": "armed", "reason": "x", "force": True},
            ('"force"', "'mode', 'reason'"),
        ),
        ([], ("object",)),
        ("armed", ("object",)),
        (None, ("object",)),
    ],
)
def test_wrong_bodies_name_the_key_and_nothing_is_stored(
    stage: Stage, body: Any, named: tuple[str, ...]
) -> None:
    answer = stage.call("PUT", f"{MODES}/cloud/cloud", json=body)
    assert answer.status == 400
    for part in named:
        assert part in answer.json["error"]["message"]
    assert stage.modes.list() == ()


def test_query_is_refused(stage: Stage) -> None:
    answer = stage.call(
        "PUT",
        f"{MODES}/cloud/cloud",
        params={"dry": "1"},
        json={"mode": "armed", "reason": "x"},
    )
    assert answer.status == 400
    assert stage.modes.list() == ()


def test_longest_reason_in_any_script(stage: Stage) -> None:
    reason = "ж😀" * 127
    answer = stage.call(
        "PUT",
        f"{MODES}/cloud/cloud",
        json={"mode": "armed", "reason": reason},
    )
    assert answer.json["mode"]["reason"] == reason
    assert stage.modes.list()[0].reason == reason


def test_reset(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    put(stage, "cloud/cloud")
    with caplog.at_level(logging.WARNING):
        answer = stage.call("DELETE", f"{MODES}/cloud/cloud")
    assert (answer.status, answer.json) == (204, None)
    assert "joe (8f2a)" in caplog.text
    assert stage.modes.list() == ()


def test_reset_of_what_is_not_set(stage: Stage) -> None:
    answer = stage.call("DELETE", f"{MODES}/rack/dc1-r1")
    assert answer.status == 404
    assert "dc1-r1" in answer.json["error"]["message"]
    assert stage.call("DELETE", f"{MODES}/moon/dc1").status == 400


def test_domain_that_is_gone_can_be_reset(stage: Stage) -> None:
    stage.modes.set(
        topology.Level.HOST,
        "scrapped",
        brakes.Mode.ARMED,
        reason="was here",
        by="joe",
    )
    assert stage.call("DELETE", f"{MODES}/host/scrapped").status == 204


def test_cloud_can_be_disarmed_before_any_host_is_known(
    stage: Stage,
) -> None:
    stage.journal.save_hosts([], forget=stages.HOSTS)
    answer = put(stage, "cloud/cloud", "disarmed")
    assert answer.status == 200
    assert answer.json["effective"] == []
    answer = put(stage, "dc/dc1")
    assert answer.status == 400
    assert "none yet" in answer.json["error"]["message"]


def test_host_with_a_strange_name(stage: Stage) -> None:
    stage.add_hosts(["dc1-r1-ä b"])
    answer = put(stage, "host/dc1-r1-%C3%A4%20b")
    assert answer.status == 200
    assert answer.json["mode"]["name"] == "dc1-r1-ä b"
