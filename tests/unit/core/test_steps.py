# SPDX-License-Identifier: Apache-2.0
"""What the engine does next."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.core.brakes import Mode
from aacloud.core.brakes import ModeVerdict
from aacloud.core.fences import FenceEvidence
from aacloud.core.fences import PowerState
from aacloud.core.fences import prove
from aacloud.core.incidents import check_transition
from aacloud.core.incidents import CLOSED
from aacloud.core.incidents import Command
from aacloud.core.incidents import Incident
from aacloud.core.incidents import IncidentState
from aacloud.core.incidents import OperatorCommand
from aacloud.core.incidents import SERVER_TRANSITIONS
from aacloud.core.incidents import ServerState
from aacloud.core.incidents import SETTLED
from aacloud.core.steps import IncidentView
from aacloud.core.steps import next_step
from aacloud.core.steps import Step
from aacloud.core.verdicts import HostState
from aacloud.core.verdicts import HostVerdict
from tests.unit.core.builders import later
from tests.unit.core.builders import record
from tests.unit.core.builders import UTC_NOW

IS, S = IncidentState, ServerState
HOST = "dc1-r1-h1"
DEAD, UP, NOT_SURE = HostState.DEAD, HostState.UP, HostState.NOT_SURE
BEFORE_PROOF = (IS.DETECTED, IS.ADMITTED, IS.PLANNED, IS.FENCING)
AFTER_PROOF = (IS.FENCED, IS.FORCED_DOWN, IS.EVACUATING)
PROOF = prove((FenceEvidence(
    driver="redfish", strength="strong", power=PowerState.OFF,
    read_at_utc=UTC_NOW),), None).as_dict()


def verdict(state):
    return HostVerdict(
        host=HOST, state=state, networks={}, heartbeat_age_s=9.0,
        life_age_s=9.0, dead_since=None, suspect=state is not UP,
        reasons=(f"it is {state.value}",))


def view(state, mode=Mode.ARMED, host=DEAD, life=None, **changes):
    incident = Incident(
        id="i1", host=HOST, state=state, mode=Mode.ARMED, version=1,
        epoch=1, opened_at=UTC_NOW, updated_at=UTC_NOW,
        proof=PROOF if state in AFTER_PROOF else None)
    return IncidentView(
        incident=dataclasses.replace(incident, **changes),
        mode=ModeVerdict(mode, (f"{mode.value} at the cloud",)),
        host=None if host is None else verdict(host),
        last_sign_of_life_utc=None if life is None else later(life))


def ask(state, servers=(), **changes):
    return next_step(view(state, **changes), servers, UTC_NOW)


def say(command, at=0.0):
    return (OperatorCommand(command, "ann", "she knows", later(at)),)


def some(*states, **changes):
    return [record(f"s{n}", state, **changes)
            for n, state in enumerate(states)]


@pytest.mark.parametrize(("state", "step", "to"), [
    (IS.DETECTED, Step.ADMIT, IS.ADMITTED),
    (IS.ADMITTED, Step.PLAN, IS.PLANNED),
    (IS.PLANNED, Step.ADVANCE, IS.FENCING),
    (IS.FENCING, Step.FENCE, IS.FENCED),
    (IS.FENCED, Step.FORCE_DOWN, IS.FORCED_DOWN),
    (IS.FORCED_DOWN, Step.ADVANCE, IS.EVACUATING),
    (IS.EVACUATING, Step.ADVANCE, IS.VERIFYING),
    (IS.VERIFYING, Step.ADVANCE, IS.DONE),
    (IS.DONE, Step.ADVANCE, IS.RETURN_WAIT),
    (IS.PARTIAL, Step.ADVANCE, IS.RETURN_WAIT),
    (IS.RETURN_WAIT, Step.CHECK_RETURN, IS.RETURNED),
    (IS.RETURNED, Step.NOTHING, None),
    (IS.CANCELLED, Step.NOTHING, None),
    (IS.SHADOWED, Step.ADVANCE, IS.DETECTED),
])
def test_the_straight_way_of_an_armed_dead_host(state, step, to):
    decision = ask(state)
    assert (decision.step, decision.to) == (step, to)
    assert decision.reasons


@pytest.mark.parametrize("state", BEFORE_PROOF)
def test_a_host_that_lives_ends_it_before_the_proof(state):
    decision = ask(state, host=UP)
    assert (decision.step, decision.to) == (Step.CANCEL, IS.CANCELLED)
    assert "it is up" in decision.reasons


@pytest.mark.parametrize("state", BEFORE_PROOF)
def test_an_operator_ends_it_before_the_proof(state):
    decision = ask(state, commands=say(Command.CANCEL))
    assert (decision.step, decision.to) == (Step.CANCEL, IS.CANCELLED)
    assert decision.reasons == ("cancelled by ann: she knows",)


@pytest.mark.parametrize("state", AFTER_PROOF)
def test_no_sign_of_life_ends_it_after_the_proof(state):
    decision = ask(state, some(S.PENDING), host=UP)
    assert decision.to is None
    assert decision.step in (Step.HOLD, Step.FOLLOW)


@pytest.mark.parametrize(("state", "step", "to"), [
    (IS.FENCED, Step.CANCEL, IS.CANCELLED),
    (IS.FORCED_DOWN, Step.ADVANCE, IS.EVACUATING),
    (IS.EVACUATING, Step.GIVE_UP, None),
])
@pytest.mark.parametrize("changes", [
    {}, {"host": UP}, {"host": None}, {"mode": Mode.DISARMED},
    {"mode": Mode.SHADOW}, {"life": 30.0}, {"proof": None}])
def test_an_operator_gives_it_up_after_the_proof(state, step, to, changes):
    """It harms nothing, so it needs no mode, no proof and no verdict."""
    decision = ask(
        state, some(S.MIGRATING, S.PENDING), commands=say(Command.CANCEL),
        **changes)
    assert (decision.step, decision.to) == (step, to)
    assert decision.reasons[0] == "cancelled by ann: she knows"
    assert not decision.reprove


@pytest.mark.parametrize("states", [
    (), (S.VERIFIED,), (S.MANUAL, S.LANDED)])
def test_when_nothing_is_on_its_way_there_is_nothing_to_give_up(states):
    decision = ask(
        IS.EVACUATING, some(*states), commands=say(Command.CANCEL))
    assert (decision.step, decision.to) == (Step.ADVANCE, IS.VERIFYING)


@pytest.mark.parametrize("state", [
    IS.VERIFYING, IS.DONE, IS.PARTIAL, IS.RETURN_WAIT])
def test_a_cancel_that_came_too_late_changes_nothing(state):
    assert ask(state, commands=say(Command.CANCEL)) == ask(state)


@pytest.mark.parametrize("host", [NOT_SURE, None])
@pytest.mark.parametrize("state", BEFORE_PROOF[:3])
def test_nothing_is_begun_on_a_host_not_held_dead_now(state, host):
    assert ask(state, host=host).step is Step.HOLD


@pytest.mark.parametrize("host", [NOT_SURE, None])
def test_its_power_is_read_but_not_switched(host):
    decision = ask(IS.FENCING, host=host)
    assert (decision.step, decision.to) == (Step.LOOK, IS.FENCED)


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.DISARMED])
@pytest.mark.parametrize(
    "state", [*BEFORE_PROOF[1:], IS.FENCED, IS.FORCED_DOWN, IS.RETURN_WAIT])
def test_nothing_is_done_that_is_not_armed(state, mode):
    decision = ask(state, mode=mode)
    assert decision.step is Step.HOLD
    assert decision.to is None
    assert "ha failover arm" in decision.reasons[0]


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.DISARMED])
def test_the_kill_switch_stops_new_moves_and_follows_old_ones(mode):
    decision = ask(IS.EVACUATING, some(S.MIGRATING, S.PENDING), mode=mode)
    assert decision.step is Step.FOLLOW
    # What is over is over; checking only reads.
    assert ask(IS.VERIFYING, some(S.LANDED), mode=mode).step is Step.VERIFY


def test_shadow_mode():
    assert ask(IS.DETECTED, mode=Mode.SHADOW).step is Step.ADMIT
    assert ask(IS.DETECTED, mode=Mode.DISARMED).step is Step.HOLD
    assert ask(IS.SHADOWED, mode=Mode.SHADOW).step is Step.WATCH
    assert ask(IS.SHADOWED, mode=Mode.DISARMED).step is Step.WATCH
    back = ask(IS.SHADOWED, mode=Mode.SHADOW, host=UP)
    assert (back.step, back.to) == (Step.ADVANCE, IS.RETURNED)
    ended = ask(IS.SHADOWED, commands=say(Command.CANCEL))
    assert ended.step is Step.CANCEL


@pytest.mark.parametrize("state", AFTER_PROOF)
@pytest.mark.parametrize(("changes", "stopped"), [
    ({}, False),
    ({"life": -1.0}, False),
    ({"life": 0.0}, True),
    ({"life": 30.0}, True),
    ({"proof": None}, True),
    ({"proof": prove((), None).as_dict()}, True),
    ({"proof": None, "commands": say(Command.CONFIRM_FENCED)}, False),
    ({"life": 5.0, "commands": say(Command.CONFIRM_FENCED, 4.0)}, True),
    ({"life": 5.0, "commands": say(Command.CONFIRM_FENCED, 6.0)}, False),
])
def test_without_a_proof_that_holds_nothing_is_moved(
    state, changes, stopped,
):
    decision = ask(state, some(S.PENDING), **changes)
    assert decision.reprove is stopped
    assert (decision.step in (Step.HOLD, Step.FOLLOW)) is stopped
    if stopped:
        assert "confirm-fenced" in " ".join(decision.reasons)


@pytest.mark.parametrize("state", AFTER_PROOF)
@pytest.mark.parametrize(("host", "listening"), [
    (None, True), (NOT_SURE, False), (DEAD, False)])
def test_an_engine_that_has_not_listened_yet_goes_on_with_nothing(
    state, host, listening,
):
    """The host may have come back since another engine proved it off."""
    seen = dataclasses.replace(view(state, host=host), listening=listening)
    decision = next_step(seen, some(S.PENDING), UTC_NOW)
    assert decision.step is (
        Step.FOLLOW if state is IS.EVACUATING else Step.HOLD)
    assert "does not listen" in decision.reasons[0]
    assert not decision.reprove


def test_servers_that_wait_for_their_next_try():
    waiting = some(S.RETRY, S.RETRY, not_before=later(20.0))
    decision = ask(IS.EVACUATING, waiting)
    assert decision.step is Step.MOVE
    assert "in 20 s" in decision.reasons[0]


@pytest.mark.parametrize(("states", "step", "to"), [
    ((), Step.ADVANCE, IS.DONE),
    ((S.VERIFIED, S.VERIFIED), Step.ADVANCE, IS.DONE),
    ((S.VERIFIED, S.MANUAL), Step.ADVANCE, IS.PARTIAL),
    ((S.VERIFIED, S.LANDED), Step.VERIFY, None),
    ((S.LANDED, S.RETRY), Step.ADVANCE, IS.EVACUATING),
    ((S.MANUAL, S.REQUESTED), Step.ADVANCE, IS.EVACUATING),
])
def test_verifying(states, step, to):
    decision = ask(IS.VERIFYING, some(*states))
    assert (decision.step, decision.to) == (step, to)


@pytest.mark.parametrize("code", ["ha-off", "deleted", "handed-over"])
def test_servers_left_alone_on_purpose_do_not_spoil_it(code):
    servers = some(S.VERIFIED, S.MANUAL, reason_code=code)
    assert ask(IS.VERIFYING, servers).to is IS.DONE


def test_servers_that_were_given_up_need_a_person():
    servers = some(S.VERIFIED, S.MANUAL, reason_code="given-up")
    assert ask(IS.VERIFYING, servers).to is IS.PARTIAL


views = st.builds(
    view,
    st.sampled_from(IS), st.sampled_from(Mode),
    st.sampled_from([DEAD, DEAD, DEAD, UP, NOT_SURE, None]),
    st.sampled_from([None, None, -5.0, 0.0, 5.0]),
    proof=st.sampled_from([PROOF, None]),
    commands=st.sampled_from([
        (), (), say(Command.CANCEL), say(Command.CONFIRM_FENCED, 9.0)]))
servers_of_any_kind = st.lists(st.builds(
    record, st.sampled_from(["a", "b", "c"]), st.sampled_from(S),
    not_before=st.sampled_from([None, later(-1.0), later(9.0)]),
    reason_code=st.sampled_from([None, "ha-off", "stuck"])), max_size=4)


@settings(max_examples=600)
@given(views, servers_of_any_kind)
def test_only_legal_transitions_and_always_a_reason(seen, servers):
    decision = next_step(seen, servers, UTC_NOW)
    state = seen.incident.state
    if decision.to is not None:
        check_transition(state, decision.to)
    assert (decision.step is Step.NOTHING) is (state in CLOSED)
    assert decision.reasons
    switches = decision.step in (Step.FENCE, Step.PLAN, Step.FORCE_DOWN,
                                 Step.MOVE, Step.CHECK_RETURN)
    if switches:
        assert seen.mode.mode is Mode.ARMED
    if any(c.command is Command.CANCEL for c in seen.incident.commands):
        assert decision.step not in (
            Step.FENCE, Step.PLAN, Step.FORCE_DOWN, Step.MOVE, Step.ADMIT)
    if decision.step in (Step.FENCE, Step.PLAN):
        assert seen.host is not None
        assert seen.host.state is DEAD


@settings(max_examples=300)
@given(st.data())
def test_in_a_kind_world_every_incident_comes_to_its_end(data):
    """Each step succeeds; servers take any legal way, within limits."""
    state, proof = IS.DETECTED, None
    servers = data.draw(st.lists(st.sampled_from(
        [S.PENDING, S.MANUAL]), max_size=3))
    patience = dict.fromkeys(range(len(servers)), 6)
    for _ in range(200):
        records = some(*servers)
        decision = ask(state, records, proof=proof)
        if decision.step is Step.NOTHING:
            break
        assert decision.step is not Step.HOLD
        if decision.step is Step.FENCE:
            proof = PROOF
        if decision.step in (Step.MOVE, Step.VERIFY):
            for n, old in enumerate(servers):
                ways = sorted(SERVER_TRANSITIONS[old] - {old})
                if old is S.LANDED and decision.step is Step.MOVE:
                    continue
                if not ways:
                    continue
                patience[n] -= 1
                servers[n] = S.MANUAL if patience[n] < 0 else (
                    data.draw(st.sampled_from(ways)))
        elif decision.to is not None:
            check_transition(state, decision.to)
            state = decision.to
    assert state is IS.RETURNED
    assert set(servers) <= SETTLED
