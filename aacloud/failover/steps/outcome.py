# SPDX-License-Identifier: Apache-2.0
"""States that follow without any call: journal them, with a summary."""

from __future__ import annotations

from typing import Any

from aacloud.core import incidents
from aacloud.core import steps
from aacloud.core import timeline
from aacloud.failover import context as contexts
from aacloud.failover import metrics
from aacloud.failover.steps import step

_S = incidents.IncidentState


def advance(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Journal the state that the core decided on."""
    if todo.to is None:
        return 0.5
    text = "; ".join(todo.reasons)
    columns: dict[str, Any] = {}
    settled: tuple[incidents.ServerRecord, ...] = ()
    if todo.to is _S.DETECTED:
        judgement = context.board.get()
        verdict = None if judgement is None else judgement.hosts.get(
            incident.host)
        if verdict is not None:
            columns["verdict"] = verdict.as_dict()
    if todo.to in (_S.DONE, _S.PARTIAL):
        settled = context.journal.servers(incident.id)
        columns["summary"] = {
            **incident.summary,
            **timeline.summarize(
                settled, context.journal.events(incident.id)).as_dict(),
        }
    step.advance(context, incident, todo.to, text, **columns)
    # Only now: a write that was refused is tried again.
    _measure(settled)
    return 0.0


def _measure(records: tuple[incidents.ServerRecord, ...]) -> None:
    for record in records:
        metrics.SERVERS.labels(record.state.value).inc()
        if record.state is incidents.ServerState.VERIFIED:
            seconds = timeline.downtime(record)
            if seconds is not None:
                metrics.DOWNTIME.observe(seconds)
