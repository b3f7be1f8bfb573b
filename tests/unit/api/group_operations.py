# SPDX-License-Identifier: Apache-2.0
"""Every operation of server groups and plans, and who may do it."""

from __future__ import annotations

import datetime
from typing import Any

from aacloud.core import groups as core_groups
from aacloud.core import rules
from tests.unit.api import stage as stages

REASON = {"reason": "test"}
#: The server that makes way, and a group of another project.
MAKES_WAY = "payroll-db"
ELSEWHERE = "00000000-0000-0000-0000-0000000000ee"
LATER = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)

#: Who calls, by how much may be done. All but "stranger" and those without
#: a project are in the project 77aa, which owns the group.
NOBODY = {None: 401, "wrong": 401, "domain-admin": 403, "domain-member": 403}
_OPERATORS = {"system-reader": 403, "service": 403, "admin": "ok"}
READ: dict[str | None, Any] = {
    **NOBODY,
    "reader": "ok",
    "member": "ok",
    "stranger": 404,
    "admin-project-reader": "ok",
    "system-reader": "ok",
    "service": "ok",
    "admin": "ok",
}
#: Everybody sees the own project's, so nothing of it is hidden.
OWN = {**READ, "stranger": "ok"}
MANAGE = {
    **NOBODY,
    **_OPERATORS,
    "reader": 403,
    "member": "ok",
    "stranger": 404,
    "admin-project-reader": 403,
}
#: A member of any project may make things of its own.
MAKE = {**MANAGE, "stranger": "ok"}
#: Refused before it is looked whose the thing is.
OPERATE = {**MANAGE, "member": 403, "stranger": 403}

#: By id: (who may, method, path, body).
OPERATIONS: dict[str, tuple[dict[str | None, Any], str, str, Any]] = {
    "list_groups": (OWN, "GET", "/v1/groups", None),
    "create_group": (MAKE, "POST", "/v1/groups", {"name": "new"}),
    "show_group": (READ, "GET", "/v1/groups/{group}", None),
    "update_group": (
        MANAGE,
        "PATCH",
        "/v1/groups/{group}",
        {"name": "other"},
    ),
    "delete_group": (MANAGE, "DELETE", "/v1/groups/{group}", None),
    "add_servers": (
        MANAGE,
        "POST",
        "/v1/groups/{group}/servers",
        {"servers": []},
    ),
    "remove_server": (
        MANAGE,
        "DELETE",
        "/v1/groups/{group}/servers/{server}",
        None,
    ),
    "inspect_group": (READ, "POST", "/v1/groups/{group}/inspect", None),
    "import_groups": (MAKE, "POST", "/v1/groups/import", {"dry_run": True}),
    "show_quota": (
        {**READ, "stranger": 403},
        "GET",
        "/v1/quotas/77aa",
        None,
    ),
    "set_quota": (
        OPERATE,
        "PUT",
        "/v1/quotas/77aa",
        {"groups": 5, "members": None},
    ),
    "list_plans": (OWN, "GET", "/v1/plans", None),
    "create_plan": (READ, "POST", "/v1/plans", {"group_id": "{group}"}),
    "show_plan": (READ, "GET", "/v1/plans/{plan}", None),
    "list_plan_events": (READ, "GET", "/v1/plans/{plan}/events", None),
    "approve_plan": (OPERATE, "POST", "/v1/plans/{plan}/approve", REASON),
    "pause_plan": (MANAGE, "POST", "/v1/plans/{plan}/pause", REASON),
    "resume_plan": (OPERATE, "POST", "/v1/plans/{plan}/resume", REASON),
    "stop_plan": (MANAGE, "POST", "/v1/plans/{plan}/stop", REASON),
}


def add_group(
    stage: stages.Stage,
    name: str = "web",
    *texts: str,
    members: tuple[str, ...] = (),
    project_id: str = "77aa",
) -> str:
    """Store a group, and return its id."""
    return stage.groups.create(
        name,
        project_id,
        by="joe",
        mode=rules.GroupMode.ENFORCE,
        rules=[rules.parse_rule(text) for text in texts],
        members=dict.fromkeys(members, project_id),
    ).id


def add_plan(
    stage: stages.Stage,
    *groups: str,
    state: core_groups.PlanState = core_groups.PlanState.AWAITING_APPROVAL,
    scope: str | None = None,
    way: tuple[str, str] | None = None,
) -> str:
    """Store a plan as the engine does, and return its id.

    :param way: id and project of a server that makes way for the other one
    """
    first = 1 if way is None else 2
    return (
        stage.lead_groups()
        .create(
            scope or groups[0],
            [
                *([] if way is None else [_making_way(*way)]),
                core_groups.PlanStep(
                    plan_id="",
                    number=first,
                    server="00000000-0000-0000-0000-000000000002",
                    name="web-2",
                    project_id="77aa",
                    source="dc1-r1-h1",
                    destination="dc2-r1-h1",
                    after=tuple(range(1, first)),
                    why=tuple(
                        "fence:host:domains=dc2-r1-h1:prefer of group "
                        f"{stage.groups.get(group).group.name}: host "
                        "dc1-r1-h1 holds 2 of its members, dc2-r1-h1 holds 0"
                        for group in groups
                    ),
                )
            ],
            state=state,
            expires_at=LATER,
            revision=1,
            created_by="joe",
            event_text="off dc1-r1-h1",
            groups=groups,
            summary={"lower_bound": 1, "reasons": ["rack dc1-r2 is full"]},
        )
        .id
    )


def _making_way(server: str, project_id: str) -> core_groups.PlanStep:
    return core_groups.PlanStep(
        plan_id="",
        number=1,
        server=server,
        name=MAKES_WAY,
        project_id=project_id,
        source="dc2-r1-h1",
        destination="dc9-r1-h1",
        why=("it makes way for another server of the plan",),
        reason=(
            f"moving server {server} to dc9-r1-h1 would now make spread:host "
            f"of group payroll ({ELSEWHERE}) worse"
        ),
    )
