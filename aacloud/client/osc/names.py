# SPDX-License-Identifier: Apache-2.0
"""Names of servers and projects, which Nova and Keystone know."""

from __future__ import annotations

import re
from typing import Any

from aacloud.client import errors
from aacloud.client import groups

_PROJECT_ID = re.compile(r"[0-9a-f]{32}\Z")


def server_id(manager: Any, text: str) -> str:
    """Return the id of a server.

    :param manager: osc-lib's client manager
    :param text: an id, or a name that only one server has
    :raises errors.ClientError: no or several servers have the name
    """
    if groups.is_id(text):
        return text.lower()
    try:
        found = list(
            manager.sdk_connection.compute.servers(
                name=f"^{re.escape(text)}$"
            )
        )
        if not found:
            found = _everywhere(manager, text)
    except Exception as problem:
        raise errors.ClientError(
            f"server '{text}' cannot be looked up in Nova ({problem}); name "
            "it by its id"
        ) from problem
    if not found:
        raise errors.ClientError(
            f"there is no server '{text}'; 'openstack server list' names "
            "those that there are"
        )
    if len(found) > 1:
        ids = ", ".join(server.id for server in found)
        raise errors.ClientError(
            f"several servers are named '{text}': {ids}; name it by its id"
        )
    identity: str = found[0].id
    return identity


def _everywhere(manager: Any, text: str) -> list[Any]:
    """Return the servers of this name in all projects, if one may see."""
    from openstack import exceptions

    try:
        return list(
            manager.sdk_connection.compute.servers(
                name=f"^{re.escape(text)}$", all_projects=True
            )
        )
    except exceptions.ForbiddenException:
        return []


def project_id(manager: Any, text: str) -> str:
    """Return the id of a project.

    :param manager: osc-lib's client manager
    :param text: an id or a name
    :raises errors.ClientError: there is no such project
    """
    if _PROJECT_ID.match(text) or groups.is_id(text):
        return text
    try:
        found = manager.sdk_connection.identity.find_project(text)
    except Exception as problem:
        raise errors.ClientError(
            f"project '{text}' cannot be looked up in Keystone ({problem}); "
            "name it by its id"
        ) from problem
    if found is None:
        raise errors.ClientError(f"there is no project '{text}'")
    identity: str = found.id
    return identity


def own_project_id(manager: Any) -> str:
    """Return the project of the caller.

    :raises errors.ClientError: the token has none
    """
    found = getattr(manager.auth_ref, "project_id", None)
    if not found:
        raise errors.ClientError(
            "your token is of no project; name the project"
        )
    identity: str = found
    return identity
