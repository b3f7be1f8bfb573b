# SPDX-License-Identifier: Apache-2.0
"""Schemas of repair plans."""

from aacloud.api.schemas import basics
from aacloud.core import groups

STATE = basics.choice(groups.PlanState, "how far the plan has come")

_LEFT = basics.closed(
    {
        "group_id": basics.UUID,
        "rule": basics.text("the rule"),
        "reason": basics.text("why it is not mended"),
    },
    description="A rule that a plan does not mend.",
)

_SERVER: basics.Schema = {
    **basics.UUID,
    "type": ["string", "null"],
    "description": "the server; null: one of another project",
}

_PREVIEW_STEP = basics.closed(
    {
        "number": basics.number("from 1"),
        "server_id": _SERVER,
        "source": basics.text("the host it is on"),
        "destination": basics.text("the host it moves to"),
        "after": basics.listing(
            basics.number("a step"), "steps that must be over before"
        ),
        "why": basics.listing(basics.text("a reason"), "what it mends"),
    },
    description="One move of a plan that is not stored.",
)

_PREVIEW = basics.closed(
    {
        "id": {
            **basics.UUID,
            "type": ["string", "null"],
            "description": "of the stored plan; null for a mere preview",
        },
        "moves": basics.number("how many servers are moved"),
        "lower_bound": basics.number("fewer moves are proved not to do"),
        "gap": basics.number("moves above the bound"),
        "proved_optimal": {
            "type": "boolean",
            "description": "whether no better plan exists",
        },
        "solver": basics.text("flow, cp-sat or greedy"),
        "excess_before": basics.number("members that are too many now"),
        "excess_after": basics.number("those that are left after it"),
        "steps": basics.listing(basics.ref("PreviewStep"), "in order"),
        "left": basics.listing(
            basics.ref("LeftOver"), "what it does not mend"
        ),
    },
    description="Moves that would mend groups.",
)

_ORDER = basics.closed(
    {
        "command": basics.choice(groups.PlanCommand, "what"),
        "by": basics.text("who asked"),
        "reason": basics.text("why, in the operator's words"),
        "at": basics.moment("when"),
    },
    description="What somebody asked of a plan.",
)

_PLAN = basics.closed(
    {
        "id": basics.UUID,
        "group_id": {
            **basics.UUID,
            "type": ["string", "null"],
            "description": "the group it is for; null: all groups",
        },
        "group_ids": basics.listing(basics.UUID, "the groups it mends"),
        "state": STATE,
        "version": basics.number("grows with each change"),
        "revision": basics.number("of the groups when it was made"),
        "window": basics.text_or_null(
            "when its moves may begin; null: at any time"
        ),
        "waiting": basics.text_or_null(
            "why it does not go on, and what can be done"
        ),
        "orders": basics.listing(
            basics.ref("PlanOrder"), "what was asked, in order"
        ),
        "summary": {
            **basics.FREE,
            "description": "what the planner found, and what came of it",
        },
        "replan_of": {
            **basics.UUID,
            "type": ["string", "null"],
            "description": "the plan whose rest it takes up",
        },
        "created_by": basics.text("who asked for it"),
        "created_at": basics.moment("when it was made"),
        "updated_at": basics.moment("when it changed last"),
        "expires_at": basics.moment("when it is too old to go on"),
        "closed_at": basics.moment_or_null("when it ended"),
    },
    description="A repair plan.",
)

_STEP = basics.closed(
    {
        "number": basics.number("steps are begun in this order"),
        "server_id": _SERVER,
        "server_name": basics.text_or_null("the name in Nova"),
        "state": basics.choice(groups.StepState, "how far it has come"),
        "source": basics.text("the host it leaves"),
        "destination": basics.text_or_null("the host it moves to"),
        "after": basics.listing(
            basics.number("a step"), "steps that must be over before"
        ),
        "group_ids": basics.listing(
            basics.UUID, "the groups of the plan that the server is in"
        ),
        "reasons": basics.listing(
            basics.text("a reason"), "what it is good for"
        ),
        "predicted_s": {
            "type": "number",
            "minimum": 0,
            "description": "how long it is expected to take, in seconds",
        },
        "tries": basics.number("migrations that failed so far"),
        "requested_at": basics.moment_or_null("when Nova was asked"),
        "landed_at": basics.moment_or_null("when it was on its new host"),
        "verified_at": basics.moment_or_null("when it was found well there"),
        "reason": basics.text_or_null("why it is where it is"),
    },
    description="One move of a plan.",
)

COMPONENTS: dict[str, basics.Schema] = {
    "LeftOver": _LEFT,
    "PreviewStep": _PREVIEW_STEP,
    "PlanPreview": _PREVIEW,
    "PlanOrder": _ORDER,
    "Plan": _PLAN,
    "PlanStep": _STEP,
    "PlanList": basics.closed(
        {
            "plans": basics.listing(basics.ref("Plan"), "the newest first"),
            "plans_links": basics.listing(
                basics.ref("Link"), "the next page, when there is one"
            ),
        },
        description="A page of plans.",
    ),
    "PlanAnswer": basics.closed(
        {
            "plan": basics.ref("Plan"),
            "steps": basics.listing(basics.ref("PlanStep"), "in order"),
        },
        description="One plan.",
    ),
    "PlanMade": basics.closed(
        {"plan": basics.ref("PlanPreview")},
        description="A plan that was made.",
    ),
    "PlanRequest": basics.closed(
        {
            "group_id": {
                **basics.UUID,
                "type": ["string", "null"],
                "description": "the group to mend; null: all groups",
            },
            "dry_run": {
                "type": "boolean",
                "description": "keep the plan as a draft, to be looked at",
            },
        },
        description="What a plan is wanted for.",
        optional=("group_id", "dry_run"),
    ),
}
