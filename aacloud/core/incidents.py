# SPDX-License-Identifier: Apache-2.0
"""Incidents: the records of a host being handled, and their states."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime
import enum
import typing

from aacloud.core.brakes import Mode


class IncidentState(str, enum.Enum):
    """How far the handling of a dead host has come."""

    DETECTED = "detected"
    ADMITTED = "admitted"
    PLANNED = "planned"
    FENCING = "fencing"
    FENCED = "fenced"
    FORCED_DOWN = "forced-down"
    EVACUATING = "evacuating"
    VERIFYING = "verifying"
    DONE = "done"
    PARTIAL = "partial"
    RETURN_WAIT = "return-wait"
    RETURNED = "returned"
    SHADOWED = "shadowed"
    CANCELLED = "cancelled"


class ServerState(str, enum.Enum):
    """How far one server's move has come."""

    PENDING = "pending"
    CLAIMED = "claimed"
    REQUESTED = "requested"
    MIGRATING = "migrating"
    LANDED = "landed"
    VERIFIED = "verified"
    RETRY = "retry"
    MANUAL = "manual"


class Command(str, enum.Enum):
    """What an operator can tell an open incident."""

    CONFIRM_FENCED = "confirm-fenced"
    CANCEL = "cancel"


_I = IncidentState
_S = ServerState

#: What may follow each state of an incident.
INCIDENT_TRANSITIONS: Mapping[IncidentState, frozenset[IncidentState]] = {
    _I.DETECTED: frozenset({_I.ADMITTED, _I.SHADOWED, _I.CANCELLED}),
    _I.SHADOWED: frozenset({_I.DETECTED, _I.CANCELLED, _I.RETURNED}),
    _I.ADMITTED: frozenset({_I.PLANNED, _I.CANCELLED}),
    _I.PLANNED: frozenset({_I.FENCING, _I.CANCELLED}),
    _I.FENCING: frozenset({_I.FENCED, _I.CANCELLED}),
    _I.FENCED: frozenset({_I.FORCED_DOWN, _I.CANCELLED}),
    _I.FORCED_DOWN: frozenset({_I.EVACUATING}),
    _I.EVACUATING: frozenset({_I.VERIFYING}),
    _I.VERIFYING: frozenset({_I.EVACUATING, _I.DONE, _I.PARTIAL}),
    _I.DONE: frozenset({_I.RETURN_WAIT}),
    _I.PARTIAL: frozenset({_I.RETURN_WAIT}),
    _I.RETURN_WAIT: frozenset({_I.RETURNED}),
    _I.RETURNED: frozenset(),
    _I.CANCELLED: frozenset(),
}

#: What may follow each state of a server's move. RETRY means: an attempt
#: failed, the next one starts at CLAIMED. PENDING again: plan anew.
SERVER_TRANSITIONS: Mapping[ServerState, frozenset[ServerState]] = {
    _S.PENDING: frozenset({_S.CLAIMED, _S.LANDED, _S.MANUAL}),
    _S.CLAIMED: frozenset({
        _S.REQUESTED, _S.MIGRATING, _S.LANDED, _S.RETRY, _S.MANUAL}),
    _S.REQUESTED: frozenset({
        _S.REQUESTED, _S.MIGRATING, _S.LANDED, _S.RETRY, _S.MANUAL}),
    _S.MIGRATING: frozenset({_S.LANDED, _S.RETRY, _S.MANUAL}),
    _S.LANDED: frozenset({_S.VERIFIED, _S.RETRY, _S.MANUAL}),
    _S.RETRY: frozenset({
        _S.CLAIMED, _S.PENDING, _S.MIGRATING, _S.LANDED, _S.MANUAL}),
    _S.VERIFIED: frozenset(),
    _S.MANUAL: frozenset(),
}

#: Nothing follows these: the incident is closed.
CLOSED = frozenset({_I.RETURNED, _I.CANCELLED})

#: In these the host's servers are being recovered: the brakes count them.
IN_RECOVERY = frozenset({
    _I.ADMITTED, _I.PLANNED, _I.FENCING, _I.FENCED, _I.FORCED_DOWN,
    _I.EVACUATING, _I.VERIFYING})

#: Up to here nothing was proved: a sign of life ends an incident.
BEFORE_PROOF = frozenset({
    _I.DETECTED, _I.SHADOWED, _I.ADMITTED, _I.PLANNED, _I.FENCING})

#: The host is proved off and servers may still be sent away from it.
SENDING = frozenset({_I.FENCED, _I.FORCED_DOWN, _I.EVACUATING})

