# SPDX-License-Identifier: Apache-2.0
"""The servers' way to other hosts: the mover's rounds, journalled."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

from aacloud.clouds import evacuation
from aacloud.clouds import mover as movers
from aacloud.clouds import moves
from aacloud.core import incidents
from aacloud.core import steps
from aacloud.core import verdicts
from aacloud.db import changes
from aacloud.db import journal as journals
from aacloud.failover import context as contexts
from aacloud.failover import policies
from aacloud.failover.steps import fencing
from aacloud.failover.steps import planning
from aacloud.failover.steps import step

_S = incidents.IncidentState

#: In these states the mover works.
MOVING = frozenset({_S.EVACUATING, _S.VERIFYING})

#: Shortest pause between two rounds, seconds.
SHORTEST_S = 0.05

#: In these states an incident's host has a fence proof that holds.
FENCED = frozenset({
    _S.FENCED, _S.FORCED_DOWN, _S.EVACUATING, _S.VERIFYING, _S.DONE,
    _S.PARTIAL, _S.RETURN_WAIT})


class JournalLedger:
    """Writes a mover's steps into the journal."""

    def __init__(self, journal: journals.Journal) -> None:
        self._journal = journal

    def write(
        self, transitions: Sequence[moves.Transition]
    ) -> Sequence[incidents.ServerRecord]:
        """Write all or none; see :class:`moves.Ledger`."""
        return self._journal.update_servers([
            changes.ServerChange(
                one.record, one.state, one.columns, one.text, one.detail)
            for one in transitions
        ])


def move(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Start and follow moves."""
    return _round(context, incident, send=True)


def follow(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Follow what is under way and start nothing: a person said stop, or
    the host showed life."""
    if todo.reprove:
        now = fencing.reprove(context, incident)
        if now is not incident:
            return 0.0
    return _round(context, incident, send=False, why="; ".join(todo.reasons))


def give_up(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Leave on the host what nothing was sent for, and follow the rest: an
    operator cancelled it after the proof."""
    return _round(
        context, incident, send=False, why="; ".join(todo.reasons),
        # The first reason tells who said so: it is kept with each server.
        give_up=todo.reasons[0])


def verify(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Look at the servers that landed until each is verified, or not."""
    return _round(context, incident, send=False)


def _round(
    context: contexts.Context,
    incident: incidents.Incident,
    *,
    send: bool,
    why: str = "",
    give_up: str | None = None,
) -> float:
    """Let the mover go a round.

    :param why: why nothing is sent
    :param give_up: who gave up what was not sent yet
    """
    mover = _mover(context, incident)
    came_to = mover.round(
        context.journal.servers(incident.id), send=send, give_up=give_up)
    if came_to.stopped:
        return came_to.pause_s
    if give_up is not None and came_to.settled:
        return 0.0
    waiting = "; ".join(filter(None, (why, came_to.waiting)))
    if waiting:
        step.wait(context, incident, waiting)
    elif incident.waiting:
        context.journal.advance(
            incident, incident.state, event_text="goes on", waiting=None)
    if mover.busy:
        mover.wait(came_to.pause_s)
        return 0.0
    return max(SHORTEST_S, came_to.pause_s)


def _mover(
    context: contexts.Context, incident: incidents.Incident
) -> movers.Mover:
    known = context.memory.mover
    if known is None:
        known = movers.Mover(
            evacuation.Evacuation(
                context.cloud,
                policies.adoption_policy(context.conf),
                context.conf.aacloud_failover.evacuate_microversion,
                runs_on=context.world.runs_on,
                fenced=lambda: _fenced(context)),
            JournalLedger(context.journal),
            context.pace,
            may_act=context.may_act,
            usable=_usable(context),
            replan=lambda servers: planning.replan(
                context, incident, servers),
            times=moves.MoverTimes(
                verify=context.conf.aacloud_failover.verify_timeout),
            pool=None if context.pool is None else context.pool(),
            clock=context.clock.monotonic,
            utcnow=context.clock.utcnow,
        )
        context.memory.mover = known
    return known


def _fenced(context: contexts.Context) -> frozenset[str]:
    return frozenset(
        incident.host for incident in context.journal.open_incidents()
        if incident.state in FENCED)


def _usable(context: contexts.Context) -> Callable[[str], str | None]:
    """Why a host must not be given a server now."""

    def trouble(host: str) -> str | None:
        judgement = context.board.get()
        verdict = None if judgement is None else judgement.hosts.get(host)
        if verdict is not None and (
            verdict.suspect or verdict.state is verdicts.HostState.DEAD
        ):
            return f"it is suspect itself ({verdict.reasons[0]})"
        service = context.world.service(host)
        if service is None:
            return "Nova does not know a nova-compute there"
        if service.forced_down:
            return "it is forced down in Nova"
        if service.disabled:
            return "its service is disabled in Nova"
        if service.state != "up":
            return "its nova-compute is down for Nova"
        return None

    return trouble
