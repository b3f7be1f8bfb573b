# SPDX-License-Identifier: Apache-2.0
"""Schemas of incidents, their servers and their events."""

from aacloud.api.schemas import basics
from aacloud.core import brakes
from aacloud.core import incidents

INCIDENT_STATE = basics.choice(
    incidents.IncidentState, "how far the handling has come"
)

_COMMAND = basics.closed(
    {
        "command": basics.choice(incidents.Command, "what"),
        "by": basics.text("who asked"),
        "reason": basics.text("why, in the operator's words"),
        "at": basics.moment("when"),
    },
    description="What an operator asked of the incident.",
)

_INCIDENT = basics.closed(
    {
        "id": basics.UUID,
        "host": basics.text("the host that failed"),
        "kind": basics.text("the level of what failed"),
        "state": INCIDENT_STATE,
        "mode": basics.choice(
            brakes.Mode, "the mode of the host when the incident opened"
        ),
        "version": basics.number("grows with each change"),
        "epoch": basics.number("the term of the engine that handles it"),
        "opened_at": basics.moment("when it was opened"),
        "updated_at": basics.moment("when it changed last"),
        "detected_at": basics.moment_or_null("when the host was held dead"),
        "closed_at": basics.moment_or_null("when it was closed"),
        "verdict": {
            **basics.FREE,
            "description": "what failed, by which evidence",
        },
        "proof": {
            **basics.FREE,
            "type": ["object", "null"],
            "description": "what proves that the host writes no more",
        },
        "waiting": basics.text_or_null(
            "why it does not go on, and what the operator can do"
        ),
        "commands": basics.listing(
            basics.ref("Command"), "what operators asked, in order"
        ),
        "summary": {
            **basics.FREE,
            "description": "counts and times, once recovery is over",
        },
        "request_id": basics.text_or_null(
            "the id under which its calls stand in Nova's log"
        ),
    },
    description="A verdict that is being handled.",
)

_SERVER = basics.closed(
    {
        "id": basics.UUID,
        "name": basics.text("the name in Nova"),
        "project_id": basics.text("the project that owns it"),
        "state": basics.choice(
            incidents.ServerState, "how far its move has come"
        ),
        "version": basics.number("grows with each change"),
        "wave": basics.number("the wave of its move, 0 first"),
        "source": basics.text("the host it was on"),
        "destination": basics.text_or_null("the host it moves to"),
        "spares": basics.listing(
            basics.text("a host"), "where to try when the destination fails"
        ),
        "tries": basics.number("evacuations that failed so far"),
        "intent_at": basics.moment_or_null("when the intent was stored"),
        "requested_at": basics.moment_or_null("when Nova was asked"),
        "request_id": basics.text_or_null("the id of that request"),
        "migration_id": {
            "type": ["integer", "null"],
            "description": "the migration in Nova",
        },
        "past_migrations": basics.listing(
            basics.number("a migration in Nova"),
            "evacuations of it that are over and not this attempt's",
        ),
        "landed_at": basics.moment_or_null("when it was on its new host"),
        "verified_at": basics.moment_or_null("when it was found well there"),
        "down_since": basics.moment_or_null("when it went down"),
        "not_before": basics.moment_or_null("when the next try may start"),
        "reason_code": basics.text_or_null("why it is held, in one word"),
        "reason": basics.text_or_null(
            "why it is where it is, and what the operator can do"
        ),
        "downtime_s": {
            "type": ["number", "null"],
            "minimum": 0,
            "description": (
                "how long it was down, in seconds; null while it still is, "
                "and when it was not running"
            ),
        },
        "snapshot": {
            **basics.FREE,
            "description": "what it was like before anything was done",
        },
    },
    description="A server of an incident.",
)

_EVENT = basics.closed(
    {
        "id": basics.number("grows within the incident"),
        "at": basics.moment("when"),
        "kind": basics.text("what sort of event"),
        "server_id": {
            **basics.UUID,
            "type": ["string", "null"],
            "description": "the server that it is about",
        },
        "text": basics.text("what happened"),
        "detail": basics.FREE,
    },
    description="One line of the story of an incident.",
)

COMPONENTS: dict[str, basics.Schema] = {
    "Command": _COMMAND,
    "Incident": _INCIDENT,
    "IncidentAnswer": basics.closed(
        {"incident": basics.ref("Incident")}, description="One incident."
    ),
    "IncidentList": basics.closed(
        {
            "incidents": basics.listing(
                basics.ref("Incident"), "the newest first"
            ),
            "incidents_links": basics.listing(
                basics.ref("Link"), "the next page, when there is one"
            ),
        },
        description="A page of incidents.",
    ),
    "Server": _SERVER,
    "ServerList": basics.closed(
        {
            "servers": basics.listing(
                basics.ref("Server"), "in the order of their waves"
            )
        },
        description="The servers of an incident.",
    ),
    "Event": _EVENT,
    "EventList": basics.closed(
        {"events": basics.listing(basics.ref("Event"), "the oldest first")},
        description="A page of the story of an incident or a plan.",
    ),
    "CommandRequest": basics.closed(
        {
            "reason": {
                **basics.LINE,
                "description": "why; it is kept with what was asked",
            }
        },
        description="What an operator says along with a command.",
    ),
}
