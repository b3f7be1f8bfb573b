# SPDX-License-Identifier: Apache-2.0
"""Groups, reports and plans as the JSON objects of the schemas."""

from collections.abc import Mapping
from collections.abc import Sequence
import datetime
from typing import Any

from aacloud.api import domain_names
from aacloud.api import group_rules
from aacloud.api import veils
from aacloud.api import views
from aacloud.core import groups as core_groups
from aacloud.core import rules
from aacloud.db import group_rows
from aacloud.db import inspections
from aacloud.db import quotas
from aacloud.rpc import group_messages

JSON = dict[str, Any]
Names = domain_names.Names

UNKNOWN = rules.GroupState.UNKNOWN.value
OFF = rules.GroupState.OFF.value

_NULLS = ("max_per_domain", "max_skew", "min_domains")


def rule(record: rules.Rule) -> JSON:
    """Return a rule. Its names are the caller's own, or an operator's."""
    return {
        "text": rules.format_rule(record),
        **dict.fromkeys(_NULLS),
        "domains": [],
        **rules.rule_to_dict(record),
    }


def group(
    record: group_rows.GroupRecord,
    found: inspections.StoredReport | None,
    now: datetime.datetime,
    default_window: str | None,
) -> JSON:
    """Return a group.

    :param found: its newest inspection
    :param default_window: holds where the group has no window of its own
    """
    opens_at, closes_at = group_rules.opening(
        record.group.window or default_window, now
    )
    state, since, inspected_at = UNKNOWN, None, None
    if found is not None:
        state, since = found.state, views.moment(found.since)
        inspected_at = views.moment(found.inspected_at)
    if record.group.mode is rules.GroupMode.OFF:
        state = OFF
    return {
        "id": record.id,
        "name": record.group.name,
        "project_id": record.group.project_id,
        "mode": record.group.mode.value,
        "rules": [rule(one) for one in record.group.rules],
        "window": record.group.window,
        "window_opens_at": views.moment(opens_at),
        "window_closes_at": views.moment(closes_at),
        "member_count": len(record.members),
        "state": state,
        "state_since": since,
        "inspected_at": inspected_at,
        "imported_from": record.imported_from,
        "version": record.version,
        "revision": record.group.revision,
        "created_at": views.moment(record.created_at),
        "updated_at": views.moment(record.updated_at),
    }


def members(
    record: group_rows.GroupRecord,
    places: Mapping[str, inspections.ServerPlace],
    names: Names,
) -> list[JSON]:
    """Return the members of a group with where they were seen."""
    found = []
    for member in record.members:
        place = places.get(member.server)
        hosts = () if place is None else place.hosts
        found.append(
            {
                "id": member.server,
                "name": None if place is None else place.name or None,
                "project_id": member.project_id,
                "origin": member.origin.value,
                "joined_at": views.moment(member.joined_at),
                "hosts": [names.place(host) for host in hosts],
                "seen_at": None
                if place is None
                else views.moment(place.seen_at),
            }
        )
    return sorted(found, key=lambda one: (one["name"] or "~", one["id"]))


def report(found: group_messages.Report, veil: veils.Veil) -> JSON:
    """Return how a group was found."""
    return {
        "state": found.state,
        "revision": found.revision,
        "inspected_at": views.moment(found.at),
        "age_s": found.age_s,
        "sought_at": views.moment(found.sought_at),
        "rules": [_finding(one, veil) for one in found.rules],
    }


def _finding(found: group_messages.RuleFinding, veil: veils.Veil) -> JSON:
    return {
        "rule": rule(found.rule),
        "state": found.state,
        "counts": veil.names.counts(found.rule.level, found.counts),
        "limit": veil.text(found.limit),
        "excess": found.excess,
        "least_moves": found.least_moves,
        "blocked": [veil.text(one) for one in found.blocked],
        "reason": veil.text(found.reason),
        "hindrance": None
        if found.hindrance is None
        else {
            "code": found.hindrance.code,
            "reason": veil.text(found.hindrance.reason),
            "excess": found.hindrance.excess,
        },
    }


