# SPDX-License-Identifier: Apache-2.0
"""Which incidents are cancelled so that a lab becomes calm."""

from __future__ import annotations

import types
from typing import Any

import pytest

from tests.lab.rest import RestError
from tests.lab.suite import calm


class Look:
    """Has open incidents, and keeps what is asked of the API."""

    def __init__(self, *is_open: dict[str, Any], status: int = 202) -> None:
        self.is_open = list(is_open)
        self.status = status
        self.asked: list[str] = []
        self.lab = types.SimpleNamespace(cloud=self)

    def incidents(self, **filters: str) -> list[dict[str, Any]]:
        assert filters == {"open": "true"}
        return self.is_open

    def post(self, service: str, path: str, body: dict[str, str]) -> None:
        assert service == "aacloud-api"
        assert body["reason"]
        self.asked.append(path)
        if self.status != 202:
            raise RestError(self.status, "no")


def incident(state: str, *commands: str) -> dict[str, Any]:
    return {
        "id": state, "host": "dc1-r1-h1", "state": state,
        "commands": [{"command": command} for command in commands]}


def test_those_that_may_wait_for_ever_and_each_once() -> None:
    look = Look(
        incident("detected"), incident("fencing"), incident("fenced"),
        incident("forced-down", "confirm-fenced"),
        incident("evacuating", "confirm-fenced", "cancel"),
        incident("verifying"), incident("return-wait"))
    calm._give_up(look)  # type: ignore[arg-type]
    assert look.asked == [
        "/incidents/fenced/cancel", "/incidents/forced-down/cancel"]


def test_one_that_went_on_by_itself() -> None:
    look = Look(incident("evacuating"), status=409)
    calm._give_up(look)  # type: ignore[arg-type]
    assert len(look.asked) == 1


def test_an_api_that_refuses_is_told() -> None:
    with pytest.raises(RestError):
        calm._give_up(
            Look(incident("fenced"), status=403))  # type: ignore[arg-type]


class GroupsLook:
    """Has plans and groups, and keeps what is asked of the API."""

    def __init__(self, *names: str, orders: tuple[str, ...] = ()) -> None:
        self.names = names
        self.orders = orders
        self.asked: list[str] = []

    def plans(self, **filters: str) -> list[dict[str, Any]]:
        assert filters == {"open": "true"}
        return [{
            "id": "p1", "state": "running", "waiting": None,
            "orders": [{"command": one} for one in self.orders]}]

    def groups(self) -> list[dict[str, Any]]:
        return [{"id": name, "name": name} for name in self.names]

    def stop_plan(self, plan: str) -> None:
        self.asked.append(f"stop {plan}")
        raise RestError(409, "it has ended")

    def remove_group(self, group: str) -> None:
        self.asked.append(f"remove {group}")
        raise RestError(404, "it is gone")


def test_groups_of_earlier_tests_go_and_others_stay() -> None:
    look = GroupsLook("lt-group-1", "web", "demo-web")
    missing = calm._groups(look)  # type: ignore[arg-type]
    assert look.asked == ["stop p1", "remove lt-group-1", "remove demo-web"]
    assert missing == [
        "plan p1 is running (goes on)", "group lt-group-1 is still there",
        "group demo-web is still there"]


def test_a_plan_is_stopped_once() -> None:
    look = GroupsLook(orders=("approve", "stop"))
    assert calm._groups(look)  # type: ignore[arg-type]
    assert look.asked == []
