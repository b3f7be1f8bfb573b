# SPDX-License-Identifier: Apache-2.0
"""What the engine of server groups tells of servers, groups and plans.

Each thing has its body, ``<thing>_body``, for the side that tells, and
``parse_<thing>`` for the side that is told, which refuses what it does not
understand with :class:`envelope.MessageError`. Keys that are not known are
left alone. Rules travel as ``rules.rule_to_dict`` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime
from typing import Any

from aacloud.core import rules as core_rules
from aacloud.rpc import envelope

#: Entries of a list: the members of all groups that one question may name.
MAX_ENTRIES = 100_000
#: Characters of a reason.
MAX_TEXT = 4000


@dataclasses.dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server as Nova knows it.

    :ivar host: the host it is on; None when it is on none
    """

    id: str
    name: str
    project_id: str
    host: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Hindrance:
    """Why no moves mend a rule, by the whole cloud as it was.

    :ivar code: a ``repair.BlockCode`` value
    :ivar reason: a sentence
    :ivar excess: how many stay too many when all is moved that can be
    """

    code: str
    reason: str
    excess: int


@dataclasses.dataclass(frozen=True, slots=True)
class RuleFinding:
    """How one rule is kept.

    :ivar state: a ``rules.GroupState`` value
    :ivar counts: domain to members in it
    :ivar limit: what the rule allows, in words
    :ivar excess: how many are too many; 0 when the rule is kept
    :ivar least_moves: the fewest moves that would mend it; None when none do
    :ivar blocked: members that would have to leave and cannot, with why
    :ivar reason: the state in words
    :ivar hindrance: why moves do not mend it; None also where that was not
        looked for, see ``Report.sought_at``
    """

    rule: core_rules.Rule
    state: str
    counts: Mapping[str, int]
    limit: str
    excess: int
    least_moves: int | None
    blocked: tuple[str, ...]
    reason: str
    hindrance: Hindrance | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """How a group stands.

    :ivar revision: of the groups when it was inspected
    :ivar state: a ``rules.GroupState`` value
    :ivar at: when it was inspected, aware UTC
    :ivar age_s: how old the places of the members were then, in seconds
    :ivar places: member to the hosts it counts on: none, one, or both ends
        of a move
    :ivar names: member to its name in Nova, as far as known
    :ivar sought_at: when moves that would mend it were looked for, by what
        was free then on all hosts, aware UTC; None: they were not
    """

    group_id: str
    revision: int
    state: str
    at: datetime.datetime
    age_s: float
    rules: tuple[RuleFinding, ...]
    places: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sought_at: datetime.datetime | None = None

    @property
    def read_at(self) -> datetime.datetime:
        """When Nova was asked where the members are, aware UTC."""
        return self.at - datetime.timedelta(seconds=self.age_s)


@dataclasses.dataclass(frozen=True, slots=True)
class PlanStep:
    """One move of a plan.

    :ivar number: from 1
    :ivar after: numbers of the steps that must be over before
    :ivar why: what it mends
    """

    number: int
    server: str
    source: str
    destination: str
    after: tuple[int, ...] = ()
    why: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class LeftOver:
    """A rule that a plan does not mend.

    :ivar rule: as text
    """

    group_id: str
    rule: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Moves that mend groups.

    :ivar id: of the stored plan, a draft too; None for a preview
    :ivar lower_bound: fewer moves are proved not to do
    :ivar solver: flow, cp-sat or greedy
    :ivar excess_before: over all required rules of the groups
    """

    id: str | None
    steps: tuple[PlanStep, ...]
    lower_bound: int
    proved_optimal: bool
    solver: str
    excess_before: int
    excess_after: int
    left: tuple[LeftOver, ...] = ()

    @property
    def gap(self) -> int:
        """Moves above the proved bound."""
        return len(self.steps) - self.lower_bound


@dataclasses.dataclass(frozen=True, slots=True)
class Ack:
    """Which revision a scheduler works with.

    :ivar seen_at: when it said so, aware UTC
    """

    scheduler: str
    revision: int
    seen_at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class NativeGroup:
    """A server group of Nova's own, as rules of ours."""

    id: str
    name: str
    project_id: str
    policy: str
    rules: tuple[core_rules.Rule, ...]
    members: tuple[str, ...]


