# SPDX-License-Identifier: Apache-2.0
"""HA server groups: inspected, imported, and how many there may be."""

from typing import Any

from oslo_log import log

from aacloud.api import engine as api_engine
from aacloud.api import errors
from aacloud.api import group_views
from aacloud.api import operations
from aacloud.api import policies
from aacloud.api.v1 import group_base
from aacloud.api.v1 import joining
from aacloud.core import rules as core_rules
from aacloud.db import errors as db_errors
from aacloud.rpc import group_messages
from aacloud.rpc import groups as rpc_groups

LOG = log.getLogger(__name__)

_NO_ENGINE = "no engine of server groups answers; try again later"


class Inspection(group_base.Resource):
    """A look at a group now."""

    path = "/v1/groups/{group_id}/inspect"

    @operations.operation(
        name="inspect_group",
        summary="Inspect an HA server group now",
        description=(
            "Lets the engine look in Nova where the members are, and returns "
            "the group with what it found: for each rule the members in each "
            "domain, the limit, how many are too many, the least number of "
            "moves that would mend it, and why it cannot be mended: no room, "
            "a pinned zone, members that cannot be moved, another rule. For "
            "that a plan is looked for, for some seconds at most, which "
            "moves members of groups only; a repair may also let other "
            "servers make way. Nothing is moved."
        ),
        tag="groups",
        policy=policies.groups.INSPECT,
        response="GroupAnswer",
        refusals={**group_base.NOT_THERE, 503: _NO_ENGINE},
        since=group_base.SINCE,
    )
    def on_post(
        self, call: operations.Call, group_id: str
    ) -> dict[str, Any]:
        """Ask the engine and return the group."""
        record = self.found(call, group_id, policies.groups.INSPECT)
        try:
            found = self.services.engine.client.inspect([group_id])
        except (
            rpc_groups.EngineUnavailable,
            rpc_groups.EngineRefused,
        ) as problem:
            raise api_engine.unavailable(
                rpc_groups.EngineUnavailable(str(problem)),
                "what it found last is in 'openstack ha group show'; see "
                "that aacloud-groups runs, and try again",
            ) from problem
        if group_id not in found:
            raise errors.Unavailable(
                f"the engine does not know group {group_id} yet; try again"
            )
        return self.detail(call, record, fresh=found[group_id])


