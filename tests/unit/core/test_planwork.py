# SPDX-License-Identifier: Apache-2.0
"""What the engine does next with a plan."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from aacloud.core import groups
from aacloud.core import planwork
from aacloud.core import windows

UTC = datetime.timezone.utc
NOW = datetime.datetime(2026, 11, 28, 1, tzinfo=UTC)
HOUR = datetime.timedelta(hours=1)
OPEN = windows.OpenWindow(NOW - HOUR, NOW + 3 * HOUR)
WINDOW = "cron:0 1 * * 6;duration=4h;tz=Europe/Berlin"
#: Two DCs of two racks of two hosts.
DOMAINS = {
    f"{dc}-{rack}-{host}": (f"{dc}-{rack}", dc)
    for dc in ("d1", "d2") for rack in ("r1", "r2") for host in ("h1", "h2")}

P = groups.PlanState
S = groups.StepState
A = planwork.PlanAct
C = groups.PlanCommand
WIDE = planwork.PlanLimits(
    max_moves=99, parallel_total=99, parallel_per_host=99,
    parallel_per_rack=99, parallel_inter_dc=99, cool_down_s=3600.0)


def plan(state=P.RUNNING, orders=(), **fields):
    return groups.Plan(**{
        "id": "plan", "scope": "cloud", "state": state, "version": 1,
        "epoch": 1, "revision": 1, "created_at": NOW - HOUR,
        "updated_at": NOW, "expires_at": NOW + 24 * HOUR,
        "created_by": "engine", "window": WINDOW,
        "orders": tuple(
            groups.PlanOrder(command, "ann", "why", NOW)
            for command in orders), **fields})


def step(number, state=S.PENDING, source="d1-r1-h1", destination="d2-r1-h1",
         **fields):
    return groups.PlanStep(**{
        "plan_id": "plan", "number": number, "server": f"s{number}",
        "name": f"web-{number}", "project_id": "p", "source": source,
        "destination": destination, "state": state, **fields})


def decide(steps, the_plan=None, limits=WIDE, now=NOW, **view):
    return planwork.next_plan_step(
        planwork.PlanView(**{
            "plan": the_plan or plan(), "window": OPEN, "domains": DOMAINS,
            **view}),
        steps, now, limits)


# -- approval, pause, window ------------------------------------------------


@pytest.mark.parametrize(("state", "says"), [
    (P.DRAFT, "dry run"), (P.AWAITING_APPROVAL, "--approve plan")])
def test_without_approval_nothing_is_done(state, says):
    found = decide([step(1)], plan(state))
    assert found.act is A.HOLD
    assert says in found.reasons[0]
    approved = decide([step(1)], plan(state, [C.APPROVE]))
    assert (approved.act, approved.to) == (A.ADVANCE, P.APPROVED)
    assert approved.reasons == ("approved by ann: why",)


def test_an_approved_plan_waits_for_its_window():
    found = decide(
        [step(1)], plan(P.APPROVED), window=None, next_open=NOW + 2 * HOUR)
    assert found.act is A.HOLD
    assert found.reasons == (
        f"the window {WINDOW} is closed until 2026-11-28 03:00 UTC",)
    found = decide([step(1)], plan(P.APPROVED))
    assert (found.act, found.to) == (A.ADVANCE, P.RUNNING)


def test_a_plan_without_a_window_needs_none():
    found = decide([step(1)], plan(window=None), window=None)
    assert (found.act, found.start) == (A.START, (1,))


def test_when_the_window_closes_moves_are_followed_and_none_begun():
    steps = [step(1, S.MIGRATING), step(2)]
    found = decide(steps, window=None)
    assert (found.act, found.shut) == (A.FOLLOW, True)
    steps[0] = step(1, S.VERIFIED)
    found = decide(steps, window=None)
    assert found.act is A.HOLD
    assert "does not open any more" in found.reasons[0]


def test_reasons_from_outside_hold_it_back():
    held = decide([step(1)], hold=("DC dc1 is dead",))
    assert (held.act, held.reasons) == (A.HOLD, ("DC dc1 is dead",))
    assert decide([step(1)], plan(P.APPROVED), hold=("x",)).act is A.HOLD
    assert decide(
        [step(1, S.MIGRATING), step(2)], hold=("x",)).act is A.FOLLOW


@pytest.mark.parametrize(("limits", "says"), [
    ({"parallel_total": 1}, "1 moves are in flight"),
    ({"parallel_per_host": 1}, "host d1-r1-h1 has 1 moves"),
    ({"parallel_per_rack": 1}, "rack d1-r1 has 1 moves"),
    ({"parallel_inter_dc": 1}, "1 moves between the DCs"),
])
@pytest.mark.parametrize("state", [S.CLAIMED, S.REQUESTED, S.MIGRATING])
def test_the_moves_of_other_plans_count(limits, says, state):
    other = step(1, state, plan_id="other", server="t1")
    found = decide(
        [step(1)], limits=dataclasses.replace(WIDE, **limits),
        elsewhere=(other,))
    assert found.act is A.HOLD
    assert says in found.reasons[0]


def test_a_server_is_moved_by_one_plan_at_a_time():
    other = step(7, S.MIGRATING, plan_id="other", server="s1")
    found = decide([step(1), step(2)], elsewhere=(other,))
    assert (found.act, found.start) == (A.START, (2,))


@pytest.mark.parametrize(("the_plan", "view", "says"), [
    (plan(), {}, None),
    (plan(window=None), {"window": None}, None),
    (plan(P.PAUSED), {}, "the plan is paused"),
    (plan(P.STOPPED), {}, "the plan is stopped"),
    (plan(orders=[C.STOP]), {}, "stopped by ann"),
    (plan(orders=[C.PAUSE]), {}, "paused by ann"),
    (plan(orders=[C.PAUSE, C.RESUME]), {}, None),
    (plan(expires_at=NOW), {}, "its time was up"),
    (plan(), {"hold": ("DC dc1 is dead",)}, "DC dc1 is dead"),
    (plan(), {"window": None}, "is closed"),
    (plan(), {"window": windows.OpenWindow(NOW - HOUR, NOW + HOUR / 60)},
     "step 1 needs 90 s and the window closes in 60 s"),
])
def test_right_before_nova_is_asked(the_plan, view, says):
    sent = step(1, S.REQUESTED, predicted_s=90.0)
    found = planwork.why_not_send(
        planwork.PlanView(**{"plan": the_plan, "window": OPEN, **view}),
        [sent], sent, NOW, WIDE)
    assert (found is None) == (says is None)
    assert says is None or says in found


def test_pause_and_resume():
    steps = [step(1, S.MIGRATING), step(2)]
    found = decide(steps, plan(orders=[C.PAUSE]))
    assert (found.act, found.to) == (A.ADVANCE, P.PAUSED)
    paused = plan(P.PAUSED, [C.PAUSE])
    found = decide(steps, paused)
    assert (found.act, found.shut) == (A.FOLLOW, True)
    steps[0] = step(1, S.VERIFIED)
    found = decide(steps, paused)
    assert found.act is A.HOLD
    assert "paused by ann: why" in found.reasons
    found = decide(steps, plan(P.PAUSED, [C.PAUSE, C.RESUME]))
    assert (found.act, found.to) == (A.ADVANCE, P.RUNNING)
    assert decide(
        steps, plan(orders=[C.PAUSE, C.RESUME])).act is A.START


# -- its end ----------------------------------------------------------------


def test_when_all_is_settled_it_is_done():
    steps = [step(1, S.VERIFIED), step(2, S.SKIPPED), step(3, S.MANUAL)]
    found = decide(steps)
    assert (found.act, found.to) == (A.ADVANCE, P.DONE)
    assert found.reasons == (
        "1 of 3 steps are done, 1 were left out, 1 failed",)
    assert decide(steps, plan(P.PAUSED, [C.PAUSE])).to is P.DONE
    # Also after its time and outside its window.
    assert decide(
        [step(1, S.VERIFIED)], plan(expires_at=NOW), window=None
    ).to is P.DONE


def test_an_empty_plan_ends_at_once():
    assert decide([], plan(P.APPROVED)).to is P.RUNNING
    assert decide([]).to is P.DONE


@pytest.mark.parametrize("case", ["stop", "expire", "fail"])
def test_it_ends_when_nothing_is_in_flight_any_more(case):
    failed = [step(n, S.MANUAL) for n in (11, 12, 13)]
    the_plan, extra, to = {
        "stop": (plan(orders=[C.STOP]), [], P.STOPPED),
        "expire": (plan(expires_at=NOW), [], P.EXPIRED),
        "fail": (plan(), failed, P.FAILED),
    }[case]
    steps = [step(1, S.MIGRATING), step(2), step(3, S.CLAIMED),
             step(4, S.RETRY), *extra]
    found = decide(steps, the_plan)
    assert found.act is A.SKIP
    assert set(found.skip) == {2, 3, 4}
    steps[1:4] = [step(n, S.SKIPPED) for n in (2, 3, 4)]
    found = decide(steps, the_plan)
    assert (found.act, found.shut) == (A.FOLLOW, True)
    steps[0] = step(1, S.VERIFIED)
    found = decide(steps, the_plan)
    assert (found.act, found.to) == (A.ADVANCE, to)


@pytest.mark.parametrize(
    "state", [P.DRAFT, P.AWAITING_APPROVAL, P.APPROVED, P.PAUSED])
def test_it_can_be_stopped_and_expires_in_every_state(state):
    steps = [step(1, S.SKIPPED)]
    assert decide(steps, plan(state, [C.STOP])).to is P.STOPPED
    assert decide(steps, plan(state, expires_at=NOW)).to is P.EXPIRED


def test_nothing_follows_a_closed_plan():
    for state in groups.CLOSED_PLANS:
        assert decide([step(1)], plan(state)).act is A.NOTHING


# -- which steps ------------------------------------------------------------


def test_a_step_follows_those_it_stands_after():
    steps = [step(1, S.LANDED), step(2, after=(1,)), step(3)]
    assert decide(steps).start == (3,)
    steps[0] = step(1, S.VERIFIED)
    assert decide(steps).start == (2, 3)


@pytest.mark.parametrize("state", [P.APPROVED, P.RUNNING, P.PAUSED])
def test_it_ends_when_it_may_mend_nothing_any_more(state):
    """Whether or not its window is open."""
    told = [C.PAUSE] if state is P.PAUSED else []
    the_plan = plan(state, told)
    steps = [step(1, S.MIGRATING), step(2, S.RETRY), step(3)]
    if state is P.APPROVED:
        del steps[0]
    view = {"moot": "its group is gone", "window": None}
    found = decide(steps, the_plan, **view)
    assert found.act is A.SKIP
    assert found.skip == dict.fromkeys((2, 3), "its group is gone")
    steps[-2:] = [step(number, S.SKIPPED) for number in (2, 3)]
    if state is not P.APPROVED:
        found = decide(steps, the_plan, **view)
        assert (found.act, found.shut) == (A.FOLLOW, True)
        steps[0] = step(1, S.VERIFIED)
    found = decide(steps, the_plan, **view)
    assert (found.act, found.to, found.reasons) == (
        A.ADVANCE, P.EXPIRED, ("its group is gone",))


def test_what_is_through_is_done_though_its_group_is_gone():
    found = decide([step(1, S.VERIFIED)], moot="its group is gone")
    assert (found.act, found.to) == (A.ADVANCE, P.DONE)


def test_nothing_is_sent_any_more_for_a_group_that_is_gone():
    view = planwork.PlanView(
        plan=plan(), window=OPEN, moot="its group is gone")
    assert planwork.why_not_send(
        view, [step(1)], step(1), NOW, WIDE) == "its group is gone"


def test_what_follows_a_lost_step_is_left_out():
    steps = [step(1, S.MANUAL), step(2, after=(1,)), step(3, after=(2,)),
             step(4), step(5, after=(99,))]
    found = decide(steps)
    assert found.act is A.SKIP
    assert set(found.skip) == {2, 3, 5}
    assert found.skip[2] == "step 1, which it follows, was not done"
    assert found.skip[3] == "step 2, which it follows, was not done"


def test_one_server_is_moved_by_one_step_at_a_time():
    steps = [step(1, server="s"), step(2, server="s")]
    assert decide(steps).start == (1,)
    found = decide([step(1, S.REQUESTED, server="s"), steps[1]])
    assert (found.act, found.shut) == (A.FOLLOW, False)


def test_a_retry_waits_for_its_time():
    later = NOW + HOUR
    found = decide([step(1, S.RETRY, not_before=later)])
    assert found.act is A.HOLD
    assert "tried again at 02:00:00" in found.reasons[0]
    assert decide([step(1, S.RETRY, not_before=NOW)]).start == (1,)


def test_a_server_cools_down():
    moved = {"s1": NOW - 0.5 * HOUR, "s2": NOW - HOUR}
    found = decide([step(1), step(2)], moved_at=moved)
    assert set(found.skip) == {1}
    assert "stays until 01:30:00" in found.skip[1]


def test_the_cap_of_the_window():
    steps = [step(1), step(2), step(3)]
    limits = dataclasses.replace(WIDE, max_moves=5)
    assert decide(steps, limits=limits, moves_in_window=3).start == (1, 2)
    found = decide(steps, limits=limits, moves_in_window=5)
    assert found.act is A.HOLD
    assert "5 are allowed" in found.reasons[0]
    # What was begun counts once, however often it is tried.
    again = [step(1, S.RETRY), step(2, S.CLAIMED), step(3)]
    assert decide(
        again, limits=limits, moves_in_window=5).start == (1, 2)


def test_a_move_must_be_through_before_the_window_closes():
    closing = windows.OpenWindow(NOW - HOUR, NOW + HOUR)
    steps = [step(1, predicted_s=3601), step(2, predicted_s=3600)]
    assert decide(steps, window=closing).start == (2,)
    found = decide(steps[:1], window=closing)
    assert found.act is A.HOLD
    assert "needs 3601 s and the window closes in 3600 s" in (
        found.reasons[0])
    never = decide([step(1, predicted_s=7201)], window=closing)
    assert never.act is A.SKIP
    assert "the window is open for 7200 s" in never.skip[1]


@pytest.mark.parametrize(("limit", "ends", "start"), [
    ("parallel_total", [("d1-r1-h1", "d1-r2-h1"),
                        ("d2-r1-h1", "d2-r2-h1"),
                        ("d1-r1-h2", "d1-r2-h2")], (1, 2)),
    # The second one ends where the first one begins.
    ("parallel_per_host", [("d1-r1-h1", "d1-r2-h1"),
                           ("d2-r2-h1", "d1-r1-h1"),
                           ("d2-r2-h2", "d1-r1-h1"),
                           ("d1-r1-h2", "d1-r2-h2")], (1, 2, 4)),
    ("parallel_per_rack", [("d1-r1-h1", "d1-r2-h1"),
                           ("d1-r1-h2", "d2-r2-h1"),
                           ("d1-r1-h1", "d2-r2-h2"),
                           ("d2-r1-h1", "d2-r2-h2")], (1, 2, 4)),
    ("parallel_inter_dc", [("d1-r1-h1", "d2-r2-h1"),
                           ("d2-r1-h2", "d1-r2-h1"),
                           ("d1-r1-h2", "d2-r2-h2"),
                           ("d1-r1-h2", "d1-r2-h2")], (1, 2, 4)),
])
def test_limits_of_moves_at_a_time(limit, ends, start):
    steps = [
        step(n, source=source, destination=destination)
        for n, (source, destination) in enumerate(ends, start=1)]
    limits = dataclasses.replace(WIDE, **{limit: 2})
    assert decide(steps, limits=limits).start == start
    # The same with those in flight.
    flying = [
        dataclasses.replace(one, state=S.MIGRATING)
        if one.number in start[:2] else one for one in steps]
    assert decide(flying, limits=limits).start == start[2:]


def test_a_row_of_replans_ends():
    limits = planwork.PlanLimits(max_replans=2)
    assert planwork.stop_of_replanning(0, limits) is None
    assert planwork.stop_of_replanning(2, limits) is None
    assert "max_replans" in planwork.stop_of_replanning(3, limits)


def test_what_was_claimed_and_must_not_be_sent_is_taken_back():
    """Else another plan, of which the same is true, would wait for it."""
    one = planwork.PlanLimits(parallel_total=1)
    steps = [step(1, S.CLAIMED), step(2, S.CLAIMED, "d1-r2-h1", "d2-r2-h1")]
    found = decide(steps[:1], limits=one, elsewhere=(
        step(7, S.CLAIMED, "d1-r2-h1", "d2-r2-h1"),))
    assert (found.act, found.back) == (A.TAKE_BACK, (1,))
    # Of its own the first goes on.
    found = decide(steps, limits=one)
    assert (found.act, found.back) == (A.TAKE_BACK, (2,))
    steps[1] = step(2, S.RETRY)
    assert decide(steps, limits=one).start == (1,)


@pytest.mark.parametrize(("orders", "view"), [
    ((), {"window": None}), ((), {"hold": ("DC dc1 is dead",)}),
    ((C.PAUSE,), {})])
def test_what_was_claimed_is_taken_back_when_nothing_may_begin(orders, view):
    the_plan = plan(P.PAUSED if orders else P.RUNNING, orders)
    steps = [step(1, S.CLAIMED), step(2, S.MIGRATING)]
    found = decide(steps, the_plan, **view)
    assert (found.act, found.back) == (A.TAKE_BACK, (1,))
    steps[0] = step(1, S.RETRY)
    assert decide(steps, the_plan, **view).act is A.FOLLOW
