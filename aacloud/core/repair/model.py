# SPDX-License-Identifier: Apache-2.0
"""What a repair is planned from, and the plan.

A plan moves servers, one step each, so that the required rules of all groups
in mode ``repair`` are kept, or are as near to it as can be, with the fewest
moves. On the way no step makes any required rule worse, of any group that is
enforced, and no host is filled beyond what is free on it.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum

from aacloud.core.rules import Domains
from aacloud.core.rules import Group
from aacloud.core.rules import Rule


@dataclasses.dataclass(frozen=True, slots=True)
class RepairHost:
    """A host and what is free on it.

    What is free counts migrations under way at both ends, as Placement
    does; it may be negative.

    :ivar takes: servers may be moved here
    :ivar reason: why not
    """

    name: str
    rack: str
    dc: str
    free_vcpus: int
    free_memory_mb: int
    free_disk_gb: int
    takes: bool = True
    reason: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RepairServer:
    """A server, where it is and what it takes from a host.

    :ivar memory_mb: also what a live migration of it transfers
    :ivar disk_gb: what it takes from the host's own disk
    :ivar why_not: why it cannot be moved
    :ivar may_go: the only hosts it may be moved to (zone, cell); None: all.
        Servers with the same hosts should share one object.
    :ivar also: the other end of a migration under way; the server counts
        there too, and is not moved
    """

    uuid: str
    host: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    movable: bool = True
    why_not: str | None = None
    may_go: frozenset[str] | None = None
    also: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RepairProblem:
    """One picture of the cloud.

    :ivar servers: of the whole cloud; those in no group may have to make
        way
    :ivar groups: Nova's own among them; those in mode ``repair`` are mended,
        those enforced, and Nova's own, are not made worse, others are left
        out
    :ivar domains: who is where, for the rules
    :ivar seed: of the solver: the same seed gives the same plan, unless the
        time ran out
    """

    hosts: Mapping[str, RepairHost]
    servers: Mapping[str, RepairServer]
    groups: tuple[Group, ...]
    domains: Domains
    seed: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class RepairLimits:
    """How far a plan may go, and how much of it at once.

    :ivar time_limit_s: seconds after which the best plan so far is taken
    :ivar workers: threads of the solver
    :ivar max_moves: moves of one plan; None: any number
    :ivar parallel_total: moves under way at once
    :ivar parallel_per_host: of these from or to one host
    :ivar parallel_per_rack: of these from or to one rack
    :ivar parallel_inter_dc: of these between data centres
    :ivar mend_preferences: mend preferred rules too, for more moves
    """

    time_limit_s: float = 30.0
    workers: int = 2
    max_moves: int | None = None
    parallel_total: int = 8
    parallel_per_host: int = 1
    parallel_per_rack: int = 4
    parallel_inter_dc: int = 2
    mend_preferences: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """One server from one host to another."""

    server: str
    source: str
    destination: str


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One move of a plan.

    :ivar number: from 1; done one by one in this order, all is well
    :ivar after: the steps that must have ended before this one starts; all
        others that they do not wait for may be in any state meanwhile
    :ivar why: what it is good for, a sentence each
    """

    number: int
    move: Move
    after: tuple[int, ...]
    why: tuple[str, ...]


class BlockCode(str, enum.Enum):
    """What keeps a rule from being mended."""

    UNMOVABLE = "unmovable"
    PINNED = "pinned"
    CAPACITY = "capacity"
    CLOSED = "closed"
    CONFLICT = "conflict"
    NO_DOMAIN = "no-domain"
    LIMIT = "limit"


@dataclasses.dataclass(frozen=True, slots=True)
class Blocked:
    """A required rule that the plan leaves broken.

    :ivar group: the group's id
    :ivar reason: a sentence for the operator
    :ivar excess: what is left of it
    """

    group: str
    rule: Rule
    reason: str
    code: BlockCode
    excess: int


@dataclasses.dataclass(frozen=True, slots=True)
class RepairPlan:
    """The steps, and how good they are.

    :ivar moves: steps of the plan
    :ivar lower_bound: proven: no plan that mends as much in every group has
        fewer moves
    :ivar gap: moves less lower_bound
    :ivar proved_optimal: the gap is 0, and what is left of the excess is
        proven to be the least
    :ivar solver: flow: bounds on the tree of domains proved the greedy
        moves to be best; cp-sat: the solver was asked besides; greedy: the
        time was out before
    :ivar excess_before: summed over the required rules of all groups to be
        mended
    :ivar preferred_before: the same of their preferred rules
    :ivar first_s: seconds until the first complete plan
    :ivar components: independent parts; ``proved_components`` of them are
        proven to be the best
    """

    steps: tuple[Step, ...]
    moves: int
    lower_bound: int
    gap: int
    proved_optimal: bool
    solver: str
    excess_before: int
    excess_after: int
    left: tuple[Blocked, ...]
    seconds: float
    preferred_before: int = 0
    preferred_after: int = 0
    first_s: float = 0.0
    components: int = 0
    proved_components: int = 0
