# SPDX-License-Identifier: Apache-2.0
"""Trees of domains, drawn with lines."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import TextIO

JSON = dict[str, Any]

#: (a branch with more below it, the last branch, a line, nothing)
DRAWN = ("├─ ", "└─ ", "│  ", "   ")
PLAIN = ("|- ", "`- ", "|  ", "   ")


def strokes(stream: TextIO) -> Sequence[str]:
    """Return the strokes that the stream can show."""
    encoding: str | None = getattr(stream, "encoding", None)
    try:
        "".join(DRAWN).encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return DRAWN


def branches(
    items: Sequence[Any], drawn: Sequence[str]
) -> Iterator[tuple[Any, str, str]]:
    """Return each item with the stroke before it and before its own.

    :param drawn: see ``DRAWN``
    """
    branch, last, line, nothing = drawn
    for number, item in enumerate(items, start=1):
        if number == len(items):
            yield item, last, nothing
        else:
            yield item, branch, line


NOWHERE = "on no host, or it is not known where"


def members(found: Sequence[JSON], drawn: Sequence[str]) -> Iterator[str]:
    """Draw the members of a group by data centre, rack and host.

    A server that is being moved stands at both ends.

    :param found: members as the API tells of them
    """
    tree: dict[str, dict[str, dict[str, list[str]]]] = {}
    lost: list[str] = []
    for member in found:
        name = member["name"] or member["id"]
        if member["name"]:
            name = f"{member['name']} ({member['id']})"
        if len(member["hosts"]) > 1:
            name += ", being moved"
        if not member["hosts"]:
            lost.append(name)
        for place in member["hosts"]:
            dc = place["dc"] or "no data centre"
            rack = place["rack"] or "no rack"
            racks = tree.setdefault(dc, {})
            hosts = racks.setdefault(rack, {})
            hosts.setdefault(place["host"], []).append(name)
    roots = sorted(tree) + ([NOWHERE] if lost else [])
    for root, stroke, line in branches(roots, drawn):
        if root == NOWHERE:
            yield f"{stroke}{root}"
            for name, inner, _ in branches(sorted(lost), drawn):
                yield f"{line}{inner}{name}"
            continue
        yield f"{stroke}{root}: {_count(tree[root])}"
        yield from _racks(tree[root], drawn, line)


def _count(racks: dict[str, dict[str, list[str]]]) -> int:
    return sum(
        len(names) for hosts in racks.values() for names in hosts.values()
    )


def _racks(
    racks: dict[str, dict[str, list[str]]], drawn: Sequence[str], before: str
) -> Iterator[str]:
    for rack, stroke, line in branches(sorted(racks), drawn):
        hosts = racks[rack]
        number = sum(len(names) for names in hosts.values())
        yield f"{before}{stroke}{rack}: {number}"
        for host, inner, rest in branches(sorted(hosts), drawn):
            yield f"{before}{line}{inner}{host}: {len(hosts[host])}"
            for name, leaf, _ in branches(sorted(hosts[host]), drawn):
                yield f"{before}{line}{rest}{leaf}{name}"
