# SPDX-License-Identifier: Apache-2.0
"""From the plan to a proof, and from the proof to force-down."""

from __future__ import annotations

import logging

from aacloud.core import fences
from aacloud.core import incidents
from aacloud.core import steps
from aacloud.db import errors as db_errors
from aacloud.failover import context as contexts
from aacloud.failover.steps import planning
from aacloud.failover.steps import step

LOG = logging.getLogger(__name__)

_S = incidents.IncidentState

#: Seconds until it is seen whether somebody said something, or the host
#: showed life, between two tries.
LOOK_AGAIN_S = 0.5


def fence(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Power the host off and go on only with a proof."""
    if not _due(context, incident):
        return LOOK_AGAIN_S
    legs = _confirmed_by_operator(incident)
    if not _proof(context, incident, legs).proven:
        step.require_lead(context)
        legs += context.fencer.fence(
            incident.host, lambda: _may_order(context, incident.id))
    return _judge(context, incident, legs)


def look(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Read the power state, but switch nothing: the host may live."""
    if not _due(context, incident):
        return LOOK_AGAIN_S
    return _judge(
        context, incident, _read(context, incident), "; ".join(todo.reasons))


def reprove(
    context: contexts.Context, incident: incidents.Incident
) -> incidents.Incident:
    """Prove a host off again that showed life after its proof; switch
    nothing. Without a new proof nothing changes.

    :returns: the incident as it is now
    """
    memory = context.memory
    now = context.clock.monotonic()
    if now < memory.reprove_due:
        return incident
    memory.reprove_due = now + context.conf.aacloud_failover.fence_retry
    proof = _proof(context, incident, _read(context, incident))
    if not proof.proven:
        return incident
    step.require_lead(context)
    return context.journal.advance(
        incident, incident.state, waiting=None, proof=proof.as_dict(),
        event_text=f"proved off again: {'; '.join(proof.reasons)}")


def _due(
    context: contexts.Context, incident: incidents.Incident
) -> bool:
    """Whether it is time for the next try; an operator's word makes it."""
    memory = context.memory
    return (
        context.clock.monotonic() >= memory.fence_due
        or len(incident.commands) > memory.heeded)


def _may_order(context: contexts.Context, incident_id: str) -> bool:
    """Asked right before each order to a controller, which may be many
    seconds after the fencing began: whatever speaks against it counts."""
    if not context.may_act():
        return False
    try:
        todo = step.decide(context, context.journal.incident(incident_id))
    except step.LeadershipEnded:
        return False
    except db_errors.DatabaseError as error:
        LOG.warning(
            "Incident %s: nothing is ordered from the controller: %s",
            incident_id, error)
        return False
    if todo.step is not steps.Step.FENCE:
        LOG.warning(
            "Incident %s: nothing more is ordered from the controller: %s",
            incident_id, "; ".join(todo.reasons))
        return False
    return context.may_act()


def _read(
    context: contexts.Context, incident: incidents.Incident
) -> tuple[fences.FenceEvidence, ...]:
    """What is known without an order; the controller is asked if needed."""
    legs = _confirmed_by_operator(incident)
    if _proof(context, incident, legs).proven:
        return legs
    return legs + context.fencer.status(incident.host)


def _proof(
    context: contexts.Context,
    incident: incidents.Incident,
    legs: tuple[fences.FenceEvidence, ...],
) -> fences.Proof:
    return fences.prove(
        legs, context.world.last_life(incident.host),
        now_utc=context.clock.utcnow(),
        quiet_s=context.conf.aacloud_failover.heartbeat_timeout)


def _judge(
    context: contexts.Context,
    incident: incidents.Incident,
    legs: tuple[fences.FenceEvidence, ...],
    doubts: str = "",
) -> float:
    proof = _proof(context, incident, legs)
    if proof.proven:
        step.require_lead(context)
        step.advance(
            context, incident, _S.FENCED,
            f"proved off: {'; '.join(proof.reasons)}", proof=proof.as_dict())
        return 0.0
    retry = context.conf.aacloud_failover.fence_retry
    context.memory.fence_due = context.clock.monotonic() + retry
    context.memory.heeded = len(incident.commands)
    step.wait(
        context, incident,
        f"no proof that host {incident.host} is off, so nothing is "
        f"evacuated: {'; '.join(filter(None, (*proof.reasons, doubts)))}. "
        f"It is tried again each {retry:g} s. Mend the BMC; or make sure "
        "that the host is without power and run 'openstack ha incident "
        f"confirm-fenced {incident.id} --reason TEXT'.")
    return LOOK_AGAIN_S


def _confirmed_by_operator(
    incident: incidents.Incident,
) -> tuple[fences.FenceEvidence, ...]:
    given = step.command(incident, incidents.Command.CONFIRM_FENCED)
    if given is None:
        return ()
    return (
        fences.FenceEvidence(
            driver=fences.OPERATOR,
            strength="strong",
            power=fences.PowerState.OFF,
            read_at_utc=given.at,
            detail=f"{given.by} confirmed that the host is off: "
                   f"{given.reason}",
        ),
    )


def force_down(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Tell Nova that the host is down and lets nothing be put there.

    Both in one request: disabling the service of a dead host that Nova still
    takes for alive makes nova-api wait for it for a minute.
    """
    step.require_lead(context)
    context.cloud.force_down(
        incident.host, True, disabled_reason=disabled_reason(incident))
    context.watcher.look_now()
    planning.add_latecomers(context, incident)
    step.advance(
        context, incident, _S.FORCED_DOWN,
        "Nova was told that the host is down, and schedules nothing there")
    return 0.0


def disabled_reason(incident: incidents.Incident) -> str:
    """By this the engine knows its own hand when the host is back."""
    return f"aacloud incident {incident.id}"
