# SPDX-License-Identifier: Apache-2.0
"""What the API says when something is wrong."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from falcon import testing
import pytest

from aacloud.api import app
from aacloud.api import middleware
from aacloud.api import validation
from aacloud.api.v1 import topology
from aacloud.db import engine
from aacloud.db import errors as db_errors
from tests.unit.api import stage as stages
from tests.unit.api.stage import Stage

MODE = "/v1/failover/modes/cloud/cloud"
GOOD = {"mode": "armed", "reason": "x"}


def message(answer: stages.Answer) -> str:
    return str(answer.json["error"]["message"])


def test_unknown_path(stage: Stage) -> None:
    answer = stage.call("GET", "/v1/clusters")
    assert answer.status == 404
    assert "/v1/clusters" in message(answer)


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "POST", "BREW"])
def test_wrong_method(stage: Stage, method: str) -> None:
    answer = stage.call(method, "/v1/hosts")
    if method == "BREW":
        assert answer.status == 400
    else:
        assert answer.status == 405
        assert "GET" in answer.headers["Allow"]
        assert "GET" in message(answer)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"{", "not JSON"),
        (b"mode=armed", "not JSON"),
        (b'{"mode": NaN}', "NaN"),
        (b'{"mode": -Infinity}', "Infinity"),
        (b'{"mode": "armed", "mode": "shadow"}', "twice"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"mode": "armed", "reason": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"[" * 100_000, "deep"),
        (b"9" * 5000, "JSON"),
    ],
)
def test_broken_bodies(stage: Stage, body: bytes, why: str) -> None:
    answer = stage.call("PUT", MODE, body=body)
    assert answer.status == 400
    assert message(answer).startswith("body: ")
    assert why in message(answer)
    assert stage.modes.list() == ()


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded"]
)
def test_wrong_content_type(stage: Stage, kind: str) -> None:
    answer = stage.call(
        "PUT",
        MODE,
        body=json.dumps(GOOD),
        headers={"Content-Type": kind},
    )
    assert answer.status == 415
    assert kind in message(answer)
    assert stage.modes.list() == ()


@pytest.mark.parametrize(
    "kind", ["application/json; charset=UTF-8", "Application/JSON"]
)
def test_json_content_types(stage: Stage, kind: str) -> None:
    answer = stage.call(
        "PUT", MODE, body=json.dumps(GOOD), headers={"Content-Type": kind}
    )
    assert answer.status == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_body_that_is_too_large(stage: Stage, chunked: bool) -> None:
    body = b'{"reason": "' + b"x" * 200_000 + b'"}'
    headers = {"Transfer-Encoding": "chunked"} if chunked else {}
    answer = stage.call("PUT", MODE, body=body, headers=headers)
    assert answer.status == 413
    assert stage.modes.list() == ()


def test_echo_of_a_long_value_is_cut(stage: Stage) -> None:
    answer = stage.call(
        "PUT", MODE, json={"mode": "x" * 50_000, "reason": "x"}
    )
    assert answer.status == 400
    assert len(message(answer)) < 300


@pytest.fixture
def without_database(stage: Stage) -> Stage:
    """A stage whose API has no database."""
    lost = stages.configuration("sqlite:////nonexistent/aacloud.sqlite")
    stage.client = testing.TestClient(
        app.make_app(lost, authenticate=stages.authenticate)
    )
    return stage


@pytest.mark.parametrize(
    ("method", "path", "body", "outcome"),
    [
        ("GET", "/v1/hosts", None, "try again later"),
        ("GET", "/v1/hosts/dc1-r1-h1", None, "try again later"),
        ("GET", "/v1/topology", None, "try again later"),
        ("GET", "/v1/incidents", None, "try again later"),
        ("GET", "/v1/failover/modes", None, "try again later"),
        ("PUT", MODE, GOOD, "nothing was stored"),
        ("DELETE", MODE, None, "nothing was stored"),
        (
            "POST",
            "/v1/incidents/00000000-0000-0000-0000-000000000000/cancel",
            {"reason": "x"},
            "nothing was stored",
        ),
    ],
)
def test_database_is_down(
    without_database: Stage, method: str, path: str, body: Any, outcome: str
) -> None:
    arguments = {} if body is None else {"json": body}
    answer = without_database.call(method, path, **arguments)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert outcome in message(answer)
    # Where it is stays in the log.
    assert "nonexistent" not in message(answer)


def test_write_that_may_have_landed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*args: Any, **kwargs: Any) -> None:
        raise db_errors.JournalUnavailable("mode", "cut off", unknown=True)

    monkeypatch.setattr(engine.Database, "write", lost)
    answer = stage.call("PUT", MODE, json=GOOD)
    assert answer.status == 503
    assert "not known whether" in message(answer)


def test_versions_need_no_database(without_database: Stage) -> None:
    assert without_database.call("GET", "/", token=None).status == 200


def test_health_follows_the_database(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "HEALTH_AGE_S", 0.0)
    assert stage.client.simulate_get("/healthcheck").status_code == 200
    database = pathlib.Path(stage.url.removeprefix("sqlite:///"))
    database.rename(database.with_suffix(".away"))
    database.mkdir()
    stage.database.dispose()
    fresh = testing.TestClient(
        app.make_app(stage.conf, authenticate=stages.authenticate)
    )
    answer = fresh.simulate_get("/healthcheck")
    assert answer.status_code == 503
    assert "database" in answer.text
    database.rmdir()
    database.with_suffix(".away").rename(database)
    assert fresh.simulate_get("/healthcheck").status_code == 200


def test_metrics_count_routes(stage: Stage) -> None:
    def count(text: str) -> float:
        for line in text.splitlines():
            if line.startswith("aacloud_api_requests_total{") and (
                'route="/v1/hosts/{name}",status="404"' in line
            ):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    before = count(stage.client.simulate_get("/metrics").text)
    stage.call("GET", "/v1/hosts/one")
    stage.call("GET", "/v1/hosts/two")
    after = count(stage.client.simulate_get("/metrics").text)
    assert after - before == 2


def test_mistake_in_the_service(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*args: Any) -> None:
        raise ZeroDivisionError("secret of the house")

    monkeypatch.setattr(topology.Topology, "domains", broken)
    result = stage.client.simulate_get(
        "/v1/topology", headers={"X-Auth-Token": "admin"}
    )
    assert result.status_code == 500
    assert "secret" not in result.text
    assert result.json["error"]["request_id"].startswith("req-")
    assert "secret of the house" in caplog.text


@pytest.mark.parametrize(
    ("wanted", "status"), [("error", 500), ("warn", 200), ("ignore", 200)]
)
def test_answer_that_does_not_fit_its_schema(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    wanted: str,
    status: int,
) -> None:
    stage.conf.set_override("response_validation", wanted, "aacloud_api")
    monkeypatch.setattr(
        "aacloud.api.views.host", lambda *args: {"name": 7}
    )
    result = stage.client.simulate_get(
        "/v1/hosts", headers={"X-Auth-Token": "admin"}
    )
    assert result.status_code == status
    assert ("list_hosts" in caplog.text) == (wanted != "ignore")


def test_exception_below_the_api() -> None:
    def broken(environ: Any, start_response: Any) -> Any:
        raise OSError("socket")

    result = testing.TestClient(
        middleware.JSONErrors(broken)
    ).simulate_get("/")
    assert result.status_code == 500
    assert result.json["error"]["code"] == 500


def test_head_of_an_error_has_no_body(stage: Stage) -> None:
    result = stage.client.simulate_head("/v1/hosts")
    assert (result.status_code, result.content) == (401, b"")


@pytest.mark.parametrize(
    ("component", "value", "words"),
    [
        ("Link", {"rel": 1, "href": ""}, "'rel' must be text, not 1"),
        ("Link", {}, "it lacks the required key 'rel', 'href'"),
        (
            "Incident",
            {"commands": [{"command": "explode"}]},
            "'commands[0].command' must be one of",
        ),
    ],
)
def test_explanations(component: str, value: Any, words: str) -> None:
    validator = validation.component_validator(component)
    texts = [
        validation.explain(error, "body")
        for error in validator.iter_errors(value)
    ]
    assert any(words in text for text in texts), texts
