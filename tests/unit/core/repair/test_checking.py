# SPDX-License-Identifier: Apache-2.0
"""A step is looked at again before it starts."""

from __future__ import annotations

import dataclasses

import pytest

from aacloud.core.repair import check_step
from aacloud.core.repair import Move
from aacloud.core.repair import Step
from tests.unit.core.repair.worlds import group
from tests.unit.core.repair.worlds import problem

A1, A2, B1 = "dc1-r1-h1", "dc1-r1-h2", "dc2-r1-h1"
STEP = Step(1, Move("a", A1, B1), (), ("because",))


def world(**changes):
    given = {"where": {"a": A1, "b": A1},
             "groups": [group("g", ["spread:host"], "a b")], **changes}
    return problem(**given)


def test_a_step_that_is_still_right():
    assert check_step(world(), STEP) is None


@pytest.mark.parametrize(("changes", "words"), [
    ({"where": {"b": A1}}, "is gone"),
    ({"where": {"a": A2, "b": A1}}, "is on dc1-r1-h2"),
    ({"servers": {"a": {"also": A2}}}, "being migrated"),
    ({"servers": {"a": {"movable": False, "why_not": "it is locked"}}},
     "it is locked"),
    ({"servers": {"a": {"may_go": frozenset({A2})}}}, "zone or cell"),
    ({"hosts": {B1: {"takes": False, "reason": "disabled"}}}, "disabled"),
    ({"hosts": {B1: {"free_vcpus": 0}}}, "no room"),
    ({"where": {"a": A1, "b": B1}}, "spread:host:max=1 of group g"),
    ({"groups": [group("f", ["fence:dc:domains=dc1"], "a", "enforce")]},
     "fence:dc:domains=dc1"),
])
def test_a_step_that_is_not(changes, words):
    found = check_step(world(**changes), STEP)
    assert found is not None
    assert words in found


def test_a_host_that_is_gone():
    now = world()
    hosts = {name: h for name, h in now.hosts.items() if name != B1}
    found = check_step(dataclasses.replace(now, hosts=hosts), STEP)
    assert found == "host dc2-r1-h1 is gone"


def test_groups_that_are_only_reported_do_not_stop_it():
    now = world(
        where={"a": A1, "b": B1},
        groups=[group("g", ["spread:host"], "a b", "report")])
    assert check_step(now, STEP) is None