def preview(
    plan: group_messages.Plan,
    veil: veils.Veil,
    own: frozenset[str] | None,
) -> JSON:
    """Return a plan that is not carried out yet.

    :param own: the groups of the caller; None when all may be shown
    """
    return {
        "id": plan.id,
        "moves": len(plan.steps),
        "lower_bound": plan.lower_bound,
        "gap": max(plan.gap, 0),
        "proved_optimal": plan.proved_optimal,
        "solver": plan.solver,
        "excess_before": plan.excess_before,
        "excess_after": plan.excess_after,
        "steps": [
            {
                "number": step.number,
                "server_id": veil.server(step.server),
                "source": veil.names.host(step.source),
                "destination": veil.names.host(step.destination),
                "after": list(step.after),
                "why": [veil.text(one) for one in step.why],
            }
            for step in plan.steps
        ],
        "left": [
            {
                "group_id": left.group_id,
                "rule": left.rule,
                "reason": veil.text(left.reason),
            }
            for left in plan.left
            if own is None or left.group_id in own
        ],
    }


def native(
    found: group_messages.NativeGroup, made: str | None, reason: str | None
) -> JSON:
    """Return one of Nova's groups, and what became of it."""
    return {
        "id": found.id,
        "name": found.name,
        "project_id": found.project_id,
        "policy": found.policy,
        "rules": [rule(one) for one in found.rules],
        "servers": list(found.members),
        "group_id": made,
        "reason": reason,
    }


def quota(use: quotas.QuotaUse) -> JSON:
    """Return what a project may have, and has."""
    return {
        "project_id": use.project_id,
        "groups": {"limit": use.limit.groups, "used": use.used.groups},
        "members": {"limit": use.limit.members, "used": use.used.members},
    }


def plan(record: core_groups.Plan, veil: veils.Veil) -> JSON:
    """Return a repair plan."""
    whole = record.scope not in record.groups
    return {
        "id": record.id,
        "group_id": None if whole else record.scope,
        "group_ids": list(record.groups),
        "state": record.state.value,
        "version": record.version,
        "revision": record.revision,
        "window": record.window,
        "waiting": veil.maybe_text(record.waiting),
        "orders": [
            {
                "command": order.command.value,
                "by": order.by,
                "reason": veil.text(order.reason),
                "at": views.moment(order.at),
            }
            for order in record.orders
        ],
        "summary": veil.told(views.plain(record.summary)),
        "replan_of": record.replan_of,
        "created_by": record.created_by,
        "created_at": views.moment(record.created_at),
        "updated_at": views.moment(record.updated_at),
        "expires_at": views.moment(record.expires_at),
        "closed_at": views.moment(record.closed_at),
    }


def step(
    record: core_groups.PlanStep, veil: veils.Veil, groups: Sequence[str]
) -> JSON:
    """Return one move of a plan.

    :param groups: ids of those of the plan that the server is in
    """
    server = veil.server(record.server)
    return {
        "number": record.number,
        "server_id": server,
        "server_name": None if server is None else record.name,
        "state": record.state.value,
        "source": veil.names.host(record.source),
        "destination": veil.names.maybe_host(record.destination),
        "after": list(record.after),
        "group_ids": list(groups),
        "reasons": [veil.text(one) for one in record.why],
        "predicted_s": record.predicted_s,
        "tries": record.tries,
        "requested_at": views.moment(record.requested_at),
        "landed_at": views.moment(record.landed_at),
        "verified_at": views.moment(record.verified_at),
        "reason": veil.maybe_text(record.reason),
    }


def event(record: core_groups.PlanEvent, veil: veils.Veil) -> JSON:
    """Return one line of the story of a plan."""
    return {
        "id": record.id,
        "at": views.moment(record.at),
        "kind": record.kind,
        "server_id": veil.server(record.server),
        "text": veil.text(record.text),
        "detail": veil.told(views.plain(record.detail)),
    }
