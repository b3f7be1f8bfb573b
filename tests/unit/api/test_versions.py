# SPDX-License-Identifier: Apache-2.0
"""Versions and microversions."""

from __future__ import annotations

import pytest

from aacloud.api import errors
from aacloud.api import versions
from tests.unit.api.stage import Stage

HEADER = "OpenStack-API-Version"


def test_root_names_the_versions_to_anybody(stage: Stage) -> None:
    answer = stage.call("GET", "/", token=None)
    assert answer.status == 200
    (version,) = answer.json["versions"]
    assert (version["min_version"], version["version"]) == ("1.0", "1.1")
    assert version["links"][0]["href"].endswith("/v1/")


def test_links_follow_the_proxy(stage: Stage) -> None:
    stage.conf.set_override(
        "enable_proxy_headers_parsing", True, "oslo_middleware"
    )
    answer = stage.call(
        "GET",
        "/v1/",
        token=None,
        headers={
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "cloud.example:8790",
            "X-Forwarded-Prefix": "/ha",
        },
    )
    href = answer.json["version"]["links"][0]["href"]
    assert href == "https://cloud.example:8790/ha/v1/"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "aacloud 1.0",
        "AACLOUD 1.0",
        "compute 2.95",
        "compute 2.95, aacloud 1.0",
        "nonsense",
    ],
)
def test_known_microversions(stage: Stage, header: str | None) -> None:
    headers = {} if header is None else {HEADER: header}
    answer = stage.call("GET", "/v1/hosts", headers=headers)
    assert answer.status == 200
    assert answer.headers[HEADER] == "aacloud 1.0"
    assert HEADER in answer.headers["Vary"]


@pytest.mark.parametrize("asked", ["1.1", "latest"])
def test_newest_microversion(stage: Stage, asked: str) -> None:
    headers = {HEADER: f"aacloud {asked}"}
    for path in ("/v1/hosts", "/v1/groups"):
        answer = stage.call("GET", path, headers=headers)
        assert answer.status == 200
        assert answer.headers[HEADER] == "aacloud 1.1"


@pytest.mark.parametrize("header", [None, "aacloud 1.0"])
def test_old_microversion_has_no_newer_resource(
    stage: Stage, header: str | None
) -> None:
    headers = {"X-Auth-Token": "admin"}
    if header is not None:
        headers[HEADER] = header
    result = stage.client.simulate_get("/v1/groups", headers=headers)
    assert result.status_code == 404
    assert "microversion 1.1" in result.json["error"]["message"]


@pytest.mark.parametrize("wanted", ["1.2", "0.9", "2.0", "999999.0"])
def test_unknown_microversion(stage: Stage, wanted: str) -> None:
    answer = stage.call(
        "GET", "/v1/hosts", headers={HEADER: f"aacloud {wanted}"}
    )
    assert answer.status == 406
    error = answer.json["error"]
    assert wanted in error["message"]
    assert (error["min_version"], error["max_version"]) == ("1.0", "1.1")
    assert HEADER in answer.headers["Vary"]


@pytest.mark.parametrize(
    "wanted",
    [
        "1",
        "1.x",
        "1.0.0",
        "01.0",
        "-1.0",
        "1.\N{ARABIC-INDIC DIGIT ZERO}",
        "9999999.0",
    ],
)
def test_malformed_microversion(wanted: str) -> None:
    with pytest.raises(errors.BadRequest) as refused:
        versions.requested(f"aacloud {wanted}")
    assert "aacloud 1.1" in refused.value.message


def test_malformed_microversion_is_told(stage: Stage) -> None:
    answer = stage.call(
        "GET", "/v1/hosts", headers={HEADER: "aacloud one"}
    )
    assert answer.status == 400
    assert '"one"' in answer.json["error"]["message"]


def test_last_entry_of_the_service_counts() -> None:
    assert versions.requested("aacloud 7.7, aacloud 1.0") == (1, 0)
