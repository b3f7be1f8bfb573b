# SPDX-License-Identifier: Apache-2.0
"""Schemas of the service itself: versions and errors."""

from aacloud.api.schemas import basics

_LINK = basics.closed(
    {
        "rel": basics.text("what the target is to this resource"),
        "href": basics.text("the address"),
    },
    description="A link.",
)

COMPONENTS: dict[str, basics.Schema] = {
    "Link": _LINK,
    "Version": basics.closed(
        {
            "id": basics.text("the name of the version"),
            "status": basics.text("CURRENT or SUPPORTED"),
            "min_version": basics.text("the oldest microversion"),
            "version": basics.text("the newest microversion"),
            "links": basics.listing(basics.ref("Link"), "where it is"),
        },
        description="One version of the API.",
    ),
    "Versions": basics.closed(
        {
            "versions": basics.listing(
                basics.ref("Version"), "all versions of the API"
            )
        },
        description="What this service speaks.",
    ),
    "VersionAnswer": basics.closed(
        {"version": basics.ref("Version")},
        description="One version of the API.",
    ),
    "OpenAPI": {
        "type": "object",
        "description": "An OpenAPI 3.1 document.",
        "required": ["openapi", "info", "paths"],
    },
    "Error": basics.closed(
        {
            "error": basics.closed(
                {
                    "code": basics.number("the HTTP status"),
                    "title": basics.text("the HTTP status in words"),
                    "message": basics.text(
                        "what happened, where, and what can be done"
                    ),
                    "request_id": basics.text(
                        "the id under which the service's log tells more"
                    ),
                    "min_version": basics.text(
                        "with 406: the oldest microversion"
                    ),
                    "max_version": basics.text(
                        "with 406: the newest microversion"
                    ),
                },
                description="The error.",
                optional=("min_version", "max_version"),
            )
        },
        description="What every answer from status 400 on says.",
    ),
}
