# SPDX-License-Identifier: Apache-2.0
"""Only Keystone's own 404, about the project asked for, means that it is
not there."""

from __future__ import annotations

from collections.abc import Iterator

from keystoneauth1 import exceptions as ks_exceptions
from keystoneauth1 import noauth
from keystoneauth1 import session as ks_session
import pytest
import requests
import requests_mock

from aacloud.clouds import errors
from aacloud.clouds import projects

URL = "http://keystone.example:5000"
ID = "5f0c9a526d5f4c3e9f430f0f6b1f3b7a"
WHERE = f"{URL}/v3/projects/{ID}"


@pytest.fixture
def api() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


def reader(endpoint: str = URL) -> projects.Projects:
    return projects.Projects(
        ks_session.Session(auth=noauth.NoAuth(endpoint=endpoint), timeout=5))


def missing(message: str, code: int = 404) -> dict[str, object]:
    return {"error": {"code": code, "title": "Not Found", "message": message}}


GONE = missing(f"Could not find project: {ID}.")


@pytest.mark.parametrize(
    "endpoint", [URL, f"{URL}/", f"{URL}/v3", f"{URL}/v3/"])
def test_there(api: requests_mock.Mocker, endpoint: str) -> None:
    api.get(WHERE, json={"project": {"id": ID, "enabled": False}})
    assert reader(endpoint).exists(ID)


def test_keystone_below_a_path(api: requests_mock.Mocker) -> None:
    api.get(f"{URL}/identity/v3/projects/{ID}", json={"project": {"id": ID}})
    assert reader(f"{URL}/identity").exists(ID)


def test_gone(api: requests_mock.Mocker) -> None:
    api.get(WHERE, status_code=404, json=GONE)
    assert not reader().exists(ID)


@pytest.mark.parametrize("answer", [
    {"text": "<html>no such page</html>"},
    {"json": missing("The resource could not be found.")},
    {"json": missing(f"Could not find project: {ID}.", code=403)},
    {"json": {"message": f"no route to /v3/projects/{ID}"}},
    {"json": [GONE]},
    {"text": ""},
])
def test_404_of_somebody_else(
    api: requests_mock.Mocker, answer: dict[str, object]
) -> None:
    api.get(WHERE, status_code=404, **answer)
    with pytest.raises(errors.CloudUnknown, match="not how Keystone"):
        reader().exists(ID)


@pytest.mark.parametrize("status", [401, 403, 410, 429])
def test_refused(api: requests_mock.Mocker, status: int) -> None:
    api.get(WHERE, status_code=status, json=missing("no", status))
    with pytest.raises(errors.CloudRefused) as caught:
        reader().exists(ID)
    assert caught.value.code == status


@pytest.mark.parametrize("answer", [
    {"status_code": 503, "json": GONE},
    {"status_code": 200, "json": {"project": {"id": "another"}}},
    {"status_code": 200, "json": {"project": None}},
    {"status_code": 200, "text": "{"},
    {"exc": requests.exceptions.ConnectTimeout},
    {"exc": requests.exceptions.ReadTimeout},
])
def test_odd(
    api: requests_mock.Mocker, answer: dict[str, object]
) -> None:
    api.get(WHERE, **answer)
    with pytest.raises(errors.CloudUnknown):
        reader().exists(ID)


def test_an_id_cannot_lead_elsewhere(api: requests_mock.Mocker) -> None:
    api.get(requests_mock.ANY, json={"project": {"id": "../users/x?y"}})
    assert reader().exists("../users/x?y")
    assert api.last_request.url == f"{URL}/v3/projects/..%2Fusers%2Fx%3Fy"


def test_own_project() -> None:
    assert reader().own() is None

    class Refused(noauth.NoAuth):
        def get_project_id(self, session: object, **kwargs: object) -> str:
            raise ks_exceptions.Unauthorized("wrong password")

    refused = projects.Projects(ks_session.Session(auth=Refused()))
    with pytest.raises(errors.CloudUnknown, match="wrong password"):
        refused.own()
