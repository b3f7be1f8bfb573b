# SPDX-License-Identifier: Apache-2.0
"""HA server groups: made, shown, changed and deleted."""

from typing import Any

from oslo_log import log

from aacloud.api import errors
from aacloud.api import group_rules
from aacloud.api import operations
from aacloud.api import policies
from aacloud.api import schemas
from aacloud.api.schemas import basics
from aacloud.api.v1 import group_base
from aacloud.api.v1 import joining
from aacloud.core import rules as core_rules
from aacloud.db import errors as db_errors

LOG = log.getLogger(__name__)

_REFUSED = {
    400: "a rule, a window or a server is wrong; nothing was stored",
    409: (
        "the rules contradict each other, the name is taken, the quota is "
        "used up, or it was changed meanwhile; nothing was stored"
    ),
}


class Groups(joining.Resource):
    """All groups."""

    path = "/v1/groups"

    @operations.operation(
        name="list_groups",
        summary="List HA server groups",
        description=(
            "Lists the groups of the own project in the order of their "
            "names, with how each was found last. Operators may list those "
            "of all projects."
        ),
        tag="groups",
        policy=policies.groups.LIST,
        query={
            "name": basics.text("only the group with this name"),
            "project_id": basics.text("the groups of this project"),
            "all_projects": {
                "type": "boolean",
                "description": "the groups of all projects",
            },
            "server_id": {
                **basics.UUID,
                "description": "only groups that this server is in",
            },
            "mode": schemas.groups.MODE,
            "state": schemas.groups.STATE,
            "limit": group_base.LIMIT,
            "marker": group_base.marker("group"),
        },
        response="GroupList",
        since=group_base.SINCE,
    )
    def on_get(self, call: operations.Call) -> dict[str, Any]:
        """Return a page of groups."""
        query = call.query
        limit = self.limit(call)
        mode = query.get("mode")
        try:
            # One more than asked for tells whether there is a next page.
            found = self.services.groups.list(
                project_id=self._project(call),
                name=query.get("name"),
                mode=core_rules.GroupMode(mode) if mode else None,
                server=query.get("server_id"),
                limit=limit + 1,
                marker=query.get("marker"),
            )
        except db_errors.NotFound as problem:
            raise errors.BadRequest(
                "query 'marker': there is no group "
                f"{errors.echo(problem.name)}"
            ) from None
        page = found[:limit]
        shown = self.groups_json(page)
        if "state" in query:
            shown = [one for one in shown if one["state"] == query["state"]]
        return {
            "groups": shown,
            "groups_links": self.links(
                call, self.path, page[-1].id if len(found) > limit else None
            ),
        }

    def _project(self, call: operations.Call) -> str | None:
        """Return the project whose groups are wanted; None: of all."""
        wanted = call.query.get("project_id")
        own = call.caller.project_id
        everywhere = call.query.get("all_projects", False)
        if everywhere and wanted is not None:
            raise errors.BadRequest(
                "query: 'project_id' and 'all_projects' exclude each other"
            )
        if wanted is None and own is None:
            # A token of the system has no project of its own.
            everywhere = True
        if everywhere or wanted not in (None, own):
            self.services.policy.authorize(
                call.caller, policies.groups.LIST_ALL
            )
        return None if everywhere else wanted or own

    @operations.operation(
        name="create_group",
        summary="Create an HA server group",
        description=(
            "Makes a group, with servers when some are named. Rules that no "
            "placement can keep together are refused with an example. The "
            "servers stay where they are: the answer says how the group "
            "stands and which moves would mend it."
        ),
        tag="groups",
        policy=policies.groups.CREATE,
        body="GroupCreateRequest",
        status=201,
        response="JoinAnswer",
        refusals={**_REFUSED, 503: joining.NOT_VERIFIED},
        since=group_base.SINCE,
    )
    def on_post(self, call: operations.Call) -> dict[str, Any]:
        """Store the group and return how it stands."""
        body = call.body
        project_id = body.get("project_id") or call.caller.project_id
        if not project_id:
            raise errors.BadRequest(
                "body: lacks 'project_id'; your token is of no project"
            )
        self.services.policy.authorize(
            call.caller, policies.groups.CREATE, project_id
        )
        wanted = group_rules.parsed(body.get("rules", ()))
        window = group_rules.window(body.get("window"), group_base.utcnow())
        facts = self.verified(call, project_id, body.get("servers", ()))
        tree = self.domains().topology
        names = self.names(call, project_id, wanted, tree)
        group_rules.check(
            wanted, tree, len(facts), names_known=names.known
        )
        mode = core_rules.GroupMode(
            body.get("mode", core_rules.GroupMode.ENFORCE.value)
        )
        if body.get("strict") and mode is not core_rules.GroupMode.OFF:
            self.refuse_broken(wanted, facts, tree, names)
        try:
            record = self.services.groups.create(
                body["name"],
                project_id,
                by=call.caller.who,
                mode=mode,
                rules=wanted,
                window=window,
                members={
                    server: known.project_id
                    for server, known in facts.items()
                },
                admin=self.may_join_foreign(call, project_id),
            )
        except db_errors.Duplicate as problem:
            raise group_base.refused(problem) from None
        except db_errors.QuotaExceeded as problem:
            raise group_base.refused(problem) from None
        LOG.info(
            "Group %s (%s) of project %s was made by %s",
            record.id,
            record.group.name,
            project_id,
            call.caller.who,
        )
        return self.joined(
            call, record, added=sorted(facts), already=(), looked=None
        )


