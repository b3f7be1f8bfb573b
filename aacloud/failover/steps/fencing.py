# SPDX-License-Identifier: Apache-2.0
"""From the plan to a proof, and from the proof to force-down."""

from __future__ import annotations

import threading
import time

from aacloud.core import fences
from aacloud.core import incidents
from aacloud.core import steps
from aacloud.failover import context as contexts
from aacloud.failover.steps import planning
from aacloud.failover.steps import step

_S = incidents.IncidentState


def fence(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Power the host off and go on only with a proof."""
    legs = _confirmed_by_operator(incident)
    if not legs:
        step.require_lead(context)
        legs = context.fencer.fence(incident.host, context.may_act)
    return _judge(context, incident, legs)


def look(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Read the power state, but switch nothing: the host may live."""
    legs = _confirmed_by_operator(incident) or context.fencer.status(
        incident.host)
    return _judge(context, incident, legs, "; ".join(todo.reasons))


def _judge(
    context: contexts.Context,
    incident: incidents.Incident,
    legs: tuple[fences.FenceEvidence, ...],
    doubts: str = "",
) -> float:
    proof = fences.prove(legs, context.world.last_life(incident.host))
    if proof.proven:
        step.require_lead(context)
        step.advance(
            context, incident, _S.FENCED,
            f"proved off: {'; '.join(proof.reasons)}", proof=proof.as_dict())
        return 0.0
    step.wait(
        context, incident,
        f"no proof that host {incident.host} is off, so nothing is "
        f"evacuated: {'; '.join(filter(None, (*_steady(legs), doubts)))}. "
        "It is tried again each "
        f"{context.conf.aacloud_failover.fence_retry:g} s. Mend the BMC; or "
        "make sure that the host is without power and run 'openstack ha "
        f"incident confirm-fenced {incident.id} --reason TEXT'.")
    return _pause_for_command(context, incident)


def _steady(legs: tuple[fences.FenceEvidence, ...]) -> list[str]:
    """What the legs say, without times: the same trouble is told once."""
    return [
        f"{leg.driver} reads {leg.power.value}"
        if leg.power is not fences.PowerState.UNKNOWN else leg.detail
        for leg in legs
    ]


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


def _pause_for_command(
    context: contexts.Context, incident: incidents.Incident
) -> float:
    """Wait for the next try, but notice an operator's command at once."""
    until = time.monotonic() + context.conf.aacloud_failover.fence_retry
    known = len(incident.commands)
    pause = threading.Event()
    while time.monotonic() < until and context.may_act():
        pause.wait(0.5)
        if len(context.journal.incident(incident.id).commands) > known:
            break
    return 0.0


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
