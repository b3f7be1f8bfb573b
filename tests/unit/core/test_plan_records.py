# SPDX-License-Identifier: Apache-2.0
"""Plans and steps: what may follow what, and what the mover is given."""

from __future__ import annotations

import dataclasses

import pytest

from aacloud.core import groups
from aacloud.core import incidents

P = groups.PlanState
S = groups.StepState


def step(**fields):
    return groups.PlanStep(**{
        "plan_id": "plan", "number": 7, "server": "uuid", "name": "web",
        "project_id": "p", "source": "h1", "destination": "h2", **fields})


def test_every_state_has_its_transitions():
    assert set(groups.PLAN_TRANSITIONS) == set(P)
    assert set(groups.STEP_TRANSITIONS) == set(S)
    assert {P.DONE, P.STOPPED, P.FAILED, P.EXPIRED} == groups.CLOSED_PLANS
    assert set(P) - groups.CLOSED_PLANS - {P.DRAFT} == groups.LIVE_PLANS
    settled = {s for s, follow in groups.STEP_TRANSITIONS.items()
               if not follow}
    assert settled == groups.SETTLED_STEPS


def test_every_plan_can_be_stopped_and_ends():
    for state in P:
        if state not in groups.CLOSED_PLANS:
            groups.check_plan_transition(state, P.STOPPED)
            groups.check_plan_transition(state, P.EXPIRED)
            assert state in groups.COMMANDS_ACCEPTED_IN[
                groups.PlanCommand.STOP]


@pytest.mark.parametrize(("old", "new"), [
    (P.DRAFT, P.RUNNING), (P.AWAITING_APPROVAL, P.RUNNING),
    (P.DONE, P.RUNNING), (P.STOPPED, P.APPROVED)])
def test_nothing_runs_without_approval_or_after_its_end(old, new):
    with pytest.raises(incidents.IllegalTransition):
        groups.check_plan_transition(old, new)


def test_a_step_goes_the_ways_of_a_servers_move():
    for old, follow in incidents.SERVER_TRANSITIONS.items():
        own = groups.STEP_TRANSITIONS[S(old.value)]
        assert {s.value for s in own} - {"skipped"} == {
            s.value for s in follow}


@pytest.mark.parametrize("state", [S.REQUESTED, S.MIGRATING, S.LANDED])
def test_what_nova_was_asked_for_is_never_left_out(state):
    with pytest.raises(incidents.IllegalTransition):
        groups.check_step_transition(state, S.SKIPPED)
    assert state in groups.STEPS_IN_FLIGHT


def test_the_mover_gets_the_step_as_a_servers_record():
    one = step(state=S.RETRY, version=3, tries=2, spares=("h3",),
               past_migrations=(4,), reason="x", snapshot={"a": 1})
    record = one.as_server_record()
    assert record.incident_id == "plan"
    assert record.wave == 7
    assert record.state is incidents.ServerState.RETRY
    for field in dataclasses.fields(incidents.ServerRecord):
        if field.name not in ("incident_id", "wave", "state"):
            assert getattr(record, field.name) == getattr(one, field.name)
    with pytest.raises(ValueError, match="skipped"):
        step(state=S.SKIPPED).as_server_record()


def test_records_are_frozen():
    for kind in (groups.Plan, groups.PlanStep, groups.PlanEvent,
                 groups.PlanOrder):
        assert kind.__dataclass_params__.frozen
        assert "__slots__" in vars(kind)
