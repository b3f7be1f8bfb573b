# SPDX-License-Identifier: Apache-2.0
"""Repair plans: made, shown, approved and stopped."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from oslo_log import log

from aacloud.api import domain_names
from aacloud.api import engine as api_engine
from aacloud.api import errors
from aacloud.api import group_views
from aacloud.api import operations
from aacloud.api import policies
from aacloud.api import schemas
from aacloud.api import veils
from aacloud.api.schemas import basics
from aacloud.api.v1 import group_base
from aacloud.api.v1 import plan_base
from aacloud.core import groups as core_groups
from aacloud.db import errors as db_errors
from aacloud.db import group_rows
from aacloud.rpc import groups as rpc_groups

LOG = log.getLogger(__name__)

_NOT_THERE = {404: "there is no plan with this id, or it is not yours"}

Command = core_groups.PlanCommand


class Plans(plan_base.Resource):
    """All plans."""

    path = "/v1/plans"

    @operations.operation(
        name="list_plans",
        summary="List repair plans",
        description=(
            "Lists repair plans, the newest first: operators see all, others "
            "those whose groups are all their project's."
        ),
        tag="plans",
        policy=policies.plans.LIST,
        query={
            "group_id": {
                **basics.UUID,
                "description": "only plans for this group alone",
            },
            "state": schemas.plans.STATE,
            "open": {
                "type": "boolean",
                "description": "true: only open ones; false: only closed",
            },
            "limit": group_base.LIMIT,
            "marker": group_base.marker("plan"),
        },
        response="PlanList",
        since=group_base.SINCE,
    )
    def on_get(self, call: operations.Call) -> dict[str, Any]:
        """Return a page of plans."""
        limit = self.limit(call)
        everything = self.services.policy.allows(
            call.caller, policies.groups.LIST_ALL
        )
        known: plan_base.Known = {}

        def seen(plan: core_groups.Plan) -> bool:
            return everything or self.may_plan(
                call.caller, policies.plans.SHOW, self.owner(plan, known)
            )

        try:
            found = self._seen(call, limit + 1, seen)
        except db_errors.NotFound as problem:
            raise errors.BadRequest(
                "query 'marker': there is no plan "
                f"{errors.echo(problem.name)}"
            ) from None
        page = found[:limit]
        if everything:
            veil = veils.Veil(self.names(call, None))
            shown = [group_views.plan(plan, veil) for plan in page]
        else:
            shown = self._veiled(call, page, known)
        return {
            "plans": shown,
            "plans_links": self.links(
                call, self.path, page[-1].id if len(found) > limit else None
            ),
        }

    def _seen(
        self,
        call: operations.Call,
        wanted: int,
        seen: Callable[[core_groups.Plan], bool],
    ) -> list[core_groups.Plan]:
        """Return so many plans that the caller may see, if there are.

        :raises db_errors.NotFound: there is no such marker, or it may not
            be seen
        """
        query = call.query
        state, marker = query.get("state"), query.get("marker")
        if marker is not None and not seen(self.services.plans.get(marker)):
            raise db_errors.NotFound("plan", marker)
        found: list[core_groups.Plan] = []
        at_once = wanted
        while len(found) < wanted:
            some = self.services.plans.list(
                scope=query.get("group_id"),
                states=[core_groups.PlanState(state)] if state else (),
                is_open=query.get("open"),
                limit=at_once,
                marker=marker,
            )
            found += filter(seen, some)
            if len(some) < at_once:
                break
            # Somebody else's are many: look further.
            marker, at_once = some[-1].id, max(wanted, 200)
        return found

    def _veiled(
        self,
        call: operations.Call,
        page: Sequence[core_groups.Plan],
        known: plan_base.Known,
    ) -> list[dict[str, Any]]:
        """Return plans as one sees them who may not see all."""
        names: dict[str | None, domain_names.Names] = {}
        groups: dict[str | None, Sequence[group_rows.GroupRecord]] = {}
        shown = []
        for plan in page:
            owner = self.owner(plan, known)
            if owner not in groups:
                groups[owner] = self.services.groups.list(project_id=owner)
                names[owner] = self.names(call, owner)
            steps = self.services.plans.steps(plan.id)
            veil = self.seen(
                call, plan, owner, steps, names[owner], groups[owner]
            )
            shown.append(group_views.plan(plan, veil))
        return shown

    @operations.operation(
        name="create_plan",
        summary="Make a repair plan",
        description=(
            "Lets the engine calculate the fewest moves that mend a group, "
            "or all groups together. With ``dry_run``, as it is unless said "
            "otherwise, the plan is kept as a draft; approving it makes it "
            "real. A draft takes the place of the one that the same user "
            "made before for the same group, and dry runs are made one at a "
            "time for a project. Else it waits for approval where the "
            "configuration wants one. No move begins outside the window of "
            "its group: of all groups together, those of one window are "
            "mended at a time, and a dry run over several windows is only "
            "shown, without an id."
        ),
        tag="plans",
        policy=policies.plans.PREVIEW,
        body="PlanRequest",
        status=201,
        response="PlanMade",
        refusals={
            **group_base.NOT_THERE,
            409: "a plan for it is under way, a dry run is being made for "
            "the project, or the engine refuses it",
            503: "no engine of server groups answers; try again later",
        },
        since=group_base.SINCE,
    )
    def on_post(self, call: operations.Call) -> dict[str, Any]:
        """Ask the engine for a plan and return it."""
        group_id = call.body.get("group_id")
        dry_run = call.body.get("dry_run", True)
        rule = policies.plans.PREVIEW if dry_run else policies.plans.CREATE
        if group_id is None:
            self.services.policy.authorize(
                call.caller, policies.groups.LIST_ALL
            )
            self.services.policy.authorize(call.caller, policies.plans.CREATE)
            owner, names = None, self.names(call, None)
        else:
            record = self.found(call, group_id, rule)
            owner = record.group.project_id
            names = self.names(call, owner, record.group.rules)
        try:
            plan = self.services.engine.client.repair(
                group_id,
                dry_run=dry_run,
                by=call.caller.who,
                project_id=call.caller.project_id,
            )
        except rpc_groups.EngineUnavailable as problem:
            raise api_engine.unavailable(
                problem,
                "so there is no plan; see that aacloud-groups runs, and try "
                "again",
            ) from problem
        except rpc_groups.EngineRefused as problem:
            raise errors.Conflict(names.text(str(problem))) from problem
        LOG.info(
            "Repair plan %s of %s, %d moves, was asked for by %s",
            plan.id,
            group_id or "all groups",
            len(plan.steps),
            call.caller.who,
        )
        return {"plan": self.preview(call, plan, names, group_id, owner)}


class Plan(plan_base.Resource):
    """One plan."""

    path = "/v1/plans/{plan_id}"

    @operations.operation(
        name="show_plan",
        summary="Show a repair plan",
        description=(
            "Shows a plan with its steps: which server moves where, after "
            "which other steps, how far it has come, and why."
        ),
        tag="plans",
        policy=policies.plans.SHOW,
        response="PlanAnswer",
        refusals=_NOT_THERE,
        since=group_base.SINCE,
    )
    def on_get(self, call: operations.Call, plan_id: str) -> dict[str, Any]:
        """Return the plan and its steps."""
        return self.whole(call, plan_id, policies.plans.SHOW)


class Events(plan_base.Resource):
    """The story of a plan."""

    path = "/v1/plans/{plan_id}/events"

    @operations.operation(
        name="list_plan_events",
        summary="List the events of a repair plan",
        description=(
            "Lists what happened, the oldest first. Ask again with "
            "``since`` set to the last id to follow a plan."
        ),
        tag="plans",
        policy=policies.plans.SHOW,
        query={
            "since": {
                "type": "integer",
                "minimum": 0,
                "description": "only events after the one with this id",
            },
            "limit": group_base.LIMIT,
        },
        response="EventList",
        refusals=_NOT_THERE,
        since=group_base.SINCE,
    )
    def on_get(self, call: operations.Call, plan_id: str) -> dict[str, Any]:
        """Return a page of events."""
        plan, owner = self.plan(call, plan_id, policies.plans.SHOW)
        veil = self.seen(
            call, plan, owner, self.services.plans.steps(plan_id)
        )
        found = self.services.plans.events(
            plan_id,
            since_id=call.query.get("since", 0),
            limit=self.limit(call),
        )
        return {"events": [group_views.event(one, veil) for one in found]}


class _Command(plan_base.Resource):
    """Something that is asked of a plan."""

    def ask(
        self,
        call: operations.Call,
        plan_id: str,
        command: Command,
        rule: str,
    ) -> dict[str, Any]:
        """Write the command down and return the plan.

        :raises errors.Conflict: it has gone too far for the command
        """
        self.plan(call, plan_id, rule)
        by, reason = call.caller.who, call.body["reason"]
        try:
            self.services.plans.order(plan_id, command, by=by, reason=reason)
        except db_errors.NotFound:
            raise plan_base.absent(plan_id) from None
        except db_errors.CommandRefused as problem:
            raise errors.Conflict(str(problem)) from None
        LOG.warning(
            "Plan %s: %s was asked by %s: %s",
            plan_id,
            command.value,
            by,
            reason,
        )
        return self.whole(call, plan_id, rule)


def _declared(word: str, rule: str, summary: str, description: str) -> Any:
    return operations.operation(
        name=f"{word}_plan",
        summary=summary,
        description=description,
        tag="plans",
        policy=rule,
        body="CommandRequest",
        status=202,
        response="PlanAnswer",
        refusals={**_NOT_THERE, 409: "the plan has gone too far for it"},
        since=group_base.SINCE,
    )


class Approve(_Command):
    """The word that a plan may begin."""

    path = "/v1/plans/{plan_id}/approve"

    @_declared(
        "approve",
        policies.plans.APPROVE,
        "Approve a repair plan",
        "Lets the moves of a plan begin, a draft's too: in its window, each "
        "checked again right before it starts.",
    )
    def on_post(self, call: operations.Call, plan_id: str) -> dict[str, Any]:
        """Write the approval down for the engine."""
        return self.ask(
            call, plan_id, Command.APPROVE, policies.plans.APPROVE
        )


class Pause(_Command):
    """The word that no more moves begin."""

    path = "/v1/plans/{plan_id}/pause"

    @_declared(
        "pause",
        policies.plans.PAUSE,
        "Pause a repair plan",
        "Lets no further move of a plan begin. Those under way are followed "
        "to their end. A plan that was made for all groups is paused by an "
        "administrator.",
    )
    def on_post(self, call: operations.Call, plan_id: str) -> dict[str, Any]:
        """Write the wish down for the engine."""
        return self.ask(call, plan_id, Command.PAUSE, policies.plans.PAUSE)


class Resume(_Command):
    """The word that moves begin again."""

    path = "/v1/plans/{plan_id}/resume"

    @_declared(
        "resume",
        policies.plans.RESUME,
        "Resume a repair plan",
        "Lets the moves of a plan that was paused begin again.",
    )
    def on_post(self, call: operations.Call, plan_id: str) -> dict[str, Any]:
        """Write the wish down for the engine."""
        return self.ask(call, plan_id, Command.RESUME, policies.plans.RESUME)


class Stop(_Command):
    """The word that a plan be given up."""

    path = "/v1/plans/{plan_id}/stop"

    @_declared(
        "stop",
        policies.plans.STOP,
        "Stop a repair plan",
        "Gives a plan up. Moves under way are followed to their end, the "
        "others are left out; what was moved stays where it is.",
    )
    def on_post(self, call: operations.Call, plan_id: str) -> dict[str, Any]:
        """Write the wish down for the engine."""
        return self.ask(call, plan_id, Command.STOP, policies.plans.STOP)
