# SPDX-License-Identifier: Apache-2.0
"""Which servers are moved where, written down before anything is done."""

from __future__ import annotations

from collections.abc import Iterable
import datetime

from aacloud.core import incidents
from aacloud.core import recovery
from aacloud.core import steps
from aacloud.failover import context as contexts
from aacloud.failover import policies
from aacloud.failover.steps import step

_S = incidents.IncidentState

#: How far back evacuations are looked for that are over: Nova's clock may be
#: some minutes off, and a record of Nova is never younger than its server.
PAST = datetime.timedelta(days=7)


def plan(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Plan all servers of the host in one batch and journal the plan."""
    made = _plan(context, incident.host)
    # What another engine wrote before it was killed stays as it is.
    fresh = _unknown(context, incident, records(context, incident, made))
    if fresh:
        context.journal.put_servers(incident, fresh, event_text=tell(made))
    step.advance(context, incident, _S.PLANNED, tell(made))
    return 0.0


def add_latecomers(
    context: contexts.Context, incident: incidents.Incident
) -> None:
    """Plan servers that came to the host after the plan was made."""
    known = {
        record.server for record in context.journal.servers(incident.id)}
    on_host = context.cloud.servers_on(incident.host)
    if all(server.uuid in known for server in on_host):
        return
    made = _plan(context, incident.host)
    late = _unknown(context, incident, records(context, incident, made))
    if late:
        context.journal.put_servers(
            incident, late,
            event_text=f"{len(late)} servers came to the host after the "
                       "plan was made and are planned now")


def _unknown(
    context: contexts.Context,
    incident: incidents.Incident,
    planned: Iterable[incidents.ServerRecord],
) -> list[incidents.ServerRecord]:
    """Those that the journal does not have yet."""
    known = {
        record.server for record in context.journal.servers(incident.id)}
    return [record for record in planned if record.server not in known]


def replan(
    context: contexts.Context,
    incident: incidents.Incident,
    servers: Iterable[str],
) -> dict[str, recovery.PlannedMove | recovery.HeldServer]:
    """A new destination for servers whose spares are used up."""
    wanted = set(servers)
    made = _plan(context, incident.host)
    found: dict[str, recovery.PlannedMove | recovery.HeldServer] = {}
    for move in made.moves:
        if move.server.uuid in wanted:
            found[move.server.uuid] = move
    for held in made.held:
        if held.server.uuid in wanted:
            found[held.server.uuid] = held
    return found


def describe(
    context: contexts.Context, incident: incidents.Incident
) -> str:
    """What would be done, for shadow mode."""
    made = _plan(context, incident.host)
    where: dict[str, int] = {}
    for move in made.moves:
        where[move.destination] = where.get(move.destination, 0) + 1
    spread = ", ".join(
        f"{count} to {host}" for host, count in sorted(where.items()))
    return (
        f"Would power off {incident.host}, prove it and then evacuate: "
        f"{tell(made)}{f' ({spread})' if spread else ''}.")


def tell(made: recovery.EvacuationPlan) -> str:
    """The plan in a line."""
    text = f"{len(made.moves)} servers to evacuate, {len(made.held)} held"
    codes = sorted({held.reason_code for held in made.held})
    return f"{text} ({', '.join(codes)})" if codes else text


def _plan(context: contexts.Context, host: str) -> recovery.EvacuationPlan:
    cloud = context.cloud
    topology = context.world.topology()
    with context.planners:
        servers = cloud.with_groups(cloud.servers_on(host))
        destinations = cloud.destinations(topology)
    return recovery.plan_evacuation(
        host, servers, destinations, topology,
        policies.recovery_policy(context.conf),
        context.journal.moves_since(
            context.clock.utcnow() - datetime.timedelta(hours=24)))


def _down_since(
    context: contexts.Context, incident: incidents.Incident
) -> datetime.datetime:
    """When the host was last alive, as far as anybody knows."""
    seen = context.world.last_life(incident.host)
    told = incident.summary.get("last_life_at")
    if seen is None and isinstance(told, str):
        # An engine that started after the host had died.
        seen = datetime.datetime.fromisoformat(told)
    return seen or incident.opened_at


def records(
    context: contexts.Context,
    incident: incidents.Incident,
    made: recovery.EvacuationPlan,
) -> list[incidents.ServerRecord]:
    """The journal's records of a plan, in its order."""
    past: dict[str, list[int]] = {}
    for old in context.cloud.migrations(
        incident.host, context.clock.utcnow() - PAST
    ):
        if old.is_evacuation and not old.unfinished:
            past.setdefault(old.server, []).append(old.id)
    down_since = _down_since(context, incident)

    def record(
        server: recovery.ServerView, **columns: object
    ) -> incidents.ServerRecord:
        ran = server.vm_state == "active"
        return incidents.ServerRecord(
            incident_id=incident.id, server=server.uuid, name=server.name,
            project_id=server.project_id, version=1, source=incident.host,
            past_migrations=tuple(past.get(server.uuid, ())),
            down_since=down_since if ran else None,
            snapshot=server.snapshot(),
            **columns,  # type: ignore[arg-type]
        )

    return [
        *(record(
            move.server, state=incidents.ServerState.PENDING,
            wave=move.wave, destination=move.destination,
            spares=move.spares, reason="; ".join(move.reasons) or None)
          for move in made.moves),
        *(record(
            held.server, state=incidents.ServerState.MANUAL, wave=0,
            reason_code=held.reason_code, reason=held.reason)
          for held in made.held),
    ]