def server_body(server: ServerFacts) -> dict[str, Any]:
    """Return the body of a server."""
    return dataclasses.asdict(server)


def report_body(report: Report) -> dict[str, Any]:
    """Return the body of a report."""
    return {
        "group_id": report.group_id,
        "revision": report.revision,
        "state": report.state,
        "at": moment_text(report.at),
        "age_s": round(report.age_s, 3),
        "rules": [_finding_body(finding) for finding in report.rules],
        "places": {
            server: list(hosts) for server, hosts in report.places.items()
        },
        "names": dict(report.names),
        "sought_at": (
            None
            if report.sought_at is None
            else moment_text(report.sought_at)
        ),
    }


def _finding_body(finding: RuleFinding) -> dict[str, Any]:
    return {
        "rule": core_rules.rule_to_dict(finding.rule),
        "state": finding.state,
        "counts": dict(finding.counts),
        "limit": finding.limit,
        "excess": finding.excess,
        "least_moves": finding.least_moves,
        "blocked": list(finding.blocked),
        "reason": finding.reason,
        "hindrance": (
            None
            if finding.hindrance is None
            else dataclasses.asdict(finding.hindrance)
        ),
    }


def plan_body(plan: Plan) -> dict[str, Any]:
    """Return the body of a plan."""
    return {
        "id": plan.id,
        "steps": [
            {
                "number": step.number,
                "server": step.server,
                "source": step.source,
                "destination": step.destination,
                "after": list(step.after),
                "why": list(step.why),
            }
            for step in plan.steps
        ],
        "lower_bound": plan.lower_bound,
        "proved_optimal": plan.proved_optimal,
        "solver": plan.solver,
        "excess_before": plan.excess_before,
        "excess_after": plan.excess_after,
        "left": [dataclasses.asdict(left) for left in plan.left],
    }


def ack_body(ack: Ack) -> dict[str, Any]:
    """Return the body of what a scheduler has."""
    return {
        "scheduler": ack.scheduler,
        "revision": ack.revision,
        "seen_at": moment_text(ack.seen_at),
    }


def native_body(group: NativeGroup) -> dict[str, Any]:
    """Return the body of one of Nova's groups."""
    return {
        "id": group.id,
        "name": group.name,
        "project_id": group.project_id,
        "policy": group.policy,
        "rules": [core_rules.rule_to_dict(rule) for rule in group.rules],
        "members": list(group.members),
    }


def parse_server(entry: object) -> ServerFacts:
    """Read the body of a server."""
    source = _object(entry)
    return ServerFacts(
        id=envelope.text_of(source, "id"),
        name=_words(source, "name"),
        project_id=envelope.text_of(source, "project_id"),
        host=_maybe(source, "host"),
    )


def parse_report(entry: object) -> Report:
    """Read the body of a report."""
    source = _object(entry)
    return Report(
        group_id=envelope.text_of(source, "group_id"),
        revision=envelope.count_of(source, "revision"),
        state=envelope.word_of(source, "state"),
        at=_moment(source, "at"),
        age_s=envelope.number_of(source, "age_s"),
        rules=tuple(
            _parse_finding(finding)
            for finding in envelope.list_of(source, "rules", MAX_ENTRIES)
        ),
        places={
            server: tuple(_texts(_object(source.get("places")), server))
            for server in _object(source.get("places"))
        },
        names={
            server: _words(_object(source.get("names")), server)
            for server in _object(source.get("names", {}))
        },
        sought_at=(
            None
            if source.get("sought_at") is None
            else _moment(source, "sought_at")
        ),
    )


def _parse_finding(entry: object) -> RuleFinding:
    source = _object(entry)
    counts = _object(source.get("counts"))
    least = source.get("least_moves")
    return RuleFinding(
        rule=_rule(source.get("rule")),
        state=envelope.word_of(source, "state"),
        counts={name: envelope.count_of(counts, name) for name in counts},
        limit=_words(source, "limit"),
        excess=envelope.count_of(source, "excess"),
        least_moves=(
            None
            if least is None
            else envelope.count_of(source, "least_moves")
        ),
        blocked=tuple(_texts(source, "blocked")),
        reason=_words(source, "reason"),
        hindrance=_parse_hindrance(source.get("hindrance")),
    )


