# SPDX-License-Identifier: Apache-2.0
"""The tables of states."""

from __future__ import annotations

import itertools

import pytest

from aacloud.core import incidents
from aacloud.core.incidents import check_transition
from aacloud.core.incidents import IllegalTransition
from aacloud.core.incidents import INCIDENT_TRANSITIONS
from aacloud.core.incidents import IncidentState
from aacloud.core.incidents import SERVER_TRANSITIONS
from aacloud.core.incidents import ServerState

IS, S = IncidentState, ServerState


def reachable(table, start):
    seen, todo = set(), [start]
    while todo:
        state = todo.pop()
        if state not in seen:
            seen.add(state)
            todo.extend(table[state])
    return seen


def test_tables_are_total_and_every_state_can_be_reached():
    assert set(INCIDENT_TRANSITIONS) == set(IS)
    assert set(SERVER_TRANSITIONS) == set(S)
    assert reachable(INCIDENT_TRANSITIONS, IS.DETECTED) == set(IS)
    assert reachable(SERVER_TRANSITIONS, S.PENDING) == set(S)


def test_every_state_leads_to_an_end():
    for state in IS:
        assert reachable(INCIDENT_TRANSITIONS, state) & incidents.CLOSED
    for state in S:
        assert reachable(SERVER_TRANSITIONS, state) & incidents.SETTLED


@pytest.mark.parametrize("state", sorted(incidents.CLOSED))
def test_nothing_follows_a_closed_incident(state):
    assert INCIDENT_TRANSITIONS[state] == frozenset()


def test_no_evacuation_without_passing_the_proof():
    for cut in (IS.FENCING, IS.FENCED, IS.FORCED_DOWN):
        table = {
            state: following - {cut}
            for state, following in INCIDENT_TRANSITIONS.items()}
        assert IS.EVACUATING not in reachable(table, IS.DETECTED)


def test_an_incident_is_closed_unrecovered_only_until_nova_is_told():
    """Later its host is forced down, and has to be let return."""
    may = {state for state, following in INCIDENT_TRANSITIONS.items()
           if IS.CANCELLED in following}
    assert may == incidents.BEFORE_PROOF | {IS.FENCED}
    assert not may & reachable(INCIDENT_TRANSITIONS, IS.FORCED_DOWN)


def test_it_can_be_cancelled_as_long_as_a_server_may_be_sent():
    accepted = incidents.ACCEPTED_IN[incidents.Command.CANCEL]
    assert accepted == set(IS) - incidents.CLOSED - {
        IS.VERIFYING, IS.DONE, IS.PARTIAL, IS.RETURN_WAIT}


@pytest.mark.parametrize(
    ("old", "new"), [
        *itertools.product(IS, IS), *itertools.product(S, S)])
def test_check_transition_follows_the_tables(old, new):
    table = INCIDENT_TRANSITIONS if isinstance(old, IS) else SERVER_TRANSITIONS
    if new in table[old]:
        check_transition(old, new)
    else:
        with pytest.raises(IllegalTransition, match=old.value) as caught:
            check_transition(old, new)
        assert (caught.value.old, caught.value.new) == (old, new)


def test_values_are_lower_case_with_hyphens():
    for state in (*IS, *S):
        assert state.value == state.name.lower().replace("_", "-")
