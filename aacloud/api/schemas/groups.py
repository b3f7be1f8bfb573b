# SPDX-License-Identifier: Apache-2.0
"""Schemas of HA server groups."""

from aacloud.api.schemas import basics
from aacloud.core import rules

MODE = basics.choice(
    rules.GroupMode,
    "off: stored only; report: inspected; enforce: kept at every new "
    "placement and move; repair: also mended by migrations in the window",
)

STATE = basics.choice(
    rules.GroupState,
    "how the group stands; degraded: as well as it can while a data centre "
    "is lost; unsatisfiable: no placement would keep the rules",
)

NAME: basics.Schema = {
    **basics.LINE,
    # A hint may name several groups, with commas and blanks between them.
    "pattern": r"^(?!\s)[^,]*(?<!\s)(?![\s\S])",
    "description": (
        "the name, without commas and without blanks at its ends, unique in "
        "the project"
    ),
}

_WINDOW: basics.Schema = {
    "type": ["string", "null"],
    "maxLength": 1000,
    "description": (
        "when the group may be repaired, such as "
        "'cron:0 1 * * 6;duration=4h;tz=Europe/Berlin'; null: when the "
        "configuration says, or at any time"
    ),
}

#: Long lists are refused before anybody looks into them.
_MOST_RULES = 32


def _rules_wanted(description: str) -> basics.Schema:
    return {
        "type": "array",
        "maxItems": _MOST_RULES,
        "description": description,
        "items": {
            "type": ["string", "object"],
            "description": (
                "a rule, as text such as 'spread:rack:max=1:require' or as "
                "an object with the keys of GroupRule but 'text'"
            ),
        },
    }


_SERVERS_WANTED: basics.Schema = {
    "type": "array",
    "maxItems": 1000,
    "description": "the ids of the servers",
    "items": basics.UUID,
}

_WAIT: basics.Schema = {
    "type": "boolean",
    "description": (
        "wait until all live schedulers work with the change, usually "
        "within a second; the answer says which did not"
    ),
}

_STRICT: basics.Schema = {
    "type": "boolean",
    "description": (
        "refuse, and store nothing, when the servers as they lie would "
        "break a required rule"
    ),
}


def _number_or_null(description: str) -> basics.Schema:
    return {
        "type": ["integer", "null"],
        "minimum": 0,
        "description": description,
    }


def or_null(component: str, description: str) -> basics.Schema:
    """Return the schema of a component that may be missing."""
    return {
        "description": description,
        "anyOf": [basics.ref(component), {"type": "null"}],
    }


_RULE = basics.closed(
    {
        "text": basics.text("the rule as one writes it"),
        "level": basics.text("host, rack or dc"),
        "kind": basics.choice(rules.RuleKind, "what it wants of the members"),
        "strength": basics.choice(
            rules.Strength, "require: nothing may make it worse"
        ),
        "max_per_domain": _number_or_null("members one domain may hold"),
        "max_skew": _number_or_null(
            "by how many the fullest domain may exceed the emptiest one"
        ),
        "min_domains": _number_or_null(
            "with fewer domains the emptiest counts as holding nothing"
        ),
        "domains": basics.listing(
            basics.text("the name of a domain"), "of a fence"
        ),
        "on_unknown": basics.choice(
            rules.OnUnknown,
            "what holds where it is not known whether the rule is kept",
        ),
        "on_evacuate": basics.choice(
            rules.OnEvacuate, "what an evacuation makes of it"
        ),
    },
    description="A rule of a group.",
)

_GROUP = basics.closed(
    {
        "id": basics.UUID,
        "name": basics.text("the name, unique in the project"),
        "project_id": basics.text("the project that owns it"),
        "mode": MODE,
        "rules": basics.listing(basics.ref("GroupRule"), "the rules"),
        "window": _WINDOW,
        "window_opens_at": basics.moment_or_null(
            "when the window, its own or the configured one, opened or "
            "opens next; null: always open, or never again"
        ),
        "window_closes_at": basics.moment_or_null(
            "when it closes; null while it is closed"
        ),
        "member_count": basics.number("how many servers are in it"),
        "state": STATE,
        "state_since": basics.moment_or_null("since when"),
        "inspected_at": basics.moment_or_null("when that was found out"),
        "imported_from": basics.text_or_null(
            "Nova's server group that it was made of"
        ),
        "version": basics.number(
            "grows when name, mode, rules or window change"
        ),
        "revision": basics.number("grows with every change"),
        "created_at": basics.moment("when it was made"),
        "updated_at": basics.moment("when it changed last"),
    },
    description="An HA server group.",
)

