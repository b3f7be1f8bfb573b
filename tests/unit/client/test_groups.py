# SPDX-License-Identifier: Apache-2.0
"""Groups, plans and quotas of the client, and how they are written."""

from __future__ import annotations

from collections.abc import Iterator
import io
import json
import types
from typing import Any

from cliff import app as cliff_app
from cliff import commandmanager
from keystoneauth1 import session
from keystoneauth1 import token_endpoint
import pytest
import requests_mock

from aacloud.client import errors
from aacloud.client import v1
from aacloud.client.osc import group_repair
from aacloud.client.osc import group_texts
from aacloud.client.osc import names
from aacloud.client.osc import plan
from aacloud.client.osc import trees
from tests.unit.client import answers

URL = "http://cloud.example:8790"
ID = "3f0c9a52-6d5f-4c3e-9f43-0f0f6b1f3b7a"
OTHER = "4f0c9a52-6d5f-4c3e-9f43-0f0f6b1f3b7a"


@pytest.fixture
def api() -> Iterator[requests_mock.Mocker]:
    """Answers for the API."""
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def client() -> v1.Client:
    auth = token_endpoint.Token(URL, "secret")
    return v1.Client(session.Session(auth=auth), wait=lambda _: None)


def test_newer_microversion_for_groups_alone(
    api: requests_mock.Mocker, client: v1.Client
) -> None:
    api.get(f"{URL}/v1/groups", json={"groups": [], "groups_links": []})
    api.get(f"{URL}/v1/hosts", json={"hosts": []})
    assert client.groups.list(all_projects=True, name="web") == []
    assert api.last_request.headers["OpenStack-API-Version"] == "aacloud 1.1"
    assert api.last_request.qs == {"all_projects": ["true"], "name": ["web"]}
    client.hosts()
    assert api.last_request.headers["OpenStack-API-Version"] == "aacloud 1.0"


def test_pages_are_followed_over_empty_ones(
    api: requests_mock.Mocker, client: v1.Client
) -> None:
    """A page may lack what was filtered away, and still have a next one."""
    link = [{"rel": "next", "href": f"http://inside/v1/groups?marker={ID}"}]
    api.get(
        f"{URL}/v1/groups",
        [
            {"json": {"groups": [], "groups_links": link}},
            {"json": {"groups": [{"id": OTHER}], "groups_links": []}},
        ],
    )
    assert client.groups.list(state="violating") == [{"id": OTHER}]
    assert api.last_request.qs == {"state": ["violating"], "marker": [ID]}
    assert api.last_request.netloc == "cloud.example:8790"


def test_find(api: requests_mock.Mocker, client: v1.Client) -> None:
    group = {"id": ID, "name": "web", "project_id": "p"}
    twin = {"id": OTHER, "name": "web", "project_id": "q"}
    api.get(f"{URL}/v1/groups/{ID}", json={"group": group})
    assert client.groups.find(ID) == group

    def page(*groups: Any) -> dict[str, Any]:
        return {"json": {"groups": list(groups), "groups_links": []}}

    api.get(f"{URL}/v1/groups", [page(group)])
    assert client.groups.find("web") == group
    # Not in the own project: operators look into all of them.
    api.get(f"{URL}/v1/groups", [page(), page(twin)])
    assert client.groups.find("web") == twin
    api.get(f"{URL}/v1/groups", [page(), page(group, twin)])
    with pytest.raises(errors.ClientError, match=f"{ID}.*{OTHER}"):
        client.groups.find("web")
    api.get(
        f"{URL}/v1/groups",
        [page(), {"status_code": 403, "json": {"error": {"message": "no"}}}],
    )
    with pytest.raises(errors.ClientError, match="no group 'web'"):
        client.groups.find("web")


