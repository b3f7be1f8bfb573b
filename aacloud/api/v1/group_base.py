# SPDX-License-Identifier: Apache-2.0
"""What the resources of server groups and plans have in common."""

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
import datetime
from typing import Any
import urllib.parse

from oslo_log import log

from aacloud.api import context
from aacloud.api import domain_names
from aacloud.api import errors
from aacloud.api import group_views
from aacloud.api import operations
from aacloud.api import policies
from aacloud.api import veils
from aacloud.api import views
from aacloud.api.schemas import basics
from aacloud.api.v1 import base
from aacloud.core import groups as core_groups
from aacloud.core import topology as core_topology
from aacloud.db import errors as db_errors
from aacloud.db import group_rows
from aacloud.db import inspections
from aacloud.rpc import envelope
from aacloud.rpc import group_messages

LOG = log.getLogger(__name__)

JSON = dict[str, Any]

#: The microversion that brought all of this.
SINCE = (1, 1)

DEFAULT_LIMIT = 100
HINT = "'openstack ha group list' names those that there are"
NOT_THERE = {404: "there is no group with this id, or it is another project's"}
STALE = "it was changed meanwhile: read it again"

LIMIT: basics.Schema = {
    "type": "integer",
    "minimum": 1,
    "description": (
        "the most items of the answer; [aacloud_api] max_limit is the most "
        "that it may be"
    ),
}


def marker(what: str) -> basics.Schema:
    """Return the schema of the marker of a page."""
    return {
        **basics.UUID,
        "description": f"the id of the last {what} of the page before",
    }


def utcnow() -> datetime.datetime:
    """Return the time, aware."""
    return datetime.datetime.now(datetime.timezone.utc)


