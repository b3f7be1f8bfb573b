# SPDX-License-Identifier: Apache-2.0
"""The microversion of a request, and the documents that tell of versions.

1.1 brings HA server groups, repair plans and quotas.

A client that sends no header gets the oldest microversion, so that a script
written today reads the same answer from a later release.
"""

import re
from typing import Any

import falcon

from aacloud.api import errors
from aacloud.api import operations

SERVICE_TYPE = "aacloud"
HEADER = "OpenStack-API-Version"

Microversion = tuple[int, int]

MIN_VERSION: Microversion = (1, 0)
MAX_VERSION: Microversion = (1, 1)

_NUMBER = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\Z", re.ASCII)


def shown(version: Microversion) -> str:
    """Return a microversion as it stands in headers."""
    return f"{version[0]}.{version[1]}"


def requested(header: str | None) -> Microversion:
    """Return the microversion that a request asks for.

    :param header: of all services, such as "compute 2.90, aacloud 1.0"
    :raises errors.BadRequest: it cannot be understood
    :raises errors.NotAcceptable: this service does not speak it
    """
    wanted = None
    for entry in (header or "").split(","):
        words = entry.split()
        if len(words) == 2 and words[0].lower() == SERVICE_TYPE:
            wanted = words[1]
    if wanted is None:
        return MIN_VERSION
    if wanted.lower() == "latest":
        return MAX_VERSION
    match = _NUMBER.match(wanted)
    if match is None:
        raise errors.BadRequest(
            f"{HEADER}: {errors.echo(wanted)} is not a microversion; send "
            f"'{SERVICE_TYPE} {shown(MAX_VERSION)}', or 'latest'"
        )
    version = (int(match[1]), int(match[2]))
    if not MIN_VERSION <= version <= MAX_VERSION:
        raise errors.NotAcceptable(
            f"{HEADER}: this service does not speak {shown(version)}, but "
            f"{shown(MIN_VERSION)} to {shown(MAX_VERSION)}",
            extra={
                "min_version": shown(MIN_VERSION),
                "max_version": shown(MAX_VERSION),
            },
        )
    return version


class Negotiation:
    """Falcon middleware: understands the header and answers with it."""

    def process_request(
        self, request: falcon.Request, answer: falcon.Response
    ) -> None:
        """Keep the microversion for the resource.

        :raises errors.APIError: see :func:`requested`
        """
        # The header of the answer is wanted also when the next line fails.
        answer.set_header("Vary", HEADER)
        answer.set_header(HEADER, f"{SERVICE_TYPE} {shown(MIN_VERSION)}")
        version = requested(request.get_header(HEADER))
        request.context.microversion = version
        answer.set_header(HEADER, f"{SERVICE_TYPE} {shown(version)}")


def _document(request: falcon.Request) -> dict[str, Any]:
    prefix = request.prefix
    return {
        "id": "v1.0",
        "status": "CURRENT",
        "min_version": shown(MIN_VERSION),
        "version": shown(MAX_VERSION),
        "links": [
            {"rel": "self", "href": f"{prefix}/v1/"},
            {"rel": "describedby", "href": f"{prefix}/v1/openapi.json"},
        ],
    }


class Root:
    """All versions."""

    path = "/"

    def __init__(self, services: Any) -> None:
        self.services = services

    @operations.operation(
        name="list_versions",
        summary="List the versions",
        description=(
            "Tells which versions and microversions the service speaks. "
            "Needs no token."
        ),
        tag="versions",
        response="Versions",
    )
    def on_get(self, call: operations.Call) -> dict[str, Any]:
        """Return the document that discovery reads."""
        return {"versions": [_document(call.request)]}


class Version:
    """Version 1."""

    path = "/v1"

    def __init__(self, services: Any) -> None:
        self.services = services

    @operations.operation(
        name="show_version",
        summary="Show version 1",
        description=(
            "Tells which microversions of version 1 the service speaks. "
            "Needs no token."
        ),
        tag="versions",
        response="VersionAnswer",
    )
    def on_get(self, call: operations.Call) -> dict[str, Any]:
        """Return the document that discovery reads."""
        return {"version": _document(call.request)}
