# SPDX-License-Identifier: Apache-2.0
"""The incidents."""

from typing import Any
import urllib.parse

from oslo_log import log

from aacloud.api import errors
from aacloud.api import operations
from aacloud.api import policies
from aacloud.api import schemas
from aacloud.api import views
from aacloud.api.schemas import basics
from aacloud.api.v1 import base
from aacloud.core import incidents as core_incidents
from aacloud.db import errors as db_errors

LOG = log.getLogger(__name__)

State = core_incidents.IncidentState

DEFAULT_LIMIT = 100
_HINT = "'openstack ha incident list' names those that there are"
_NOT_THERE = {404: "there is no incident with this id"}

_LIMIT: basics.Schema = {
    "type": "integer",
    "minimum": 1,
    "description": (
        "the most items of the answer; [aacloud_api] max_limit is the most "
        "that it may be"
    ),
}


class _Resource(base.Resource):
    """What has to do with incidents."""

    def found(self, incident_id: str) -> core_incidents.Incident:
        """Return an incident.

        :raises errors.NotFound: there is none with this id
        """
        try:
            return self.services.incidents.get(incident_id)
        except db_errors.NotFound as problem:
            raise base.not_found(problem, _HINT) from None

    def limit(self, call: operations.Call) -> int:
        """Return how many items the answer may have."""
        wanted: int = call.query.get("limit", DEFAULT_LIMIT)
        return min(wanted, self.services.conf.aacloud_api.max_limit)


class Incidents(_Resource):
    """All incidents."""

    path = "/v1/incidents"

    @operations.operation(
        name="list_incidents",
        summary="List incidents",
        description=(
            "Lists incidents, the newest first. A page that is full has a "
            "link to the next one."
        ),
        tag="incidents",
        policy=policies.incidents.LIST,
        query={
            "host": basics.text("only incidents of this host"),
            "state": schemas.incidents.INCIDENT_STATE,
            "open": {
                "type": "boolean",
                "description": "true: only open ones; false: only closed",
            },
            "limit": _LIMIT,
            "marker": {
                **basics.UUID,
                "description": "the id of the last incident of the page "
                "before",
            },
        },
        response="IncidentList",
    )
    def on_get(self, call: operations.Call) -> dict[str, Any]:
        """Return a page of incidents."""
        query = call.query
        limit = self.limit(call)
        try:
            # One more than asked for tells whether there is a next page.
            found = self.services.incidents.list(
                host=query.get("host"),
                states=[State(query["state"])] if "state" in query else (),
                is_open=query.get("open"),
                limit=limit + 1,
                marker=query.get("marker"),
            )
        except db_errors.NotFound as problem:
            raise errors.BadRequest(
                "query 'marker': there is no incident "
                f"{errors.echo(problem.name)}"
            ) from None
        page = found[:limit]
        links = []
        if len(found) > limit:
            following = urllib.parse.urlencode(
                {**call.request.params, "marker": page[-1].id}
            )
            links.append(
                {
                    "rel": "next",
                    "href": f"{call.request.prefix}{self.path}?{following}",
                }
            )
        return {
            "incidents": [views.incident(incident) for incident in page],
            "incidents_links": links,
        }


class Incident(_Resource):
    """One incident."""

    path = "/v1/incidents/{incident_id}"

    @operations.operation(
        name="show_incident",
        summary="Show an incident",
        description=(
            "Shows an incident: the verdict with its evidence, the proof of "
            "the fence, what it waits for."
        ),
        tag="incidents",
        policy=policies.incidents.SHOW,
        response="IncidentAnswer",
        refusals=_NOT_THERE,
    )
    def on_get(
        self, call: operations.Call, incident_id: str
    ) -> dict[str, Any]:
        """Return the incident."""
        return {"incident": views.incident(self.found(incident_id))}


class Servers(_Resource):
    """The servers of an incident."""

    path = "/v1/incidents/{incident_id}/servers"

    @operations.operation(
        name="list_incident_servers",
        summary="List the servers of an incident",
        description=(
            "Lists the servers that were on the host, how far the move of "
            "each has come, and how long each was down. It is empty until "
            "the plan is made."
        ),
        tag="incidents",
        policy=policies.incidents.SHOW,
        response="ServerList",
        refusals=_NOT_THERE,
    )
    def on_get(
        self, call: operations.Call, incident_id: str
    ) -> dict[str, Any]:
        """Return the servers, the first wave first."""
        self.found(incident_id)
        return {
            "servers": [
                views.server(record)
                for record in self.services.incidents.servers(incident_id)
            ]
        }