#: In which states an operator's command still has a meaning. A proof that a
#: sign of life made void can be confirmed anew as long as servers are moved;
#: and as long as one may still be sent, the others can be left where they are.
ACCEPTED_IN: Mapping[Command, frozenset[IncidentState]] = {
    Command.CANCEL: BEFORE_PROOF | SENDING,
    Command.CONFIRM_FENCED: BEFORE_PROOF | IN_RECOVERY,
}

#: A server in one of these needs nothing more from the engine.
SETTLED = frozenset({_S.VERIFIED, _S.MANUAL})


class IllegalTransition(Exception):
    """A state was to follow another that it may not follow."""

    def __init__(self, old: enum.Enum, new: enum.Enum) -> None:
        self.old = old
        self.new = new
        super().__init__(
            f"{type(old).__name__} cannot go from {old.value} to "
            f"{new.value}")


@typing.overload
def check_transition(old: IncidentState, new: IncidentState) -> None: ...


@typing.overload
def check_transition(old: ServerState, new: ServerState) -> None: ...


def check_transition(
    old: IncidentState | ServerState,
    new: IncidentState | ServerState,
) -> None:
    """Refuse a step that the tables do not know.

    :raises IllegalTransition: ``new`` may not follow ``old``
    """
    allowed: frozenset[IncidentState] | frozenset[ServerState]
    if isinstance(old, IncidentState):
        allowed = INCIDENT_TRANSITIONS[old]
    else:
        allowed = SERVER_TRANSITIONS[old]
    if new not in allowed:
        raise IllegalTransition(old, new)


@dataclasses.dataclass(frozen=True, slots=True)
class OperatorCommand:
    """What an operator told an incident to do."""

    command: Command
    by: str
    reason: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Incident:
    """A dead host being handled; persisted. All times are aware UTC.

    :ivar version: raised by each write; a write names the version it read.
    :ivar epoch: the leadership that may write to it.
    :ivar verdict: HostVerdict.as_dict() at detection.
    :ivar proof: Proof.as_dict(), once there is one.
    :ivar waiting: why it does not go on, and what the operator can do.
    :ivar summary: timeline.summarize() once recovery is over.
    """

    id: str
    host: str
    state: IncidentState
    mode: Mode
    version: int
    epoch: int
    opened_at: datetime.datetime
    updated_at: datetime.datetime
    kind: str = "host"
    detected_at: datetime.datetime | None = None
    closed_at: datetime.datetime | None = None
    verdict: Mapping[str, typing.Any] = dataclasses.field(
        default_factory=dict)
    proof: Mapping[str, typing.Any] | None = None
    waiting: str | None = None
    commands: tuple[OperatorCommand, ...] = ()
    summary: Mapping[str, typing.Any] = dataclasses.field(
        default_factory=dict)
    request_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ServerRecord:
    """One server's move within an incident; persisted. Times: aware UTC.

    :ivar tries: evacuations that were sent and failed, so far.
    :ivar intent_at: when the destination was claimed in the journal.
    :ivar requested_at: when the call to Nova was about to be made. Set
        means: the call may have reached Nova.
    :ivar request_id: Nova's answer to the call. Set means: Nova took it.
    :ivar migration_id: Nova's migration being followed.
    :ivar past_migrations: ids of evacuations of this server which are over
        and not this attempt's: those found when the plan was made, and that
        of each failed try. Any other one is this attempt's. With this no
        clock is compared to tell an old evacuation from a new one.
    :ivar down_since: when the server stopped to run, as far as known.
    :ivar not_before: when the next try is due.
    :ivar reason_code: short code of why it waits or is manual.
    :ivar snapshot: the server as it was when the plan was made.
    """

    incident_id: str
    server: str
    name: str
    project_id: str
    state: ServerState
    version: int
    wave: int
    source: str
    destination: str | None = None
    spares: tuple[str, ...] = ()
    tries: int = 0
    intent_at: datetime.datetime | None = None
    requested_at: datetime.datetime | None = None
    request_id: str | None = None
    migration_id: int | None = None
    past_migrations: tuple[int, ...] = ()
    landed_at: datetime.datetime | None = None
    verified_at: datetime.datetime | None = None
    down_since: datetime.datetime | None = None
    not_before: datetime.datetime | None = None
    reason_code: str | None = None
    reason: str | None = None
    snapshot: Mapping[str, typing.Any] = dataclasses.field(
        default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One line of an incident's story; persisted."""

    id: int
    incident_id: str
    at: datetime.datetime
    kind: str
    text: str
    server: str | None = None
    detail: Mapping[str, typing.Any] = dataclasses.field(
        default_factory=dict)
