# SPDX-License-Identifier: Apache-2.0
"""What keeps the engine from acting: modes, limits, the kill switch."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import enum

from aacloud.core.topology import CLOUD_NAME
from aacloud.core.topology import Level
from aacloud.core.topology import Topology
from aacloud.core.verdicts import HostState
from aacloud.core.verdicts import Judgement


class Mode(str, enum.Enum):
    """What auto-failover may do in a domain.

    ARMED: act. SHADOW: decide, tell, do nothing. DISARMED: the kill switch,
    nothing is started and nothing new is sent.
    """

    ARMED = "armed"
    SHADOW = "shadow"
    DISARMED = "disarmed"


@dataclasses.dataclass(frozen=True, slots=True)
class ModeVerdict:
    """The mode in force for a host, and where it was set."""

    mode: Mode
    reasons: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class BrakePolicy:
    """How much may be under way at once.

    :ivar hosts_per_rack: hosts of one rack in recovery at the same time.
    :ivar suspect_share_per_dc: with more than this share of a data centre's
        hosts suspect it is no row of dead hosts: stop.
    :ivar repeats_per_server_24h: see RecoveryPolicy.
    :ivar degraded_share: from this share of suspects on, and from
        ``degraded_hosts`` of them on, a data centre is degraded; with two
        degraded data centres everything stops.
    """

    hosts_per_rack: int = 2
    hosts_per_dc: int = 4
    hosts_per_cloud: int = 6
    suspect_share_per_dc: float = 0.5
    degraded_share: float = 1 / 3
    degraded_hosts: int = 2
    repeats_per_server_24h: int = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Admission:
    """Whether a host's recovery may start.

    :ivar go: armed, and no brake holds. In shadow mode it is False.
    :ivar mode: the mode in force.
    :ivar brakes: what holds it, also in shadow mode; () when nothing does.
    :ivar reasons: all of it, for the operator.
    """

    go: bool
    mode: Mode
    brakes: tuple[str, ...]
    reasons: tuple[str, ...]


_FROM_NEAR_TO_FAR = (Level.HOST, Level.RACK, Level.DC, Level.CLOUD)


def effective_mode(
    settings: Mapping[tuple[Level, str], Mode],
    topology: Topology,
    host: str,
) -> ModeVerdict:
    """The mode in force for a host.

    DISARMED at any domain around the host wins. Otherwise the setting
    nearest to the host counts; without any the cloud is in shadow mode. A
    host which the topology does not know is never armed.
    """
    if host not in topology.hosts:
        around = [(Level.HOST, host), (Level.CLOUD, CLOUD_NAME)]
    else:
        around = [
            (level, topology.domain_of(host, level))
            for level in _FROM_NEAR_TO_FAR]
    found = [
        (level, name, settings[level, name])
        for level, name in around if (level, name) in settings]
    stops = [
        f"disarmed at {_named(level, name)}" for level, name, mode in found
        if mode is Mode.DISARMED]
    if stops:
        return ModeVerdict(Mode.DISARMED, tuple(stops))
    if not found:
        return ModeVerdict(Mode.SHADOW, (
            ("nothing is set for this host: shadow mode, as delivered; arm "
             "it with 'openstack ha failover arm'"),))
    level, name, mode = found[0]
    if mode is Mode.ARMED and host not in topology.hosts:
        return ModeVerdict(Mode.SHADOW, (
            (f"host {host} is not in the topology: shadow mode; add it to a "
             f"rack and data centre first"),))
    return ModeVerdict(mode, (f"{mode.value} at {_named(level, name)}",))


def admit(
    candidate: str,
    judgement: Judgement,
    open_incident_hosts: Collection[str],
    topology: Topology,
    policy: BrakePolicy,
    settings: Mapping[tuple[Level, str], Mode],
) -> Admission:
    """Whether the recovery of a dead host may start now.

    :param open_incident_hosts: the hosts that are in recovery (states
        IN_RECOVERY of core/incidents); the candidate itself is not counted
    """
    in_force = effective_mode(settings, topology, candidate)
    brakes = (
        *_evidence_brakes(candidate, judgement),
        *_limit_brakes(candidate, open_incident_hosts, topology, policy),
        *_suspect_brakes(judgement, topology, policy, candidate),
    )
    go = in_force.mode is Mode.ARMED and not brakes
    if brakes:
        verdict = "held"
    elif go:
        verdict = "admitted"
    else:
        verdict = "would be admitted if it were armed"
    return Admission(
        go=go, mode=in_force.mode, brakes=brakes,
        reasons=(verdict, *in_force.reasons, *brakes))


def _evidence_brakes(
    candidate: str, judgement: Judgement,
) -> tuple[str, ...]:
    verdict = judgement.hosts.get(candidate)
    if judgement.self_cut_off:
        return judgement.self_reasons
    if verdict is None:
        return (f"host {candidate} is not in the topology",)
    if verdict.state is not HostState.DEAD:
        return ((f"host {candidate} is not held dead now, but "
                 f"{verdict.state.value}"), *verdict.reasons)
    return ()


def _limit_brakes(
    candidate: str, open_hosts: Collection[str], topology: Topology,
    policy: BrakePolicy,
) -> tuple[str, ...]:
    if candidate not in topology.hosts:
        return ()
    others = {h for h in open_hosts if h != candidate}
    brakes = []
    for level, limit in (
            (Level.RACK, policy.hosts_per_rack),
            (Level.DC, policy.hosts_per_dc),
            (Level.CLOUD, policy.hosts_per_cloud)):
        name = topology.domain_of(candidate, level)
        # Hosts that left the topology still count for the cloud.
        busy = sorted(
            h for h in others
            if level is Level.CLOUD or (
                h in topology.hosts
                and topology.domain_of(h, level) == name))
        if len(busy) >= limit:
            brakes.append(
                f"{len(busy)} hosts of {_named(level, name)} are in "
                f"recovery already ({', '.join(busy)}), allowed are "
                f"{limit}: it goes on when one is through")
    return tuple(brakes)


def _suspect_brakes(
    judgement: Judgement, topology: Topology, policy: BrakePolicy,
    candidate: str,
) -> tuple[str, ...]:
    brakes = []
    degraded = []
    for dc in topology.dcs():
        hosts = topology.hosts_of(Level.DC, dc)
        suspects = [
            h for h in hosts
            if h in judgement.hosts and judgement.hosts[h].suspect]
        share = len(suspects) / len(hosts)
        own = (candidate in topology.hosts
               and topology.hosts[candidate].dc == dc)
        if own and share > policy.suspect_share_per_dc:
            brakes.append(
                f"{len(suspects)} of {len(hosts)} hosts of data centre {dc} "
                f"are suspect: that is no row of dead hosts; look at its "
                f"network, power and storage as a whole. If they are truly "
                f"dead, recover them by hand or raise "
                f"suspect_share_per_dc")
        if (share >= policy.degraded_share
                and len(suspects) >= policy.degraded_hosts):
            degraded.append(f"{dc}: {', '.join(suspects)}")
    if len(degraded) > 1:
        brakes.append(
            f"{len(degraded)} data centres are degraded at once "
            f"({'; '.join(degraded)}): everything stops until a person has "
            f"looked at it")
    return tuple(brakes)


def _named(level: Level, name: str) -> str:
    if level is Level.CLOUD:
        return "the cloud"
    return f"{level.value} {name}"
