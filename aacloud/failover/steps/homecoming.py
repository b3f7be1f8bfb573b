# SPDX-License-Identifier: Apache-2.0
"""From a recovered host to one that serves again."""

from __future__ import annotations

import datetime

from aacloud.core import incidents
from aacloud.core import migrations
from aacloud.core import returning
from aacloud.core import steps
from aacloud.failover import context as contexts
from aacloud.failover import policies
from aacloud.failover.steps import fencing
from aacloud.failover.steps import step

_S = incidents.IncidentState
_R = returning.ReturnStep

#: Nova's clock may be behind ours when evacuations are looked for.
CLOCK_MARGIN = datetime.timedelta(minutes=10)


def check(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Look whether the host may serve again, and let it."""
    facts = _facts(context, incident)
    decision = returning.may_return(
        facts, policies.return_policy(context.conf))
    if not decision.go:
        step.wait(
            context, incident,
            f"the host stays out of service and waits for "
            f"{'; '.join(decision.wait_for)}")
        return 1.0
    for do in decision.steps:
        step.require_lead(context)
        if do is _R.UNSET_FORCE_DOWN:
            context.cloud.force_down(incident.host, False)
            context.journal.note(
                incident, "Nova's force-down is taken back", "return")
        elif do is _R.WAIT_COMPUTE_UP:
            service = context.cloud.services().get(incident.host)
            if service is None or service.state != "up":
                context.watcher.look_now()
                step.wait(
                    context, incident,
                    "Nova does not show its nova-compute as up yet")
                return 1.0
        elif do is _R.ENABLE:
            context.cloud.enable(incident.host)
            context.journal.note(
                incident, "servers are scheduled on it again", "return")
    if not facts.disabled_by_us and _still_disabled(context, incident):
        context.journal.note(
            incident, "its service is disabled by somebody else and stays so",
            "return")
    context.watcher.look_now()
    step.advance(
        context, incident, _S.RETURNED,
        f"host {incident.host} is back in service")
    return 0.0


def _still_disabled(
    context: contexts.Context, incident: incidents.Incident
) -> bool:
    service = context.cloud.services().get(incident.host)
    return service is not None and service.disabled


def _facts(
    context: contexts.Context, incident: incidents.Incident
) -> returning.ReturnFacts:
    host = incident.host
    judgement = context.board.get()
    verdict = None if judgement is None else judgement.hosts.get(host)
    service = context.cloud.services().get(host)
    evacuations = context.cloud.migrations(
        host, incident.opened_at - CLOCK_MARGIN, evacuations_only=True)
    still_open = tuple(
        each for each in evacuations
        if each.status not in migrations.FAILED
        and each.status != "completed")
    guests = context.guests(host)
    elsewhere = None
    if guests is not None:
        here = {server.uuid for server in context.cloud.servers_on(host)}
        elsewhere = tuple(sorted(set(guests) - here))
    fresh = context.conf.aacloud_failover.nova_fresh
    return returning.ReturnFacts(
        agent_age_s=None if verdict is None else verdict.heartbeat_age_s,
        networks={} if verdict is None else verdict.networks,
        compute_reporting=service is not None
        and service.last_seen_age_s is not None
        and service.last_seen_age_s < fresh,
        # Nova completes evacuations when nova-compute starts, not before.
        compute_started_since_fence=not still_open,
        forced_down=service is None or service.forced_down,
        disabled_by_us=service is not None and service.disabled
        and service.disabled_reason == fencing.disabled_reason(incident),
        guests_elsewhere=elsewhere,
        open_evacuations=still_open,
        probes_clean_s=context.board.clean_for(host),
    )