class Import(joining.Resource):
    """Nova's own server groups."""

    path = "/v1/groups/import"

    @operations.operation(
        name="import_groups",
        summary="Make groups of Nova's server groups",
        description=(
            "Makes an HA server group of one of Nova's own server groups, or "
            "of each that the caller may manage. Nova goes on to enforce its "
            "group; the new one adds what Nova has not: rules at rack and "
            "data centre, joins of running servers, reports and repair. What "
            "was imported before is left alone. A name of Nova's that no hint "
            "can have is changed: commas become semicolons, blanks at the "
            "ends go."
        ),
        tag="groups",
        policy=policies.groups.IMPORT,
        body="ImportRequest",
        response="ImportAnswer",
        refusals={
            404: "Nova has no such server group for this project",
            503: _NO_ENGINE,
        },
        since=group_base.SINCE,
    )
    def on_post(self, call: operations.Call) -> dict[str, Any]:
        """Store the groups and return what became of each."""
        wanted = call.body.get("native_id")
        try:
            every = self.services.engine.client.import_native(wanted)
        except (
            rpc_groups.EngineUnavailable,
            rpc_groups.EngineRefused,
        ) as problem:
            raise api_engine.unavailable(
                rpc_groups.EngineUnavailable(str(problem)),
                "so nothing was imported; see that aacloud-groups runs, and "
                "try again",
            ) from problem
        found = [
            one
            for one in every
            if self.may(call.caller, policies.groups.IMPORT, one.project_id)
        ]
        if wanted is not None and not found:
            raise errors.NotFound(
                f"Nova has no server group {errors.echo(wanted)} in your "
                "project; 'openstack server group list' names those that "
                "there are"
            )
        mode = core_rules.GroupMode(
            call.body.get("mode", core_rules.GroupMode.REPORT.value)
        )
        dry_run = call.body.get("dry_run", False)
        return {
            "native_groups": [
                self._imported(call, one, mode, dry_run=dry_run)
                for one in sorted(found, key=lambda one: (one.name, one.id))
            ]
        }

    def _imported(
        self,
        call: operations.Call,
        native: group_messages.NativeGroup,
        mode: core_rules.GroupMode,
        *,
        dry_run: bool,
    ) -> dict[str, Any]:
        before = self.services.groups.imported(native.id)
        if before is not None:
            return group_views.native(
                native, before.id, "it was imported before"
            )
        if dry_run:
            return group_views.native(
                native, None, "it would be imported; this is a dry run"
            )
        name = _hintable(native)
        try:
            record = self.services.groups.create(
                name,
                native.project_id,
                by=call.caller.who,
                mode=mode,
                rules=native.rules,
                members=dict.fromkeys(native.members, native.project_id),
                imported_from=native.id,
            )
        except (db_errors.Duplicate, db_errors.QuotaExceeded) as problem:
            return group_views.native(native, None, str(problem))
        LOG.info(
            "Group %s (%s) was made of Nova's server group %s, by %s",
            record.id,
            name,
            native.id,
            call.caller.who,
        )
        self.services.engine.announce(record.group.revision)
        return group_views.native(
            native,
            record.id,
            None
            if name == native.name
            else f"it is named {errors.echo(name)} here, so that a hint can "
            "name it",
        )


def _hintable(native: group_messages.NativeGroup) -> str:
    """Return a name for a group of Nova's that a hint can have.

    Nova allows commas; names of groups that are older than its present
    rules may have blanks at their ends.
    """
    return native.name.replace(",", ";").strip() or native.id


class Quota(group_base.Resource):
    """What a project may have."""

    path = "/v1/quotas/{project_id}"

    @operations.operation(
        name="show_quota",
        summary="Show the quota of a project",
        description=(
            "Shows how many HA server groups, and how many members of all "
            "its groups together, a project may have and has."
        ),
        tag="groups",
        policy=policies.groups.SHOW_QUOTA,
        response="QuotaAnswer",
        since=group_base.SINCE,
    )
    def on_get(self, call: operations.Call, project_id: str) -> dict[str, Any]:
        """Return the quota."""
        self.services.policy.authorize(
            call.caller, policies.groups.SHOW_QUOTA, project_id
        )
        use = self.services.quotas.get(project_id)
        return {"quota": group_views.quota(use)}

    @operations.operation(
        name="set_quota",
        summary="Set the quota of a project",
        description=(
            "Sets how many groups and members a project may have: -1 is any "
            "number, null is the default of the configuration. What is there "
            "already stays."
        ),
        tag="groups",
        policy=policies.groups.SET_QUOTA,
        body="QuotaRequest",
        response="QuotaAnswer",
        since=group_base.SINCE,
    )
    def on_put(self, call: operations.Call, project_id: str) -> dict[str, Any]:
        """Store the quota and return it."""
        if len(project_id) > _PROJECT_LENGTH or not project_id.isprintable():
            raise errors.BadRequest(
                f"{errors.echo(project_id)} is not the id of a project"
            )
        self.services.policy.authorize(
            call.caller, policies.groups.SET_QUOTA, project_id
        )
        use = self.services.quotas.set(
            project_id,
            groups=call.body["groups"],
            members=call.body["members"],
            by=call.caller.who,
        )
        LOG.info(
            "The quota of project %s was set to %s by %s",
            project_id,
            use.limit,
            call.caller.who,
        )
        return {"quota": group_views.quota(use)}


#: Characters; that is what the database holds.
_PROJECT_LENGTH = 255
