# SPDX-License-Identifier: Apache-2.0
"""The messages between agents and engines, as JSON-able bodies and back.

A report (version 1.0)::

    {"kind": "report", "version": "1.0", "observer": "dc1-r1-h1",
     "boot": "<boot id>", "seq": 17, "uptime_s": 4711.2, "at": 1700000000.0,
     "interval_s": 1.0, "addresses": {"management": "10.21.1.11", …},
     "observations": [{"target", "network", "vantage", "reach", "misses",
                       "silent_s", "rtt_ms", "refused"}, …],
     "facts": {"nova-compute": "up", …}}

``uptime_s`` is the sender's steady clock, from which the receiver tells how
long the message was under way; ``at`` is its wall clock (UTC, seconds).
``refused`` is there only when it is true.

They are checked by hand: a report comes once a second from every host, and a
general schema checker takes ten times as long as all the rest together.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from aacloud.core import observations as core_observations
from aacloud.core import topology as core_topology
from aacloud.rpc import envelope

MAX_OBSERVATIONS = 5000
MAX_FACTS = 2000
MAX_TARGETS = 1000

_REACH = {reach.value: reach for reach in core_observations.Reach}
_VANTAGE = {vantage.value: vantage for vantage in core_topology.Vantage}


@dataclasses.dataclass(frozen=True, slots=True)
class Heartbeat:
    """A report as it travels.

    :ivar report: what was seen; ``received`` is the receiver's to set
    :ivar addresses: network to the address of the observer on it
    :ivar uptime_s: steady clock of the sender when it was sent, seconds
    :ivar at: wall clock of the sender when it was sent, UTC seconds
    :ivar skipped: observations of kinds that are not known here
    """

    report: core_observations.Report
    addresses: Mapping[str, str]
    uptime_s: float
    at: float
    skipped: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class PeersRequest:
    """An agent asks whom to probe.

    :ivar host: who asks
    :ivar addresses: network to its address
    :ivar boot_id: the life of the agent
    :ivar nonce: comes back in the answer
    """

    host: str
    addresses: Mapping[str, str]
    boot_id: str
    nonce: str


@dataclasses.dataclass(frozen=True, slots=True)
class PeerTarget:
    """A host to probe, and where it is seen from here."""

    host: str
    vantage: core_topology.Vantage
    addresses: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Assignment:
    """Whom an agent is to probe.

    :ivar targets: the hosts, each with its addresses
    :ivar version: names this choice; shown in logs
    :ivar refresh_s: ask again after this many seconds
    """

    targets: tuple[PeerTarget, ...]
    version: str
    refresh_s: float = 15.0


def report_body(heartbeat: Heartbeat) -> dict[str, Any]:
    """Return the body of a report."""
    report = heartbeat.report
    return {
        "kind": "report",
        "observer": report.observer,
        "boot": report.boot_id,
        "seq": report.seq,
        "uptime_s": round(heartbeat.uptime_s, 4),
        "at": round(heartbeat.at, 3),
        "interval_s": report.interval_s,
        "addresses": dict(heartbeat.addresses),
        "observations": [_observation_body(o) for o in report.observations],
        "facts": dict(report.facts),
    }


def _observation_body(
    observation: core_observations.Observation,
) -> dict[str, Any]:
    silent_s, rtt_ms = observation.silent_s, observation.rtt_ms
    body = {
        "target": observation.target,
        "network": observation.network,
        "vantage": observation.vantage.value,
        "reach": observation.reach.value,
        "misses": observation.misses,
        "silent_s": None if silent_s is None else round(silent_s, 3),
        "rtt_ms": None if rtt_ms is None else round(rtt_ms, 3),
    }
    if observation.refused:
        body["refused"] = True
    return body


def parse_report(body: Mapping[str, Any]) -> Heartbeat:
    """Read the body of a report.

    An observation from a vantage point that is not known here is left out; a
    reach that is not known here counts as unknown.

    :returns: with ``report.received`` 0
    :raises envelope.MessageError: ``malformed``
    """
    _check_kind(body, "report")
    observer = envelope.text_of(body, "observer")
    entries = envelope.list_of(body, "observations", MAX_OBSERVATIONS)
    read = [_parse_observation(observer, entry) for entry in entries]
    seen = tuple(entry for entry in read if entry is not None)
    report = core_observations.Report(
        observer=observer,
        boot_id=envelope.text_of(body, "boot", 64),
        seq=envelope.count_of(body, "seq"),
        interval_s=envelope.number_of(body, "interval_s"),
        observations=seen,
        received=0.0,
        facts=envelope.strings_of(body, "facts", MAX_FACTS),
    )
    return Heartbeat(
        report=report,
        addresses=envelope.addresses_of(body, "addresses"),
        uptime_s=envelope.number_of(body, "uptime_s"),
        at=envelope.number_of(body, "at"),
        skipped=len(read) - len(seen),
    )


def _parse_observation(
    observer: str, entry: object
) -> core_observations.Observation | None:
    if not isinstance(entry, Mapping):
        raise envelope.malformed("an observation is not an object")
    vantage = _VANTAGE.get(envelope.word_of(entry, "vantage"))
    reach = _REACH.get(envelope.word_of(entry, "reach"))
    if vantage is None:
        return None
    return core_observations.Observation(
        observer=observer,
        target=envelope.text_of(entry, "target"),
        network=envelope.word_of(entry, "network"),
        vantage=vantage,
        reach=reach or core_observations.Reach.UNKNOWN,
        misses=envelope.count_of(entry, "misses"),
        silent_s=envelope.maybe_number_of(entry, "silent_s"),
        rtt_ms=envelope.maybe_number_of(entry, "rtt_ms"),
        refused=envelope.flag_of(entry, "refused"),
    )


def peers_request_body(request: PeersRequest) -> dict[str, Any]:
    """Return the body of a question for peers."""
    return {
        "kind": "peers",
        "host": request.host,
        "boot": request.boot_id,
        "nonce": request.nonce,
        "addresses": dict(request.addresses),
    }


def parse_peers_request(body: Mapping[str, Any]) -> PeersRequest:
    """Read the body of a question for peers.

    :raises envelope.MessageError: ``malformed``
    """
    _check_kind(body, "peers")
    return PeersRequest(
        host=envelope.text_of(body, "host"),
        addresses=envelope.addresses_of(body, "addresses"),
        boot_id=envelope.text_of(body, "boot", 64),
        nonce=envelope.text_of(body, "nonce", 64),
    )


def assignment_body(assignment: Assignment) -> dict[str, Any]:
    """Return the body of an assignment; also its form in the cache."""
    return {
        "kind": "assignment",
        "assignment": assignment.version,
        "refresh_s": assignment.refresh_s,
        "targets": [
            {
                "host": target.host,
                "vantage": target.vantage.value,
                "addresses": dict(target.addresses),
            }
            for target in assignment.targets
        ],
    }


def parse_assignment(body: Mapping[str, Any]) -> Assignment:
    """Read the body of an assignment.

    A target in a vantage group that is not known here is left out.

    :raises envelope.MessageError: ``malformed``
    """
    _check_kind(body, "assignment")
    targets = []
    for entry in envelope.list_of(body, "targets", MAX_TARGETS):
        if not isinstance(entry, Mapping):
            raise envelope.malformed("a target is not an object")
        vantage = _VANTAGE.get(envelope.word_of(entry, "vantage"))
        if vantage is not None:
            targets.append(
                PeerTarget(
                    host=envelope.text_of(entry, "host"),
                    vantage=vantage,
                    addresses=envelope.addresses_of(entry, "addresses"),
                )
            )
    return Assignment(
        targets=_distinct(targets),
        version=envelope.text_of(body, "assignment"),
        refresh_s=envelope.number_of(body, "refresh_s"),
    )


def _distinct(targets: Sequence[PeerTarget]) -> tuple[PeerTarget, ...]:
    if len({target.host for target in targets}) != len(targets):
        raise envelope.malformed("a host stands twice among the targets")
    return tuple(targets)


def _check_kind(body: Mapping[str, Any], kind: str) -> None:
    if body.get("kind") != kind:
        raise envelope.malformed(f"the message is not of kind {kind!r}")
