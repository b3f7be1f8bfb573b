# SPDX-License-Identifier: Apache-2.0
"""The least moves for one rule, against all that could be done."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.core import rules
from tests.unit.core.rules.worlds import rules_of
from tests.unit.core.rules.worlds import shaped
from tests.unit.core.rules.worlds import some_rules
from tests.unit.core.rules.worlds import topologies


def shares(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to split a number into so many parts."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in shares(total - first, parts - 1):
            yield (first, *rest)


def stays(counts: list[tuple[str, int]]) -> Iterator[dict[str, int]]:
    """All ways in which members may stay where they are."""
    if not counts:
        yield {}
        return
    (name, n), *rest = counts
    for left in range(n + 1):
        for others in stays(rest):
            yield {name: left, **others}


def tried(rule, counts, domains):
    """(least excess, least moves to it) of all placements."""
    targets = sorted(domains.eligible(rule.level))
    outside = [item for item in counts.items() if item[0] not in targets]
    best = (rules.excess(rule, counts, domains), 0)
    for held in stays(outside):
        inside = sum(counts.values()) - sum(held.values())
        for split in shares(inside, len(targets)) if targets else ():
            after = {**held, **dict(zip(targets, split, strict=True))}
            # Every move ends in an eligible domain.
            moves = sum(
                max(0, after[name] - counts.get(name, 0))
                for name in targets)
            best = min(best, (rules.excess(rule, after, domains), moves))
    return best


@st.composite
def cases(draw):
    topology = draw(topologies)
    dead = draw(st.sets(st.sampled_from(topology.dcs()), max_size=1))
    closed = draw(st.sets(
        st.sampled_from(sorted(topology.hosts)), max_size=3))
    rule = draw(some_rules(topology))
    fences = draw(st.lists(
        some_rules(topology, required=True).filter(
            lambda one: one.kind is rules.RuleKind.FENCE), max_size=1))
    domains = rules.Domains(topology, dead, closed).within([rule, *fences])
    names = [*sorted(domains.all(rule.level)), rules.UNPLACED]
    counts: dict[str, int] = {}
    most = 12 if len(domains.eligible(rule.level)) < 5 else 8
    for name in draw(st.permutations(names)):
        n = draw(st.integers(0, min(6, most)))
        most -= n
        if n:
            counts[name] = n
    return rule, counts, domains


@settings(max_examples=150, deadline=None)
@given(cases())
def test_no_placement_does_better(case):
    rule, counts, domains = case
    mended = rules.mend(rule, counts, domains)
    assert (mended.floor, mended.moves) == tried(rule, counts, domains)


@pytest.mark.parametrize(("text", "counts", "moves", "floor"), [
    ("spread:host", {"dc1-r1-h1": 3}, 2, 0),
    ("spread:dc:max=2", {"dc1": 5}, 2, 1),
    ("spread:dc:max_skew=1", {"dc1": 7, "dc2": 2}, 2, 0),
    ("spread:dc:max_skew=5", {"dc1": 90}, 43, 0),
    ("spread:rack:max=3:max_skew=1", {"dc1-r1": 8, "dc1-r2": 4}, 6, 0),
    # Seven empty ones: to fill them costs more than the surplus.
    ("spread:host:max_skew=5", {"dc1-r1-h1": 10}, 5, 0),
    ("together:rack", {"dc1-r1": 2, "dc1-r2": 2, "dc2-r1": 1}, 3, 0),
    ("fence:dc:domains=dc2", {"dc1": 4, "dc2": 1}, 4, 0),
    ("fence:dc:domains=nowhere", {"dc1": 4}, 0, 4),
])
def test_cases(text, counts, moves, floor):
    (rule,) = rules_of(text)
    domains = rules.Domains(shaped((2, 2), (2, 2)))
    assert rules.mend(rule, counts, domains) == rules.Mending(moves, floor)
