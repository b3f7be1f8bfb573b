# SPDX-License-Identifier: Apache-2.0
"""From a dead host to the permission to do something about it."""

from __future__ import annotations

from collections.abc import Collection

from aacloud.core import brakes
from aacloud.core import incidents
from aacloud.core import steps
from aacloud.core import verdicts
from aacloud.failover import context as contexts
from aacloud.failover import policies
from aacloud.failover.steps import fencing
from aacloud.failover.steps import planning
from aacloud.failover.steps import step

_S = incidents.IncidentState

#: Seconds between two looks of an incident that is held back.
HELD_S = 2.0


def admit(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Let the incident pass the brakes, hold it, or only tell the plan."""
    judgement = context.board.get()
    if judgement is None:
        return 0.5
    # First with what is at hand: with a whole data centre dead the brakes
    # hold hundreds of incidents, and each of them comes by all the time.
    admission = _ask_brakes(
        context, incident, judgement, context.board.recovering())
    if admission.mode is brakes.Mode.SHADOW:
        would = planning.describe(context, incident)
        step.advance(
            context, incident, _S.SHADOWED,
            f"shadow mode, nothing is done: {'; '.join(admission.reasons)}. "
            f"{would} 'openstack ha failover arm' lets the engine act.",
            mode=admission.mode, waiting="shadow mode: nothing is done")
        return 1.0
    if not admission.go:
        step.wait(context, incident, "; ".join(admission.reasons))
        return HELD_S
    # The others are looked at and this one is admitted in one piece:
    # hosts die together, and their workers come here together.
    with context.admissions:
        admission = _ask_brakes(context, incident, judgement, {
            other.host for other in context.journal.open_incidents()
            if other.state in incidents.IN_RECOVERY})
        if admission.go:
            step.advance(
                context, incident, _S.ADMITTED, "; ".join(admission.reasons),
                mode=admission.mode)
            return 0.0
    step.wait(context, incident, "; ".join(admission.reasons))
    return HELD_S


def _ask_brakes(
    context: contexts.Context,
    incident: incidents.Incident,
    judgement: verdicts.Judgement,
    recovering: Collection[str],
) -> brakes.Admission:
    return brakes.admit(
        incident.host, judgement, recovering, context.world.topology(),
        policies.brake(context.conf), context.journal.modes())


def watch(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Shadow mode: nothing to do until the host is back or armed."""
    return HELD_S


def hold(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Stay, and let the operator read why."""
    if todo.reprove:
        now = fencing.reprove(context, incident)
        if now is not incident:
            return 0.0
    step.wait(context, incident, "; ".join(todo.reasons))
    return 0.5


def cancel(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Close it, if Nova was told nothing: the host's service is disabled
    only together with force-down, and that follows the proof."""
    text = "; ".join(todo.reasons)
    if incident.state is _S.FENCED:
        service = context.cloud.services().get(incident.host)
        if service is not None and service.forced_down:
            # An engine was killed between the call and its journal. Closed
            # now, nobody would ever take that back.
            step.advance(
                context, incident, _S.FORCED_DOWN,
                f"{text}; Nova knows already that the host is down, so the "
                "host has to return before the incident is closed")
            return 0.0
        text += ". Its host was proved off: power it on when it may serve"
    if incident.state is _S.FENCING:
        text += (
            ". Its BMC may have been ordered to power it off: look whether "
            "the host still has power"
        )
    step.advance(context, incident, _S.CANCELLED, text)
    return 0.0