class Group(group_base.Resource):
    """One group."""

    path = "/v1/groups/{group_id}"

    @operations.operation(
        name="show_group",
        summary="Show an HA server group",
        description=(
            "Shows a group: its rules, its members with the hosts, racks and "
            "data centres they were seen in, and its newest inspection. It "
            "is read from the database: the times in it tell how old it is."
        ),
        tag="groups",
        policy=policies.groups.SHOW,
        response="GroupAnswer",
        refusals=group_base.NOT_THERE,
        since=group_base.SINCE,
    )
    def on_get(self, call: operations.Call, group_id: str) -> dict[str, Any]:
        """Return the group."""
        return self.detail(
            call, self.found(call, group_id, policies.groups.SHOW)
        )

    @operations.operation(
        name="update_group",
        summary="Change an HA server group",
        description=(
            "Changes what is given and leaves the rest as it is; a window "
            "that is null is removed. Rules are checked as when a group is "
            "made. No server is moved by this; with the mode ``repair`` the "
            "engine mends the group in its window."
        ),
        tag="groups",
        policy=policies.groups.UPDATE,
        body="GroupUpdateRequest",
        response="GroupChanged",
        refusals={**_REFUSED, **group_base.NOT_THERE},
        since=group_base.SINCE,
    )
    def on_patch(
        self, call: operations.Call, group_id: str
    ) -> dict[str, Any]:
        """Store the changes and return the group."""
        body = call.body
        record = self.found(call, group_id, policies.groups.UPDATE)
        changes: dict[str, Any] = {
            key: body[key] for key in ("name",) if key in body
        }
        if "mode" in body:
            changes["mode"] = core_rules.GroupMode(body["mode"])
        if "window" in body:
            changes["window"] = group_rules.window(
                body["window"], group_base.utcnow()
            )
        version = body.get("version")
        wanted = group_rules.changed(record.group.rules, body)
        if wanted is not None:
            names = self.names(call, record.group.project_id, wanted)
            group_rules.check(
                wanted,
                self.domains().topology,
                len(record.members),
                names_known=names.known,
            )
            changes["rules"] = wanted
            if "rules" not in body and version is None:
                # They were made of the rules that were read here.
                version = record.version
        try:
            updated = self.services.groups.update(
                group_id, by=call.caller.who, version=version, **changes
            )
        except (db_errors.StaleVersion, db_errors.Duplicate) as problem:
            raise group_base.refused(problem) from None
        except db_errors.NotFound as problem:
            raise group_base.absent(problem.name) from None
        return {
            "group": self.group_json(updated),
            "waited": self.waited(
                call, updated.group.revision, wait=body.get("wait", False)
            ),
        }

    @operations.operation(
        name="delete_group",
        summary="Delete an HA server group",
        description=(
            "Deletes a group. Its servers stay where they are, and no rule "
            "of it holds any more. A repair plan for it is given up by the "
            "engine before its next move."
        ),
        tag="groups",
        policy=policies.groups.DELETE,
        status=204,
        refusals=group_base.NOT_THERE,
        since=group_base.SINCE,
    )
    def on_delete(self, call: operations.Call, group_id: str) -> None:
        """Delete the group."""
        record = self.found(call, group_id, policies.groups.DELETE)
        try:
            revision = self.services.groups.delete(
                group_id, by=call.caller.who
            )
        except db_errors.NotFound as problem:
            raise group_base.absent(problem.name) from None
        LOG.info(
            "Group %s (%s) was deleted by %s",
            group_id,
            record.group.name,
            call.caller.who,
        )
        self.services.engine.announce(revision)


