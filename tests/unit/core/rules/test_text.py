# SPDX-License-Identifier: Apache-2.0
"""Rules as text and as JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
import pytest

from aacloud.core import rules
from aacloud.core.topology import Host
from aacloud.core.topology import Level
from aacloud.core.topology import Topology
from tests.unit.core.rules.worlds import some_rules

# Every character that a name may hold and the text could trip over.
NAMES = st.text(
    st.sampled_from("aZ0.:=-_3A\u00e9"), min_size=1, max_size=8)


@st.composite
def any_rules(draw):
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    topology = Topology(hosts={
        name: Host(name=name, rack=name, dc=name) for name in names})
    return draw(some_rules(topology))


@given(any_rules())
def test_text_makes_the_same_rule_again(rule):
    assert rules.parse_rule(rules.format_rule(rule)) == rule


@given(any_rules())
def test_json_makes_the_same_rule_again(rule):
    held = json.dumps(rules.rule_to_dict(rule))
    assert rules.rule_from_dict(json.loads(held)) == rule


@given(st.text(st.sampled_from("spreadhostx:=,1% \n"), max_size=30))
def test_any_text_is_a_rule_or_refused(text):
    try:
        rule = rules.parse_rule(text)
    except rules.RuleError as error:
        assert error.problem
        assert rules.parse_rule(error.example)
    else:
        assert rules.parse_rule(rules.format_rule(rule)) == rule


@pytest.mark.parametrize(("text", "shown"), [
    ("spread:host", "spread:host:max=1"),
    ("spread:rack:max=1:require", "spread:rack:max=1"),
    (" Spread : Rack : MAX = 2 : Prefer ", "spread:rack:max=2:prefer"),
    ("spread:rack:max_per_domain=2", "spread:rack:max=2"),
    ("spread:dc:min_domains=2:prefer:max_skew=1",
     "spread:dc:max_skew=1:min_domains=2:prefer"),
    ("spread:dc:max=4:max_skew=1", "spread:dc:max=4:max_skew=1"),
    ("together:dc", "together:dc"),
    ("fence:dc:domains=dc2,dc1", "fence:dc:domains=dc1,dc2"),
    ("fence:dc:domains=dc1:on_unknown=open:on_evacuate=relax",
     "fence:dc:domains=dc1:on_unknown=open:on_evacuate=relax"),
    ("spread:host:on_unknown=closed", "spread:host:max=1:on_unknown=closed"),
    ("fence:host:domains=a%3Ab", "fence:host:domains=a%3Ab"),
])
def test_what_is_written_and_what_is_shown(text, shown):
    assert rules.format_rule(rules.parse_rule(text)) == shown


def test_the_fields_of_a_text():
    rule = rules.parse_rule("spread:dc:max_skew=1:min_domains=2:prefer")
    assert rule == rules.Rule(
        Level.DC, rules.RuleKind.SPREAD, rules.Strength.PREFER, max_skew=1,
        min_domains=2)
    assert rules.parse_rule("fence:host:domains=a%3ab").domains == ("a:b",)


@pytest.mark.parametrize(("text", "told"), [
    ("", "it begins with ''"),
    ("apart:host", "spread, together, fence"),
    ("spread", "the level is missing"),
    ("spread:", "the level is missing"),
    ("spread:cloud", "it can be host, rack, dc"),
    ("spread:host:hard", "'hard' is no flag"),
    ("spread:host:limit=1", "unknown key 'limit'"),
    ("spread:host:max=one", "not a whole number"),
    ("spread:host:max=-1", "not a whole number"),
    ("spread:host:max=\u0661", "not a whole number"),
    ("spread:host:max=" + "9" * 30, "not a whole number"),
    ("spread:host:max=1:max=2", "said twice"),
    ("spread:host:require:prefer", "said twice"),
    ("spread:host:on_unknown=shut", "open, closed"),
    ("fence:dc", "needs the names"),
    ("fence:dc:domains=,", "needs the names"),
    ("together:dc:max=1", "for spread rules only"),
])
def test_refused_text_says_what_is_wrong(text, told):
    with pytest.raises(rules.RuleError) as caught:
        rules.parse_rule(text)
    assert told in str(caught.value)
    assert rules.parse_rule(caught.value.example)
    if len(text) < 80:
        assert repr(text) in str(caught.value)


def test_json_holds_what_applies():
    assert rules.rule_to_dict(rules.parse_rule("fence:dc:domains=b,a")) == {
        "level": "dc", "kind": "fence", "strength": "require",
        "domains": ["a", "b"], "on_unknown": "closed",
        "on_evacuate": "hold"}
    assert rules.rule_to_dict(rules.parse_rule("spread:host")) == {
        "level": "host", "kind": "spread", "strength": "require",
        "max_per_domain": 1, "on_unknown": "open", "on_evacuate": "relax"}


def test_null_in_json_is_left_out():
    assert rules.rule_from_dict({
        "level": "host", "kind": "spread", "max_skew": None,
        "on_unknown": None}) == rules.parse_rule("spread:host")


@pytest.mark.parametrize(("content", "told"), [
    ({"level": "host", "kind": "spread", "max": 1}, "unknown key 'max'"),
    ({"level": "host", "kind": "spread", 1: 1}, "unknown key 1"),
    ({"level": "host"}, "kind is missing"),
    ({"kind": "spread", "level": None}, "level is missing"),
    ({"kind": "spread", "level": ["host"]}, "level is ['host']"),
    ({"kind": "fence", "level": "dc", "domains": {"dc1": 1, "x y": 2}},
     "'x y'"),
    ({"kind": "fence", "level": "dc", "domains": [["dc1"]]}, "not text"),
    (["spread"], "no mapping"),
    ("spread:host", "no mapping"),
])
def test_refused_json_says_what_is_wrong(content, told):
    with pytest.raises(rules.RuleError) as caught:
        rules.rule_from_dict(content)
    assert told in str(caught.value)
