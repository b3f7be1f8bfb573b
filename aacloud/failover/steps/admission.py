# SPDX-License-Identifier: Apache-2.0
"""From a dead host to the permission to do something about it."""

from __future__ import annotations

from aacloud.core import brakes
from aacloud.core import incidents
from aacloud.core import steps
from aacloud.failover import context as contexts
from aacloud.failover import policies
from aacloud.failover.steps import planning
from aacloud.failover.steps import step

_S = incidents.IncidentState


def admit(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Let the incident pass the brakes, hold it, or only tell the plan."""
    judgement = context.board.get()
    if judgement is None:
        return 0.5
    recovering = {
        other.host for other in context.journal.open_incidents()
        if other.state in incidents.IN_RECOVERY and other.id != incident.id}
    admission = brakes.admit(
        incident.host, judgement, recovering, context.world.topology(),
        policies.brake(context.conf), context.journal.modes())
    reasons = "; ".join(admission.reasons)
    if admission.mode is brakes.Mode.SHADOW:
        would = planning.describe(context, incident)
        step.advance(
            context, incident, _S.SHADOWED,
            f"shadow mode, nothing is done: {reasons}. {would} 'openstack "
            "ha failover arm' lets the engine act.",
            mode=admission.mode, waiting="shadow mode: nothing is done")
        return 1.0
    if not admission.go:
        step.wait(context, incident, reasons)
        return 1.0
    step.advance(
        context, incident, _S.ADMITTED, reasons, mode=admission.mode)
    return 0.0


def watch(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Shadow mode: nothing to do until the host is back or armed."""
    return 1.0


def hold(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Stay, and let the operator read why."""
    step.wait(context, incident, "; ".join(todo.reasons))
    return 0.5


def cancel(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Close it. Before the proof nothing was changed that must be undone:
    the host's service is disabled only once it was forced down."""
    step.advance(context, incident, _S.CANCELLED, "; ".join(todo.reasons))
    return 0.0
