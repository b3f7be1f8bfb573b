# SPDX-License-Identifier: Apache-2.0
"""From a recovered host to one that serves again."""

from __future__ import annotations

import datetime

from aacloud.core import incidents
from aacloud.core import migrations
from aacloud.core import returning
from aacloud.core import steps
from aacloud.core import verdicts
from aacloud.failover import context as contexts
from aacloud.failover import policies
from aacloud.failover.steps import fencing
from aacloud.failover.steps import step

_S = incidents.IncidentState
_R = returning.ReturnStep

#: Seconds between two looks at a host that does not report.
ASLEEP_S = 2.0

#: Nova's clock may be behind ours when evacuations are looked for.
CLOCK_MARGIN = datetime.timedelta(minutes=10)


def check(
    context: contexts.Context,
    incident: incidents.Incident,
    todo: steps.NextStep,
) -> float:
    """Look whether the host may serve again, and let it."""
    judgement = context.board.get()
    verdict = None if judgement is None else judgement.hosts.get(
        incident.host)
    policy = policies.return_policy(context.conf)
    age = None if verdict is None else verdict.heartbeat_age_s
    if age is None or age > policy.agent_fresh_s:
        # This may last for weeks: Nova is not asked all the time meanwhile.
        return _wait_for_life(context, incident, verdict)
    facts = _facts(context, incident, verdict)
    decision = returning.may_return(facts, policy)
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


def _wait_for_life(
    context: contexts.Context,
    incident: incidents.Incident,
    verdict: verdicts.HostVerdict | None,
) -> float:
    """The host's agent is silent: it is off, or it died again."""
    if (
        verdict is not None
        and verdict.state is verdicts.HostState.DEAD
        and not _is_left_alone(context, incident)
        and not _is_held(context.world.service(incident.host), incident)
        and not _is_held(
            context.cloud.services().get(incident.host), incident)
    ):
        # As long as this incident is open, no new one begins.
        step.advance(
            context, incident, _S.RETURNED,
            f"host {incident.host} is dead again, after somebody brought it "
            "back into service: neither forced down nor disabled by this "
            "incident. A new incident takes care of it")
        return 0.0
    step.wait(
        context, incident,
        "the host stays out of service and waits for its agent to report: "
        "power the host on and see that aacloud-agent runs there")
    return ASLEEP_S


def _is_left_alone(
    context: contexts.Context, incident: incidents.Incident
) -> bool:
    """Whether it was cancelled, and the host shows no life since: a new
    incident would do what an operator did not want to be done."""
    told = step.command(incident, incidents.Command.CANCEL)
    life = context.world.last_life(incident.host)
    return told is not None and (life is None or life < told.at)


def _is_held(
    service: verdicts.NovaServiceView | None, incident: incidents.Incident
) -> bool:
    """Whether the host is out of service by our hand, as far as known."""
    return service is None or service.forced_down or (
        service.disabled
        and service.disabled_reason == fencing.disabled_reason(incident))


def _still_disabled(
    context: contexts.Context, incident: incidents.Incident
) -> bool:
    service = context.cloud.services().get(incident.host)
    return service is not None and service.disabled


def _facts(
    context: contexts.Context,
    incident: incidents.Incident,
    verdict: verdicts.HostVerdict | None,
) -> returning.ReturnFacts:
    host = incident.host
    service = context.cloud.services().get(host)
    evacuations = context.cloud.migrations(
        host, incident.opened_at - CLOCK_MARGIN, evacuations_only=True)
    still_open = tuple(
        each for each in evacuations
        if each.status not in migrations.FAILED
        and each.status != "completed")
    guests = context.world.guests(host)
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