def test_every_change(api: requests_mock.Mocker, client: v1.Client) -> None:
    root = f"{URL}/v1/groups/{ID}"
    api.post(f"{URL}/v1/groups", json={"group": {}}, status_code=201)
    api.patch(root, json={"group": {}})
    api.delete(root, status_code=204)
    api.post(f"{root}/servers", json={"state": "compliant"})
    api.delete(f"{root}/servers/{OTHER}", json={"left": True})
    api.put(f"{URL}/v1/quotas/p", json={"quota": {"project_id": "p"}})
    client.groups.create("web", mode=None, rules=["spread:host"])
    assert api.last_request.json() == {
        "name": "web",
        "rules": ["spread:host"],
    }
    client.groups.update(ID, {"window": None})
    assert api.last_request.json() == {"window": None}
    client.groups.delete(ID)
    joined = client.groups.join(ID, (OTHER,), strict=True)
    assert joined == {"state": "compliant"}
    assert api.last_request.json() == {
        "servers": [OTHER],
        "strict": True,
        "wait": False,
    }
    assert client.groups.leave(ID, OTHER, wait=True)["left"]
    assert api.last_request.qs == {"wait": ["true"]}
    limits = {"groups": 1, "members": None}
    assert client.groups.set_quota("p", limits) == {"project_id": "p"}
    assert api.last_request.json() == limits


def test_changes_are_sent_once(
    api: requests_mock.Mocker, client: v1.Client
) -> None:
    api.post(f"{URL}/v1/plans", status_code=503, json={})
    with pytest.raises(errors.Unavailable):
        client.plans.create(ID, dry_run=True)
    assert api.call_count == 1
    api.get(f"{URL}/v1/plans/{ID}", status_code=503, json={})
    with pytest.raises(errors.Unavailable):
        client.plans.get(ID)
    assert api.call_count == 1 + 1 + v1.RETRIES


class Compute:
    """Nova's servers, by project: the own one first."""

    def __init__(self, own: list[str], others: list[str]) -> None:
        self._own = own
        self._others = others

    def servers(self, *, name: str, all_projects: bool = False) -> Any:
        assert name == r"^web\.1$"
        found = self._own + (self._others if all_projects else [])
        return (types.SimpleNamespace(id=one) for one in found)


def manager(own: list[str], others: list[str]) -> Any:
    return types.SimpleNamespace(
        sdk_connection=types.SimpleNamespace(compute=Compute(own, others)),
        auth_ref=types.SimpleNamespace(project_id="p1"),
    )


def test_names_of_servers() -> None:
    assert names.server_id(None, ID.upper()) == ID
    assert names.server_id(manager([ID], []), "web.1") == ID
    assert names.server_id(manager([ID], [OTHER]), "web.1") == ID
    assert names.server_id(manager([], [OTHER]), "web.1") == OTHER
    with pytest.raises(errors.ClientError, match=r"no server 'web\.1'"):
        names.server_id(manager([], []), "web.1")
    with pytest.raises(errors.ClientError, match=f"{ID}, {OTHER}"):
        names.server_id(manager([ID, OTHER], []), "web.1")
    with pytest.raises(errors.ClientError, match="looked up in Nova"):
        names.server_id(types.SimpleNamespace(), "web.1")


def test_names_of_projects() -> None:
    assert names.own_project_id(manager([], [])) == "p1"
    with pytest.raises(errors.ClientError, match="name the project"):
        names.own_project_id(types.SimpleNamespace(auth_ref=None))
    assert names.project_id(None, "a" * 32) == "a" * 32
    with pytest.raises(errors.ClientError, match="looked up in Keystone"):
        names.project_id(manager([], []), "shop")


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        ([], 0),
        (["compliant", "degraded", "off"], 0),
        (["compliant", "unknown"], 4),
        (["unknown", "violating"], 3),
        (["unsatisfiable"], 3),
        (["of a newer release"], 4),
    ],
)
def test_exit_status(states: list[str], wanted: int) -> None:
    groups = [{"state": state} for state in states]
    assert group_texts.exit_status(groups) == wanted


def test_members_are_drawn_without_lines() -> None:
    member = {
        "id": ID,
        "name": None,
        "hosts": [{"host": "h1", "rack": None, "dc": None}],
    }
    assert list(trees.members([member], trees.PLAIN)) == [
        "`- no data centre: 1",
        "   `- no rack: 1",
        "      `- h1: 1",
        f"         `- {ID}",
    ]
    assert list(trees.members([], trees.PLAIN)) == []


def test_waiting_in_words() -> None:
    waited = {
        "acked": True,
        "schedulers": ["a", "b"],
        "missing": [],
        "reason": None,
    }
    assert group_texts.waited_lines({"waited": None}) == []
    assert group_texts.waited_lines({"waited": waited}) == [
        "in force in 2 schedulers"
    ]
    late = {**waited, "acked": False, "missing": ["b"]}
    assert group_texts.waited_lines({"waited": late}) == [
        "not yet in force in: b"
    ]
    down = {**late, "reason": "it is starting"}
    assert group_texts.waited_lines({"waited": down}) == [
        "not known whether it is in force: it is starting"
    ]


