# SPDX-License-Identifier: Apache-2.0
"""How long each server was down, and what an incident came to."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import datetime
import typing

from aacloud.core.incidents import Event
from aacloud.core.incidents import ServerRecord
from aacloud.core.incidents import ServerState

#: The kind of the events that tell of a new state of the incident; their
#: detail names it under "to".
_STATE = "state"

#: Servers which ran before their host died; the others had no downtime.
_RAN = frozenset({"active"})


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """What an incident came to. Times in seconds.

    :ivar by_state: server state -> how many servers.
    :ivar by_reason: reason code -> how many servers that need a person.
    :ivar downtime_max_s: of the servers that ran and were recovered.
    :ivar total_s: from the first server down to the last one up again.
    :ivar steps: name of a step -> seconds from the first server down until
        it was first reached. Steps are the states of the incident, by their
        values, and the other events that concern no single server, by their
        kinds.
    """

    servers: int
    by_state: dict[str, int]
    by_reason: dict[str, int]
    downtime_min_s: float | None
    downtime_median_s: float | None
    downtime_max_s: float | None
    total_s: float | None
    steps: dict[str, float]

    def as_dict(self) -> dict[str, typing.Any]:
        """The summary as JSON-able values, kept with the incident."""
        return dataclasses.asdict(self)


def downtime(
    record: ServerRecord, now: datetime.datetime | None = None,
) -> float | None:
    """Seconds for which a server was down.

    :param now: aware UTC; for a server that is still down, the time so far
    :returns: None for a server which did not run before, whose fall was not
        seen, or which is still down when ``now`` is not given
    """
    if record.down_since is None:
        return None
    if record.snapshot.get("vm_state", "active") not in _RAN:
        return None
    up_again = record.landed_at or record.verified_at or now
    if up_again is None:
        return None
    return max(0.0, (up_again - record.down_since).total_seconds())


def summarize(
    records: Sequence[ServerRecord], events: Sequence[Event] = (),
) -> Summary:
    """What an incident came to, from its servers and its story."""
    by_state: dict[str, int] = {}
    by_reason: dict[str, int] = {}
    for record in records:
        state = record.state.value
        by_state[state] = by_state.get(state, 0) + 1
        if record.state is ServerState.MANUAL:
            code = record.reason_code or "unknown"
            by_reason[code] = by_reason.get(code, 0) + 1
    downtimes = sorted(
        seconds for record in records
        if (seconds := downtime(record)) is not None)
    start = min(
        (r.down_since for r in records if r.down_since is not None),
        default=None)
    end = max(
        (r.landed_at for r in records if r.landed_at is not None),
        default=None)
    return Summary(
        servers=len(records), by_state=by_state, by_reason=by_reason,
        downtime_min_s=downtimes[0] if downtimes else None,
        downtime_median_s=_median(downtimes),
        downtime_max_s=downtimes[-1] if downtimes else None,
        total_s=None if start is None or end is None
        else max(0.0, (end - start).total_seconds()),
        steps=_steps(events, start))


def _steps(
    events: Sequence[Event], start: datetime.datetime | None,
) -> dict[str, float]:
    steps: dict[str, float] = {}
    ordered = sorted(events, key=lambda event: (event.at, event.id))
    if start is None and ordered:
        start = ordered[0].at
    for event in ordered:
        if start is not None and event.server is None:
            steps.setdefault(
                _step_of(event),
                max(0.0, (event.at - start).total_seconds()))
    return steps


def _step_of(event: Event) -> str:
    reached = event.detail.get("to")
    if event.kind == _STATE and isinstance(reached, str):
        return reached
    return event.kind


def _median(ordered: Sequence[float]) -> float | None:
    if not ordered:
        return None
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
