# SPDX-License-Identifier: Apache-2.0
"""Policies of repair plans.

A plan belongs to a project when all groups that it mends do. A plan over
several projects is an operator's. Its moves share the hosts with everybody
else's servers, so only operators let moves begin. Only operators pause what
was planned for all groups: whose they are changes from plan to plan.
"""

from oslo_policy import policy

from aacloud.api.policies import base

LIST = "aacloud:ha_plans:list"
SHOW = "aacloud:ha_plans:show"
PREVIEW = "aacloud:ha_plans:preview"
CREATE = "aacloud:ha_plans:create"
APPROVE = "aacloud:ha_plans:approve"
PAUSE = "aacloud:ha_plans:pause"
RESUME = "aacloud:ha_plans:resume"
STOP = "aacloud:ha_plans:stop"

_PLANS = "/v1/plans"
_PLAN = "/v1/plans/{plan_id}"

_COMMANDS = (
    (APPROVE, "approve", base.ADMIN, "Approve a plan: its moves may begin."),
    (PAUSE, "pause", base.PROJECT_MEMBER, "Begin no more moves of a plan."),
    (RESUME, "resume", base.ADMIN, "Go on with a plan that is paused."),
    (STOP, "stop", base.PROJECT_MEMBER, "Give a plan up."),
)

RULES = [
    policy.DocumentedRuleDefault(
        name=LIST,
        check_str=base.PROJECT_READER,
        description="List repair plans.",
        operations=[{"path": _PLANS, "method": "GET"}],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=SHOW,
        check_str=base.PROJECT_READER,
        description="Show a repair plan with its steps and its story.",
        operations=[
            {"path": _PLAN, "method": "GET"},
            {"path": f"{_PLAN}/events", "method": "GET"},
        ],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=PREVIEW,
        check_str=base.PROJECT_READER,
        description="Make a plan to look at; nothing is moved.",
        operations=[{"path": _PLANS, "method": "POST"}],
        scope_types=base.SCOPES,
    ),
    policy.RuleDefault(
        name=CREATE,
        check_str=base.ADMIN,
        description="Make a plan that is to be carried out.",
        scope_types=base.SCOPES,
    ),
    *(
        policy.DocumentedRuleDefault(
            name=name,
            check_str=check,
            description=description,
            operations=[{"path": f"{_PLAN}/{word}", "method": "POST"}],
            scope_types=base.SCOPES,
        )
        for name, word, check, description in _COMMANDS
    ),
]
