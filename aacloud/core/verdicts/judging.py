# SPDX-License-Identifier: Apache-2.0
"""Which hosts are up, which are dead, and of which nobody can be sure."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from aacloud.core.observations import MANAGEMENT
from aacloud.core.observations import Observation
from aacloud.core.observations import STORAGE
from aacloud.core.observations import TENANT
from aacloud.core.verdicts.votes import Ballot
from aacloud.core.verdicts.votes import Count
from aacloud.core.verdicts.votes import count_votes
from aacloud.core.verdicts.votes import groups_needed
from aacloud.core.verdicts.words import DetectionPolicy
from aacloud.core.verdicts.words import HostState
from aacloud.core.verdicts.words import HostVerdict
from aacloud.core.verdicts.words import Judgement
from aacloud.core.verdicts.words import NetworkState
from aacloud.core.verdicts.words import WorldView

_MIN_AGENTS = 3
_PATH_LOST: Mapping[str, str] = {
    MANAGEMENT: "its servers run on untouched; look at the NIC, cable and "
                "switch port of that network",
    TENANT: "its servers run, but cannot be reached; live-migrate them away "
            "if it lasts",
    STORAGE: "its servers' disks may hang; look at the storage path of the "
             "host",
}


def judge(
    view: WorldView, policy: DetectionPolicy, now: float,
) -> Judgement:
    """Judge every host of the topology.

    A host is DEAD only by what others positively saw: down on all networks
    from two or more vantage groups, while it, its nova-compute and every
    observer agree in silence, for long enough. Missing reports, unknown
    results and a Nova that does not answer never make a host dead. One probe
    that its kernel refused keeps it from being held dead.

    :param now: the engine's monotonic clock
    """
    count = count_votes(view, policy, now)
    needed = groups_needed(view.topology, policy)
    cut_off = _cut_off(view, policy, now)
    doubts = (*cut_off, *_warming_up(view, policy, now),
              *_nova_stale(view, policy))
    hosts = {
        name: _Case(name, view, policy, now, count, needed[name],
                    doubts).verdict()
        for name in view.topology.hosts}
    return Judgement(
        self_cut_off=bool(cut_off), self_reasons=doubts, hosts=hosts,
        patients=count.patients)


def _cut_off(
    view: WorldView, policy: DetectionPolicy, now: float,
) -> tuple[str, ...]:
    reasons = []
    if not view.lease_ok:
        reasons.append("this engine does not hold its leader lease")
    if not view.store_ok:
        reasons.append("this engine cannot reach the database")
    known = {
        name for name in (*view.known_agents, *view.reports)
        if name in view.topology.hosts}
    fresh = sum(
        name in view.reports
        and now - view.reports[name].received <= policy.report_ttl_s
        for name in known)
    if len(known) >= _MIN_AGENTS and fresh < policy.quorum_share * len(known):
        reasons.append(
            f"only {fresh} of {len(known)} agents report to this engine: it "
            f"may be the one that is cut off, or the message bus is down")
    return tuple(reasons)


def _warming_up(
    view: WorldView, policy: DetectionPolicy, now: float,
) -> tuple[str, ...]:
    left = policy.warmup_s - (now - view.engine_started)
    if left <= 0:
        return ()
    return ((f"this engine started {now - view.engine_started:.0f} s ago and "
             f"only watches for {left:.0f} s more"),)


def _nova_stale(
    view: WorldView, policy: DetectionPolicy,
) -> tuple[str, ...]:
    """Whether Nova hears from so few that its silence says nothing."""
    ages = [
        service.last_seen_age_s
        for name, service in view.nova_services.items()
        if name in view.topology.hosts and not service.forced_down
        and service.last_seen_age_s is not None]
    fresh = sum(age < policy.nova_fresh_s for age in ages)
    if len(ages) < _MIN_AGENTS or fresh >= policy.quorum_share * len(ages):
        return ()
    return ((f"Nova hears from only {fresh} of {len(ages)} nova-computes: its "
             f"control plane is sick (database, message bus or "
             f"conductor), so a silent nova-compute proves nothing"),)


@dataclasses.dataclass(slots=True)
class _Case:
    """One host and all that speaks for and against it."""

    name: str
    view: WorldView
    policy: DetectionPolicy
    now: float
    count: Count
    groups: tuple[int, int]
    doubts: Sequence[str]

    def verdict(self) -> HostVerdict:
        heartbeat = self._heartbeat_age()
        ballots = {
            network: self.count.ballots.get((self.name, network), Ballot())
            for network in self.policy.networks}
        networks = {
            network: ballot.state(self.groups[1])
            for network, ballot in ballots.items()}
        beats = (heartbeat is not None
                 and heartbeat < self.policy.heartbeat_timeout_s)
        answering = [n for n, s in networks.items() if s is NetworkState.UP]
        reasons: tuple[str, ...]
        rejected: tuple[str, ...] = ()
        since = None
        if beats:
            state = HostState.UP
            reasons = (f"its agent reported {heartbeat:.1f} s ago",)
        elif _isolated(networks):
            state = HostState.NOT_SURE
            reasons = (
                ("isolated: it answers on the storage network alone, so its "
                 "guests may still write to their disks"),
                ("nothing is done before it is fenced: restore its "
                 "management or tenant network, or power it off"))
            rejected = ("dead: its storage path answers",)
        elif answering:
            state = HostState.UP
            reasons = (f"it answers on: {', '.join(answering)}",)
        else:
            state, reasons, rejected, since = self._silent(
                networks, ballots, heartbeat)
        if state is HostState.UP:
            reasons += self._ails(networks, ballots, beats)
        evidence = (
            () if state is HostState.UP
            and NetworkState.DOWN not in networks.values()
            else _evidence(networks, ballots))
        return HostVerdict(
            host=self.name, state=state, networks=networks,
            heartbeat_age_s=heartbeat, life_age_s=self._life_age(heartbeat),
            dead_since=since,
            suspect=state is not HostState.UP and self._known(),
            reasons=reasons, evidence=evidence, rejected=rejected)

    def _silent(
        self, networks: Mapping[str, NetworkState],
        ballots: Mapping[str, Ballot], heartbeat: float | None,
    ) -> tuple[HostState, tuple[str, ...], tuple[str, ...], float | None]:
        """No heartbeat and no answer: dead, or only not heard of?"""
        open_questions = self._open_questions(networks, ballots, heartbeat)
        if open_questions:
            return HostState.NOT_SURE, open_questions, (), None
        since = min(self.view.dead_since.get(self.name, self.now), self.now)
        lasted = self.now - since
        waits = (*self.doubts, *self._nova_says())
        if lasted < self.policy.confirm_s:
            waits += (
                (f"silent on all networks for {lasted:.1f} s, confirmed "
                 f"after {self.policy.confirm_s:g} s"),)
        if waits:
            return HostState.NOT_SURE, waits, (), since
        return (HostState.DEAD, self._death(ballots, heartbeat, lasted),
                self._rejected(), since)

    def _open_questions(
        self, networks: Mapping[str, NetworkState],
        ballots: Mapping[str, Ballot], heartbeat: float | None,
    ) -> tuple[str, ...]:
        """What is missing for the symptoms of a dead host; () if nothing."""
        if not self._known():
            return (("no agent of this host has ever reported: it is not "
                     "watched over; install and start aacloud-agent there"),)
        exist, needed = self.groups
        questions = []
        refused = [n for n, ballot in ballots.items() if ballot.refused]
        if refused:
            questions.append(
                f"its kernel refuses probes on {', '.join(refused)}: the "
                f"host lives, its agent does not run; start aacloud-agent")
        for network, state in networks.items():
            if state is NetworkState.DOWN or network in refused:
                continue
            seen = sorted(g.value for g in ballots[network].groups())
            questions.append(
                f"{network} unknown: seen down from "
                f"{', '.join(seen) or 'nowhere'}, needed are {needed} "
                f"vantage groups")
        if exist < needed:
            questions.append(
                f"only {exist} vantage group exists for this host: with "
                f"hosts in one rack alone no host is ever held dead")
        answered = self.count.answered_age_s.get(self.name)
        limit = self.policy.heartbeat_timeout_s
        if answered is not None and answered < limit:
            questions.append(
                f"its last answer was {answered:.1f} s ago, less than "
                f"{limit:g} s")
        return tuple(questions)

    def _nova_says(self) -> tuple[str, ...]:
        service = self.view.nova_services.get(self.name)
        if service is None:
            return (("Nova could not be asked about its nova-compute lately; "
                     "without Nova nothing could be evacuated either"),)
        age = service.last_seen_age_s
        if age is not None and age < self.policy.nova_fresh_s:
            return (
                (f"its nova-compute reported to Nova {age:.1f} s ago, "
                 f"nobody else hears of the host: dead only after "
                 f"{self.policy.nova_fresh_s:g} s; if it lives, its agent "
                 f"may have died: look at aacloud-agent"),)
        return ()

    def _death(
        self, ballots: Mapping[str, Ballot], heartbeat: float | None,
        lasted: float,
    ) -> tuple[str, ...]:
        own = ("never" if heartbeat is None else f"{heartbeat:.1f} s ago")
        votes = tuple(
            f"{network}: {len(ballot.down)} observers in "
            f"{', '.join(sorted(g.value for g in ballot.groups()))} get no "
            f"answer" for network, ballot in ballots.items())
        return ((f"silent on all networks for {lasted:.1f} s, its own last "
                 f"report came {own}"), *votes)

    def _rejected(self) -> tuple[str, ...]:
        fresh = sum(
            self.now - report.received <= self.policy.report_ttl_s
            for report in self.view.reports.values())
        sick = len(self.count.patients)
        return (
            "only a service died: nothing on the host answers",
            "only one network path is lost: all networks are down",
            (f"the observers are at fault: {fresh} report, {sick} of them "
             f"are patients, the others see their other targets"),
            f"this engine is cut off: {fresh} agents report to it",
            "only its agent died: nova-compute is silent, too",
            "only its services died: nobody saw its kernel refuse a probe",
        )

    def _ails(
        self, networks: Mapping[str, NetworkState],
        ballots: Mapping[str, Ballot], beats: bool,
    ) -> tuple[str, ...]:
        """What is wrong with a host that lives."""
        reasons = []
        for network, state in networks.items():
            if state is NetworkState.DOWN:
                todo = _PATH_LOST.get(network, "look at that network's path")
                reasons.append(
                    f"its {network} path is down (seen by "
                    f"{len(ballots[network].down)} observers): {todo}")
        if not beats:
            reasons.append(
                "its own reports do not arrive: look at aacloud-agent and "
                "the message bus")
        report = self.view.reports.get(self.name)
        service = self.view.nova_services.get(self.name)
        says = report.facts.get("nova-compute") if report and beats else None
        if says == "down" or (service is not None and service.state == "down"
                              and not service.forced_down):
            reasons.append(
                "its nova-compute is down while the host lives: restart it; "
                "its servers run on and are not evacuated")
        return tuple(reasons)

    def _known(self) -> bool:
        return (self.name in self.view.known_agents
                or self.name in self.view.reports)

    def _heartbeat_age(self) -> float | None:
        report = self.view.reports.get(self.name)
        return None if report is None else max(0.0, self.now - report.received)

    def _life_age(self, heartbeat: float | None) -> float | None:
        service = self.view.nova_services.get(self.name)
        reported = (
            service.last_seen_age_s
            if service is not None and service.advanced else None)
        ages = (heartbeat, self.count.answered_age_s.get(self.name), reported)
        return min((a for a in ages if a is not None), default=None)


def _isolated(networks: Mapping[str, NetworkState]) -> bool:
    """Storage alone answers while the way to its users is gone."""
    return (
        networks.get(STORAGE) is NetworkState.UP
        and networks.get(MANAGEMENT) is NetworkState.DOWN
        and networks.get(TENANT) is not NetworkState.UP)


def _evidence(
    networks: Mapping[str, NetworkState], ballots: Mapping[str, Ballot],
) -> tuple[Observation, ...]:
    found: list[Observation] = []
    for network, state in networks.items():
        if state is NetworkState.DOWN:
            found.extend(ballots[network].down)
        elif state is NetworkState.UP:
            found.extend(ballots[network].up)
    return tuple(found)