_MEMBER = basics.closed(
    {
        "id": basics.UUID,
        "name": basics.text_or_null("the name in Nova, as far as known"),
        "project_id": basics.text("the project that owns the server"),
        "origin": basics.text("how it joined: hint, api or import"),
        "joined_at": basics.moment("when it joined"),
        "hosts": basics.listing(
            basics.ref("MemberPlace"),
            "where it is: two while it is moved, none when it is on no host "
            "or that is not known",
        ),
        "seen_at": basics.moment_or_null("when it was seen there"),
    },
    description="A server of a group.",
)

_PLACE = basics.closed(
    {
        "host": basics.text("the host"),
        "rack": basics.text_or_null("its rack; null when it has no place"),
        "dc": basics.text_or_null("its data centre"),
    },
    description="Where a server is.",
)

_FINDING = basics.closed(
    {
        "rule": basics.ref("GroupRule"),
        "state": STATE,
        "counts": basics.mapping(
            basics.number("members in it"),
            "the domains of the rule's level; '?' stands for hosts without "
            "a place in the topology",
        ),
        "limit": basics.text("what the rule allows, in words"),
        "excess": basics.number("how many members are too many"),
        "least_moves": _number_or_null(
            "the fewest moves that would mend it; null when none do, or it "
            "is not known"
        ),
        "blocked": basics.listing(
            basics.text("a server and why"),
            "the members that would have to leave and cannot be moved",
        ),
        "reason": basics.text("the state in words"),
        "hindrance": or_null(
            "RuleHindrance",
            "why moves cannot mend it; null when they can, when that was "
            "not looked for (sought_at), and for preferences",
        ),
    },
    description="How one rule is kept.",
)

_HINDRANCE = basics.closed(
    {
        "code": basics.text(
            "what is in the way most: capacity: no room; pinned: the "
            "availability zone or cell; unmovable: no member that would have "
            "to move can be; conflict: another rule would get worse; closed: "
            "hosts that take no servers; no-domain: the cloud has no better "
            "place; limit: more moves, or more time, would mend it"
        ),
        "reason": basics.text("in words, with all that is in the way"),
        "excess": basics.number(
            "how many members stay too many when all is moved that can be"
        ),
    },
    description="Why a rule cannot be mended as the cloud is.",
)

_REPORT = basics.closed(
    {
        "state": STATE,
        "revision": basics.number("of the groups when it was inspected"),
        "inspected_at": basics.moment("when"),
        "age_s": {
            "type": "number",
            "minimum": 0,
            "description": (
                "how old the places of the members were then, in seconds"
            ),
        },
        "sought_at": basics.moment_or_null(
            "when it was looked for moves that mend it, with what was free "
            "on all hosts then; null: nothing is broken, or it was not"
        ),
        "rules": basics.listing(
            basics.ref("RuleFinding"), "in the order of the group's rules"
        ),
    },
    description="How a group was found.",
)

_WAITED = basics.closed(
    {
        "acked": {
            "type": "boolean",
            "description": "whether every live scheduler has the change",
        },
        "schedulers": basics.listing(
            basics.text("a scheduler"), "those that have it"
        ),
        "missing": basics.listing(
            basics.text("a scheduler"), "those that do not have it yet"
        ),
        "reason": basics.text_or_null("why it is not known"),
    },
    description="Which schedulers work with a change.",
)

_NATIVE = basics.closed(
    {
        "id": basics.UUID,
        "name": basics.text("the name"),
        "project_id": basics.text("the project that owns it"),
        "policy": basics.text("Nova's policy"),
        "rules": basics.listing(basics.ref("GroupRule"), "what it means"),
        "servers": basics.listing(basics.text("an id"), "its members"),
        "group_id": {
            **basics.UUID,
            "type": ["string", "null"],
            "description": "the group that was made of it",
        },
        "reason": basics.text_or_null(
            "why none was made, or has another name"
        ),
    },
    description="One of Nova's own server groups.",
)


def _usage(what: str) -> basics.Schema:
    return basics.closed(
        {
            "limit": {
                "type": "integer",
                "minimum": -1,
                "description": f"how many {what} there may be; -1: any",
            },
            "used": basics.number(f"how many {what} there are"),
        },
        description=f"{what.capitalize()} of the project.",
    )


def _quota_wanted(what: str) -> basics.Schema:
    return {
        "type": ["integer", "null"],
        "minimum": -1,
        "maximum": 2**31 - 1,
        "description": f"how many {what}; -1: any; null: the default",
    }


