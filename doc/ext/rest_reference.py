# SPDX-License-Identifier: Apache-2.0
"""The Sphinx directive that writes the REST reference.

``.. rest-reference::`` becomes a section for each part of the API, made of
the same OpenAPI document that the API serves, and a section with the objects
that its bodies consist of.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import http
import json
from typing import Any

from docutils import nodes
from docutils import statemachine
from sphinx import application
from sphinx.util import docutils

from aacloud.api import app as api_app
from aacloud.api import openapi

JSON = dict[str, Any]

TITLES = {
    "versions": "Versions",
    "hosts": "Hosts and topology",
    "incidents": "Incidents",
    "failover": "Failover modes",
}


def titled(text: str, stroke: str) -> list[str]:
    """Return a heading."""
    return [text, stroke * len(text), ""]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table, or nothing when it has no rows."""
    if not rows:
        return []
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: auto", ""]
    for row in [heads, *rows]:
        for number, cell in enumerate(row):
            lines.append(f"   {'* -' if number == 0 else '  -'} {cell}")
    return [*lines, ""]


def label(component: str) -> str:
    """Return the target of an object's section."""
    return f"rest-object-{component.lower()}"


def kind(schema: JSON) -> str:
    """Return the type of a value, with a link when it is an object."""
    if "$ref" in schema:
        component = schema["$ref"].rsplit("/", 1)[1]
        return f":ref:`{component} <{label(component)}>`"
    if "anyOf" in schema:
        return " or ".join(kind(choice) for choice in schema["anyOf"])
    found = schema["type"]
    if isinstance(found, list):
        return " or ".join(found)
    if found == "array":
        return f"array of {kind(schema['items'])}"
    if "properties" in schema:
        keys = schema["properties"].items()
        inside = ", ".join(f"``{key}``: {kind(inner)}" for key, inner in keys)
        return f"object with {inside}"
    return str(found)


def meaning(schema: JSON) -> str:
    """Return what a value means, and which values there are."""
    text = str(schema.get("description", ""))
    if "enum" in schema:
        words = ", ".join(f"``{word}``" for word in schema["enum"])
        text += f"; one of {words}"
    if "minimum" in schema:
        text += f"; at least {schema['minimum']}"
    if "maxLength" in schema:
        text += f"; at most {schema['maxLength']} characters"
    return text


def parameters(described: JSON, place: str) -> list[list[str]]:
    """Return the parameters of an operation in its path or its query."""
    return [
        [
            f"``{item['name']}``",
            kind(item["schema"]),
            meaning({"description": item["description"], **item["schema"]}),
        ]
        for item in described["parameters"]
        if item.get("in") == place
    ]


def body(content: JSON) -> str:
    """Return what a body consists of."""
    return kind(content["content"]["application/json"]["schema"])


def operation(method: str, path: str, described: JSON) -> Iterator[str]:
    """Write the section of one operation."""
    yield from titled(described["summary"], "-")
    yield from (".. code-block:: none", "", f"   {method.upper()} {path}", "")
    yield from (described["description"], "")
    if "x-aacloud-policy" in described:
        yield from (f"Policy: ``{described['x-aacloud-policy']}``", "")
    heads = ("Name", "Type", "Meaning")
    for place, title in (("path", "In the path"), ("query", "In the query")):
        rows = parameters(described, place)
        if rows:
            yield from (f"{title}:", "")
            yield from table(heads, rows)
    if "requestBody" in described:
        yield from (f"Body: {body(described['requestBody'])}", "")
    rows = []
    for status, answer in described["responses"].items():
        text = answer["description"]
        if int(status) < http.HTTPStatus.BAD_REQUEST and "content" in answer:
            text = body(answer)
        rows.append([status, text])
    yield from table(("Status", "Answer"), rows)


def component(name: str, schema: JSON) -> Iterator[str]:
    """Write the section of one object."""
    yield from (f".. _{label(name)}:", "")
    yield from titled(name, "-")
    yield from (schema["description"], "")
    required = schema.get("required", [])
    yield from table(
        ("Key", "Type", "Meaning"),
        [
            [
                f"``{key}``" + ("" if key in required else " (optional)"),
                kind(inner),
                meaning(inner) or "see there",
            ]
            for key, inner in schema.get("properties", {}).items()
        ],
    )


def reference(document: JSON) -> Iterator[str]:
    """Write the reference, line by line.

    :param document: the OpenAPI document
    """
    for tag, title in TITLES.items():
        yield from titled(title, "=")
        for path, methods in document["paths"].items():
            for method, described in methods.items():
                if described["tags"] == [tag]:
                    yield from operation(method, path, described)
    yield from titled("Objects", "=")
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from component(name, schema)


class RestReference(docutils.SphinxDirective):
    """The directive."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        # As it is served: JSON, without tuples or mappings of our own.
        document = json.loads(
            json.dumps(openapi.document(api_app.RESOURCES))
        )
        lines = statemachine.StringList()
        for line in reference(document):
            lines.append(line, "aacloud.api.openapi")
        parent = nodes.Element()
        parent.document = self.state.document
        with docutils.switch_source_input(self.state, lines):
            self.state.nested_parse(
                lines, 0, parent, match_titles=True
            )
        return parent.children


def setup(app: application.Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("rest-reference", RestReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
