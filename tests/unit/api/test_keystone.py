# SPDX-License-Identifier: Apache-2.0
"""The real auth_token middleware in front of the API."""

from __future__ import annotations

from collections.abc import Iterator
import datetime
from typing import Any

from falcon import testing
from keystoneauth1 import fixture as tokens
from keystonemiddleware import fixture
from keystonemiddleware import opts as ksm_opts
import pytest

from aacloud.api import app
from tests.unit.api.stage import Stage

LATER = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(
    hours=1
)


@pytest.fixture
def keystone() -> Iterator[Any]:
    """Answers for Keystone: knows the tokens that a test adds."""
    with fixture.AuthTokenFixture() as known:
        yield known


@pytest.fixture
def client(stage: Stage) -> testing.TestClient:
    """A client of the API behind the real middleware."""
    ((_, authtoken),) = ksm_opts.list_auth_token_opts()
    stage.conf.register_opts(authtoken, group="keystone_authtoken")
    for name, value in {
        "www_authenticate_uri": "http://127.0.0.1:1",
        "auth_type": "none",
        "http_request_max_retries": 0,
    }.items():
        stage.conf.set_override(name, value, "keystone_authtoken")
    return testing.TestClient(app.make_app(stage.conf))


def token(*roles: str, system: bool = False) -> Any:
    made = tokens.V3Token(
        expires=LATER, user_id="8f2a", user_name="joe"
    )
    if system:
        made.set_system_scope()
    else:
        made.set_project_scope(id="77aa", name="shop")
    for role in roles:
        made.add_role(name=role)
    return made


def get(client: testing.TestClient, name: str | None) -> testing.Result:
    headers = {} if name is None else {"X-Auth-Token": name}
    return client.simulate_get("/v1/hosts", headers=headers)


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (token("admin"), 200),
        (token("service"), 200),
        (token("reader", system=True), 200),
        (token("reader"), 403),
        (token("member"), 403),
        (token(), 403),
    ],
)
def test_tokens(
    keystone: Any, client: testing.TestClient, made: Any, status: int
) -> None:
    keystone.add_token(made, token_id="t")
    assert get(client, "t").status_code == status


@pytest.mark.parametrize(
    ("said", "status"), [(True, 200), (False, 403), (None, 403)]
)
def test_admin_project_is_believed_only_when_the_token_says_so(
    keystone: Any,
    client: testing.TestClient,
    said: bool | None,
    status: int,
) -> None:
    made = token("reader")
    if said is not None:
        made["token"]["is_admin_project"] = said
    keystone.add_token(made, token_id="t")
    assert get(client, "t").status_code == status


@pytest.mark.parametrize("name", [None, "unknown"])
def test_no_valid_token(
    keystone: Any, client: testing.TestClient, name: str | None
) -> None:
    result = get(client, name)
    assert result.status_code == 401
    assert result.headers["content-type"] == "application/json"
    error = result.json["error"]
    assert error["request_id"] == result.headers["x-openstack-request-id"]
    assert "X-Auth-Token" in error["message"]
    assert "WWW-Authenticate" in result.headers


def test_headers_of_the_caller_are_not_believed(
    keystone: Any, client: testing.TestClient
) -> None:
    result = client.simulate_get(
        "/v1/hosts",
        headers={
            "X-Roles": "admin",
            "X-User-Id": "root",
            "X-Identity-Status": "Confirmed",
        },
    )
    assert result.status_code == 401


def test_keystone_is_down(client: testing.TestClient) -> None:
    result = get(client, "t")
    assert result.status_code == 503
    assert "Keystone" in result.json["error"]["message"]
    assert int(result.headers["Retry-After"]) > 0
    assert client.simulate_get("/").status_code == 200


def test_keystone_is_not_configured(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    result = get(testing.TestClient(app.make_app(stage.conf)), None)
    assert result.status_code == 503
    assert "[keystone_authtoken]" in result.json["error"]["message"]
    assert "could not be checked" in caplog.text
