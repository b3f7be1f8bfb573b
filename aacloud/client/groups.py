# SPDX-License-Identifier: Apache-2.0
"""HA server groups, repair plans and quotas, a method an operation."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import re
from typing import Any
import urllib.parse

from aacloud.client import errors

#: The microversion that brought all of this.
MICROVERSION = "1.1"

JSON = dict[str, Any]
Items = list[JSON]

#: (method, path, query, body) -> the body of the answer
Ask = Callable[..., JSON]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def is_id(text: str) -> bool:
    """Return whether a text looks like the id of a thing."""
    return _UUID.match(text.lower()) is not None


def segment(name: str) -> str:
    """Return a name as one segment of a path."""
    return urllib.parse.quote(name, safe="")


def _given(**values: object) -> JSON:
    return {key: value for key, value in values.items() if value is not None}


class _Pages:
    """Lists that come in pages."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def _all(self, path: str, key: str, query: JSON) -> Items:
        found: Items = []
        while True:
            page = self._ask("GET", path, query=query)
            found += page[key]
            if not page[f"{key}_links"]:
                return found
            # Of the next page only its place is taken: the address is that
            # of the API as this client knows it.
            href = page[f"{key}_links"][0]["href"]
            following = urllib.parse.parse_qs(
                urllib.parse.urlsplit(href).query
            )
            query = {**query, "marker": following["marker"][0]}


class Groups(_Pages):
    """The groups of a project, or of all."""

    def list(
        self,
        *,
        name: str | None = None,
        project_id: str | None = None,
        all_projects: bool | None = None,
        server_id: str | None = None,
        state: str | None = None,
    ) -> Items:
        """Return the groups, all pages of them.

        :param name: only the one with this name
        :param project_id: those of this project instead of the own one
        :param all_projects: those of all projects
        :param server_id: only those that this server is in
        :param state: only those in this state
        """
        return self._all(
            "/groups",
            "groups",
            _given(
                name=name,
                project_id=project_id,
                all_projects=all_projects,
                server_id=server_id,
                state=state,
            ),
        )

    def get(self, group_id: str) -> JSON:
        """Return ``group``, ``members`` and ``report``."""
        return self._ask("GET", f"/groups/{segment(group_id)}")

    def find(self, text: str) -> JSON:
        """Return the group with this id, or with this name.

        A name is looked for in the own project first, then in all.

        :raises errors.ClientError: there is none, or there are several
        """
        if is_id(text):
            found: JSON = self.get(text)["group"]
            return found
        named = self.list(name=text)
        if not named:
            try:
                named = self.list(name=text, all_projects=True)
            except errors.Forbidden:
                named = []
        if not named:
            raise errors.ClientError(
                f"there is no group '{text}'; 'openstack ha group list' "
                "names those that there are"
            )
        if len(named) > 1:
            places = ", ".join(
                f"{group['id']} in project {group['project_id']}"
                for group in named
            )
            raise errors.ClientError(
                f"several groups are named '{text}': {places}; name it by "
                "its id"
            )
        return named[0]

    def create(self, name: str, **properties: Any) -> JSON:
        """Make a group.

        :param properties: ``mode``, ``rules``, ``window``, ``servers``,
            ``project_id``, ``strict``, ``wait``
        :returns: as :meth:`join`
        """
        return self._ask(
            "POST", "/groups", body={"name": name, **_given(**properties)}
        )

    def update(self, group_id: str, changes: JSON) -> JSON:
        """Change a group.

        :param changes: ``name``, ``mode``, ``rules``, ``add_rules``,
            ``remove_rules``, ``window``, ``version``, ``wait``
        :returns: ``group`` and ``waited``
        """
        return self._ask(
            "PATCH", f"/groups/{segment(group_id)}", body=changes
        )

    def delete(self, group_id: str) -> None:
        """Delete a group; its servers stay as they are."""
        self._ask("DELETE", f"/groups/{segment(group_id)}")

    def join(
        self,
        group_id: str,
        servers: Sequence[str],
        *,
        strict: bool = False,
        wait: bool = False,
    ) -> JSON:
        """Let servers join.

        :param strict: refuse it when a required rule would be broken
        :param wait: until all schedulers work with it
        :returns: ``group``, ``joined``, ``already``, ``state``, ``report``,
            ``plan``, ``note`` and ``waited``
        """
        return self._ask(
            "POST",
            f"/groups/{segment(group_id)}/servers",
            body={"servers": [*servers], "strict": strict, "wait": wait},
        )

    def leave(
        self, group_id: str, server_id: str, *, wait: bool = False
    ) -> JSON:
        """Let a server leave.

        :returns: ``group``, ``left`` and ``waited``
        """
        return self._ask(
            "DELETE",
            f"/groups/{segment(group_id)}/servers/{segment(server_id)}",
            query=_given(wait=wait or None),
        )

    def inspect(self, group_id: str) -> JSON:
        """Inspect a group now; return it as :meth:`get` does."""
        return self._ask("POST", f"/groups/{segment(group_id)}/inspect")

    def import_native(
        self,
        native_id: str | None = None,
        *,
        mode: str | None = None,
        dry_run: bool = False,
    ) -> Items:
        """Make groups of Nova's own server groups.

        :param native_id: of one of them; all when it is not given
        :returns: Nova's groups, each with what became of it
        """
        found: Items = self._ask(
            "POST",
            "/groups/import",
            body=_given(native_id=native_id, mode=mode, dry_run=dry_run),
        )["native_groups"]
        return found

    def quota(self, project_id: str) -> JSON:
        """Return what a project may have, and has."""
        found: JSON = self._ask("GET", f"/quotas/{segment(project_id)}")[
            "quota"
        ]
        return found

    def set_quota(self, project_id: str, changes: JSON) -> JSON:
        """Set what a project may have.

        :param changes: ``groups`` and ``members``; -1: any number, None:
            the default
        """
        found: JSON = self._ask(
            "PUT", f"/quotas/{segment(project_id)}", body=changes
        )["quota"]
        return found


class Plans(_Pages):
    """Repair plans."""

    def list(
        self,
        *,
        group_id: str | None = None,
        state: str | None = None,
        is_open: bool | None = None,
    ) -> Items:
        """Return plans, the newest first, all pages of them."""
        return self._all(
            "/plans",
            "plans",
            _given(group_id=group_id, state=state, open=is_open),
        )

    def get(self, plan_id: str) -> JSON:
        """Return ``plan`` and ``steps``."""
        return self._ask("GET", f"/plans/{segment(plan_id)}")

    def events(self, plan_id: str, since: int = 0) -> Items:
        """Return the story of a plan after the event numbered ``since``."""
        path = f"/plans/{segment(plan_id)}/events"
        found: Items = []
        while True:
            page = self._ask("GET", path, query={"since": since})["events"]
            if not page:
                return found
            found += page
            since = page[-1]["id"]

    def create(self, group_id: str | None, *, dry_run: bool) -> JSON:
        """Make a plan for a group, or for all groups.

        :returns: its steps, the proved bound, and what it does not mend
        """
        found: JSON = self._ask(
            "POST",
            "/plans",
            body={"group_id": group_id, "dry_run": dry_run},
        )["plan"]
        return found

    def command(self, plan_id: str, command: str, reason: str) -> JSON:
        """Tell a plan to ``approve``, ``pause``, ``resume`` or ``stop``.

        :returns: the plan
        """
        found: JSON = self._ask(
            "POST",
            f"/plans/{segment(plan_id)}/{command}",
            body={"reason": reason},
        )["plan"]
        return found
