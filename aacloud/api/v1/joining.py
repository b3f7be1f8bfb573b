# SPDX-License-Identifier: Apache-2.0
"""How servers come into groups."""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from oslo_log import log

from aacloud.api import domain_names
from aacloud.api import engine as api_engine
from aacloud.api import errors
from aacloud.api import group_rules
from aacloud.api import group_views
from aacloud.api import operations
from aacloud.api import policies
from aacloud.api.v1 import group_base
from aacloud.core import rules as core_rules
from aacloud.core import topology as core_topology
from aacloud.db import group_rows
from aacloud.rpc import group_messages
from aacloud.rpc import groups as rpc_groups

LOG = log.getLogger(__name__)

NOT_VERIFIED = (
    "no engine of server groups says whose the servers are; nothing was "
    "stored"
)

#: A report with the plan that would mend the group.
Look = tuple[group_messages.Report, group_messages.Plan | None]

Facts = Mapping[str, group_messages.ServerFacts]


class Resource(group_base.Resource):
    """What lets servers join."""

    def may_join_foreign(
        self, call: operations.Call, project_id: str
    ) -> bool:
        """Return whether servers of other projects may join."""
        return self.may(
            call.caller, policies.groups.ADD_FOREIGN, project_id
        )

    def verified(
        self,
        call: operations.Call,
        project_id: str,
        servers: Collection[str],
    ) -> Facts:
        """Return what Nova knows of the servers that are to join.

        :param project_id: of the group
        :raises errors.BadRequest: one is unknown, or another project's
        :raises errors.Unavailable: nobody knows
        """
        wanted = sorted(set(servers))
        if not wanted:
            return {}
        try:
            found = self.services.engine.client.describe_servers(wanted)
        except (
            rpc_groups.EngineUnavailable,
            rpc_groups.EngineRefused,
        ) as problem:
            raise api_engine.unavailable(
                rpc_groups.EngineUnavailable(str(problem)),
                "so it is not known whose the servers are, and nothing was "
                "stored; see that aacloud-groups runs, and try again",
            ) from problem
        foreign = self.may_join_foreign(call, project_id)
        unknown = [
            server
            for server in wanted
            if server not in found
            or (found[server].project_id != project_id and not foreign)
        ]
        if unknown:
            # Whether it is another project's is told to nobody else.
            raise errors.BadRequest(
                f"body: 'servers': project {project_id} has no server "
                f"{', '.join(unknown[:8])}; 'openstack server list' names "
                "those that there are; nothing was stored"
            )
        return {server: found[server] for server in wanted}

    def refuse_broken(
        self,
        rules: group_rules.Rules,
        facts: Facts,
        tree: core_topology.Topology,
        names: domain_names.Names,
    ) -> None:
        """Refuse the servers of a new group that break its rules.

        :raises errors.Conflict: they do, as they lie
        """
        occupancy = {
            server: (known.host,)
            for server, known in facts.items()
            if known.host is not None
        }
        broken = group_rules.broken(rules, sorted(facts), occupancy, tree)
        if broken:
            domains = core_rules.Domains(tree).within(rules)
            texts = []
            for rule in broken:
                counts = names.counts(
                    rule.level,
                    core_rules.count(rule, facts, occupancy, domains),
                )
                shown = ", ".join(f"{n}: {c}" for n, c in counts.items())
                texts.append(f"{core_rules.format_rule(rule)} ({shown})")
            raise _strict("; ".join(texts))

    def looked(
        self,
        group_id: str,
        joining: Sequence[str] = (),
    ) -> tuple[Look | None, str | None]:
        """Return how a group stands with further servers.

        :returns: and the reason when the engine cannot tell
        """
        try:
            return (
                self.services.engine.client.preview(
                    group_id, joining=joining
                ),
                None,
            )
        except (
            rpc_groups.EngineUnavailable,
            rpc_groups.EngineRefused,
        ) as problem:
            return None, (
                f"how the group stands with them is not known: {problem}; "
                "the engine inspects it when it runs"
            )

    def joined(
        self,
        call: operations.Call,
        record: group_rows.GroupRecord,
        *,
        added: Sequence[str],
        already: Sequence[str],
        looked: tuple[Look | None, str | None] | None,
    ) -> dict[str, Any]:
        """Return what came of a join.

        :param looked: how the group stands, when that was asked already
        """
        project_id = record.group.project_id
        waited = self.waited(
            call,
            record.group.revision,
            wait=bool(call.body.get("wait", False)),
        )
        if looked is None:
            looked = self.looked(record.id) if record.members else (None, None)
        look, note = looked
        report, plan = look if look is not None else (None, None)
        names = self.names(call, project_id, record.group.rules)
        if report is not None:
            state = report.state
        else:
            state = core_rules.GroupState.UNKNOWN.value
            if not record.members:
                state = core_rules.GroupState.COMPLIANT.value
        if record.group.mode is core_rules.GroupMode.OFF:
            state = core_rules.GroupState.OFF.value
        return {
            "group": self.group_json(record),
            "joined": list(added),
            "already": list(already),
            "state": state,
            "report": None
            if report is None
            else group_views.report(
                report, self.veil(call, names, project_id)
            ),
            "plan": None
            if plan is None
            else self.preview(call, plan, names, record.id, project_id),
            "note": None if note is None else names.text(note),
            "waited": waited,
        }


def refuse_worse(
    report: group_messages.Report, names: domain_names.Names
) -> None:
    """Refuse a strict join that leaves a required rule broken.

    :raises errors.Conflict: it does
    """
    broken = [
        finding
        for finding in report.rules
        if finding.excess
        and finding.rule.strength is core_rules.Strength.REQUIRE
    ]
    if broken:
        raise _strict(
            "; ".join(
                f"{core_rules.format_rule(finding.rule)}: "
                f"{names.text(finding.reason)}"
                for finding in broken
            )
        )


def _strict(texts: str) -> errors.Conflict:
    return errors.Conflict(
        f"the servers as they lie would break required rules: {texts}; "
        "nothing was stored. Without 'strict' they join, and a repair can "
        "mend the group"
    )
