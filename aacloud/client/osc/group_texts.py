# SPDX-License-Identifier: Apache-2.0
"""How groups, reports and plans are written for people."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import datetime
from typing import Any

from aacloud.client.osc import texts

JSON = dict[str, Any]

#: By the state of a group: what ``ha group inspect`` ends with.
EXIT_STATUS = {
    "compliant": 0,
    "degraded": 0,
    "off": 0,
    "violating": 3,
    "unsatisfiable": 3,
    "unknown": 4,
}

MODES = ("off", "report", "enforce", "repair")
STATES = tuple(EXIT_STATUS)


def exit_status(groups: Iterable[JSON]) -> int:
    """Return the exit status of an inspection: that of the worst group."""
    found = {EXIT_STATUS.get(group["state"], 4) for group in groups}
    return 3 if 3 in found else max(found, default=0)


def rules(group: JSON) -> list[str]:
    """Return the rules of a group as texts."""
    return [rule["text"] for rule in group["rules"]]


def window(group: JSON) -> str:
    """Return the window of a group with its next opening."""
    own = group["window"] or "the configured one"
    return f"{own} ({opening(group)})"


def opening(group: JSON) -> str:
    """Return when the window of a group opens or closes."""
    if group["window_closes_at"] is not None:
        return f"open until {texts.date(group['window_closes_at'])} UTC"
    if group["window_opens_at"] is not None:
        return f"opens {texts.date(group['window_opens_at'])} UTC"
    if group["window"] is None:
        return "always open"
    return "does not open any more"


def age(moment: str | None) -> str:
    """Return how long ago something was."""
    if moment is None:
        return "never"
    now = datetime.datetime.now(datetime.timezone.utc)
    passed = (now - texts.parsed(moment)).total_seconds()
    return f"{texts.date(moment)} UTC, {texts.duration(max(passed, 0))} ago"


def counts(finding: JSON) -> str:
    """Return how many members each domain holds."""
    return ", ".join(
        f"{name}: {number}" for name, number in finding["counts"].items()
    )


FINDING_COLUMNS = (
    "Rule",
    "State",
    "Members",
    "Limit",
    "Excess",
    "Least moves",
    "Reason",
)


def finding_row(finding: JSON) -> tuple[str, ...]:
    """Return how a rule is kept as a row for people."""
    least = finding["least_moves"]
    return (
        finding["rule"]["text"],
        finding["state"],
        counts(finding),
        finding["limit"],
        str(finding["excess"]),
        "-" if least is None else str(least),
        "\n".join(reasons(finding)),
    )


def reasons(finding: JSON) -> list[str]:
    """Return why a rule is not kept, and why it cannot be mended."""
    lines = [finding["reason"], *finding["blocked"]]
    # An API that is older than this client does not tell.
    hindrance = finding.get("hindrance")
    if hindrance is not None:
        lines.append(
            f"cannot be mended ({hindrance['code']}), "
            f"{hindrance['excess']} too many stay: {hindrance['reason']}"
        )
    return [line for line in lines if line]


def read_line(report: JSON) -> str:
    """Return how old what a report goes by was, and is."""
    line = (
        f"places read {texts.duration(report['age_s'])} before they were "
        f"inspected, {age(report['inspected_at'])}"
    )
    sought_at = report.get("sought_at")
    if sought_at is None:
        return line
    return f"{line}; free capacity read {age(sought_at)}"


STEP_COLUMNS = ("Step", "Server", "From", "To", "After", "Why")

#: The API names no server of other projects to who sees but the own one.
ANOTHER = "(another project's)"


def preview_rows(plan: JSON) -> list[tuple[str, ...]]:
    """Return the moves of a plan that is not carried out yet."""
    return [
        (
            str(step["number"]),
            step["server_id"] or ANOTHER,
            step["source"],
            step["destination"],
            ", ".join(map(str, step["after"])) or "-",
            "\n".join(step["why"]),
        )
        for step in plan["steps"]
    ]


def step_row(step: JSON) -> tuple[str, ...]:
    """Return a move of a stored plan, with what it is good for."""
    # An API that is older than this client has the reasons there.
    key = "reasons" if "reasons" in step else "group_ids"
    return (
        str(step["number"]),
        step["server_id"] or ANOTHER,
        step["source"],
        step["destination"] or "-",
        ", ".join(map(str, step["after"])) or "-",
        "\n".join(step[key]),
    )


def plan_line(plan: JSON) -> str:
    """Return one line on how good a plan is."""
    proved = (
        "proved to be the fewest"
        if plan["proved_optimal"]
        else f"at least {plan['lower_bound']} are needed, gap {plan['gap']}"
    )
    return (
        f"{texts.counted(plan['moves'], 'move')}, {proved} "
        f"({plan['solver']}); members that are too many: "
        f"{plan['excess_before']} before, {plan['excess_after']} after"
    )


def left_lines(plan: JSON) -> list[str]:
    """Return what a plan does not mend."""
    return [
        f"not mended: group {left['group_id']}, {left['rule']}: "
        f"{left['reason']}"
        for left in plan["left"]
    ]


def waited_lines(answer: JSON) -> list[str]:
    """Return what came of waiting for the schedulers."""
    waited = answer["waited"]
    if waited is None:
        return []
    if waited["acked"]:
        number = len(waited["schedulers"])
        return [f"in force in {texts.counted(number, 'scheduler')}"]
    if waited["reason"]:
        return [f"not known whether it is in force: {waited['reason']}"]
    return [
        "not yet in force in: " + texts.listed(waited["missing"]),
    ]


def joined_lines(answer: JSON) -> list[str]:
    """Return what follows of a join, a line each."""
    state = answer["state"]
    lines = [f"the group is {state}"]
    for finding in (answer["report"] or {"rules": []})["rules"]:
        if finding["excess"]:
            lines.append(f"{finding['rule']['text']}: {finding['reason']}")
    if answer["note"]:
        lines.append(answer["note"])
    plan = answer["plan"]
    if plan is not None and plan["steps"]:
        lines.append(f"to mend it: {plan_line(plan)}")
        lines += [
            f"  {step['server_id'] or ANOTHER}: {step['source']} to "
            f"{step['destination']}"
            for step in plan["steps"][:8]
        ]
        lines.append("see 'openstack ha group repair --dry-run'")
    if plan is not None:
        lines += left_lines(plan)
    return lines + waited_lines(answer)


def for_people(group: JSON, report: JSON | None) -> dict[str, str]:
    """Return what a person wants to know of a group first."""
    fields = {
        "id": group["id"],
        "name": group["name"],
        "project_id": group["project_id"],
        "mode": group["mode"],
        "rules": "\n".join(rules(group)) or "none",
        "window": window(group),
        "state": group["state"],
        "inspected": age(group["inspected_at"]),
        "members": str(group["member_count"]),
        "version": str(group["version"]),
        "revision": str(group["revision"]),
    }
    if report is not None:
        fields["places"] = f"{texts.duration(report['age_s'])} old then"
        if report.get("sought_at") is not None:
            fields["capacity"] = f"read {age(report['sought_at'])}"
    if group["imported_from"]:
        fields["imported_from"] = group["imported_from"]
    return fields


def group_row(group: JSON) -> Sequence[Any]:
    """Return a group as a row of a list."""
    return (
        group["id"],
        group["name"],
        group["mode"],
        group["state"],
        group["member_count"],
        texts.LinesColumn(rules(group)),
    )
