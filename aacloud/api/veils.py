# SPDX-License-Identifier: Apache-2.0
"""What one caller is shown of plans, which may move anybody's servers.

Who may not list the groups of all projects is shown no id and no name of
another project's servers, groups and plans, in sentences neither.
"""

from collections.abc import Collection
import re
from typing import Any

from aacloud.api import domain_names

#: Stands in sentences for what is not named.
ANOTHER = "(another project's)"

_UUID = re.compile(
    r"(?<![\w-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-])"
)
#: As the engine names a group whose rule is in the way, or gains.
_GROUP = re.compile(
    r"\bof group (?P<name>.+?)(?: \((?P<id>[0-9a-f-]{36})\))?"
    r"(?= worse\b|: | already\b)"
)


class Veil:
    """How one caller is shown a plan.

    :param names: how the domains are shown
    :param ids: of the servers, groups and plans that may be named; None:
        all may
    :param groups: names of the groups that may be named
    :param hidden: names of the servers that may not
    :param hosts: that the plan names; the topology may not have them all
    """

    def __init__(
        self,
        names: domain_names.Names,
        *,
        ids: Collection[str] | None = None,
        groups: Collection[str] = (),
        hidden: Collection[str] = (),
        hosts: Collection[str] = (),
    ) -> None:
        self.names = names
        self._ids = None if ids is None else frozenset(ids)
        self._groups = frozenset(groups)
        self._hidden: re.Pattern[str] | None = None
        for host in sorted(hosts):
            names.host(host)
        longest = sorted(set(hidden) - {""}, key=lambda one: (-len(one), one))
        if longest:
            self._hidden = re.compile(
                rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])"
            )

    def may(self, uuid: str) -> bool:
        """Return whether a server, a group or a plan may be named."""
        return self._ids is None or uuid in self._ids

    def server(self, uuid: str | None) -> str | None:
        """Return the id of a server, when it may be named."""
        return uuid if uuid is not None and self.may(uuid) else None

    def text(self, text: str) -> str:
        """Return a sentence without what the caller may not see."""
        if self._ids is not None:
            if self._hidden is not None:
                text = self._hidden.sub(ANOTHER, text)
            text = _GROUP.sub(self._group, text)
            text = _UUID.sub(self._uuid, text)
        return self.names.text(text)

    def maybe_text(self, text: str | None) -> str | None:
        """Return a sentence that may be missing."""
        return None if text is None else self.text(text)

    def told(self, value: Any) -> Any:
        """Return free details without what the caller may not see."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.told(one) for one in value]
        if isinstance(value, dict):
            return {
                self.names.text(key): self.told(one)
                for key, one in value.items()
            }
        return value

    def _group(self, found: re.Match[str]) -> str:
        own = found["name"] in self._groups or found["id"] in (
            self._ids or ()
        )
        return found[0] if own else "of another group"

    def _uuid(self, found: re.Match[str]) -> str:
        return found[0] if self.may(found[0]) else ANOTHER
