# SPDX-License-Identifier: Apache-2.0
"""What the engine must do next with an incident."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import datetime
import enum

from aacloud.core.brakes import Mode
from aacloud.core.brakes import ModeVerdict
from aacloud.core.fences import Proof
from aacloud.core.incidents import BEFORE_PROOF
from aacloud.core.incidents import Command
from aacloud.core.incidents import Incident
from aacloud.core.incidents import IncidentState
from aacloud.core.incidents import ServerRecord
from aacloud.core.incidents import ServerState
from aacloud.core.incidents import SETTLED
from aacloud.core.verdicts import HostState
from aacloud.core.verdicts import HostVerdict

#: Reason codes of MANUAL servers that nobody has to look after: somebody
#: wants them left alone, they are gone, or another incident has them.
#: "given-up" is none of them: such a server was down with its host, nobody
#: but a person sees to it that it runs there again, and its owner was not
#: asked. So an incident that was cancelled with servers unsent is PARTIAL.
NOBODY_NEEDED = frozenset({
    "ha-off", "ha-hold", "delegated", "deleted", "handed-over"})


class Step(str, enum.Enum):
    """What is to be done now. Each can be done again after a crash."""

    #: Ask the brakes; then ADMITTED, or SHADOWED in shadow mode.
    ADMIT = "admit"
    #: List the host's servers, plan, journal a record for each.
    PLAN = "plan"
    #: Disable scheduling, power off, read back, prove.
    FENCE = "fence"
    #: Read the power state and prove, but command nothing.
    LOOK = "look"
    #: Tell Nova that the host is down.
    FORCE_DOWN = "force-down"
    #: Let the mover start and follow moves; verify those that landed.
    MOVE = "move"
    #: Follow the moves that were sent, send none.
    FOLLOW = "follow"
    #: Cancelled after the proof: leave on the host each server that nothing
    #: was sent for, follow the others to their end.
    GIVE_UP = "give-up"
    #: Check the servers that landed.
    VERIFY = "verify"
    #: Ask may_return(); bring the host back into service.
    CHECK_RETURN = "check-return"
    #: Only journal the new state.
    ADVANCE = "advance"
    #: Journal CANCELLED; nothing was told to Nova. If it was after all, go
    #: on to FORCED_DOWN, from where the host returns.
    CANCEL = "cancel"
    #: Shadow mode: tell what would be done.
    WATCH = "watch"
    #: Do nothing now; journal the reasons as "waiting".
    HOLD = "hold"
    #: The incident is closed.
    NOTHING = "nothing"


@dataclasses.dataclass(frozen=True, slots=True)
class IncidentView:
    """An incident and what is true right now.

    :ivar mode: brakes.effective_mode() of its host now.
    :ivar host: the verdict on its host now; None when there is none.
    :ivar last_sign_of_life_utc: newest sign of life of the host, by the
        engine's clock.
    :ivar listening: whether this engine has listened for so long that it
        would have heard the host, if it lives.
    """

    incident: Incident
    mode: ModeVerdict
    host: HostVerdict | None
    last_sign_of_life_utc: datetime.datetime | None = None
    listening: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class NextStep:
    """What to do, the state it leads to when it succeeds, and why.

    :ivar reprove: the proof is void: with HOLD or FOLLOW, read the power
        state again, command nothing, and journal the new proof if there is
        one. A host which is off is so proved again after a stray sign of
        life; one which lives is not.
    """

    step: Step
    to: IncidentState | None
    reasons: tuple[str, ...]
    reprove: bool = False


_I = IncidentState
_ON_ITS_WAY = frozenset({
    ServerState.PENDING, ServerState.CLAIMED, ServerState.REQUESTED,
    ServerState.MIGRATING, ServerState.RETRY})


def next_step(
    view: IncidentView,
    servers: Sequence[ServerRecord],
    now: datetime.datetime,
) -> NextStep:
    """Decide what the engine does next with an incident.

    Up to the proof a sign of life or an operator ends it. After it an
    operator can still say that nothing more is sent; that harms nothing, so
    it asks for no mode and no proof. Nothing destructive is begun unless the
    host is held dead right now and its domain is armed right now.

    :param servers: the records of the incident's servers
    :param now: aware UTC
    """
    state = view.incident.state
    if state in BEFORE_PROOF:
        return _until_proof(view)
    if state in (_I.FENCED, _I.FORCED_DOWN):
        cancelled = _cancelled(view.incident)
        if cancelled and state is _I.FENCED:
            return NextStep(Step.CANCEL, _I.CANCELLED, cancelled)
        if cancelled:
            return NextStep(Step.ADVANCE, _I.EVACUATING, (
                *cancelled,
                "Nova was told that the host is down; nothing is sent"))
        stopped = _stopped(view, Step.HOLD)
        if stopped is not None:
            return stopped
        if state is _I.FENCED:
            return NextStep(
                Step.FORCE_DOWN, _I.FORCED_DOWN, ("the host is fenced",))
        return NextStep(
            Step.ADVANCE, _I.EVACUATING, ("Nova knows that it is down",))
    if state is _I.EVACUATING:
        return _evacuating(view, servers, now)
    if state is _I.VERIFYING:
        return _verifying(servers)
    if state in (_I.DONE, _I.PARTIAL):
        return NextStep(
            Step.ADVANCE, _I.RETURN_WAIT,
            ("the servers are through; the host may come back",))
    if state is _I.RETURN_WAIT:
        stop = _not_armed(view)
        if stop:
            return NextStep(Step.HOLD, None, stop)
        return NextStep(
            Step.CHECK_RETURN, _I.RETURNED, ("the host may come back",))
    return NextStep(Step.NOTHING, None, ("the incident is closed",))


def _until_proof(view: IncidentView) -> NextStep:
    incident = view.incident
    state = incident.state
    cancelled = _cancelled(incident)
    if cancelled:
        return NextStep(Step.CANCEL, _I.CANCELLED, cancelled)
    held = view.host.state if view.host is not None else None
    reasons = view.host.reasons if view.host is not None else ()
    if held is HostState.UP:
        if state is _I.SHADOWED:
            return NextStep(
                Step.ADVANCE, _I.RETURNED, ("the host is back", *reasons))
        return NextStep(
            Step.CANCEL, _I.CANCELLED, ("the host shows life", *reasons))
    if state is _I.SHADOWED:
        if view.mode.mode is Mode.ARMED:
            return NextStep(Step.ADVANCE, _I.DETECTED, (
                "armed now: it starts over with what is seen now",
                *view.mode.reasons))
        return NextStep(Step.WATCH, None, view.mode.reasons)
    stop = _not_armed(view)
    if stop and not (
            state is _I.DETECTED and view.mode.mode is Mode.SHADOW):
        return NextStep(Step.HOLD, None, stop)
    dead = held is HostState.DEAD
    if not dead and state is not _I.FENCING:
        return NextStep(Step.HOLD, None, (
            (f"host {incident.host} is not held dead right now; nothing is "
             f"begun before it is again"), *reasons))
    if state is _I.DETECTED:
        return NextStep(Step.ADMIT, _I.ADMITTED, reasons)
    if state is _I.ADMITTED:
        return NextStep(Step.PLAN, _I.PLANNED, ("the brakes let it go",))
    if state is _I.PLANNED:
        return NextStep(
            Step.ADVANCE, _I.FENCING, ("the plan stands: fence the host",))
    if dead:
        return NextStep(
            Step.FENCE, _I.FENCED, ("the host must be proved off",))
    return NextStep(Step.LOOK, _I.FENCED, (
        (f"host {incident.host} is not held dead right now: its power is "
         f"read, but not switched"), *reasons))


def _evacuating(
    view: IncidentView, servers: Sequence[ServerRecord],
    now: datetime.datetime,
) -> NextStep:
    moving = [s for s in servers if s.state in _ON_ITS_WAY]
    if not moving:
        return NextStep(
            Step.ADVANCE, _I.VERIFYING, ("no server is on its way",))
    cancelled = _cancelled(view.incident)
    if cancelled:
        return NextStep(Step.GIVE_UP, None, (
            *cancelled,
            "nothing more is sent; what is under way is followed"))
    stopped = _stopped(view, Step.FOLLOW)
    if stopped is not None:
        return stopped
    later = [
        s.not_before for s in moving
        if s.not_before is not None and s.not_before > now]
    if len(later) == len(moving):
        wait = (min(later) - now).total_seconds()
        return NextStep(Step.MOVE, None, (
            (f"{len(moving)} servers are tried again, the first in "
             f"{wait:.0f} s"),))
    return NextStep(Step.MOVE, None, (
        f"{len(moving)} of {len(servers)} servers are on their way",))


def _verifying(servers: Sequence[ServerRecord]) -> NextStep:
    moving = sum(s.state in _ON_ITS_WAY for s in servers)
    if moving:
        return NextStep(Step.ADVANCE, _I.EVACUATING, (
            f"{moving} servers did not hold where they landed",))
    open_ones = sum(s.state not in SETTLED for s in servers)
    if open_ones:
        return NextStep(Step.VERIFY, None, (
            f"{open_ones} servers landed and are to be checked",))
    manual = [
        s for s in servers if s.state is ServerState.MANUAL
        and s.reason_code not in NOBODY_NEEDED]
    if manual:
        return NextStep(Step.ADVANCE, _I.PARTIAL, (
            f"{len(manual)} of {len(servers)} servers need a person",))
    return NextStep(
        Step.ADVANCE, _I.DONE, (f"all {len(servers)} servers are settled",))


def _cancelled(incident: Incident) -> tuple[str, ...]:
    """Who cancelled it and why; () if nobody did."""
    told = [c for c in incident.commands if c.command is Command.CANCEL]
    if not told:
        return ()
    return (f"cancelled by {told[-1].by}: {told[-1].reason}",)


def _stopped(view: IncidentView, step: Step) -> NextStep | None:
    reasons = _not_armed(view)
    if reasons:
        return NextStep(step, None, reasons)
    reasons = _proof_void(view)
    if reasons:
        return NextStep(step, None, reasons, reprove=True)
    if view.host is None or not view.listening:
        return NextStep(step, None, (
            (f"this engine does not listen for long enough yet to have heard "
             f"host {view.incident.host}, if it came back since its fence "
             f"was proved"),))
    return None


def _not_armed(view: IncidentView) -> tuple[str, ...]:
    if view.mode.mode is Mode.ARMED:
        return ()
    return ((f"the mode is {view.mode.mode.value}: nothing more is done for "
             f"this incident until its domain is armed again "
             f"('openstack ha failover arm')"), *view.mode.reasons)


def _proof_void(view: IncidentView) -> tuple[str, ...]:
    """Why the proof does not hold any more; () if it does."""
    incident = view.incident
    proof = None if incident.proof is None else Proof.from_dict(
        incident.proof)
    times = [c.at for c in incident.commands
             if c.command is Command.CONFIRM_FENCED]
    if proof is not None and proof.proven and proof.proven_at_utc is not None:
        times.append(proof.proven_at_utc)
    if not times:
        return ((f"host {incident.host} has no fence proof: nothing is moved "
                 f"away from it; power it off and say so with 'openstack ha "
                 f"incident confirm-fenced'"),)
    life = view.last_sign_of_life_utc
    # The verdict beside the times: it compares no two engines' clocks.
    lives = view.host is not None and view.host.state is HostState.UP
    if lives or (life is not None and life >= max(times)):
        return ((f"host {incident.host} showed life after it was proved off: "
                 f"nothing more is moved away from it; power it off and say "
                 f"so with 'openstack ha incident confirm-fenced'"),)
    return ()