class Events(_Resource):
    """The story of an incident."""

    path = "/v1/incidents/{incident_id}/events"

    @operations.operation(
        name="list_incident_events",
        summary="List the events of an incident",
        description=(
            "Lists what happened, the oldest first. Ask again with "
            "``since`` set to the last id to follow an incident; an event "
            "that is written later has the higher id. A page may be full: "
            "ask until it is empty."
        ),
        tag="incidents",
        policy=policies.incidents.SHOW,
        query={
            "since": {
                "type": "integer",
                "minimum": 0,
                "description": "only events after the one with this id",
            },
            "limit": _LIMIT,
        },
        response="EventList",
        refusals=_NOT_THERE,
    )
    def on_get(
        self, call: operations.Call, incident_id: str
    ) -> dict[str, Any]:
        """Return a page of events."""
        self.found(incident_id)
        found = self.services.incidents.events(
            incident_id,
            since_id=call.query.get("since", 0),
            limit=self.limit(call),
        )
        return {"events": [views.event(event) for event in found]}


class _Command(_Resource):
    """Something that an operator asks of an incident."""

    def ask(
        self,
        call: operations.Call,
        incident_id: str,
        command: core_incidents.Command,
    ) -> dict[str, Any]:
        """Write the command down and return the incident.

        :raises errors.Conflict: it has meanwhile gone too far
        """
        by = call.caller.who
        reason = call.body["reason"]
        try:
            self.services.incidents.write_command(
                incident_id, command, by=by, reason=reason
            )
        except db_errors.NotFound as problem:
            raise base.not_found(problem, _HINT) from None
        except db_errors.CommandRefused as problem:
            raise errors.Conflict(str(problem)) from None
        LOG.warning(
            "Incident %s: %s was asked by %s: %s",
            incident_id,
            command.value,
            by,
            reason,
        )
        return {"incident": views.incident(self.found(incident_id))}


class ConfirmFenced(_Command):
    """The operator's word that the host is off."""

    path = "/v1/incidents/{incident_id}/confirm-fenced"

    @operations.operation(
        name="confirm_fenced",
        summary="Confirm that the host is fenced",
        description=(
            "Says that the host of the incident is powered off and stays "
            "so; the engine takes it for a proof and evacuates. It is "
            "refused unless the incident waits for a fence. If the host "
            "still runs, its servers run twice and destroy their disks: "
            "look at the machine first."
        ),
        tag="incidents",
        policy=policies.incidents.CONFIRM_FENCED,
        body="CommandRequest",
        status=202,
        response="IncidentAnswer",
        refusals={**_NOT_THERE, 409: "it does not wait for a fence"},
    )
    def on_post(
        self, call: operations.Call, incident_id: str
    ) -> dict[str, Any]:
        """Write the confirmation down for the engine."""
        incident = self.found(incident_id)
        accepted = core_incidents.ACCEPTED_IN[
            core_incidents.Command.CONFIRM_FENCED
        ]
        cancelled = any(
            one.command is core_incidents.Command.CANCEL
            for one in incident.commands
        )
        # After the proof only when it waits: for one that holds.
        doubted = (
            incident.state in accepted - core_incidents.BEFORE_PROOF
            and incident.waiting
            and not cancelled
        )
        if incident.state is not State.FENCING and not doubted:
            raise errors.Conflict(
                f"incident {incident.id} of host {incident.host} does not "
                f"wait for a fence: it is {incident.state.value}"
                + (
                    ", and it was cancelled: nothing more is sent"
                    if cancelled
                    else ", its host is proved off already"
                    if incident.proof is not None
                    else ""
                )
            )
        if not incident.waiting:
            raise errors.Conflict(
                f"incident {incident.id} of host {incident.host}: the "
                "engine is still fencing the host; confirm only when the "
                "incident says that it waits"
            )
        return self.ask(
            call, incident_id, core_incidents.Command.CONFIRM_FENCED
        )


class Cancel(_Command):
    """The operator's word that the incident be given up."""

    path = "/v1/incidents/{incident_id}/cancel"

    @operations.operation(
        name="cancel_incident",
        summary="Cancel an incident",
        description=(
            "Gives an incident up. Before the host is fenced, it closes. "
            "After that nothing more is moved away from the host: servers "
            "under way are followed to their end, the others stay where they "
            "are and are left to you, then the host may return. It is "
            "refused once no server is to be sent any more. No new incident "
            "opens for the host before it has shown life again."
        ),
        tag="incidents",
        policy=policies.incidents.CANCEL,
        body="CommandRequest",
        status=202,
        response="IncidentAnswer",
        refusals={
            **_NOT_THERE,
            409: "nothing is sent for it any more, or it is closed",
        },
    )
    def on_post(
        self, call: operations.Call, incident_id: str
    ) -> dict[str, Any]:
        """Write the wish down for the engine."""
        incident = self.found(incident_id)
        if incident.state in core_incidents.CLOSED:
            raise errors.Conflict(
                f"incident {incident.id} of host {incident.host} is closed "
                f"already: it is {incident.state.value}"
            )
        if (
            incident.state
            not in core_incidents.ACCEPTED_IN[core_incidents.Command.CANCEL]
        ):
            raise errors.Conflict(
                f"incident {incident.id} of host {incident.host} is "
                f"{incident.state.value}: no server is sent for it any more, "
                "so there is nothing to give up; it closes when its host is "
                "back in service"
            )
        return self.ask(call, incident_id, core_incidents.Command.CANCEL)
