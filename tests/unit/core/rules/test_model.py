# SPDX-License-Identifier: Apache-2.0
"""What a rule may be."""

from __future__ import annotations

import dataclasses

import pytest

from aacloud.core import rules
from aacloud.core.topology import Level
from tests.unit.core.rules.worlds import group_of
from tests.unit.core.rules.worlds import rules_of


def test_defaults_depend_on_the_kind():
    spread = rules.Rule(Level.RACK, rules.RuleKind.SPREAD)
    fence = rules.Rule(Level.DC, rules.RuleKind.FENCE, domains=("dc1",))
    assert spread.max_per_domain == 1
    assert spread.on_unknown is rules.OnUnknown.OPEN
    assert spread.on_evacuate is rules.OnEvacuate.RELAX
    assert fence.on_unknown is rules.OnUnknown.CLOSED
    assert fence.on_evacuate is rules.OnEvacuate.HOLD
    assert spread.required
    assert fence.max_per_domain is None


def test_with_a_skew_there_is_no_default_limit():
    rule = rules.Rule(Level.DC, rules.RuleKind.SPREAD, max_skew=1)
    assert rule.max_per_domain is None


def test_what_means_the_same_is_equal():
    one = rules.Rule("dc", "fence", "require", domains=["b", "a", "b"])
    other = rules.Rule(
        Level.DC, rules.RuleKind.FENCE, domains=("a", "b"),
        on_unknown=rules.OnUnknown.CLOSED)
    assert one == other
    assert hash(one) == hash(other)
    assert dataclasses.replace(one) == one


@pytest.mark.parametrize(("given", "told"), [
    ({"level": "cloud"}, "it can be host, rack, dc"),
    ({"level": None}, "level is None"),
    ({"kind": "apart"}, "spread, together, fence"),
    ({"strength": "maybe"}, "require, prefer"),
    ({"on_unknown": "shut"}, "open, closed"),
    ({"on_evacuate": 1}, "relax, hold"),
    ({"max_per_domain": 0}, "from 1 to 1000000"),
    ({"max_per_domain": 1_000_001}, "from 1 to 1000000"),
    ({"max_per_domain": True}, "max_per_domain is True"),
    ({"max_per_domain": "1"}, "max_per_domain is '1'"),
    ({"max_skew": -1}, "max_skew is -1"),
    ({"max_skew": 1.0}, "max_skew is 1.0"),
    ({"min_domains": 2}, "with max_skew only"),
    ({"domains": ("dc1",)}, "add a fence rule"),
    ({"domains": "dc1"}, "it is a list of names"),
    ({"domains": 1}, "it is a list of names"),
    ({"kind": "together", "max_per_domain": 1}, "for spread rules only"),
    ({"kind": "fence", "max_skew": 1, "domains": ["a"]},
     "max_skew is for spread rules only"),
    ({"kind": "fence"}, "needs the names of its domains"),
    ({"kind": "fence", "domains": ("a b",)}, "no spaces"),
    ({"kind": "fence", "domains": ("",)}, "is not usable"),
    ({"kind": "fence", "domains": (3,)}, "put it in quotes"),
])
def test_a_rule_that_means_nothing_is_refused(given, told):
    fields = {"level": "rack", "kind": "spread", **given}
    with pytest.raises(rules.RuleError) as caught:
        rules.Rule(**fields)
    assert told in str(caught.value)
    assert told in caught.value.problem
    # The example that it shows is one that works.
    assert rules.parse_rule(caught.value.example)


def test_only_a_required_rule_that_relaxes_is_relaxed():
    require, prefer, hold = rules_of(
        "spread:host", "spread:host:prefer", "spread:host:on_evacuate=hold")
    assert require.relaxed(True)
    assert not require.relaxed(False)
    assert not prefer.relaxed(True)
    assert not hold.relaxed(True)


@pytest.mark.parametrize(("mode", "enforced"), [
    ("off", False), ("report", False), ("enforce", True), ("repair", True)])
def test_modes_that_enforce(mode, enforced):
    group = group_of("spread:host", mode=rules.GroupMode(mode))
    assert group.enforced is enforced


def test_records_are_frozen():
    for kind in (rules.Rule, rules.Group, rules.Ruling, rules.RuleState,
                 rules.RuleReport, rules.GroupReport, rules.Contradiction,
                 rules.Mending):
        assert dataclasses.fields(kind)
        assert kind.__dataclass_params__.frozen
        assert "__slots__" in vars(kind)