def _parse_hindrance(entry: object) -> Hindrance | None:
    if entry is None:
        return None
    source = _object(entry)
    return Hindrance(
        code=envelope.word_of(source, "code"),
        reason=_words(source, "reason"),
        excess=envelope.count_of(source, "excess"),
    )


def parse_plan(entry: object) -> Plan:
    """Read the body of a plan."""
    source = _object(entry)
    return Plan(
        id=_maybe(source, "id"),
        steps=tuple(
            _parse_step(step)
            for step in envelope.list_of(source, "steps", MAX_ENTRIES)
        ),
        lower_bound=envelope.count_of(source, "lower_bound"),
        proved_optimal=envelope.flag_of(source, "proved_optimal"),
        solver=envelope.word_of(source, "solver"),
        excess_before=envelope.count_of(source, "excess_before"),
        excess_after=envelope.count_of(source, "excess_after"),
        left=tuple(
            LeftOver(
                group_id=envelope.text_of(_object(left), "group_id"),
                rule=envelope.text_of(left, "rule", MAX_TEXT),
                reason=_words(left, "reason"),
            )
            for left in envelope.list_of(source, "left", MAX_ENTRIES)
        ),
    )


def _parse_step(entry: object) -> PlanStep:
    source = _object(entry)
    after = envelope.list_of(source, "after", MAX_ENTRIES)
    return PlanStep(
        number=envelope.count_of(source, "number"),
        server=envelope.text_of(source, "server"),
        source=envelope.text_of(source, "source"),
        destination=envelope.text_of(source, "destination"),
        after=tuple(
            envelope.count_of({"after": number}, "after") for number in after
        ),
        why=tuple(_texts(source, "why")),
    )


def parse_ack(entry: object) -> Ack:
    """Read the body of what a scheduler has."""
    source = _object(entry)
    return Ack(
        scheduler=envelope.text_of(source, "scheduler"),
        revision=envelope.count_of(source, "revision"),
        seen_at=_moment(source, "seen_at"),
    )


def parse_native(entry: object) -> NativeGroup:
    """Read the body of one of Nova's groups."""
    source = _object(entry)
    return NativeGroup(
        id=envelope.text_of(source, "id"),
        name=_words(source, "name"),
        project_id=envelope.text_of(source, "project_id"),
        policy=envelope.text_of(source, "policy"),
        rules=tuple(
            _rule(rule)
            for rule in envelope.list_of(source, "rules", MAX_ENTRIES)
        ),
        members=tuple(_texts(source, "members")),
    )


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise envelope.malformed("an entry is not an object")
    return value


def _rule(value: object) -> core_rules.Rule:
    try:
        return core_rules.rule_from_dict(value)
    except core_rules.RuleError as error:
        raise envelope.malformed(str(error)) from error


def _maybe(source: Mapping[str, Any], key: str) -> str | None:
    if source.get(key) is None:
        return None
    return envelope.text_of(source, key)


def _words(source: Mapping[str, Any], key: str) -> str:
    """Return a text that may be empty, cut to a decent length."""
    value = source.get(key)
    if not isinstance(value, str):
        raise envelope.malformed(f"{key!r} is not a text")
    return value[:MAX_TEXT]


def _texts(source: Mapping[str, Any], key: str) -> list[str]:
    found = envelope.list_of(source, key, MAX_ENTRIES)
    return [_words({key: value}, key) for value in found]


def moment_text(moment: datetime.datetime) -> str:
    """Return an aware time as text in UTC."""
    return moment.astimezone(datetime.timezone.utc).isoformat()


def _moment(source: Mapping[str, Any], key: str) -> datetime.datetime:
    try:
        found = datetime.datetime.fromisoformat(envelope.text_of(source, key))
    except ValueError as error:
        raise envelope.malformed(f"{key!r} is not a time") from error
    if found.tzinfo is None:
        raise envelope.malformed(f"{key!r} is a time without a zone")
    return found.astimezone(datetime.timezone.utc)
