# SPDX-License-Identifier: Apache-2.0
"""Answers of the API, made up for the client."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import referencing
from referencing import jsonschema as referencing_jsonschema

from aacloud.api import schemas

JSON = dict[str, Any]

INCIDENT_ID = "3f0c9a52-6d5f-4c3e-9f43-0f0f6b1f3b7a"
OPENED = "2026-11-22T10:00:00.000000Z"


def at(seconds: float) -> str:
    """Return a time, so many seconds after the incident opened."""
    minutes, rest = divmod(seconds, 60)
    return f"2026-11-22T10:{int(minutes):02d}:{rest:09.6f}Z"


def checked(component: str, content: JSON) -> JSON:
    """Return ``content``, which the real API could have answered."""
    registry: Any = referencing.Registry().with_resource(
        "urn:api",
        referencing_jsonschema.DRAFT202012.create_resource(
            {"components": {"schemas": schemas.COMPONENTS}}
        ),
    )
    jsonschema.Draft202012Validator(
        {"$ref": f"urn:api{schemas.PREFIX}{component}"}, registry=registry
    ).validate(content)
    # As it comes over the wire: nothing is shared between two answers.
    copied: JSON = json.loads(json.dumps(content))
    return copied


def incident(state: str = "evacuating", **columns: Any) -> JSON:
    """Return an incident."""
    return checked(
        "Incident",
        {
            "id": INCIDENT_ID,
            "host": "dc1-r1-h1",
            "kind": "host",
            "state": state,
            "mode": "armed",
            "version": 1,
            "epoch": 1,
            "opened_at": OPENED,
            "updated_at": OPENED,
            "detected_at": OPENED,
            "closed_at": None,
            "verdict": {"reasons": ["silent"]},
            "proof": None,
            "waiting": None,
            "commands": [],
            "summary": {},
            "request_id": None,
            **columns,
        },
    )


def server(number: int, state: str = "pending", **columns: Any) -> JSON:
    """Return a server of the incident."""
    return checked(
        "Server",
        {
            "id": f"00000000-0000-0000-0000-{number:012d}",
            "name": f"web-{number}",
            "project_id": "p",
            "state": state,
            "version": 1,
            "wave": 0,
            "source": "dc1-r1-h1",
            "destination": "dc1-r2-h1" if state != "pending" else None,
            "spares": [],
            "tries": 0,
            "intent_at": None,
            "requested_at": None,
            "request_id": None,
            "migration_id": None,
            "past_migrations": [],
            "landed_at": None,
            "verified_at": None,
            "down_since": OPENED,
            "not_before": None,
            "reason_code": None,
            "reason": None,
            "downtime_s": None,
            "snapshot": {},
            **columns,
        },
    )


def event(number: int, text: str, **columns: Any) -> JSON:
    """Return an event, so many seconds after the incident opened."""
    return checked(
        "Event",
        {
            "id": number,
            "at": at(number),
            "kind": "note",
            "server_id": None,
            "text": text,
            "detail": {},
            **columns,
        },
    )


def effective(host: str, mode: str) -> JSON:
    """Return the mode of a host such as "dc1-r1-h1"."""
    dc, rack, _ = host.split("-")
    return checked(
        "EffectiveMode",
        {
            "host": host,
            "dc": dc,
            "rack": f"{dc}-{rack}",
            "mode": mode,
            "reasons": ["because"],
        },
    )