def inspected() -> dict[str, Any]:
    """Return the answer to an inspection of a group that is broken."""
    finding = {
        "rule": {"text": "spread:host:max=1"},
        "state": "violating",
        "counts": {"h1": 2},
        "limit": "at most 1 in a host",
        "excess": 1,
        "least_moves": 1,
        "blocked": [],
        "reason": "host h1 holds 2",
        "hindrance": {
            "code": "capacity",
            "reason": "3 has no room for 1 vCPU",
            "excess": 1,
        },
    }
    return {
        "group": {"id": ID, "name": "web", "state": "violating"},
        "members": [],
        "report": {
            "state": "violating",
            "revision": 1,
            "inspected_at": "2026-11-22T10:00:01.000000Z",
            "age_s": 1.5,
            "sought_at": "2026-11-22T10:00:00.000000Z",
            "rules": [finding],
        },
    }


def inspection(
    api: requests_mock.Mocker,
    client: v1.Client,
    answer: dict[str, Any],
    *words: str,
) -> tuple[int, str]:
    """Run ``ha group inspect``; return its exit status and its output."""
    api.get(f"{URL}/v1/groups/{ID}", json=answer)
    api.post(f"{URL}/v1/groups/{ID}/inspect", json=answer)
    out = io.StringIO()
    shell = cliff_app.App(
        "test", "1", commandmanager.CommandManager("none"), stdout=out
    )
    shell.client_manager = types.SimpleNamespace(ha=client)
    command = group_repair.InspectGroup(shell, None)
    parsed = command.get_parser("inspect").parse_args([ID, *words])
    return command.run(parsed), " ".join(out.getvalue().split())


def test_inspection_says_why_it_cannot_be_mended(
    api: requests_mock.Mocker, client: v1.Client
) -> None:
    status, text = inspection(api, client, inspected())
    assert status == 3
    assert "cannot be mended (capacity), 1 too many stay" in text
    assert "web: places read 1.5 s before they were inspected" in text
    assert "free capacity read 2026-11-22 10:00:00 UTC" in text


def test_inspection_for_machines(
    api: requests_mock.Mocker, client: v1.Client
) -> None:
    answer = inspected()
    status, text = inspection(api, client, answer, "-f", "json")
    (row,) = json.loads(text)
    assert status == 3
    (finding,) = answer["report"]["rules"]
    assert row["Hindrance"] == finding["hindrance"]
    assert row["Sought"] == "2026-11-22T10:00:00.000000Z"
    assert row["Age"] == 1.5
    answer["report"]["rules"] = []
    (row,) = json.loads(inspection(api, client, answer, "-f", "json")[1])
    assert (row["Group"], row["Hindrance"], row["Age"]) == ("web", None, 1.5)


def test_inspection_by_an_older_api(
    api: requests_mock.Mocker, client: v1.Client
) -> None:
    answer = inspected()
    del answer["report"]["sought_at"]
    del answer["report"]["rules"][0]["hindrance"]
    status, text = inspection(api, client, answer)
    assert (status, "cannot be mended" in text) == (3, False)


@pytest.mark.parametrize("server", [ID, None])
def test_steps_for_people(server: str | None) -> None:
    """Of another project's server no id and no name comes."""
    step = answers.checked(
        "PlanStep",
        {
            "number": 2,
            "server_id": server,
            "server_name": server and "web-1",
            "state": "pending",
            "source": "host-1",
            "destination": None,
            "after": [1],
            "group_ids": [OTHER],
            "reasons": ["it makes way for another server of the plan"],
            "predicted_s": 1.5,
            "tries": 0,
            "requested_at": None,
            "landed_at": None,
            "verified_at": None,
            "reason": None,
        },
    )
    shown = server or "(another project's)"
    assert group_texts.step_row(step) == (
        "2", shown, "host-1", "-", "1", step["reasons"][0],
    )
    assert plan.step_row(step)[1:3] == (shown, "web-1" if server else "-")
    preview = {"steps": [{**step, "destination": "host-2", "why": ["so"]}]}
    assert group_texts.preview_rows(preview)[0][1] == shown
    del step["reasons"]
    assert group_texts.step_row(step)[-1] == OTHER
