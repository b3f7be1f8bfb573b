# SPDX-License-Identifier: Apache-2.0
"""Whatever happens on the way, a plan ends and keeps to its limits."""

from __future__ import annotations

import collections
import dataclasses
import datetime

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from aacloud.core import groups
from aacloud.core import planwork
from aacloud.core import windows
from tests.unit.core import test_planwork as cases

S = groups.StepState
P = groups.PlanState
A = planwork.PlanAct
MINUTE = datetime.timedelta(minutes=1)
LIMITS = planwork.PlanLimits(
    max_moves=6, parallel_total=3, parallel_per_host=1,
    parallel_per_rack=2, parallel_inter_dc=1, abort_failures=3)
#: What may become of a step in flight in one minute.
FATES = {
    S.REQUESTED: [S.MIGRATING, S.RETRY, S.MANUAL],
    S.MIGRATING: [S.LANDED, S.RETRY, S.MIGRATING],
    S.LANDED: [S.VERIFIED, S.MANUAL, S.VERIFIED],
}


@st.composite
def plans(draw):
    hosts = st.sampled_from(sorted(cases.DOMAINS))
    steps = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        source, destination = draw(
            st.tuples(hosts, hosts).filter(lambda pair: pair[0] != pair[1]))
        after = draw(st.sets(st.integers(1, number - 1), max_size=2)
                     if number > 1 else st.just(set()))
        steps.append(cases.step(
            number, source=source, destination=destination,
            server=f"s{draw(st.integers(1, 8))}",
            after=tuple(sorted(after)), predicted_s=60.0 * draw(
                st.integers(1, 20))))
    return steps


def check(steps, view):
    flying = [s for s in steps if s.state in groups.STEPS_IN_FLIGHT]
    assert len(flying) <= LIMITS.parallel_total
    servers = collections.Counter(s.server for s in flying)
    hosts = collections.Counter(
        host for s in flying for host in {s.source, s.destination})
    racks = collections.Counter(
        rack for s in flying for rack in {
            cases.DOMAINS[s.source][0], cases.DOMAINS[s.destination][0]})
    assert all(count == 1 for count in servers.values())
    assert all(count <= LIMITS.parallel_per_host for count in hosts.values())
    assert all(count <= LIMITS.parallel_per_rack for count in racks.values())
    assert sum(
        cases.DOMAINS[s.source][1] != cases.DOMAINS[s.destination][1]
        for s in flying) <= LIMITS.parallel_inter_dc


@settings(max_examples=150, deadline=None)
@given(plans(), st.data())
def test_a_plan_ends_within_its_limits(steps, data):
    window = windows.parse_window("cron:*/30 * * * *;duration=20m")
    plan = cases.plan(
        P.AWAITING_APPROVAL, expires_at=cases.NOW + 600 * MINUTE,
        window=window.text)
    state = {one.number: one for one in steps}
    begun: dict[datetime.datetime, int] = collections.Counter()
    now = cases.NOW
    acts = 0
    while plan.state not in groups.CLOSED_PLANS:
        acts += 1
        assert acts < 5000, "it does not end"
        opening = windows.is_open(window, now)
        view = planwork.PlanView(
            plan, opening, windows.next_open(window, now).opens_at,
            moves_in_window=begun[opening.opens_at] if opening else 0,
            domains=cases.DOMAINS)
        found = planwork.next_plan_step(
            view, tuple(state.values()), now, LIMITS)
        if found.act is A.ADVANCE:
            groups.check_plan_transition(plan.state, found.to)
            plan = dataclasses.replace(plan, state=found.to)
            continue
        if found.act is A.SKIP:
            assert found.skip
            for number in found.skip:
                groups.check_step_transition(state[number].state, S.SKIPPED)
                state[number] = dataclasses.replace(
                    state[number], state=S.SKIPPED)
            continue
        if found.act is A.START:
            assert plan.state is P.RUNNING
            assert opening is not None
            for number in found.start:
                one = state[number]
                begun[opening.opens_at] += one.state is S.PENDING
                assert now + one.predicted_s * MINUTE / 60 <= (
                    opening.closes_at)
                assert all(
                    state[n].state is S.VERIFIED for n in one.after)
                state[number] = dataclasses.replace(
                    one, state=S.REQUESTED)
            assert begun[opening.opens_at] <= LIMITS.max_moves
            check(state.values(), view)
        for number, one in state.items():
            if one.state in FATES:
                state[number] = dataclasses.replace(
                    one, state=data.draw(st.sampled_from(FATES[one.state])))
        if data.draw(st.integers(0, 30)) == 0 or acts == 3:
            command = data.draw(st.sampled_from(list(groups.PlanCommand)))
            if acts == 3:
                command = groups.PlanCommand.APPROVE
            if plan.state in groups.COMMANDS_ACCEPTED_IN[command]:
                plan = dataclasses.replace(plan, orders=(
                    *plan.orders,
                    groups.PlanOrder(command, "ann", "x", now)))
        now += MINUTE
    assert all(
        one.state in groups.SETTLED_STEPS for one in state.values())