class Resource(base.Resource):
    """What has to do with groups of projects."""

    def may(
        self, caller: context.RequestContext, rule: str, project_id: str
    ) -> bool:
        """Return whether the caller may do this in a project."""
        return self.services.policy.allows(caller, rule, project_id)

    def found(
        self, call: operations.Call, group_id: str, rule: str
    ) -> group_rows.GroupRecord:
        """Return a group of which the caller may do what ``rule`` means.

        :raises errors.NotFound: there is none, or none that may be seen
        :raises errors.Forbidden: it may be seen, and no more
        """
        try:
            record = self.services.groups.get(group_id)
        except db_errors.NotFound as problem:
            raise absent(problem.name) from None
        project_id = record.group.project_id
        if not self.may(call.caller, policies.groups.SHOW, project_id):
            raise absent(group_id)
        self.services.policy.authorize(call.caller, rule, project_id)
        return record

    def names(
        self,
        call: operations.Call,
        project_id: str | None,
        rules: Iterable[Any] = (),
        tree: core_topology.Topology | None = None,
    ) -> domain_names.Names:
        """Return how the caller is shown the domains.

        :param rules: of the group; the names in them are shown
        """
        return domain_names.Names(
            tree or self.domains().topology,
            known=self.services.policy.allows(
                call.caller, policies.groups.DOMAIN_NAMES, project_id
            ),
            said={name for rule in rules for name in rule.domains},
        )

    def veil(
        self,
        call: operations.Call,
        names: domain_names.Names,
        project_id: str | None,
        steps: Collection[core_groups.PlanStep] = (),
        *,
        servers: Collection[str] = (),
        plans: Collection[str | None] = (),
        groups: Sequence[group_rows.GroupRecord] | None = None,
    ) -> veils.Veil:
        """Return how the caller is shown a plan.

        :param names: how the caller is shown the domains
        :param project_id: of the groups that it mends
        :param steps: of the plan, when it is stored
        :param servers: that it moves, of one that is not
        :param plans: the ids of those that may be named
        :param groups: of the project, when they were read before
        """
        hosts = {
            host
            for step in steps
            for host in (step.source, step.destination, *step.spares)
            if host is not None
        }
        if project_id is None or self.services.policy.allows(
            call.caller, policies.groups.LIST_ALL
        ):
            return veils.Veil(names, hosts=hosts)
        if groups is None:
            groups = self.services.groups.list(project_id=project_id)
        places = self.services.places.list(sorted(servers)).values()
        # Who may see a group sees its members, whosever they are.
        own = {one.server for record in groups for one in record.members}
        own |= {s.server for s in steps if s.project_id == project_id}
        own |= {p.server for p in places if p.project_id == project_id}
        return veils.Veil(
            names,
            ids={
                *own,
                *(record.id for record in groups),
                *(plan for plan in plans if plan is not None),
            },
            groups={record.group.name for record in groups},
            hidden={
                one.name
                for some in (steps, places)
                for one in some
                if one.server not in own
            },
            hosts=hosts,
        )

    def preview(
        self,
        call: operations.Call,
        plan: group_messages.Plan,
        names: domain_names.Names,
        group_id: str | None,
        project_id: str | None,
    ) -> JSON:
        """Return a plan that is not carried out yet.

        :param group_id: that it is for; None: all groups
        :param project_id: of this group
        """
        stored = (
            () if plan.id is None else self.services.plans.steps(plan.id)
        )
        everything = self.services.policy.allows(
            call.caller, policies.groups.LIST_ALL
        )
        return group_views.preview(
            plan,
            self.veil(
                call,
                names,
                project_id,
                stored,
                servers={step.server for step in plan.steps},
                plans=(plan.id,),
            ),
            None if everything else frozenset({str(group_id)}),
        )

    def limit(self, call: operations.Call) -> int:
        """Return how many items the answer may have."""
        wanted: int = call.query.get("limit", DEFAULT_LIMIT)
        return min(wanted, self.services.conf.aacloud_api.max_limit)

    def links(
        self, call: operations.Call, path: str, last: str | None
    ) -> list[JSON]:
        """Return the link to the next page.

        :param last: the id of the last item, when there is a next page
        """
        if last is None:
            return []
        following = urllib.parse.urlencode(
            {**call.request.params, "marker": last}
        )
        return [
            {
                "rel": "next",
                "href": f"{call.request.prefix}{path}?{following}",
            }
        ]

    @property
    def _default_window(self) -> str | None:
        found: str | None = self.services.conf.aacloud_groups.default_window
        return found

    def groups_json(
        self, records: Sequence[group_rows.GroupRecord]
    ) -> list[JSON]:
        """Return groups with their newest states."""
        reports = {
            found.group_id: found
            for found in self.services.inspections.list(
                [record.id for record in records]
            )
        }
        now = utcnow()
        return [
            group_views.group(
                record, reports.get(record.id), now, self._default_window
            )
            for record in records
        ]

    def group_json(self, record: group_rows.GroupRecord) -> JSON:
        """Return one group with its newest state."""
        return self.groups_json([record])[0]

    def detail(
        self,
        call: operations.Call,
        record: group_rows.GroupRecord,
        fresh: group_messages.Report | None = None,
    ) -> JSON:
        """Return a group with its members and its newest inspection.

        :param fresh: the report of an inspection that was just made
        """
        tree = self.domains().topology
        names = self.names(
            call, record.group.project_id, record.group.rules, tree
        )
        stored = next(
            iter(self.services.inspections.list([record.id])), None
        )
        places = dict(
            self.services.places.list(
                [member.server for member in record.members]
            )
        )
        report = fresh or _report(stored)
        shown = group_views.group(
            record, stored, utcnow(), self._default_window
        )
        if fresh is not None:
            if shown["state"] != fresh.state:
                shown["state_since"] = views.moment(fresh.at)
            shown["state"] = fresh.state
            shown["inspected_at"] = views.moment(fresh.read_at)
            places.update(_places(fresh))
        return {
            "group": shown,
            "members": group_views.members(record, places, names),
            "report": None
            if report is None
            else group_views.report(
                report, self.veil(call, names, record.group.project_id)
            ),
        }

    def waited(
        self, call: operations.Call, revision: int, *, wait: bool
    ) -> JSON | None:
        """Announce a revision, and wait for the schedulers if asked to."""
        engine = self.services.engine
        engine.announce(revision)
        if not wait:
            return None
        acks, reason = engine.wait(revision)
        known = self.services.policy.allows(
            call.caller, policies.groups.DOMAIN_NAMES
        )
        have: list[str] = []
        missing: list[str] = []
        ordered = sorted(acks, key=lambda ack: ack.scheduler)
        for number, ack in enumerate(ordered, start=1):
            name = ack.scheduler if known else f"scheduler-{number}"
            (have if ack.revision >= revision else missing).append(name)
        if not acks and not reason:
            reason = "no scheduler with HAGroupFilter has reported"
        return {
            "acked": bool(acks) and not missing,
            "schedulers": have,
            "missing": missing,
            "reason": reason or None,
        }


def absent(group_id: str) -> errors.NotFound:
    """Return the refusal of a group that is not there for the caller."""
    return errors.NotFound(
        f"there is no HA server group {errors.echo(group_id)}; {HINT}"
    )


def _places(
    report: group_messages.Report,
) -> dict[str, inspections.ServerPlace]:
    """Return where the members of a group are by its report."""
    return {
        server: inspections.ServerPlace(
            server=server,
            name=report.names.get(server, ""),
            project_id="",
            hosts=hosts,
            vm_state="",
            seen_at=report.read_at,
        )
        for server, hosts in report.places.items()
    }


def _report(
    stored: inspections.StoredReport | None,
) -> group_messages.Report | None:
    """Return a report as an engine stored it."""
    if stored is None:
        return None
    try:
        return group_messages.parse_report(stored.report)
    except envelope.MessageError as problem:
        LOG.error("A stored report is not understood: %s", problem)
        return None


def refused(problem: db_errors.DatabaseError) -> errors.APIError:
    """Return the refusal for what the store refused."""
    return errors.Conflict(f"{problem}; nothing was stored")
