# SPDX-License-Identifier: Apache-2.0
"""Servers that join and leave HA server groups."""

import re
from typing import Any

from oslo_log import log

from aacloud.api import engine as api_engine
from aacloud.api import errors
from aacloud.api import operations
from aacloud.api import policies
from aacloud.api.schemas import basics
from aacloud.api.v1 import group_base
from aacloud.api.v1 import joining
from aacloud.core import rules as core_rules
from aacloud.db import errors as db_errors
from aacloud.rpc import groups as rpc_groups

LOG = log.getLogger(__name__)

_IS_ID = re.compile(basics.UUID["pattern"]).match


class Servers(joining.Resource):
    """The servers of a group."""

    path = "/v1/groups/{group_id}/servers"

    @operations.operation(
        name="add_servers",
        summary="Let servers join a group",
        description=(
            "Lets servers join, running ones too; those that are in the "
            "group already stay in it. A join never fails because of where "
            "the servers are: the answer says how the group stands with "
            "them, and which moves would mend it. With ``strict`` a join "
            "that leaves a required rule broken is refused instead."
        ),
        tag="groups",
        policy=policies.groups.ADD_SERVERS,
        body="JoinRequest",
        response="JoinAnswer",
        refusals={
            **group_base.NOT_THERE,
            400: "a server is unknown or another project's",
            409: "the quota is used up, or strict was asked and not met",
            503: joining.NOT_VERIFIED,
        },
        since=group_base.SINCE,
    )
    def on_post(
        self, call: operations.Call, group_id: str
    ) -> dict[str, Any]:
        """Store the servers and return how the group stands."""
        body = call.body
        record = self.found(call, group_id, policies.groups.ADD_SERVERS)
        members = record.group.members
        fresh = sorted(set(body["servers"]) - members)
        already = sorted(set(body["servers"]) & members)
        if not fresh:
            # Nothing is stored, so nobody need be asked.
            return self.joined(
                call, record, added=(), already=already, looked=None
            )
        project_id = record.group.project_id
        facts = self.verified(call, project_id, fresh)
        looked = self.looked(group_id, fresh)
        off = record.group.mode is core_rules.GroupMode.OFF
        if body.get("strict") and not off:
            if looked[0] is None:
                raise api_engine.unavailable(
                    rpc_groups.EngineUnavailable(str(looked[1])),
                    "so a strict join cannot be judged, and nothing was "
                    "stored; try again, or join without 'strict'",
                )
            names = self.names(call, project_id, record.group.rules)
            joining.refuse_worse(looked[0][0], names)
        try:
            done = self.services.groups.add_members(
                group_id,
                {server: facts[server].project_id for server in fresh},
                by=call.caller.who,
                admin=self.may_join_foreign(call, project_id),
            )
        except db_errors.NotFound as problem:
            raise group_base.absent(problem.name) from None
        except db_errors.QuotaExceeded as problem:
            raise group_base.refused(problem) from None
        except db_errors.ForeignServer as problem:
            raise errors.BadRequest(str(problem)) from None
        LOG.info(
            "%d servers joined group %s (%s), by %s",
            len(done.added),
            group_id,
            record.group.name,
            call.caller.who,
        )
        return self.joined(
            call,
            done.record,
            added=done.added,
            already=sorted({*already, *done.already}),
            looked=looked,
        )


class Server(group_base.Resource):
    """One server of a group."""

    path = "/v1/groups/{group_id}/servers/{server_id}"

    @operations.operation(
        name="remove_server",
        summary="Let a server leave a group",
        description=(
            "Lets a server leave. It always succeeds, also when the server "
            "is not in the group, and needs no engine."
        ),
        tag="groups",
        policy=policies.groups.REMOVE_SERVER,
        query={
            "wait": {
                "type": "boolean",
                "description": "wait until all live schedulers know it",
            }
        },
        response="LeaveAnswer",
        refusals=group_base.NOT_THERE,
        since=group_base.SINCE,
    )
    def on_delete(
        self, call: operations.Call, group_id: str, server_id: str
    ) -> dict[str, Any]:
        """Remove the server and return the group."""
        self.found(call, group_id, policies.groups.REMOVE_SERVER)
        if not _IS_ID(server_id):
            raise errors.BadRequest(
                f"{errors.echo(server_id)} is not the id of a server: "
                f"{basics.UUID['description']}"
            )
        try:
            done = self.services.groups.remove_members(
                group_id, [server_id], by=call.caller.who
            )
        except db_errors.NotFound as problem:
            raise group_base.absent(problem.name) from None
        if done.removed:
            LOG.info(
                "Server %s left group %s (%s), by %s",
                server_id,
                group_id,
                done.record.group.name,
                call.caller.who,
            )
        return {
            "group": self.group_json(done.record),
            "left": bool(done.removed),
            "waited": self.waited(
                call,
                done.record.group.revision,
                wait=call.query.get("wait", False),
            ),
        }
