# SPDX-License-Identifier: Apache-2.0
"""Findings of ``core``, as they are stored, sent and told."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime
from typing import Any

from aacloud.core import repair
from aacloud.core import rules
from aacloud.db import inspections
from aacloud.groups import sight as sights
from aacloud.rpc import group_messages

_S = rules.GroupState

#: Somebody should look at a group in one of these.
BAD = frozenset({_S.VIOLATING, _S.UNSATISFIABLE})


def message(
    group: rules.Group,
    report: rules.GroupReport,
    sight: sights.Sight,
    at: datetime.datetime,
) -> group_messages.Report:
    """A report, with where the members are."""
    return group_messages.Report(
        group_id=report.group_id, revision=report.revision,
        state=report.state.value, at=at, age_s=report.age_s,
        rules=tuple(_finding(one) for one in report.rules),
        places={
            member: sight.occupancy.get(member, ())
            for member in sorted(group.members)},
        names={
            member: sight.servers[member].name
            for member in sorted(group.members) if member in sight.servers})


def _finding(report: rules.RuleReport) -> group_messages.RuleFinding:
    hopeless = report.state in (_S.UNSATISFIABLE, _S.DEGRADED)
    return group_messages.RuleFinding(
        rule=report.rule, state=report.state.value, counts=report.counts,
        limit=report.limit, excess=report.excess,
        least_moves=None if hopeless and report.excess
        and not report.least_moves else report.least_moves,
        blocked=report.blocked, reason=report.reason)


def stored(report: group_messages.Report) -> inspections.StoredReport:
    """A report as the database keeps it."""
    return inspections.StoredReport(
        group_id=report.group_id, state=report.state,
        revision=report.revision, inspected_at=report.read_at,
        report=group_messages.report_body(report))


def told(
    group: rules.Group, report: group_messages.Report, before: str | None
) -> dict[str, Any]:
    """What a notification says of a group."""
    return {
        "id": group.id,
        "name": group.name,
        "project_id": group.project_id,
        "mode": group.mode.value,
        "revision": report.revision,
        "before": before,
        "inspected_at": group_messages.moment_text(report.at),
        "members": len(group.members),
        "rules": [
            {
                "rule": rules.format_rule(finding.rule),
                "state": finding.state,
                "excess": finding.excess,
                "least_moves": finding.least_moves,
                "reason": finding.reason,
                "hindrance": None if finding.hindrance is None
                else dataclasses.asdict(finding.hindrance),
            }
            for finding in report.rules],
    }


def places(
    groups: Mapping[str, rules.Group],
    sight: sights.Sight,
    at: datetime.datetime,
) -> list[inspections.ServerPlace]:
    """Where all members are, as the database keeps it."""
    members = {
        member for group in groups.values() for member in group.members}
    return [
        inspections.ServerPlace(
            server=server.uuid, name=server.name,
            project_id=server.project_id,
            hosts=tuple(sight.occupancy.get(server.uuid, ())),
            vm_state=server.vm_state, seen_at=at)
        for server in sight.servers.values() if server.uuid in members]


def plan_message(
    plan: repair.RepairPlan, plan_id: str | None
) -> group_messages.Plan:
    """A plan, as it is answered."""
    return group_messages.Plan(
        id=plan_id,
        steps=tuple(
            group_messages.PlanStep(
                number=step.number, server=step.move.server,
                source=step.move.source, destination=step.move.destination,
                after=step.after, why=step.why)
            for step in plan.steps),
        lower_bound=plan.lower_bound, proved_optimal=plan.proved_optimal,
        solver=plan.solver, excess_before=plan.excess_before,
        excess_after=plan.excess_after,
        left=tuple(
            group_messages.LeftOver(
                group_id=one.group, rule=rules.format_rule(one.rule),
                reason=one.reason)
            for one in plan.left))


def plan_summary(plan: repair.RepairPlan) -> dict[str, Any]:
    """What is stored of a plan beside its steps."""
    body = group_messages.plan_body(plan_message(plan, None))
    del body["id"], body["steps"]
    return {
        **body, "moves": plan.moves, "gap": plan.gap,
        "seconds": round(plan.seconds, 3)}
