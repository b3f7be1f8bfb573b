# SPDX-License-Identifier: Apache-2.0
"""Schemas of single values, and the small words to build objects of them."""

from collections.abc import Mapping
import enum
from typing import Any

Schema = Mapping[str, Any]

PREFIX = "#/components/schemas/"


def ref(component: str) -> Schema:
    """Return a reference to a component of the API document."""
    return {"$ref": f"{PREFIX}{component}"}


def closed(
    properties: Mapping[str, Schema],
    *,
    description: str,
    optional: tuple[str, ...] = (),
) -> Schema:
    """Return the schema of an object that has these keys and no other.

    :param properties: the schema of each key
    :param description: what the object is
    :param optional: the keys that may be absent
    """
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": [key for key in properties if key not in optional],
        "additionalProperties": False,
    }


def listing(items: Schema, description: str) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "description": description, "items": items}


def mapping(values: Schema, description: str) -> Schema:
    """Return the schema of an object with free keys."""
    return {
        "type": "object",
        "description": description,
        "additionalProperties": values,
    }


def text(description: str) -> Schema:
    """Return the schema of a text."""
    return {"type": "string", "description": description}


def text_or_null(description: str) -> Schema:
    """Return the schema of a text that may be missing."""
    return {"type": ["string", "null"], "description": description}


def number(description: str) -> Schema:
    """Return the schema of a whole number from 0 on."""
    return {"type": "integer", "minimum": 0, "description": description}


def choice(words: type[enum.Enum], description: str) -> Schema:
    """Return the schema of one of the values of an enumeration."""
    return {
        "type": "string",
        "enum": [word.value for word in words],
        "description": description,
    }


_MOMENT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z(?![\s\S])"


def moment(description: str) -> Schema:
    """Return the schema of a time in UTC."""
    return {
        "type": "string",
        "format": "date-time",
        "pattern": _MOMENT,
        "description": f"{description} (ISO 8601, UTC)",
    }


def moment_or_null(description: str) -> Schema:
    """Return the schema of a time in UTC that may be missing."""
    return {**moment(description), "type": ["string", "null"]}


UUID: Schema = {
    "type": "string",
    "format": "uuid",
    "pattern": (
        r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
        r"(?![\s\S])"
    ),
    "description": "a UUID in lower case, with dashes",
}

FREE: Schema = {
    "type": "object",
    "description": "details whose keys depend on the case",
    "additionalProperties": True,
}

#: The lookahead is an end of text that does not also match before a final
#: line break, as "$" does in Python.
LINE: Schema = {
    "type": "string",
    "maxLength": 255,
    "allOf": [
        {
            "pattern": r"\S",
            "description": "a text with something in it",
        },
        {
            "pattern": r"^[^\x00-\x1f\x7f]*(?![\s\S])",
            "description": "one line without control characters",
        },
    ],
}
