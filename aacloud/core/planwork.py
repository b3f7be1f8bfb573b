# SPDX-License-Identifier: Apache-2.0
"""What the group engine must do next with a repair plan."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import enum

from aacloud.core.groups import CLOSED_PLANS
from aacloud.core.groups import Plan
from aacloud.core.groups import PlanCommand
from aacloud.core.groups import PlanState
from aacloud.core.groups import PlanStep
from aacloud.core.groups import SETTLED_STEPS
from aacloud.core.groups import STEPS_IN_FLIGHT
from aacloud.core.groups import StepState
from aacloud.core.windows import OpenWindow


class PlanAct(str, enum.Enum):
    """What is to be done now. Each can be done again after a crash."""

    #: Only journal the new state.
    ADVANCE = "advance"
    #: Check the steps named in ``start`` anew and give them to the mover,
    #: beside those in flight.
    START = "start"
    #: Follow the moves in flight, begin none.
    FOLLOW = "follow"
    #: Journal the steps named in ``skip`` as SKIPPED with their reasons.
    SKIP = "skip"
    #: Journal the steps named in ``back`` as RETRY: they were claimed, not
    #: sent, and must not be now. Else other plans would wait for them.
    TAKE_BACK = "take-back"
    #: Do nothing now; journal the reasons as "waiting".
    HOLD = "hold"
    #: The plan is closed.
    NOTHING = "nothing"


@dataclasses.dataclass(frozen=True, slots=True)
class PlanLimits:
    """How much may be done.

    :ivar max_moves: begun in one opening of the window (of a plan without
        a window: within 24 hours).
    :ivar parallel_per_host: moves in flight that leave or reach one host.
    :ivar parallel_per_rack: the same for one rack.
    :ivar parallel_inter_dc: moves in flight from one DC to another.
    :ivar cool_down_s: seconds for which a server that was moved stays.
    :ivar abort_failures: failed steps that end the plan.
    :ivar max_replans: plans that may follow a plan in one window.
    """

    max_moves: int = 50
    parallel_total: int = 4
    parallel_per_host: int = 1
    parallel_per_rack: int = 2
    parallel_inter_dc: int = 2
    cool_down_s: float = 3600.0
    abort_failures: int = 3
    max_replans: int = 3


@dataclasses.dataclass(frozen=True, slots=True)
class PlanView:
    """A plan and what is true right now.

    :ivar window: the opening of the plan's window that is open now.
    :ivar next_open: when the window opens next.
    :ivar moves_in_window: steps of all plans that were begun since the
        window opened (without a window: within the last 24 hours).
    :ivar moved_at: server -> when a plan moved it last; steps of this plan
        are not meant.
    :ivar domains: host -> its rack and DC.
    :ivar elsewhere: steps of other plans that are claimed or in flight:
        they take part in the limits.
    :ivar hold: why nothing may begin now, from outside: repairs are
        switched off, an incident is being handled, a DC is dead.
    :ivar moot: why the plan may mend none of its groups any more: their
        owners have changed them.
    """

    plan: Plan
    window: OpenWindow | None
    next_open: datetime.datetime | None = None
    moves_in_window: int = 0
    moved_at: Mapping[str, datetime.datetime] = dataclasses.field(
        default_factory=dict)
    domains: Mapping[str, tuple[str, str]] = dataclasses.field(
        default_factory=dict)
    elsewhere: tuple[PlanStep, ...] = ()
    hold: tuple[str, ...] = ()
    moot: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NextPlanStep:
    """What to do, the state it leads to, and why.

    :ivar start: numbers of the steps to begin.
    :ivar skip: numbers of the steps to leave out, each with its reason.
    :ivar back: numbers of the steps to take back.
    :ivar shut: with FOLLOW: a move whose request was not sent yet must not
        be sent now. Limits alone never say so: it is such moves that they
        count.
    """

    act: PlanAct
    to: PlanState | None
    reasons: tuple[str, ...]
    start: tuple[int, ...] = ()
    skip: Mapping[int, str] = dataclasses.field(default_factory=dict)
    back: tuple[int, ...] = ()
    shut: bool = False


_A = PlanAct
_P = PlanState
_S = StepState


def next_plan_step(
    view: PlanView,
    steps: Sequence[PlanStep],
    now: datetime.datetime,
    limits: PlanLimits = PlanLimits(),
) -> NextPlanStep:
    """Decide what the engine does next with a plan.

    Nothing is begun unless the plan is approved, its window is open and
    long enough, and no limit is reached. What Nova works on is followed to
    its end whatever happens to the plan; only then the plan is closed.

    :param steps: all steps of the plan
    :param now: aware UTC
    """
    plan = view.plan
    if plan.state in CLOSED_PLANS:
        return NextPlanStep(_A.NOTHING, None, ("the plan is closed",))
    ending = _ending(view, steps, now, limits)
    if ending is not None:
        return _end(steps, *ending)
    if plan.state in (_P.DRAFT, _P.AWAITING_APPROVAL):
        return _unapproved(plan)
    if all(step.state in SETTLED_STEPS for step in steps):
        if plan.state is _P.APPROVED:
            return NextPlanStep(
                _A.ADVANCE, _P.RUNNING, ("no step is left to be done",))
        return NextPlanStep(_A.ADVANCE, _P.DONE, (_outcome(steps),))
    pause = _pause(plan)
    if pause is not None:
        if plan.state is not _P.PAUSED:
            return NextPlanStep(_A.ADVANCE, _P.PAUSED, (pause,))
        return _stand_by(steps, (
            pause, "go on with 'openstack ha plan resume'"), shut=True)
    if plan.state is _P.PAUSED:
        return NextPlanStep(_A.ADVANCE, _P.RUNNING, ("it is resumed",))
    shut = view.hold or _shut(view)
    if plan.state is _P.APPROVED:
        if shut:
            return NextPlanStep(_A.HOLD, None, shut)
        return NextPlanStep(_A.ADVANCE, _P.RUNNING, ("it may begin",))
    skip = _to_skip(view, steps, now, limits)
    if skip:
        return NextPlanStep(
            _A.SKIP, None,
            (f"{len(skip)} steps are not to be done any more",), skip=skip)
    if shut:
        return _stand_by(steps, shut, shut=True)
    return _begin(view, steps, now, limits)


def why_not_send(
    view: PlanView,
    steps: Sequence[PlanStep],
    step: PlanStep,
    now: datetime.datetime,
    limits: PlanLimits = PlanLimits(),
) -> str | None:
    """Why a step that was to be begun must not be sent any more, or None.

    Asked with the plan read anew, right before Nova is: what came before
    may have taken long.

    :param view: only plan, window and hold of it count
    :param steps: all of the plan, with ``step``
    """
    if view.plan.state is not _P.RUNNING:
        return f"the plan is {view.plan.state.value}"
    ending = _ending(view, steps, now, limits)
    if ending is not None:
        return ending[1]
    shut = view.hold or _shut(view)
    return _pause(view.plan) or (
        shut[0] if shut else _too_late(view, step, now))


def stop_of_replanning(
    plans_in_window: int, limits: PlanLimits = PlanLimits(),
) -> str | None:
    """Why no further plan may be made in this window, or None.

    :param plans_in_window: plans for the same scope that were begun since
        the window opened
    """
    if plans_in_window <= limits.max_replans:
        return None
    return (
        f"{plans_in_window} plans were begun in this window, one and "
        f"{limits.max_replans} more are allowed ([aacloud_groups] "
        f"max_replans): what is left waits for the next window, or for "
        f"'openstack ha group repair'")


def _ending(
    view: PlanView, steps: Sequence[PlanStep], now: datetime.datetime,
    limits: PlanLimits,
) -> tuple[PlanState, str] | None:
    """The state that the plan ends in, and why."""
    plan = view.plan
    stops = [
        order for order in plan.orders
        if order.command is PlanCommand.STOP]
    if stops:
        return _P.STOPPED, f"stopped by {stops[0].by}: {stops[0].reason}"
    running = plan.state in (_P.RUNNING, _P.PAUSED)
    failed = sum(step.state is _S.MANUAL for step in steps)
    if running and failed >= limits.abort_failures:
        return _P.FAILED, (
            f"{failed} of {len(steps)} moves failed, {limits.abort_failures} "
            f"end a plan ([aacloud_groups] abort_failures); look at their "
            f"reasons in 'openstack ha plan show {plan.id}'")
    through = running and all(
        step.state in (_S.VERIFIED, _S.MANUAL) for step in steps)
    if now >= plan.expires_at and not through:
        return _P.EXPIRED, (
            f"its time was up at {plan.expires_at:%Y-%m-%d %H:%M} UTC")
    if view.moot and not through and (
            running or plan.state is _P.APPROVED):
        return _P.EXPIRED, view.moot
    return None


def _end(
    steps: Sequence[PlanStep], to: PlanState, reason: str,
) -> NextPlanStep:
    """Leave out what was not begun, follow the rest, then close it."""
    unsent = {
        step.number: reason for step in steps
        if step.state not in SETTLED_STEPS | STEPS_IN_FLIGHT}
    if unsent:
        return NextPlanStep(_A.SKIP, None, (reason,), skip=unsent)
    flying = _flying(steps)
    if flying:
        return NextPlanStep(_A.FOLLOW, None, (
            reason, f"{flying} moves in flight are followed to the end"),
            shut=True)
    return NextPlanStep(_A.ADVANCE, to, (reason,))


def _unapproved(plan: Plan) -> NextPlanStep:
    told = [
        order for order in plan.orders
        if order.command is PlanCommand.APPROVE]
    if told:
        return NextPlanStep(_A.ADVANCE, _P.APPROVED, (
            f"approved by {told[0].by}: {told[0].reason}",))
    if plan.state is _P.DRAFT:
        return NextPlanStep(_A.HOLD, None, ("it is a dry run",))
    advice = f"'openstack ha group repair --approve {plan.id}'"
    return NextPlanStep(
        _A.HOLD, None, (f"it needs an approval: {advice}",))


def _pause(plan: Plan) -> str | None:
    """Why it is paused, by the last word of an operator."""
    told = [
        order for order in plan.orders
        if order.command in (PlanCommand.PAUSE, PlanCommand.RESUME)]
    if not told or told[-1].command is PlanCommand.RESUME:
        return None
    return f"paused by {told[-1].by}: {told[-1].reason}"


def _shut(view: PlanView) -> tuple[str, ...]:
    if view.plan.window is None or view.window is not None:
        return ()
    when = (
        "and does not open any more" if view.next_open is None
        else f"until {view.next_open:%Y-%m-%d %H:%M} UTC")
    return (f"the window {view.plan.window} is closed {when}",)


def _flying(steps: Sequence[PlanStep]) -> int:
    return sum(step.state in STEPS_IN_FLIGHT for step in steps)


def _stand_by(
    steps: Sequence[PlanStep], reasons: tuple[str, ...], *, shut: bool,
) -> NextPlanStep:
    back = _claimed(steps)
    if back:
        return NextPlanStep(_A.TAKE_BACK, None, reasons, back=back)
    return NextPlanStep(
        _A.FOLLOW if _flying(steps) else _A.HOLD, None, reasons, shut=shut)


def _claimed(steps: Sequence[PlanStep]) -> tuple[int, ...]:
    return tuple(
        step.number for step in steps if step.state is _S.CLAIMED)


def _outcome(steps: Sequence[PlanStep]) -> str:
    counts = collections.Counter(step.state for step in steps)
    return (
        f"{counts[_S.VERIFIED]} of {len(steps)} steps are done, "
        f"{counts[_S.SKIPPED]} were left out, {counts[_S.MANUAL]} failed")


def _to_skip(
    view: PlanView, steps: Sequence[PlanStep], now: datetime.datetime,
    limits: PlanLimits,
) -> dict[int, str]:
    """Steps that were not begun and can or must not be any more."""
    lost = {
        step.number for step in steps
        if step.state in (_S.SKIPPED, _S.MANUAL)}
    known = {step.number for step in steps}
    found: dict[int, str] = {}
    for step in sorted(steps, key=lambda one: one.number):
        if step.state is not _S.PENDING:
            continue
        before = sorted(
            number for number in step.after
            if number in lost or number not in known)
        reason = None
        if before:
            reason = f"step {before[0]}, which it follows, was not done"
        else:
            reason = _cooling(view, step, now, limits)
        if reason is None and view.window is not None and (
                step.predicted_s > view.window.length_s):
            reason = (
                f"it needs {step.predicted_s:.0f} s, the window is open for "
                f"{view.window.length_s:.0f} s")
        if reason is not None:
            found[step.number] = reason
            lost.add(step.number)
    return found


def _cooling(
    view: PlanView, step: PlanStep, now: datetime.datetime,
    limits: PlanLimits,
) -> str | None:
    moved_at = view.moved_at.get(step.server)
    if moved_at is None:
        return None
    until = moved_at + datetime.timedelta(seconds=limits.cool_down_s)
    if now >= until:
        return None
    return (
        f"server {step.name} was moved at {moved_at:%H:%M:%S} UTC and stays "
        f"until {until:%H:%M:%S} ([aacloud_groups] cool_down)")


def _begin(
    view: PlanView, steps: Sequence[PlanStep], now: datetime.datetime,
    limits: PlanLimits,
) -> NextPlanStep:
    """Begin what fits beside the moves in flight, in the plan's order."""
    room = limits.max_moves - view.moves_in_window
    slots = _Slots(view, limits)
    flying = [
        *(step for step in steps if step.state in STEPS_IN_FLIGHT),
        *view.elsewhere]
    for step in flying:
        slots.take(step)
    through = {
        step.number for step in steps if step.state is _S.VERIFIED}
    busy = {step.server for step in flying}
    start: list[int] = []
    waits: list[str] = []
    for step in sorted(steps, key=lambda one: one.number):
        if step.state not in (_S.PENDING, _S.CLAIMED, _S.RETRY):
            continue
        reason = _not_yet(view, step, now, through, busy)
        # What was claimed once is counted.
        fresh = step.state is _S.PENDING
        if reason is None and fresh and room <= 0:
            reason = (
                f"{view.moves_in_window} moves were begun in this window, "
                f"{limits.max_moves} are allowed ([aacloud_groups] "
                f"max_moves_per_window)")
        if reason is None:
            reason = slots.full(step)
        if reason is not None:
            waits.append(reason)
            continue
        slots.take(step)
        busy.add(step.server)
        start.append(step.number)
        room -= fresh
    back = tuple(
        number for number in _claimed(steps) if number not in start)
    if back:
        # Limits were lowered, or plans were claimed for by two engines.
        return NextPlanStep(
            _A.TAKE_BACK, None, tuple(dict.fromkeys(waits)), back=back)
    if start:
        return NextPlanStep(_A.START, None, (
            f"{len(start)} of {len(steps)} steps can begin",),
            start=tuple(start))
    return _stand_by(steps, tuple(dict.fromkeys(waits)) or (
        "every step is begun",), shut=False)


