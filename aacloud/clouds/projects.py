# SPDX-License-Identifier: Apache-2.0
"""Whether Keystone still has a project."""

from __future__ import annotations

from collections.abc import Mapping
import typing
from typing import Any
import urllib.parse

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ks_exceptions
from keystoneauth1 import session as ks_session
from oslo_config import cfg

from aacloud.clouds import errors
from aacloud.clouds import http
from aacloud.clouds import keystone
from aacloud.conf import keystone as keystone_conf


class ProjectReader(typing.Protocol):
    """What is asked of Keystone."""

    def own(self) -> str | None:
        """Return the project that aacloud is logged in to; None: none.

        :raises errors.CloudError: it is not known
        """

    def exists(self, project_id: str) -> bool:
        """Return whether there is such a project, disabled or not.

        :raises errors.CloudError: it is not known: no answer, or one that
            is not certainly about this project
        """


class Projects:
    """The reader over Keystone's v3 API; thread-safe."""

    def __init__(
        self,
        session: ks_session.Session,
        region: str | None = None,
        interface: Any = None,
    ) -> None:
        self._session = session
        self._client = adapter.LegacyJsonAdapter(
            session,
            service_type="identity",
            region_name=region,
            interface=interface,
        )

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Projects:
        """Make it from ``[aacloud_keystone]``. Makes no request yet."""
        section = conf[keystone_conf.GROUP]
        return cls(
            keystone.session_from_conf(conf),
            region=section.region_name,
            interface=section.valid_interfaces,
        )

    def own(self) -> str | None:
        """Return the project of the token."""
        try:
            return self._session.get_project_id()
        except ks_exceptions.ClientException as error:
            raise errors.CloudUnknown(
                f"log in to Keystone: {error}", sent=False
            ) from error

    def exists(self, project_id: str) -> bool:
        """Ask for the project by its id.

        A 404 counts only when it is Keystone's own, about this very
        project: one of a proxy, or of an address that is not Keystone's,
        says nothing.
        """
        what = f"show project {project_id}"
        path = f"/projects/{urllib.parse.quote(project_id, safe='')}"
        # In the catalog Keystone may stand with or without its version.
        address = urllib.parse.urlsplit(http.endpoint(self._client, what))
        if not address.path.rstrip("/").endswith("/v3"):
            path = f"/v3{path}"
        try:
            found = http.read(self._client, path, "project", what)
        except errors.CloudNotFound as error:
            if _about(error.answer, project_id):
                return False
            raise errors.CloudUnknown(
                f"{error}: this is not how Keystone says that a project is "
                "not there"
            ) from error
        if not isinstance(found, Mapping) or found.get("id") != project_id:
            raise errors.CloudUnknown(f"{what}: another one was answered")
        return True


def _about(answer: object, project_id: str) -> bool:
    """Whether an answer is Keystone's, that it has no such project."""
    if not isinstance(answer, Mapping):
        return False
    error = answer.get("error")
    return (
        isinstance(error, Mapping)
        and error.get("code") == 404
        and project_id in str(error.get("message"))
    )
