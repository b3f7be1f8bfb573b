# SPDX-License-Identifier: Apache-2.0
"""Rules and windows as callers give them, refused before they are stored."""

from collections.abc import Mapping
from collections.abc import Sequence
import datetime
from typing import Any

from aacloud.api import domain_names
from aacloud.api import errors
from aacloud.core import rules
from aacloud.core import topology as core_topology
from aacloud.core import windows

Rules = tuple[rules.Rule, ...]


def parsed(items: Sequence[object], key: str = "rules") -> Rules:
    """Return the rules of a body, each a text or an object.

    :raises errors.BadRequest: one means nothing, or stands twice
    """
    found: list[rules.Rule] = []
    for place, item in enumerate(items):
        try:
            rule = (
                rules.parse_rule(item)
                if isinstance(item, str)
                else rules.rule_from_dict(item)
            )
        except rules.RuleError as problem:
            raise errors.BadRequest(
                f"body: '{key}[{place}]': {problem}"
            ) from None
        if rule in found:
            raise errors.BadRequest(
                f"body: '{key}[{place}]': rule "
                f"'{rules.format_rule(rule)}' stands twice"
            )
        found.append(rule)
    return tuple(found)


def changed(now: Rules, body: Mapping[str, Any]) -> Rules | None:
    """Return the rules that a group is to have, or None: as they are.

    :param now: the rules of the group
    :param body: may have ``rules``, ``add_rules`` and ``remove_rules``
    :raises errors.BadRequest: see :func:`parsed`; or a rule that is to be
        removed is not there
    """
    if not {"rules", "add_rules", "remove_rules"} & set(body):
        return None
    found = list(parsed(body["rules"]) if "rules" in body else now)
    for rule in parsed(body.get("remove_rules", ()), "remove_rules"):
        if rule not in found:
            there = ", ".join(map(rules.format_rule, found)) or "none"
            raise errors.BadRequest(
                f"body: the group has no rule '{rules.format_rule(rule)}' "
                f"that could be removed; it has {there}"
            )
        found.remove(rule)
    for rule in parsed(body.get("add_rules", ()), "add_rules"):
        if rule not in found:
            found.append(rule)
    return tuple(found)


def check(
    wanted: Rules,
    tree: core_topology.Topology,
    members: int,
    *,
    names_known: bool,
) -> None:
    """Refuse rules that no placement keeps, or that name what is not there.

    :param members: how many servers the group has or will have
    :param names_known: whether the caller may know the names of domains
    :raises errors.BadRequest: a domain is unknown
    :raises errors.Conflict: the rules contradict each other
    """
    for unknown in rules.unknown_domains(wanted, tree):
        reason = unknown.reason
        if not names_known:
            reason = (
                f"rule '{rules.format_rule(unknown.rule)}': there is no "
                f"{unknown.rule.level.value} {unknown.name!r}; ask your "
                "operator for the names"
            )
        raise errors.BadRequest(f"body: {reason}")
    said = {name for rule in wanted for name in rule.domains}
    names = domain_names.Names(tree, known=names_known, said=said)
    found = rules.contradictions(wanted, tree, members if members else None)
    if found:
        texts = "; ".join(
            f"{', '.join(map(rules.format_rule, one.rules))}: "
            f"{names.text(one.reason)}; {names.text(one.example)}"
            for one in found
        )
        raise errors.Conflict(
            f"no placement can keep these rules together: {texts}"
        )


def window(text: str | None, now: datetime.datetime) -> str | None:
    """Return a window as it is stored.

    :raises errors.BadRequest: it cannot be read, or never opens
    """
    if text is None:
        return None
    try:
        return windows.parse_window(text, now=now).text
    except windows.WindowError as problem:
        raise errors.BadRequest(f"body: 'window': {problem}") from None


def opening(
    text: str | None, now: datetime.datetime
) -> tuple[datetime.datetime | None, datetime.datetime | None]:
    """Return when a window opened or opens next, and when it closes.

    :param text: as it is stored
    :returns: without an end while it is closed; nothing without a window
    """
    if text is None:
        return None, None
    try:
        found = windows.parse_window(text)
    except windows.WindowError:
        # Stored by a release with another time zone database.
        return None, None
    open_now = windows.is_open(found, now)
    if open_now is not None:
        return open_now.opens_at, open_now.closes_at
    following = windows.next_open(found, now)
    return (None if following is None else following.opens_at), None


def broken(
    group_rules: Rules,
    members: Sequence[str],
    occupancy: rules.Occupancy,
    tree: core_topology.Topology,
) -> Rules:
    """Return the required rules that servers break as they lie."""
    domains = rules.Domains(tree).within(group_rules)
    return tuple(
        rule
        for rule in group_rules
        if rule.strength is rules.Strength.REQUIRE
        and rules.excess(
            rule, rules.count(rule, members, occupancy, domains), domains
        )
    )
