# SPDX-License-Identifier: Apache-2.0
"""The client against answers made up for it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from collections.abc import Iterator
import pathlib
import subprocess
import sys
from typing import Any

from keystoneauth1 import session
from keystoneauth1 import token_endpoint
import pytest
import requests
import requests_mock

from aacloud.client import errors
from aacloud.client import v1

URL = "http://cloud.example:8790"
MODE = f"{URL}/v1/failover/modes/cloud/cloud"


@pytest.fixture
def api() -> Iterator[requests_mock.Mocker]:
    """Answers for the API."""
    with requests_mock.Mocker() as mocker:
        yield mocker


class Clock:
    """Notes how long the client waits, and does not wait."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def wait(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(endpoint: str | None, clock: Clock, **options: Any) -> v1.Client:
    auth = token_endpoint.Token(endpoint, "secret")
    return v1.Client(
        session.Session(auth=auth), wait=clock.wait, **options
    )


@pytest.fixture
def client(clock: Clock) -> v1.Client:
    return make(URL, clock)


@pytest.mark.parametrize(
    "endpoint", [URL, f"{URL}/", f"{URL}/v1", f"{URL}/v1/"]
)
def test_endpoint_with_or_without_version(
    api: requests_mock.Mocker, clock: Clock, endpoint: str
) -> None:
    api.get(f"{URL}/v1/hosts", json={"hosts": []})
    assert make(endpoint, clock).hosts() == []
    override = make("http://other.example", clock, endpoint_override=endpoint)
    assert override.hosts() == []


def test_prefix_of_the_endpoint_is_kept(
    api: requests_mock.Mocker, clock: Clock
) -> None:
    api.get("https://cloud.example/ha/v1/hosts", json={"hosts": []})
    assert make("https://cloud.example/ha", clock).hosts() == []


def test_no_endpoint(clock: Clock) -> None:
    with pytest.raises(errors.ClientError, match=r"'aacloud'.*catalog"):
        make(None, clock).hosts()


def test_headers(api: requests_mock.Mocker, client: v1.Client) -> None:
    api.get(f"{URL}/v1/hosts", json={"hosts": []})
    client.hosts()
    sent = api.last_request.headers
    assert sent["OpenStack-API-Version"] == "aacloud 1.0"
    assert sent["X-Auth-Token"] == "secret"
    assert sent["Accept"] == "application/json"


def test_time_out_is_set(
    api: requests_mock.Mocker, client: v1.Client
) -> None:
    api.get(f"{URL}/v1/hosts", json={"hosts": []})
    client.hosts()
    assert api.last_request.timeout == v1.TIMEOUT_S


def test_every_read(api: requests_mock.Mocker, client: v1.Client) -> None:
    one = {"name": "h1"}
    api.get(f"{URL}/v1/hosts", json={"hosts": [one]})
    api.get(f"{URL}/v1/hosts/h%201", json={"host": one})
    api.get(f"{URL}/v1/topology", json={"topology": {"dcs": []}})
    api.get(f"{URL}/v1/incidents/i1", json={"incident": one})
    api.get(f"{URL}/v1/incidents/i1/servers", json={"servers": [one]})
    api.get(f"{URL}/v1/failover/modes", json={"modes": [], "effective": []})
    assert client.hosts(dc="dc1", rack=None) == [one]
    assert api.last_request.qs == {"dc": ["dc1"]}
    assert client.host("h 1") == one
    assert client.topology() == {"dcs": []}
    assert client.incident("i1") == one
    assert client.servers("i1") == [one]
    assert client.modes()["modes"] == []


def test_filters_of_incidents(
    api: requests_mock.Mocker, client: v1.Client
) -> None:
    api.get(f"{URL}/v1/incidents", json={"incidents": []})
    client.incidents(host="h", state="done", is_open=False, limit=3)
    assert api.last_request.qs == {
        "host": ["h"],
        "state": ["done"],
        "open": ["false"],
        "limit": ["3"],
    }
    client.incidents()
    assert api.last_request.qs == {}


def test_all_pages_of_events(
    api: requests_mock.Mocker, client: v1.Client
) -> None:
    pages: dict[str, list[int]] = {"4": [5, 6], "6": [9], "9": []}

    def page(request: Any, context: Any) -> dict[str, Any]:
        (since,) = request.qs["since"]
        return {"events": [{"id": number} for number in pages[since]]}

    api.get(f"{URL}/v1/incidents/i1/events", json=page)
    found = client.events("i1", since=4)
    assert [event["id"] for event in found] == [5, 6, 9]


def test_every_write(api: requests_mock.Mocker, client: v1.Client) -> None:
    incident = f"{URL}/v1/incidents/i1"
    api.post(f"{incident}/confirm-fenced", json={"incident": {"id": "i1"}})
    api.post(f"{incident}/cancel", json={"incident": {"id": "i1"}})
    api.put(MODE, json={"mode": {}})
    api.delete(MODE, status_code=204)
    assert client.confirm_fenced("i1", "off")["id"] == "i1"
    assert api.last_request.json() == {"reason": "off"}
    assert client.cancel("i1", "no")["id"] == "i1"
    client.set_mode("cloud", "cloud", "armed", "go")
    assert api.last_request.json() == {"mode": "armed", "reason": "go"}
    client.reset_mode("cloud", "cloud")
    assert api.last_request.method == "DELETE"


