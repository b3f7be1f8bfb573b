# SPDX-License-Identifier: Apache-2.0
"""Which steps of a plan are still good for something."""

from __future__ import annotations

import pytest

from aacloud.core import groups as core_groups
from aacloud.core import rules
from aacloud.core import usefulness
from tests.unit.core import builders

H11, H12 = "dc1-r1-h1", "dc1-r1-h2"
H21, H22 = "dc1-r2-h1", "dc1-r2-h2"
FAR = "dc2-r1-h1"


def step(number, server, source, destination, *after):
    return core_groups.PlanStep(
        plan_id="p", number=number, server=server, name=server,
        project_id="p", source=source, destination=destination, after=after)


def useful(where, steps, *texts, members=None, dead=()):
    group = rules.Group(
        id="g", name="g", project_id="p", mode=rules.GroupMode.REPAIR,
        rules=tuple(rules.parse_rule(text) for text in texts),
        members=frozenset(where if members is None else members), revision=1)
    return sorted(usefulness.useful_steps(
        steps, [group], {one: (host,) for one, host in where.items()},
        rules.Domains(builders.cloud(), dead)))


@pytest.mark.parametrize(("rule", "found"), [
    ("spread:host", [1]),
    ("spread:rack", []),
    ("fence:host:domains=dc1-r1-h2", [1]),
    ("fence:dc:domains=dc2", []),
    ("together:host", []),
    ("spread:host:prefer", []),
])
def test_one_step(rule, found):
    steps = [step(1, "a", H11, H12)]
    assert useful({"a": H11, "b": H11}, steps, rule) == found


def test_the_first_of_those_that_mend_the_same():
    steps = [step(1, "a", H11, H12), step(2, "b", H11, H21)]
    assert useful({"a": H11, "b": H11}, steps, "spread:host") == [1]
    everyone = {"a": H11, "b": H11, "c": H11}
    assert useful(everyone, steps, "spread:host") == [1, 2]


def test_those_that_mend_only_together():
    """Two racks of four have the most; neither alone bettered the skew."""
    where = {f"a{n}": H11 for n in range(4)} | {
        f"b{n}": H21 for n in range(4)} | {
        "c0": FAR, "c1": FAR, "d0": "dc2-r2-h1", "d1": "dc2-r2-h1"}
    steps = [step(1, "a0", H11, FAR), step(2, "b0", H21, "dc2-r2-h1")]
    rule = "spread:rack:max_skew=1"
    assert useful(where, steps, rule) == [1, 2]
    # The other one failed: this one leaves less to be moved all the same.
    assert useful(where, steps[:1], rule) == [1]


def test_one_that_makes_way():
    where = {"a": H11, "b": H11, "x": H12}
    steps = [step(1, "x", H12, FAR), step(2, "a", H11, H12, 1)]
    assert useful(where, steps, "spread:host", members="ab") == [1, 2]
    # What it makes way for is not good for anything any more.
    assert useful(where, steps, "spread:rack", members="ab") == []


def test_two_moves_of_one_server():
    where = {"a": H11, "b": H11}
    steps = [step(1, "a", H11, H12), step(2, "a", H12, FAR, 1)]
    assert useful(where, steps, "spread:rack") == [1, 2]
    assert useful(where, steps, "spread:host") == [1]
    assert useful({"a": H12, "b": H12}, steps, "spread:rack") == [2]


def test_a_server_that_is_elsewhere():
    assert useful(
        {"a": H21, "b": H21}, [step(1, "a", H11, H12)], "spread:host") == []


def test_nothing_is_broken():
    assert useful(
        {"a": H11, "b": H12}, [step(1, "a", H11, FAR)], "spread:host") == []


def test_one_that_only_repairs_what_another_breaks():
    where = {"a": H11, "b": H12, "c": H21, "d": H21, "e": FAR}
    steps = [step(1, "a", H11, H12), step(2, "b", H12, H22),
             step(3, "c", H21, "dc2-r2-h2")]
    assert useful(where, steps, "spread:host") == [3]


def test_members_that_joined_where_it_comes_from():
    steps = [step(1, "a", H21, H11)]
    where = {"x": H11, "y": H11, "a": H21}
    assert useful(where, steps, "together:host") == [1]
    joined = {f"b{n}": H21 for n in range(3)}
    assert useful({**where, **joined}, steps, "together:host") == []
