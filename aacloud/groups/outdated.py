# SPDX-License-Identifier: Apache-2.0
"""What of a plan is of no use any more: to nobody, or not as it is."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence

from aacloud.core import groups as core_groups
from aacloud.core import rules
from aacloud.core import usefulness
from aacloud.groups import seasons

#: Nova was asked for these, or is about to be.
_BEGUN = core_groups.STEPS_IN_FLIGHT | {core_groups.StepState.CLAIMED}


def needed_steps(
    plan: core_groups.Plan,
    steps: Sequence[core_groups.PlanStep],
    known: Mapping[str, rules.Group],
    occupancy: rules.Occupancy,
    domains: rules.Domains,
    usual: str | None,
) -> Sequence[core_groups.PlanStep]:
    """The steps that are under way, or that the plan is still to make.

    :param known: all groups
    :param occupancy: where their members are, and the servers of the steps
    :param usual: the window of groups without one of their own
    """
    begun = [step for step in steps if step.state in _BEGUN]
    left = [
        step for step in steps
        if step.state not in _BEGUN | core_groups.SETTLED_STEPS]
    useful = usefulness.useful_steps(
        left,
        [known[one] for one in plan.groups
         if one in known and seasons.may_mend(plan, known[one], usual)],
        usefulness.landed(occupancy, begun), domains)
    return [*begun, *(step for step in left if step.number in useful)]


def changed(
    plan: core_groups.Plan,
    steps: Collection[core_groups.PlanStep],
    known: Mapping[str, rules.Group],
    occupancy: rules.Occupancy,
    domains: rules.Domains,
) -> str | None:
    """Why a plan that was not begun is no good one for its groups as they
    are now, or None.

    Only groups that were changed since it was made are looked at. It is a
    good one for them when each step mends something, and all together mend
    what can be mended but for what the plan said that it leaves.

    :param known: the groups of the plan among others
    :param occupancy: where their members are, and the servers of the steps
    """
    groups = [known[one] for one in plan.groups]
    new = [one for one in groups if one.revision > plan.revision]
    if not new:
        return None
    names = ", ".join(sorted(one.id for one in new)[:3])
    useful = usefulness.useful_steps(steps, groups, occupancy, domains)
    idle = [step for step in steps if step.number not in useful]
    if idle:
        return (
            f"group {names} was changed, and moving {idle[0].name} helps "
            "nothing any more")
    left = {
        (one.get("group_id"), one.get("rule"))
        for one in plan.summary.get("left") or ()}
    after = usefulness.landed(
        occupancy, sorted(steps, key=lambda step: step.number))
    for group in new:
        narrowed = domains.within(group.rules)
        for rule in group.rules:
            text = rules.format_rule(rule)
            if rule.required and (group.id, text) not in left and rules.mend(
                rule, rules.count(rule, group.members, after, narrowed),
                narrowed,
            ).moves:
                return (
                    f"group {group.id} was changed, and {text} is not kept "
                    "after it")
    return None
