# SPDX-License-Identifier: Apache-2.0
"""Repair plans of HA server groups: their records, and the states of both.

A plan carries servers of broken groups to better hosts, one step a move. What
may be begun with it now is decided by ``aacloud.core.planwork``.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime
import enum
import typing

from aacloud.core.incidents import IllegalTransition
from aacloud.core.incidents import SERVER_TRANSITIONS
from aacloud.core.incidents import ServerRecord
from aacloud.core.incidents import ServerState


class PlanState(str, enum.Enum):
    """How far a plan has come."""

    #: Made to be looked at (dry run); approving it makes it real.
    DRAFT = "draft"
    AWAITING_APPROVAL = "awaiting-approval"
    APPROVED = "approved"
    RUNNING = "running"
    PAUSED = "paused"
    #: Every step is settled.
    DONE = "done"
    #: An operator stopped it.
    STOPPED = "stopped"
    #: Too many of its moves failed.
    FAILED = "failed"
    #: It was not through when its time was up.
    EXPIRED = "expired"


class StepState(str, enum.Enum):
    """How far one step has come: as a server's move, or left out.

    The values are those of ``ServerState``, and one more.
    """

    PENDING = "pending"
    CLAIMED = "claimed"
    REQUESTED = "requested"
    MIGRATING = "migrating"
    LANDED = "landed"
    VERIFIED = "verified"
    RETRY = "retry"
    #: It is not right any more, and was not begun.
    SKIPPED = "skipped"
    MANUAL = "manual"


class PlanCommand(str, enum.Enum):
    """What an operator can tell a plan."""

    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


_P = PlanState
_S = StepState

#: What may follow each state of a plan.
PLAN_TRANSITIONS: Mapping[PlanState, frozenset[PlanState]] = {
    _P.DRAFT: frozenset({_P.APPROVED, _P.STOPPED, _P.EXPIRED}),
    _P.AWAITING_APPROVAL: frozenset({
        _P.APPROVED, _P.STOPPED, _P.EXPIRED}),
    _P.APPROVED: frozenset({
        _P.RUNNING, _P.PAUSED, _P.STOPPED, _P.EXPIRED}),
    _P.RUNNING: frozenset({
        _P.PAUSED, _P.DONE, _P.STOPPED, _P.FAILED, _P.EXPIRED}),
    _P.PAUSED: frozenset({
        _P.RUNNING, _P.STOPPED, _P.FAILED, _P.EXPIRED, _P.DONE}),
    _P.DONE: frozenset(),
    _P.STOPPED: frozenset(),
    _P.FAILED: frozenset(),
    _P.EXPIRED: frozenset(),
}

#: What may follow each state of a step: as for a server's move. A step is
#: left out only while nothing was asked of Nova for it.
STEP_TRANSITIONS: Mapping[StepState, frozenset[StepState]] = {
    **{
        StepState(old.value): frozenset(
            StepState(new.value) for new in follow)
        | ({_S.SKIPPED} if old in (
            ServerState.PENDING, ServerState.CLAIMED, ServerState.RETRY)
           else frozenset())
        for old, follow in SERVER_TRANSITIONS.items()
    },
    _S.SKIPPED: frozenset(),
}

#: The scope of a plan over many groups; several may be live at a time.
CLOUD_SCOPE = "cloud"

#: Nothing follows these.
CLOSED_PLANS = frozenset(
    state for state, follow in PLAN_TRANSITIONS.items() if not follow)

#: A group is in one of these at a time; a draft is none of them.
LIVE_PLANS = frozenset({
    _P.AWAITING_APPROVAL, _P.APPROVED, _P.RUNNING, _P.PAUSED})

#: A step in one of these needs nothing more.
SETTLED_STEPS = frozenset({_S.VERIFIED, _S.SKIPPED, _S.MANUAL})

#: Nova may be at work on these, or their server is being checked. Of a
#: claimed step nothing was asked yet.
STEPS_IN_FLIGHT = frozenset({_S.REQUESTED, _S.MIGRATING, _S.LANDED})

#: In which states a command still has a meaning.
COMMANDS_ACCEPTED_IN: Mapping[PlanCommand, frozenset[PlanState]] = {
    PlanCommand.APPROVE: frozenset({_P.DRAFT, _P.AWAITING_APPROVAL}),
    PlanCommand.PAUSE: frozenset({_P.APPROVED, _P.RUNNING}),
    PlanCommand.RESUME: frozenset({_P.APPROVED, _P.RUNNING, _P.PAUSED}),
    PlanCommand.STOP: frozenset({_P.DRAFT}) | LIVE_PLANS,
}


def check_plan_transition(old: PlanState, new: PlanState) -> None:
    """Refuse a step that the table does not know.

    :raises IllegalTransition: the new state may not follow the old one
    """
    if new not in PLAN_TRANSITIONS[old]:
        raise IllegalTransition(old, new)


def check_step_transition(old: StepState, new: StepState) -> None:
    """Refuse a step that the table does not know.

    :raises IllegalTransition: the new state may not follow the old one
    """
    if new not in STEP_TRANSITIONS[old]:
        raise IllegalTransition(old, new)


@dataclasses.dataclass(frozen=True, slots=True)
class PlanOrder:
    """What an operator told a plan to do."""

    command: PlanCommand
    by: str
    reason: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """A repair plan; persisted. All times are aware UTC.

    :ivar scope: what it mends: ``cloud``, or the id of one group. A group is
        in one live plan of its window at a time; of a group's own scope one
        plan is live.
    :ivar version: raised by each write; a write names the version it read.
    :ivar epoch: the leadership that may write to it.
    :ivar revision: of the groups, when the plan was made.
    :ivar groups: ids of the groups that it mends.
    :ivar project_id: of the user who asked for it; None: the engine did.
    :ivar window: text of the window in which it may move servers; None:
        at any time.
    :ivar expires_at: when it is too old to go on with.
    :ivar replan_of: id of the plan whose rest this one takes up.
    :ivar replans: how many plans stand before it in that row.
    :ivar waiting: why it does not go on, and what the operator can do.
    :ivar orders: of operators, oldest first.
    :ivar summary: what the planner found (bound, gap, excess, what is
        left), and at the end what came of it.
    """

    id: str
    scope: str
    state: PlanState
    version: int
    epoch: int
    revision: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    expires_at: datetime.datetime
    created_by: str
    groups: tuple[str, ...] = ()
    project_id: str | None = None
    window: str | None = None
    replan_of: str | None = None
    replans: int = 0
    closed_at: datetime.datetime | None = None
    waiting: str | None = None
    orders: tuple[PlanOrder, ...] = ()
    summary: Mapping[str, typing.Any] = dataclasses.field(
        default_factory=dict)
    request_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class PlanStep:
    """One move of a plan; persisted. Times: aware UTC.

    What has the name of a field of ``ServerRecord`` means the same.

    :ivar number: unique in the plan; steps are begun in this order.
    :ivar after: numbers of the steps that must be verified before.
    :ivar why: sentences: what this step mends, of which group.
    :ivar predicted_s: seconds that it is expected to take.
    """

    plan_id: str
    number: int
    server: str
    name: str
    project_id: str
    source: str
    destination: str | None
    state: StepState = StepState.PENDING
    version: int = 0
    after: tuple[int, ...] = ()
    why: tuple[str, ...] = ()
    predicted_s: float = 0.0
    tries: int = 0
    spares: tuple[str, ...] = ()
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

    def as_server_record(self) -> ServerRecord:
        """The step as the mover takes it; its wave is the step's number.

        :raises ValueError: the step was left out
        """
        shared = {
            name: getattr(self, name) for name in SHARED_WITH_SERVERS}
        return ServerRecord(
            incident_id=self.plan_id, wave=self.number,
            state=ServerState(self.state.value), **shared)


#: Fields that a step and a server's record have in common, but the state.
SHARED_WITH_SERVERS = frozenset(
    field.name for field in dataclasses.fields(ServerRecord)) - {
        "incident_id", "wave", "state"}


@dataclasses.dataclass(frozen=True, slots=True)
class PlanEvent:
    """One line of a plan's story; persisted."""

    id: int
    plan_id: str
    at: datetime.datetime
    kind: str
    text: str
    server: str | None = None
    detail: Mapping[str, typing.Any] = dataclasses.field(
        default_factory=dict)
