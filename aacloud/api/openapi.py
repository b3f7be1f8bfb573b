# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document, made of the operations and their schemas."""

from collections.abc import Iterable
import http
import re
from typing import Any

from aacloud import version
from aacloud.api import operations
from aacloud.api import schemas
from aacloud.api import versions
from aacloud.api.schemas import basics

_NAMES = {
    "name": "the name of the host",
    "incident_id": "the id of the incident",
    "group_id": "the id of the group",
    "server_id": "the id of the server",
    "plan_id": "the id of the plan",
    "project_id": "the id of the project",
    "level": "the level of the domain: host, rack, dc or cloud",
    "domain": "the name of the domain; that of the whole cloud is 'cloud'",
}

_SHARED_REFUSALS = {
    400: "the request is wrong; the message names the key",
    401: "there is no valid token",
    403: "a policy refuses it",
    406: "the microversion is unknown",
    503: "the database or Keystone does not answer; try again later",
}

_MICROVERSION = {
    "name": versions.HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": (
        f"the microversion: '{versions.SERVICE_TYPE} "
        f"{versions.shown(versions.MAX_VERSION)}'; the oldest when absent"
    ),
}


def _error(reason: str) -> dict[str, Any]:
    return {
        "description": reason,
        "content": {
            operations.JSON_TYPE: {"schema": dict(basics.ref("Error"))}
        },
    }


def _answers(declared: operations.Operation) -> dict[str, Any]:
    phrase = http.HTTPStatus(declared.status).phrase
    answer: dict[str, Any] = {"description": phrase}
    if declared.response is not None:
        answer["content"] = {
            operations.JSON_TYPE: {
                "schema": dict(basics.ref(declared.response))
            }
        }
    refusals = {
        status: reason
        for status, reason in _SHARED_REFUSALS.items()
        if declared.policy is not None or status in (400, 406)
    }
    if declared.since > versions.MIN_VERSION:
        refusals[404] = (
            f"the microversion is below {versions.shown(declared.since)}"
        )
    refusals.update(declared.refusals)
    return {
        str(declared.status): answer,
        **{
            str(status): _error(refusals[status])
            for status in sorted(refusals)
        },
    }


def _operation(path: str, declared: operations.Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": _NAMES[name],
        }
        for name in re.findall(r"{(\w+)}", path)
    ]
    parameters += [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": dict(schema),
            "description": schema.get("description", ""),
        }
        for name, schema in declared.query.items()
    ]
    parameters.append({"$ref": "#/components/parameters/Microversion"})
    described: dict[str, Any] = {
        "operationId": declared.id,
        "summary": declared.summary,
        "description": declared.description,
        "tags": [declared.tag],
        "parameters": parameters,
        "responses": _answers(declared),
    }
    if declared.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {
                operations.JSON_TYPE: {
                    "schema": dict(basics.ref(declared.body))
                }
            },
        }
    if declared.policy is not None:
        described["security"] = [{"token": []}]
        described["x-aacloud-policy"] = declared.policy
    if declared.since > versions.MIN_VERSION:
        described["x-aacloud-since"] = versions.shown(declared.since)
    return described


def document(resources: Iterable[Any]) -> dict[str, Any]:
    """Return the document of these resources.

    :param resources: resource classes or objects with ``path``
    """
    paths: dict[str, Any] = {}
    for resource in resources:
        paths[resource.path] = {
            method.lower(): _operation(resource.path, declared)
            for method, declared in operations.operations_of(resource).items()
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "aacloud",
            "description": (
                "Incidents, hosts, topology, failover modes and HA server "
                "groups of an active-active OpenStack."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "version": versions.shown(versions.MAX_VERSION),
            "x-release": version.version_string(),
        },
        "paths": paths,
        "components": {
            "schemas": schemas.COMPONENTS,
            "parameters": {"Microversion": _MICROVERSION},
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Auth-Token",
                    "description": "a token of Keystone",
                }
            },
        },
    }


class Document:
    """The document itself."""

    path = "/v1/openapi.json"

    def __init__(self, services: Any) -> None:
        self.services = services

    @operations.operation(
        name="show_openapi",
        summary="Show the OpenAPI document",
        description="Returns the document of this API. Needs no token.",
        tag="versions",
        response="OpenAPI",
    )
    def on_get(self, call: operations.Call) -> dict[str, Any]:
        """Return the document of all resources."""
        return self.services.openapi
