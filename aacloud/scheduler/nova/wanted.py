# SPDX-License-Identifier: Apache-2.0
"""Which groups a request may be about, before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
from typing import Any

from aacloud.core import rules
from aacloud.scheduler.nova import index as group_index
from aacloud.scheduler.nova import snapshot_client

HINT = "ha_group"


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """The groups of a request, as far as they are known.

    :ivar joined: those that the server is a member of
    :ivar hinted: those that its hints mean. They count at its birth only,
        and Nova keeps hints for ever: none, when this is surely no birth
    :ivar missing: such hints that are not known here
    :ivar moves: whether this is surely no birth
    """

    joined: tuple[rules.Group, ...]
    hinted: tuple[rules.Group, ...]
    missing: tuple[str, ...]
    moves: bool

    def all(self) -> list[rules.Group]:
        """All of them, each once."""
        return unique((*self.joined, *self.hinted))


def wanted(
    view: snapshot_client.View | None, server: str, spec: Any,
) -> Wanted:
    """Look the groups up.

    :param spec: Nova's RequestSpec
    """
    index = None if view is None else view.index
    joined = () if index is None else tuple(
        index.groups[one] for one in index.by_server.get(server, ()))
    if _moves(spec):
        return Wanted(joined, (), (), moves=True)
    hinted, missing = by_hints(index, spec)
    return Wanted(joined, tuple(hinted), tuple(missing), moves=False)


def by_hints(
    index: group_index.Index | None, spec: Any,
) -> tuple[list[rules.Group], list[str]]:
    """The groups that the hints mean, and the hints that are not known."""
    texts = (spec.scheduler_hints or {}).get(HINT) or ()
    if isinstance(texts, str):
        texts = (texts,)
    found, missing = [], []
    # Several may stand in one text, as the engine reads it, too.
    for text in dict.fromkeys(
        part.strip() for one in texts for part in str(one).split(",")
        if part.strip()
    ):
        group = None if index is None else index.hinted(
            text, spec.project_id)
        if group is None:
            missing.append(text)
        else:
            found.append(group)
    return found, missing


def _moves(spec: Any) -> bool:
    """Whether this is surely no birth: Nova names hosts to keep clear of.

    It does so when a server is migrated, resized or evacuated, and does not
    tell which of them it is.
    """
    try:
        return bool(spec.ignore_hosts)
    except Exception:  # noqa: BLE001 (Nova's objects raise what is unset)
        return False


def takes_turns(group: rules.Group) -> bool:
    """Whether it matters to a server where another one goes."""
    return group.enforced and any(
        rule.kind is not rules.RuleKind.FENCE for rule in group.rules)


def unique(groups: Iterable[rules.Group]) -> list[rules.Group]:
    """Each group once, in order."""
    return list({group.id: group for group in groups}.values())
