# SPDX-License-Identifier: Apache-2.0
"""What the resources of repair plans have in common."""

from collections.abc import Sequence
from typing import Any

from aacloud.api import context
from aacloud.api import domain_names
from aacloud.api import errors
from aacloud.api import group_views
from aacloud.api import operations
from aacloud.api import policies
from aacloud.api import veils
from aacloud.api.v1 import group_base
from aacloud.core import groups as core_groups
from aacloud.db import errors as db_errors
from aacloud.db import group_rows

_HINT = "'openstack ha plan list' names those that there are"

#: Groups that were looked up; None: they are no more.
Known = dict[str, group_rows.GroupRecord | None]


class Resource(group_base.Resource):
    """What has to do with plans."""

    def owner(
        self,
        plan: core_groups.Plan,
        known: Known | None = None,
    ) -> str | None:
        """Return the project that all groups of a plan belong to.

        None when there are several, or a group is no more: then the plan is
        the operators'.

        :param known: the groups that were looked up before
        """
        known = {} if known is None else known
        ids = set(plan.groups)
        if plan.scope != core_groups.CLOUD_SCOPE:
            ids.add(plan.scope)
        for group_id in ids - set(known):
            try:
                known[group_id] = self.services.groups.get(group_id)
            except db_errors.NotFound:
                known[group_id] = None
        owners = {
            None if record is None else record.group.project_id
            for record in (known[group_id] for group_id in ids)
        }
        return owners.pop() if len(owners) == 1 else None

    def may_plan(
        self, caller: context.RequestContext, rule: str, owner: str | None
    ) -> bool:
        """Return whether a caller may do something with a plan.

        :param owner: see :meth:`owner`
        """
        if owner is None:
            return self.services.policy.allows(
                caller, policies.groups.LIST_ALL
            ) and self.services.policy.allows(caller, rule)
        return self.may(caller, rule, owner)

    def plan(
        self,
        call: operations.Call,
        plan_id: str,
        rule: str,
        known: Known | None = None,
    ) -> tuple[core_groups.Plan, str | None]:
        """Return a plan of which the caller may do what ``rule`` means.

        :param known: takes up the groups that are looked up
        :returns: and its :meth:`owner`
        :raises errors.NotFound: there is none, or none that may be seen
        :raises errors.Forbidden: it may be seen, and no more
        """
        try:
            found = self.services.plans.get(plan_id)
        except db_errors.NotFound:
            raise absent(plan_id) from None
        owner = self.owner(found, known)
        if not self.may_plan(call.caller, policies.plans.SHOW, owner):
            raise absent(plan_id)
        whole = (
            rule == policies.plans.PAUSE
            and found.scope == core_groups.CLOUD_SCOPE
        )
        if not self.may_plan(call.caller, rule, None if whole else owner):
            self.services.policy.authorize(call.caller, rule, owner)
            raise errors.Forbidden(
                f"plan {plan_id} was made for the whole cloud (policy {rule}"
                "): ask an administrator, or stop it"
                if whole and owner is not None
                else f"plan {plan_id} mends groups of several projects: ask "
                "an administrator"
            )
        return found, owner

    def seen(
        self,
        call: operations.Call,
        plan: core_groups.Plan,
        owner: str | None,
        steps: Sequence[core_groups.PlanStep],
        names: domain_names.Names | None = None,
        groups: Sequence[group_rows.GroupRecord] | None = None,
    ) -> veils.Veil:
        """Return how the caller is shown a plan.

        :param owner: see :meth:`owner`
        :param names: how the caller is shown the domains, when known
        :param groups: all of the owner, when they were read before
        """
        return self.veil(
            call,
            names or self.names(call, owner),
            owner,
            steps,
            plans=(plan.id, plan.replan_of),
            groups=groups,
        )

    def whole(
        self, call: operations.Call, plan_id: str, rule: str
    ) -> dict[str, Any]:
        """Return a plan of which the caller may do this, with its steps.

        :raises errors.APIError: see :meth:`plan`
        """
        known: Known = {}
        plan, owner = self.plan(call, plan_id, rule, known)
        steps = self.services.plans.steps(plan_id)
        veil = self.seen(call, plan, owner, steps)
        members = {
            group_id: frozenset(one.server for one in record.members)
            for group_id in plan.groups
            if (record := known.get(group_id)) is not None
        }
        return {
            "plan": group_views.plan(plan, veil),
            "steps": [
                group_views.step(
                    step,
                    veil,
                    [one for one in members if step.server in members[one]],
                )
                for step in steps
            ],
        }


def absent(plan_id: str) -> errors.NotFound:
    """Return the refusal of a plan that is not there for the caller."""
    return errors.NotFound(
        f"there is no repair plan {errors.echo(plan_id)}; {_HINT}"
    )