_CHANGE = {
    "name": NAME,
    "mode": MODE,
    "rules": _rules_wanted("all rules; they hold together"),
    "window": _WINDOW,
    "wait": _WAIT,
}

COMPONENTS: dict[str, basics.Schema] = {
    "GroupRule": _RULE,
    "Group": _GROUP,
    "MemberPlace": _PLACE,
    "GroupMember": _MEMBER,
    "RuleFinding": _FINDING,
    "RuleHindrance": _HINDRANCE,
    "GroupReport": _REPORT,
    "SchedulersWaited": _WAITED,
    "NativeGroup": _NATIVE,
    "GroupList": basics.closed(
        {
            "groups": basics.listing(
                basics.ref("Group"), "in the order of their names"
            ),
            "groups_links": basics.listing(
                basics.ref("Link"), "the next page, when there is one"
            ),
        },
        description="A page of groups.",
    ),
    "GroupAnswer": basics.closed(
        {
            "group": basics.ref("Group"),
            "members": basics.listing(
                basics.ref("GroupMember"), "sorted by name and id"
            ),
            "report": or_null("GroupReport", "its newest inspection"),
        },
        description="One group.",
    ),
    "GroupChanged": basics.closed(
        {
            "group": basics.ref("Group"),
            "waited": or_null("SchedulersWaited", "when it was waited for"),
        },
        description="A group that was changed.",
    ),
    "JoinAnswer": basics.closed(
        {
            "group": basics.ref("Group"),
            "joined": basics.listing(basics.UUID, "servers that are new"),
            "already": basics.listing(
                basics.UUID, "servers that were in it before"
            ),
            "state": STATE,
            "report": or_null("GroupReport", "how the group stands with them"),
            "plan": or_null(
                "PlanPreview", "the moves that would mend the group"
            ),
            "note": basics.text_or_null("why there is no report"),
            "waited": or_null("SchedulersWaited", "when it was waited for"),
        },
        description="A group that servers joined, and what follows.",
    ),
    "LeaveAnswer": basics.closed(
        {
            "group": basics.ref("Group"),
            "left": {
                "type": "boolean",
                "description": "false: it was not in the group",
            },
            "waited": or_null("SchedulersWaited", "when it was waited for"),
        },
        description="A group that a server left.",
    ),
    "ImportAnswer": basics.closed(
        {
            "native_groups": basics.listing(
                basics.ref("NativeGroup"), "sorted by name"
            )
        },
        description="What became of Nova's own server groups.",
    ),
    "QuotaAnswer": basics.closed(
        {
            "quota": basics.closed(
                {
                    "project_id": basics.text("the project"),
                    "groups": _usage("groups"),
                    "members": _usage("members"),
                },
                description="What a project may have.",
            )
        },
        description="A quota.",
    ),
    "GroupCreateRequest": basics.closed(
        {
            **_CHANGE,
            "servers": _SERVERS_WANTED,
            "project_id": basics.text(
                "whose it is to be; the own project when absent"
            ),
            "strict": _STRICT,
        },
        description="A group that is to be made.",
        optional=(
            "mode",
            "rules",
            "window",
            "wait",
            "servers",
            "project_id",
            "strict",
        ),
    ),
    "GroupUpdateRequest": basics.closed(
        {
            **_CHANGE,
            "add_rules": _rules_wanted("rules to add to those it has"),
            "remove_rules": _rules_wanted("rules it is to lose"),
            "version": basics.number(
                "that the change is for; with another one it is refused"
            ),
        },
        description="What is to be changed of a group.",
        optional=(
            *_CHANGE,
            "add_rules",
            "remove_rules",
            "version",
        ),
    ),
    "JoinRequest": basics.closed(
        {"servers": _SERVERS_WANTED, "strict": _STRICT, "wait": _WAIT},
        description="Servers that are to join.",
        optional=("strict", "wait"),
    ),
    "ImportRequest": basics.closed(
        {
            "native_id": {
                **basics.UUID,
                "type": ["string", "null"],
                "description": "Nova's server group; null: all of them",
            },
            "mode": MODE,
            "dry_run": {
                "type": "boolean",
                "description": "only tell what would be imported",
            },
        },
        description="Which of Nova's groups are to be imported.",
        optional=("native_id", "mode", "dry_run"),
    ),
    "QuotaRequest": basics.closed(
        {
            "groups": _quota_wanted("groups"),
            "members": _quota_wanted("members"),
        },
        description="What a project may have.",
    ),
}
