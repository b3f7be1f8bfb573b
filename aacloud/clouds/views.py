# SPDX-License-Identifier: Apache-2.0
"""From the JSON of Nova and Placement to the views of ``core``.

A document that lacks what is always there raises CloudUnknown: half an
answer is none.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import datetime
import typing
from typing import Any

from aacloud.clouds import errors
from aacloud.core import migrations
from aacloud.core import recovery
from aacloud.core import topology as topologies

POWER_STATES: Mapping[int, str] = {
    0: "nostate",
    1: "running",
    3: "paused",
    4: "shutdown",
    6: "crashed",
    7: "suspended",
}

Json: typing.TypeAlias = Mapping[str, Any]
View = typing.TypeVar("View")
Document = typing.TypeVar("Document")


def parsed(
    what: str, parse: Callable[[Document], View], document: Document
) -> View:
    """Parse, and make a malformed document an unknown."""
    try:
        return parse(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise errors.CloudUnknown(
            f"{what}: the answer is not what was expected"
            f" ({type(error).__name__}: {error})"
        ) from error


def moment(text: str) -> datetime.datetime:
    """Parse Nova's ISO 8601 times, with or without a zone: they are UTC."""
    if text.endswith("Z"):
        text = text[:-1] + "+00:00"
    found = datetime.datetime.fromisoformat(text)
    if found.tzinfo is None:
        return found.replace(tzinfo=datetime.timezone.utc)
    return found.astimezone(datetime.timezone.utc)


def optional_moment(text: str | None) -> datetime.datetime | None:
    """Parse a time that may be missing."""
    return None if text is None else moment(text)


def is_partial(document: Json) -> bool:
    """Whether a server stands for one in a cell that does not answer."""
    return (
        document.get("status") == "UNKNOWN"
        and "OS-EXT-STS:vm_state" not in document
    )


def server(document: Json) -> recovery.ServerView:
    """Parse a server as an admin gets it, microversion 2.69 or later."""
    if is_partial(document):
        raise errors.CloudUnknown(
            f"server {document.get('id')}: its cell does not answer Nova"
        )
    flavor = document["flavor"]
    image = document["image"]
    return recovery.ServerView(
        uuid=document["id"],
        name=document["name"],
        project_id=document["tenant_id"],
        host=document["OS-EXT-SRV-ATTR:host"] or "",
        vm_state=document["OS-EXT-STS:vm_state"],
        task_state=document["OS-EXT-STS:task_state"],
        power_state=POWER_STATES.get(
            document["OS-EXT-STS:power_state"], "nostate"
        ),
        flavor=recovery.FlavorView(
            vcpus=flavor["vcpus"],
            ram_mb=flavor["ram"],
            root_gb=flavor["disk"],
            ephemeral_gb=flavor["ephemeral"],
            swap_mb=flavor["swap"],
            extra_specs=dict(flavor.get("extra_specs") or {}),
        ),
        image_ref=image["id"] if image else None,
        volumes=tuple(
            volume["id"]
            for volume in document.get(
                "os-extended-volumes:volumes_attached", ()
            )
        ),
        # From 2.96 on; before it cannot be told whether it is pinned.
        availability_zone=document.get("pinned_availability_zone"),
        locked=bool(document.get("locked")),
        metadata=dict(document.get("metadata") or {}),
        created_at=moment(document["created"]),
        launched_at=optional_moment(document.get("OS-SRV-USG:launched_at")),
        # From 2.100 on.
        hints=dict(document.get("scheduler_hints") or {}),
    )


def migration(document: Json) -> migrations.MigrationView:
    """Parse a record of os-migrations, microversion 2.59 or later."""
    return migrations.MigrationView(
        id=document["id"],
        uuid=document["uuid"],
        server=document["instance_uuid"],
        source=document["source_compute"] or "",
        dest=document["dest_compute"],
        status=document["status"],
        type=document["migration_type"],
        created_at_utc=moment(document["created_at"]),
        updated_at_utc=optional_moment(document["updated_at"]),
    )


def group(document: Json) -> recovery.GroupView:
    """Parse a server group, microversion 2.64 or later."""
    rules = document.get("rules") or {}
    return recovery.GroupView(
        id=document["id"],
        policy=document["policy"],
        members=tuple(document["members"]),
        max_per_host=int(rules.get("max_server_per_host", 1)),
        name=document.get("name") or "",
        project_id=document.get("project_id") or "",
    )


def aggregate(document: Json) -> topologies.Aggregate:
    """Parse a host aggregate."""
    metadata = dict(document["metadata"])
    # Nova repeats the zone in the metadata; it is no key of its own there.
    metadata.pop("availability_zone", None)
    return topologies.Aggregate(
        id=document["id"],
        name=document["name"],
        metadata=metadata,
        hosts=tuple(document["hosts"] or ()),
        availability_zone=document["availability_zone"],
    )
