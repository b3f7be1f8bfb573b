# SPDX-License-Identifier: Apache-2.0
"""The least moves for one rule, against all that could be done."""

from __future__ import annotations

import itertools

from hypothesis import assume
from hypothesis import given
from hypothesis import settings
import pytest

from aacloud.core import rules
from tests.unit.core.rules.worlds import rules_of
from tests.unit.core.rules.worlds import shaped
from tests.unit.core.rules.worlds import some_worlds


def tried(rule, counts, domains):
    """(least excess, least moves to it) of all placements."""
    where = [name for name, n in counts.items() for _ in range(n)]
    targets = sorted(domains.eligible(rule.level))
    best = None
    for ends in itertools.product([None, *targets], repeat=len(where)):
        held: dict[str, int] = {}
        for start, end in zip(where, ends, strict=True):
            name = start if end is None else end
            held[name] = held.get(name, 0) + 1
        moves = sum(
            end not in (None, start)
            for start, end in zip(where, ends, strict=True))
        found = (rules.excess(rule, held, domains), moves)
        if best is None or found < best:
            best = found
    return best


@settings(max_examples=300, deadline=None)
@given(some_worlds(most_rules=2))
def test_no_placement_does_better(world):
    domains = world.domains.within(world.group.rules)
    for rule in world.group.rules:
        counts = rules.count(
            rule, world.group.members, world.occupancy, domains)
        choices = 1 + len(domains.eligible(rule.level))
        assume(choices ** sum(counts.values()) <= 20_000)
        mended = rules.mend(rule, counts, domains)
        assert (mended.floor, mended.moves) == tried(rule, counts, domains)


@pytest.mark.parametrize(("text", "counts", "moves", "floor"), [
    ("spread:host", {"dc1-r1-h1": 3}, 2, 0),
    ("spread:dc:max=2", {"dc1": 5}, 2, 1),
    ("spread:dc:max_skew=1", {"dc1": 7, "dc2": 2}, 2, 0),
    ("spread:dc:max_skew=5", {"dc1": 90}, 43, 0),
    ("spread:rack:max=3:max_skew=1", {"dc1-r1": 8, "dc1-r2": 4}, 6, 0),
    ("together:rack", {"dc1-r1": 2, "dc1-r2": 2, "dc2-r1": 1}, 3, 0),
    ("fence:dc:domains=dc2", {"dc1": 4, "dc2": 1}, 4, 0),
    ("fence:dc:domains=nowhere", {"dc1": 4}, 0, 4),
])
def test_cases(text, counts, moves, floor):
    (rule,) = rules_of(text)
    domains = rules.Domains(shaped((2, 2), (2, 2)))
    assert rules.mend(rule, counts, domains) == rules.Mending(moves, floor)
