# SPDX-License-Identifier: Apache-2.0
"""What all observers together say of each host on each network."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses

from aacloud.core.observations import Observation
from aacloud.core.observations import Reach
from aacloud.core.observations import Report
from aacloud.core.topology import Topology
from aacloud.core.topology import Vantage
from aacloud.core.verdicts.words import DetectionPolicy
from aacloud.core.verdicts.words import NetworkState
from aacloud.core.verdicts.words import WorldView

#: An observer with fewer targets on a network cannot be told a patient.
PATIENT_MIN_TARGETS = 3


@dataclasses.dataclass(slots=True)
class Ballot:
    """The votes on one host on one network.

    UP counts from everybody, for an authenticated answer cannot be made up.
    DOWN counts from observers that are no patients. UNKNOWN is no vote. A
    refused probe is none either, but is kept from everybody: it speaks for a
    kernel that lives.
    """

    up: list[Observation] = dataclasses.field(default_factory=list)
    down: list[Observation] = dataclasses.field(default_factory=list)
    refused: list[Observation] = dataclasses.field(default_factory=list)

    def groups(self) -> set[Vantage]:
        return {vote.vantage for vote in self.down}

    def state(self, needed: int) -> NetworkState:
        if self.up:
            return NetworkState.UP
        if len(self.groups()) >= needed:
            return NetworkState.DOWN
        return NetworkState.UNKNOWN


@dataclasses.dataclass(frozen=True, slots=True)
class Count:
    """All votes counted.

    :ivar answered_age_s: host -> seconds since anybody had an answer of it.
    """

    ballots: Mapping[tuple[str, str], Ballot]
    patients: Mapping[str, Mapping[str, str]]
    answered_age_s: Mapping[str, float]


def count_votes(
    view: WorldView, policy: DetectionPolicy, now: float,
) -> Count:
    """Count what the fresh reports say."""
    ballots: dict[tuple[str, str], Ballot] = {}
    patients: dict[str, dict[str, str]] = {}
    answered: dict[str, float] = {}
    hosts = view.topology.hosts
    for observer, report in view.reports.items():
        age = max(0.0, now - report.received)
        for seen in report.observations:
            if _answered(seen):
                latest = age + max(0.0, seen.silent_s or 0.0)
                target = seen.target
                answered[target] = min(answered.get(target, latest), latest)
        if age > policy.report_ttl_s or observer not in hosts:
            continue
        sick = _ailments(report, view, policy)
        if sick:
            patients[observer] = sick
        for vote in _votes(report, view.topology, policy):
            ballot = ballots.setdefault((vote.target, vote.network), Ballot())
            if vote.reach is Reach.UP:
                ballot.up.append(vote)
            elif vote.refused:
                ballot.refused.append(vote)
            elif vote.network not in sick:
                ballot.down.append(vote)
    return Count(ballots, patients, answered)


def _answered(seen: Observation) -> bool:
    return seen.target != seen.observer and (
        seen.reach is Reach.UP or seen.silent_s is not None)


def _votes(
    report: Report, topology: Topology, policy: DetectionPolicy,
) -> Iterator[Observation]:
    observer = report.observer
    for seen in report.observations:
        if ((seen.reach is Reach.UNKNOWN and not seen.refused)
                or seen.network not in policy.networks
                or seen.target == observer
                or seen.target not in topology.hosts):
            continue
        # Where an observer stands is not for the observer to say.
        vantage = topology.vantage(observer, seen.target)
        if seen.vantage is not vantage or seen.observer != observer:
            yield dataclasses.replace(
                seen, observer=observer, vantage=vantage)
        else:
            yield seen


def _ailments(
    report: Report, view: WorldView, policy: DetectionPolicy,
) -> dict[str, str]:
    """On which networks an observer is itself the patient.

    What it does not know counts like what it misses, so that knowing less
    never gives it a vote. Hosts that are forced down are known to be away
    and say nothing of the observer.
    """
    total: dict[str, int] = {}
    missed: dict[str, int] = {}
    for seen in report.observations:
        if seen.target == report.observer or _forced_down(view, seen.target):
            continue
        total[seen.network] = total.get(seen.network, 0) + 1
        if seen.reach is not Reach.UP:
            missed[seen.network] = missed.get(seen.network, 0) + 1
    return {
        network: f"{report.observer} misses {missed[network]} of its {count} "
                 f"targets on the {network} network at once: its own path "
                 f"is in doubt, its word on others does not count"
        for network, count in total.items()
        if network in missed and count >= PATIENT_MIN_TARGETS
        and missed[network] > policy.patient_share * count}


def _forced_down(view: WorldView, host: str) -> bool:
    service = view.nova_services.get(host)
    return service is not None and service.forced_down


def groups_needed(
    topology: Topology, policy: DetectionPolicy,
) -> Mapping[str, tuple[int, int]]:
    """For each host: vantage groups that exist, groups needed for DOWN.

    Needed are as many as the policy asks or as exist, but never fewer than
    two: with a single group a host is never held down.
    """
    in_rack: dict[str, int] = {}
    in_dc: dict[str, int] = {}
    for host in topology.hosts.values():
        in_rack[host.rack] = in_rack.get(host.rack, 0) + 1
        in_dc[host.dc] = in_dc.get(host.dc, 0) + 1
    result = {}
    for host in topology.hosts.values():
        exist = sum((
            in_rack[host.rack] > 1,
            in_dc[host.dc] > in_rack[host.rack],
            len(topology.hosts) > in_dc[host.dc]))
        needed = max(2, min(policy.down_vantage_groups, exist))
        result[host.name] = (exist, needed)
    return result