def test_reads_are_tried_again(
    api: requests_mock.Mocker, client: v1.Client, clock: Clock
) -> None:
    answers = [
        {"status_code": 503},
        {"exc": requests.ConnectionError},
        {"status_code": 502},
        {"json": {"hosts": []}},
    ]
    api.get(f"{URL}/v1/hosts", answers)
    assert client.hosts() == []
    assert clock.pauses == [0.5, 1.0, 2.0]


def test_reads_are_not_tried_for_ever(
    api: requests_mock.Mocker, client: v1.Client, clock: Clock
) -> None:
    api.get(f"{URL}/v1/hosts", status_code=503)
    with pytest.raises(errors.Unavailable):
        client.hosts()
    assert (api.call_count, len(clock.pauses)) == (4, 3)
    with pytest.raises(errors.Unavailable):
        client.impatient().hosts()
    assert (api.call_count, len(clock.pauses)) == (5, 3)


@pytest.mark.parametrize(
    "answer", [{"status_code": 503}, {"exc": requests.ConnectionError("cut")}]
)
@pytest.mark.parametrize(
    ("method", "url", "call"),
    [
        (
            "PUT",
            MODE,
            lambda client: client.set_mode("cloud", "cloud", "armed", "x"),
        ),
        (
            "DELETE",
            MODE,
            lambda client: client.reset_mode("cloud", "cloud"),
        ),
        (
            "POST",
            f"{URL}/v1/incidents/i1/cancel",
            lambda client: client.cancel("i1", "x"),
        ),
    ],
)
def test_writes_are_sent_once(
    api: requests_mock.Mocker,
    client: v1.Client,
    clock: Clock,
    answer: dict[str, Any],
    method: str,
    url: str,
    call: Callable[[v1.Client], Any],
) -> None:
    api.request(method, url, **answer)
    with pytest.raises((errors.Unavailable, errors.NoAnswer)) as raised:
        call(client)
    assert (api.call_count, clock.pauses) == (1, [])
    if raised.type is errors.NoAnswer:
        assert "not known whether" in str(raised.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequest),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (406, errors.NotAcceptable),
        (409, errors.Conflict),
        (418, errors.APIError),
        (500, errors.APIError),
    ],
)
def test_errors_have_types(
    api: requests_mock.Mocker,
    client: v1.Client,
    status: int,
    kind: type[errors.APIError],
) -> None:
    error = {
        "code": status,
        "title": "No",
        "message": "there is no host h1",
        "request_id": "req-1",
    }
    api.get(f"{URL}/v1/hosts/h1", status_code=status, json={"error": error})
    with pytest.raises(kind) as raised:
        client.host("h1")
    assert type(raised.value) is kind
    assert raised.value.status == status
    assert str(raised.value) == f"there is no host h1 (HTTP {status}, req-1)"


@pytest.mark.parametrize(
    "body", ["<html>Bad gateway</html>", "[]", '{"error": "x"}', ""]
)
def test_error_of_something_in_between(
    api: requests_mock.Mocker, client: v1.Client, body: str
) -> None:
    api.get(
        f"{URL}/v1/hosts", status_code=500, text=body, reason="Oops"
    )
    with pytest.raises(errors.APIError) as raised:
        client.hosts()
    assert f"{URL}/v1/hosts" in str(raised.value)
    assert "HTTP 500" in str(raised.value)


@pytest.mark.parametrize("body", ["<html>Welcome</html>", "[1]", '"x"'])
def test_something_else_answers(
    api: requests_mock.Mocker, client: v1.Client, body: str
) -> None:
    api.get(f"{URL}/v1/hosts", text=body)
    with pytest.raises(errors.NotOurs, match="aacloud"):
        client.hosts()


def test_connection_that_is_refused_has_surely_not_arrived(
    clock: Clock,
) -> None:
    client = make("http://127.0.0.1:1", clock)
    with pytest.raises(errors.NoAnswer) as raised:
        client.cancel("i1", "x")
    assert "Connection refused" in str(raised.value)
    assert "not known" not in str(raised.value)


def test_client_imports_nothing_of_the_service() -> None:
    """It runs where neither database nor message bus is installed."""
    program = (
        "import sys, aacloud.client.v1, aacloud.client.osc.watch\n"
        "print(sorted(name for name in sys.modules\n"
        "      if name.startswith('aacloud')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
        cwd=pathlib.Path(__file__).resolve().parents[3],
    )
    loaded = ast.literal_eval(done.stdout)
    assert "aacloud.client.v1" in loaded
    assert not [
        name
        for name in loaded
        if name != "aacloud" and not name.startswith("aacloud.client")
    ]
