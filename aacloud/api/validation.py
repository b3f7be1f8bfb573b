# SPDX-License-Identifier: Apache-2.0
"""JSON and query strings checked against the schemas, with clear words."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import functools
import json
from typing import Any

import jsonschema
from jsonschema import exceptions as jsonschema_exceptions
import referencing
from referencing import jsonschema as referencing_jsonschema

from aacloud.api import errors
from aacloud.api import schemas

JSON = Any

_URI = "urn:aacloud:api"
_DIALECT = jsonschema.Draft202012Validator
_DOCUMENT = referencing_jsonschema.DRAFT202012.create_resource(
    {"components": {"schemas": schemas.COMPONENTS}}
)
_REGISTRY: referencing.Registry = referencing.Registry().with_resource(
    _URI, _DOCUMENT
)

_TYPE_NAMES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


@functools.cache
def component_validator(name: str) -> jsonschema.Draft202012Validator:
    """Return the validator of the schema ``name`` of the components."""
    return _DIALECT(
        {"$ref": f"{_URI}{schemas.PREFIX}{name}"}, registry=_REGISTRY
    )


def _place(error: jsonschema.ValidationError) -> str:
    path = ""
    for step in error.absolute_path:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return f"'{path.lstrip('.')}'" if path else ""


def _quoted(names: Iterable[object]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _additional(value: Any, limit: Any, schema: Any) -> str:
    known = sorted(schema["properties"])
    extra = sorted(set(value) - set(known))
    named = ", ".join(errors.echo(name) for name in extra)
    return f"has the unknown key {named} (known: {_quoted(known) or 'none'})"


def _required(value: Any, limit: Any, schema: Any) -> str:
    lacking = [key for key in limit if key not in value]
    return f"lacks the required key {_quoted(lacking)}"


def _type(value: Any, limit: Any, schema: Any) -> str:
    wanted = [limit] if isinstance(limit, str) else limit
    names = " or ".join(_TYPE_NAMES[name] for name in wanted)
    return f"must be {names}, not {errors.echo(value)}"


def _enum(value: Any, limit: Any, schema: Any) -> str:
    return f"must be one of {_quoted(limit)}, not {errors.echo(value)}"


def _length(value: Any, limit: Any, schema: Any) -> str:
    return f"is {len(value)} characters long; at most {limit} fit"


def _pattern(value: Any, limit: Any, schema: Any) -> str:
    meaning = schema.get("description", limit)
    return f"is {errors.echo(value)}, which does not fit: {meaning}"


def _minimum(value: Any, limit: Any, schema: Any) -> str:
    return f"must be at least {limit}, not {errors.echo(value)}"


#: By keyword: (the value, the limit of the keyword, its schema) in words.
_TEXTS: Mapping[str, Callable[[Any, Any, Any], str]] = {
    "additionalProperties": _additional,
    "required": _required,
    "type": _type,
    "enum": _enum,
    "maxLength": _length,
    "pattern": _pattern,
    "minimum": _minimum,
}


def explain(error: jsonschema.ValidationError, what: str) -> str:
    """Return ``error`` as one sentence that names the key.

    :param error: of jsonschema
    :param what: the thing that was checked, such as "body"
    """
    describe = _TEXTS.get(str(error.validator))
    if describe is None:
        text = errors.echo(error.message)
    else:
        text = describe(error.instance, error.validator_value, error.schema)
    place = _place(error)
    return f"{what}: {place} {text}" if place else f"{what}: it {text}"


def problem(
    validator: jsonschema.Draft202012Validator, value: JSON, what: str
) -> str | None:
    """Return what is wrong with ``value``, or None."""
    error = jsonschema_exceptions.best_match(validator.iter_errors(value))
    return None if error is None else explain(error, what)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {errors.echo(key)} stands twice")
        found[key] = value
    return found


def load_json(raw: bytes) -> JSON:
    """Return what the JSON text ``raw`` says.

    :raises errors.BadRequest: it is not UTF-8, not JSON, holds a key twice,
        nests too deep, or holds half of a surrogate pair, which no database
        stores
    """
    if not raw.strip():
        raise errors.BadRequest("body: it is empty; send a JSON object")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise errors.BadRequest(
            f"body: byte {fault.start} is not UTF-8: {fault.reason}"
        ) from fault
    try:
        value = json.loads(
            text, parse_constant=_no_constant, object_pairs_hook=_unique
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as fault:
        raise errors.BadRequest(
            "body: it holds half of a surrogate pair (\\uD800 to \\uDFFF)"
        ) from fault
    except ValueError as fault:
        raise errors.BadRequest(f"body: it is not JSON: {fault}") from fault
    except RecursionError as fault:
        raise errors.BadRequest("body: it nests too deep") from fault
    return value


def load_body(raw: bytes, component: str) -> JSON:
    """Return the JSON body ``raw`` when it fits the schema ``component``.

    :raises errors.BadRequest: it does not; the text names the key
    """
    value = load_json(raw)
    text = problem(component_validator(component), value, "body")
    if text is not None:
        raise errors.BadRequest(text)
    return value


def _converted(schema: Mapping[str, Any], value: str) -> JSON:
    """Return the text of a query as its schema's type, or as it is."""
    kind = schema.get("type")
    if kind == "integer":
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) < 19:
            return int(value)
    if kind == "boolean" and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def load_query(
    params: Mapping[str, str | list[str]],
    known: Mapping[str, Mapping[str, Any]],
) -> dict[str, JSON]:
    """Return the query as typed values.

    :param params: the query, a list for a key that stands more than once
    :param known: the schema of each key that the operation knows
    :raises errors.BadRequest: a key is unknown, stands twice or has a value
        that its schema refuses; the text names the key
    """
    values: dict[str, JSON] = {}
    for key, value in params.items():
        schema = known.get(key)
        if schema is None:
            raise errors.BadRequest(
                f"query: the key {errors.echo(key)} is unknown (known: "
                f"{_quoted(sorted(known)) or 'none'})"
            )
        if isinstance(value, list):
            raise errors.BadRequest(f"query: '{key}' stands more than once")
        values[key] = _converted(schema, value)
        text = problem(_DIALECT(dict(schema)), values[key], f"query '{key}'")
        if text is not None:
            raise errors.BadRequest(text)
    return values
