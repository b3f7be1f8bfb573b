# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from aacloud.api import app
from aacloud.api import openapi
from aacloud.api import operations
from aacloud.api import schemas
from tests.unit.api.stage import Stage


def references(content: Any) -> set[str]:
    """Return the components that a piece of the document refers to."""
    if isinstance(content, dict):
        found = set().union(*map(references, content.values()))
        if isinstance(content.get("$ref"), str):
            found.add(content["$ref"])
        return found
    if isinstance(content, list):
        return set().union(*map(references, content))
    return set()


def test_document_is_valid() -> None:
    document = openapi.document(app.RESOURCES)
    problems = list(OpenAPIV31SpecValidator(document).iter_errors())
    assert problems == []


def test_document_is_served_as_it_is(stage: Stage) -> None:
    answer = stage.call("GET", "/v1/openapi.json", token=None)
    assert answer.json == json.loads(
        json.dumps(openapi.document(app.RESOURCES))
    )


def test_every_operation_is_described() -> None:
    document = openapi.document(app.RESOURCES)
    ids = []
    for resource in app.RESOURCES:
        for method, declared in operations.operations_of(resource).items():
            described = document["paths"][resource.path][method.lower()]
            assert described["operationId"] == declared.id
            assert described["summary"]
            assert described["description"].endswith(".")
            ids.append(declared.id)
    assert len(ids) == len(set(ids))


def test_every_component_is_used() -> None:
    document = openapi.document(app.RESOURCES)
    used = {
        ref.removeprefix(schemas.PREFIX)
        for ref in references(document)
        if ref.startswith(schemas.PREFIX)
    }
    assert used == set(schemas.COMPONENTS)


def test_objects_are_closed() -> None:
    """A key that is added by mistake is noticed."""

    def check(name: str, schema: Any) -> None:
        if isinstance(schema, dict):
            if schema.get("type") == "object" and name != "OpenAPI":
                assert "additionalProperties" in schema, name
            for content in schema.values():
                check(name, content)

    for name, schema in schemas.COMPONENTS.items():
        check(name, schema)
