# SPDX-License-Identifier: Apache-2.0
"""Why a rule cannot be mended, and what a step is good for."""

from __future__ import annotations

from collections import Counter

from aacloud.core.repair.model import BlockCode
from aacloud.core.repair.model import Blocked
from aacloud.core.repair.model import RepairServer
from aacloud.core.repair.state import movable
from aacloud.core.repair.state import State
from aacloud.core.repair.state import Unit
from aacloud.core.rules import format_rule
from aacloud.core.rules import RuleKind
from aacloud.core.rules import UNPLACED

#: Members whose ways are all looked at to explain one rule.
LOOKED_AT = 3
#: Hosts that are looked at in all, and then for each rule.
MOST_LOOKS = 300_000
SAMPLED = 200
#: Reasons that a sentence lists.
NAMED = 3

UNKNOWN_PLACE = (
    "members are on hosts whose place is not known: give these a rack and a "
    "data centre")
NO_ORDER = (
    "no order of moves was found in which nothing else gets worse; allow "
    "the planner more time")


class Explainer:
    """Says what keeps rules from being mended, as the state is.

    So that thousands of broken rules in a large cloud cost seconds and not
    minutes, only some hosts are looked at once ``MOST_LOOKS`` are used up.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._hosts = sorted(state.problem.hosts)
        self._looks = MOST_LOOKS

    def explain(self, unit: Unit) -> Blocked:
        """Why the unit is not mended."""
        reason, code = self._reason(unit)
        return Blocked(
            unit.group.id, unit.rule, reason, code, unit.excess)

    def _reason(self, unit: Unit) -> tuple[str, BlockCode]:
        state = self._state
        useful = useful_members(state, unit)
        able = [uuid for uuid in useful if movable(state.servers[uuid])]
        if not able:
            whys = Counter(
                _why_not(state.servers[uuid]) for uuid in useful)
            if not whys:
                return UNKNOWN_PLACE, BlockCode.UNMOVABLE
            return ("none of the members that would have to move can be "
                    "moved: " + _listed(whys)), BlockCode.UNMOVABLE
        tally: Counter[tuple[BlockCode, str]] = Counter()
        better = False
        for uuid in able[:LOOKED_AT]:
            better |= self._look(unit, uuid, tally)
        if not better:
            text = (
                f"there is no other {unit.rule.level.value} where a member "
                f"would be better: the rule asks for more than the cloud has")
            return text, BlockCode.NO_DOMAIN
        if not tally:
            return NO_ORDER, BlockCode.LIMIT
        ways: Counter[str] = Counter()
        codes: Counter[BlockCode] = Counter()
        for (code, text), number in tally.items():
            ways[text] += number
            codes[code] += number
        first = max(codes, key=lambda code: (codes[code], code.value))
        return (f"{len(able)} of the members could be moved, but no host is "
                f"right: {_listed(ways)}"), first

    def _look(
        self, unit: Unit, uuid: str, tally: Counter[tuple[BlockCode, str]],
    ) -> bool:
        """Count why not each host that would mend; whether there is one."""
        state = self._state
        server = state.servers[uuid]
        here = state.spot(state.place[uuid])
        better = False
        hosts = self._hosts
        if self._looks < len(hosts):
            hosts = hosts[::max(1, len(hosts) // SAMPLED)]
        self._looks -= len(hosts)
        refused: Counter[int] = Counter()
        for host in hosts:
            there = state.spot(host)[unit.level]
            change = unit.judge(here[unit.level], there)
            if change is None or change >= 0:
                continue
            better = True
            view = state.problem.hosts[host]
            if not view.takes:
                tally[BlockCode.CLOSED, (
                    f"takes no servers ({view.reason or 'closed'})")] += 1
            elif server.may_go is not None and host not in server.may_go:
                tally[BlockCode.PINNED, (
                    "is outside the zone or cell that the server is "
                    "pinned to")] += 1
            elif not state.fits(server, host):
                tally[BlockCode.CAPACITY, (
                    f"has no room for {_lacking(state, server, host)}")] += 1
            else:
                other = state.refusing(uuid, host)
                if other is not None:
                    refused[other.number] += 1
        for number, times in refused.items():
            other = state.units[number]
            tally[BlockCode.CONFLICT, (
                f"would make {format_rule(other.rule)} of group "
                f"{other.group.name} worse")] += times
        return better


def useful_members(state: State, unit: Unit) -> list[str]:
    """The members whose leaving, or moving at all, would help."""
    rule, counts = unit.rule, unit.counts
    placed = {name: n for name, n in counts.items() if name != UNPLACED}
    most = max(placed.values(), default=0)
    fullest = min(
        (name for name, n in placed.items() if n == most), default="")
    held = max((n for name, n in placed.items() if name in unit.eligible),
               default=0)
    found = []
    for uuid in sorted(unit.group.members):
        host = state.place.get(uuid)
        if host is None:
            continue
        name = state.spot(host)[unit.level]
        n = counts.get(name, 0)
        if rule.kind is RuleKind.FENCE:
            good = name not in unit.names
        elif rule.kind is RuleKind.TOGETHER:
            good = name != fullest
        else:
            good = name == UNPLACED or (
                rule.max_per_domain is not None and n > rule.max_per_domain
            ) or (rule.max_skew is not None and name in unit.eligible
                  and n == held)
        if good:
            found.append(uuid)
    return found


def _lacking(state: State, server: RepairServer, host: str) -> str:
    """What of a server the host has no room for."""
    vcpus, memory_mb, disk_gb = state.free[host]
    found = []
    if server.vcpus > vcpus:
        found.append(f"{server.vcpus} vCPU")
    if server.memory_mb > memory_mb:
        found.append(f"{server.memory_mb} MB memory")
    if server.disk_gb > disk_gb:
        found.append(
            f"{server.disk_gb} GB disk (its local disks, which are copied)")
    return " and ".join(found)


def _why_not(server: RepairServer) -> str:
    if server.also is not None:
        return "is being migrated already"
    return server.why_not or "cannot be moved"


def _listed(texts: Counter[str]) -> str:
    found = [f"{n} {text}" for text, n in sorted(
        texts.items(), key=lambda item: (-item[1], item[0]))]
    rest = len(found) - NAMED
    if rest > 0:
        found = [*found[:NAMED], f"{rest} more kinds of reasons"]
    return "; ".join(found)


def why(state: State, uuid: str, host: str, stop: bool) -> tuple[str, ...]:
    """What the move is good for, before it is made on the state."""
    here, there = state.spot(state.place[uuid]), state.spot(host)
    found = []
    for unit in state.units_of.get(uuid, ()):
        a, b = here[unit.level], there[unit.level]
        if a == b or not unit.mend:
            continue
        rule = unit.rule
        change = unit.judge(a, b)
        if (change is not None and change < 0) or unit.leaving(a) > 0 or (
                unit.arriving(b) > 0):
            n = unit.counts.get(a, 0)
            found.append(
                f"{format_rule(rule)} of group {unit.group.name}: "
                f"{rule.level.value} {a} holds {n} of its members, "
                f"{b} holds {unit.counts.get(b, 0)}")
    if stop:
        found.append("it makes room for others on the way, and moves on")
    elif not found:
        found.append("it makes way for another server of the plan")
    return tuple(found)