def _not_yet(
    view: PlanView, step: PlanStep, now: datetime.datetime,
    through: set[int], busy: set[str],
) -> str | None:
    before = [number for number in step.after if number not in through]
    if before:
        return f"step {step.number} follows step {before[0]}"
    if step.server in busy:
        return f"server {step.name} is being moved"
    if step.not_before is not None and step.not_before > now:
        return (
            f"step {step.number} is tried again at "
            f"{step.not_before:%H:%M:%S} UTC")
    return _too_late(view, step, now)


def _too_late(
    view: PlanView, step: PlanStep, now: datetime.datetime
) -> str | None:
    """Why it would not end before the window closes, or None."""
    if view.window is None:
        return None
    left = (view.window.closes_at - now).total_seconds()
    if step.predicted_s <= left:
        return None
    return (
        f"step {step.number} needs {step.predicted_s:.0f} s and the window "
        f"closes in {left:.0f} s")


class _Slots:
    """How many moves are in flight, by what they burden."""

    def __init__(self, view: PlanView, limits: PlanLimits) -> None:
        self._domains = view.domains
        self._limits = limits
        self._total = 0
        self._hosts: collections.Counter[str] = collections.Counter()
        self._racks: collections.Counter[str] = collections.Counter()
        self._inter_dc = 0

    def _burden(self, step: PlanStep) -> tuple[set[str], set[str], bool]:
        hosts = {step.source, step.destination or step.source}
        found = [self._domains[h] for h in hosts if h in self._domains]
        return hosts, {rack for rack, _ in found}, (
            len({dc for _, dc in found}) > 1)

    def take(self, step: PlanStep) -> None:
        """Count a move in flight."""
        hosts, racks, crosses = self._burden(step)
        self._total += 1
        self._hosts.update(hosts)
        self._racks.update(racks)
        self._inter_dc += crosses

    def full(self, step: PlanStep) -> str | None:
        """Why one more does not fit, or None."""
        limits = self._limits
        hosts, racks, crosses = self._burden(step)
        if self._total >= limits.parallel_total:
            return f"{self._total} moves are in flight"
        for host in sorted(hosts):
            if self._hosts[host] >= limits.parallel_per_host:
                return f"host {host} has {self._hosts[host]} moves in flight"
        for rack in sorted(racks):
            if self._racks[rack] >= limits.parallel_per_rack:
                return f"rack {rack} has {self._racks[rack]} moves in flight"
        if crosses and self._inter_dc >= limits.parallel_inter_dc:
            return f"{self._inter_dc} moves between the DCs are in flight"
        return None
