# SPDX-License-Identifier: Apache-2.0
"""Which groups are mended together, and in which opening of their window."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import logging

from aacloud.core import groups as core_groups
from aacloud.core import rules
from aacloud.core import windows

LOG = logging.getLogger(__name__)

#: Without a window the limits of a window hold for so long.
A_DAY = datetime.timedelta(hours=24)
#: What a plan's summary says of the opening that the plan was made for.
OPENING = "opening"
#: The same without a window.
ANY = "any"

_NOT_BEGUN = frozenset({
    core_groups.StepState.PENDING.value, core_groups.StepState.SKIPPED.value})


@dataclasses.dataclass(frozen=True, slots=True)
class Season:
    """Groups to be mended together: they have the same window.

    :ivar window: its text; None: at any time
    :ivar since: when the limits of this opening began to count
    :ivar until: when it closes; None: it does not
    """

    groups: tuple[rules.Group, ...]
    window: str | None
    since: datetime.datetime
    until: datetime.datetime | None


def seasons(
    wanted: Iterable[rules.Group],
    usual: str | None,
    now: datetime.datetime,
    *,
    ahead: bool,
) -> Sequence[Season]:
    """The groups by their windows, those that close first before others.

    :param usual: the window of groups without one of their own
    :param ahead: also those whose window is closed, for its next opening
    """
    by_window: dict[str | None, list[rules.Group]] = {}
    for group in wanted:
        by_window.setdefault(group.window or usual or None, []).append(group)
    found = []
    for text, members in by_window.items():
        opening = opening_of(text, now, ahead=ahead)
        if opening is not None:
            found.append(Season(
                tuple(members), text, opening.opens_at,
                None if text is None else opening.closes_at))
    return sorted(found, key=lambda one: (
        one.until is None, one.until or now, one.window or ""))


def opening_of(
    text: str | None, now: datetime.datetime, *, ahead: bool
) -> windows.OpenWindow | None:
    """The opening that is open; None: there is none.

    :param text: of the window; None: it is always open
    :param ahead: or else the next one
    """
    if text is None:
        return windows.OpenWindow(now - A_DAY, now)
    try:
        window = windows.parse_window(text)
    except windows.WindowError as error:
        LOG.warning("Groups are not mended: %s", error)
        return None
    opening = windows.is_open(window, now)
    if opening is None and ahead:
        opening = windows.next_open(window, now)
    return opening


def key(season: Season) -> str:
    """What a plan keeps of the opening that it is for."""
    return ANY if season.window is None else season.since.isoformat()


def tried(plan: core_groups.Plan, season: Season) -> bool:
    """Whether a plan that has ended was a try to mend in this opening.

    One that was made for it was, also when it was given up before. One that
    was made for an earlier opening was when it moved servers in this one.
    """
    if plan.summary.get(OPENING) == key(season) and (
        season.window is not None or plan.created_at >= season.since
    ):
        return True
    return (
        plan.closed_at is not None and plan.closed_at >= season.since
        and bool(set(plan.summary.get("steps") or ()) - _NOT_BEGUN))


def held(
    live: Iterable[core_groups.Plan], window: str | None
) -> dict[str, core_groups.Plan]:
    """Group -> the live plan of this window that mends it."""
    return {
        group: plan for plan in live if plan.window == window
        for group in plan.groups}


def may_mend(
    plan: core_groups.Plan, group: rules.Group, usual: str | None
) -> bool:
    """Whether a plan may still mend a group, by what its owner set since.

    One that is switched off, has another window now, or is no longer mended
    unasked when nobody asked for this plan, is left alone.

    :param usual: the window of groups without one of their own
    """
    return (
        group.mode is not rules.GroupMode.OFF
        and (group.window or usual or None) == plan.window
        and (plan.scope != core_groups.CLOUD_SCOPE
             or group.mode is rules.GroupMode.REPAIR))


def moot(
    plan: core_groups.Plan, known: Mapping[str, rules.Group],
    usual: str | None,
) -> str | None:
    """Why a plan may mend none of its groups any more, or None.

    :param known: the groups of the plan that there are, by id
    """
    if any(may_mend(plan, known[one], usual)
           for one in plan.groups if one in known):
        return None
    lost = [one for one in plan.groups if one not in known]
    if lost:
        return f"no group of it is left to be mended: {lost[0]} is no more"
    return (
        "no group of it is left to be mended: mode or window of "
        f"{plan.groups[0]} were changed" if plan.groups else None)
