# SPDX-License-Identifier: Apache-2.0
"""What every step does: go on, wait, and never act without the lead."""

from __future__ import annotations

import logging
from typing import Any

from aacloud.coordination import waits
from aacloud.core import brakes
from aacloud.core import incidents
from aacloud.core import steps
from aacloud.failover import context as contexts

LOG = logging.getLogger(__name__)

#: In these states nothing depends on the servers, and with a whole data
#: centre dead there are hundreds of incidents in them.
_WITHOUT_SERVERS = frozenset(incidents.IncidentState) - {
    incidents.IncidentState.EVACUATING, incidents.IncidentState.VERIFYING}


class LeadershipEnded(Exception):
    """This engine must not act any more; another one goes on."""


def advance(
    context: contexts.Context,
    incident: incidents.Incident,
    state: incidents.IncidentState,
    text: str,
    **columns: Any,
) -> incidents.Incident:
    """Journal the next state and tell the world of it."""
    written = context.journal.advance(
        incident, state, event_text=text, **columns)
    LOG.info(
        "Incident %s of host %s is %s: %s",
        incident.id, incident.host, state.value, text)
    context.notifier.incident(written)
    return written


def wait(
    context: contexts.Context,
    incident: incidents.Incident,
    why: str,
) -> incidents.Incident:
    """Stay in the state and say why; the same is not written twice.

    Two texts that differ in numbers and ids alone are the same: seconds
    pass, and each request has an id of its own.
    """
    if incident.waiting is not None and waits.same_reason(
        incident.waiting, why
    ):
        return incident
    LOG.warning(
        "Incident %s of host %s (%s) waits: %s",
        incident.id, incident.host, incident.state.value, why)
    written = context.journal.advance(
        incident, incident.state, event_text=why, waiting=why)
    context.notifier.incident(written)
    return written


def require_lead(context: contexts.Context) -> None:
    """To be called right before each outward call.

    :raises LeadershipEnded: this engine no longer leads
    """
    if not context.may_act():
        raise LeadershipEnded


def command(
    incident: incidents.Incident, wanted: incidents.Command
) -> incidents.OperatorCommand | None:
    """The latest such command of an operator, or None."""
    found = [
        given for given in incident.commands if given.command is wanted]
    return found[-1] if found else None


def decide(
    context: contexts.Context, incident: incidents.Incident
) -> steps.NextStep:
    """Ask the core what to do next, with all that is known now.

    :raises LeadershipEnded: the incident belongs to another leadership
    """
    if incident.epoch != context.epoch():
        # Also where the lease says that all is well. Not every step writes
        # to the journal before it does something.
        raise LeadershipEnded
    host = incident.host
    judgement = context.board.get()
    return steps.next_step(
        steps.IncidentView(
            incident=incident,
            mode=brakes.effective_mode(
                context.journal.modes(), context.world.topology(), host),
            host=None if judgement is None else judgement.hosts.get(host),
            last_sign_of_life_utc=context.world.last_life(host),
            listening=context.world.listened_s()
            >= context.conf.aacloud_failover.heartbeat_timeout,
        ),
        () if incident.state in _WITHOUT_SERVERS
        else context.journal.servers(incident.id),
        context.clock.utcnow(),
    )
