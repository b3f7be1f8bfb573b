# SPDX-License-Identifier: Apache-2.0
"""Nova's own server groups, read as rules of ours.

Nova enforces them at every placement and move; a repair honours them.
"""

from __future__ import annotations

from collections.abc import Iterable

from aacloud.core import recovery
from aacloud.core import rules

_KINDS = {
    "anti-affinity": (rules.RuleKind.SPREAD, rules.Strength.REQUIRE),
    "soft-anti-affinity": (rules.RuleKind.SPREAD, rules.Strength.PREFER),
    "affinity": (rules.RuleKind.TOGETHER, rules.Strength.REQUIRE),
    "soft-affinity": (rules.RuleKind.TOGETHER, rules.Strength.PREFER),
}


def rules_of(group: recovery.GroupView) -> tuple[rules.Rule, ...]:
    """What a server group of Nova's asks; nothing for an unknown policy."""
    found = _KINDS.get(group.policy)
    if found is None:
        return ()
    kind, strength = found
    most = (
        group.max_per_host if kind is rules.RuleKind.SPREAD
        and strength is rules.Strength.REQUIRE else None)
    return (rules.Rule(
        rules.Level.HOST, kind, strength, max_per_domain=most),)


def as_groups(
    found: Iterable[recovery.GroupView],
) -> tuple[rules.Group, ...]:
    """Nova's groups as groups that are enforced."""
    return tuple(
        rules.Group(
            id=one.id, name=one.id, project_id="",
            mode=rules.GroupMode.ENFORCE, rules=rules_of(one),
            members=frozenset(one.members), revision=0, native=True)
        for one in found if one.members and rules_of(one))


def seen_with(
    servers: Iterable[recovery.ServerView],
) -> tuple[recovery.GroupView, ...]:
    """The groups that the servers were read with, each once."""
    return tuple({
        server.server_group.id: server.server_group
        for server in servers if server.server_group is not None
    }.values())
