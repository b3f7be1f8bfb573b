# SPDX-License-Identifier: Apache-2.0
"""Rules of HA server groups, and the groups that keep them.

A rule says how the members of one group lie over the domains of one level:

* ``spread``: not too many in one domain (``max_per_domain``), or evenly over
  the domains (``max_skew``, with ``min_domains``); see ``counting.excess``
  for the exact meaning of each.
* ``together``: all in one domain.
* ``fence``: only in the named domains.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import enum

from aacloud.core.topology import Level
from aacloud.core.topology.document import name_problem

#: The hosts a server counts on: none when it is placed nowhere (shelved, in
#: error), two while it is moved (both ends).
Place = tuple[str, ...]

#: Server -> the hosts it counts on.
Occupancy = Mapping[str, Place]

#: The levels a rule can speak of, the smallest first.
LEVELS = (Level.HOST, Level.RACK, Level.DC)

#: The largest number a rule may hold.
MOST = 1_000_000


class RuleKind(str, enum.Enum):
    """What a rule wants of the members."""

    SPREAD = "spread"
    TOGETHER = "together"
    FENCE = "fence"


class Strength(str, enum.Enum):
    """REQUIRE: hard, nothing may make it worse. PREFER: as far as it goes."""

    REQUIRE = "require"
    PREFER = "prefer"


class OnUnknown(str, enum.Enum):
    """What holds where it is not known whether the rule is kept.

    That is a host without a place in the topology, or membership or
    occupancy that is too old. OPEN: it is allowed. CLOSED: it is refused,
    and a member on such a host counts as one too many.
    """

    OPEN = "open"
    CLOSED = "closed"


class OnEvacuate(str, enum.Enum):
    """What an evacuation makes of a required rule.

    RELAX: a preference, being up beats being spread; the repair mends it
    afterwards. HOLD: it stays required, the server rather stays down.
    """

    RELAX = "relax"
    HOLD = "hold"


class GroupMode(str, enum.Enum):
    """What is done about a group's rules.

    OFF: stored only. REPORT: inspected. ENFORCE: also kept at every new
    placement and move. REPAIR: also mended by migrations, in the window.
    """

    OFF = "off"
    REPORT = "report"
    ENFORCE = "enforce"
    REPAIR = "repair"


class RuleError(ValueError):
    """A rule that means nothing.

    :ivar rule: the rule as far as it can be told
    :ivar problem: what is wrong with it
    :ivar example: one that works
    """

    def __init__(self, rule: str, problem: str, example: str) -> None:
        self.rule = rule
        self.problem = problem
        self.example = example
        super().__init__(f"rule {rule!r}: {problem}; for example {example}")


EXAMPLES: Mapping[RuleKind, str] = {
    RuleKind.SPREAD: "spread:rack:max=1",
    RuleKind.TOGETHER: "together:dc",
    RuleKind.FENCE: "fence:dc:domains=dc1,dc2",
}

_NUMBERS = ("max_per_domain", "max_skew", "min_domains")


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a group.

    Enums may be given by their values. What is left out gets the default
    of its kind, so two rules that mean the same are equal.

    :ivar max_per_domain: spread: members that one domain may hold; 1 when
        neither it nor ``max_skew`` is given
    :ivar max_skew: spread: by how many members the fullest domain may exceed
        the emptiest eligible one
    :ivar min_domains: with ``max_skew``: with fewer eligible domains than
        this the emptiest counts as holding nothing
    :ivar domains: fence: the names, sorted
    :ivar on_unknown: by default CLOSED for a fence, else OPEN
    :ivar on_evacuate: by default HOLD for a fence, else RELAX
    :raises RuleError: the rule means nothing
    """

    level: Level
    kind: RuleKind
    strength: Strength = Strength.REQUIRE
    max_per_domain: int | None = None
    max_skew: int | None = None
    min_domains: int | None = None
    domains: tuple[str, ...] = ()
    # The defaults depend on the kind; after __post_init__ never None.
    on_unknown: OnUnknown = None  # type: ignore[assignment]
    on_evacuate: OnEvacuate = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self._settle("kind", RuleKind)
        self._settle("level", Level, {Level.CLOUD})
        fence = self.kind is RuleKind.FENCE
        if self.on_unknown is None:
            self._set("on_unknown",
                      OnUnknown.CLOSED if fence else OnUnknown.OPEN)
        if self.on_evacuate is None:
            self._set("on_evacuate",
                      OnEvacuate.HOLD if fence else OnEvacuate.RELAX)
        self._settle("strength", Strength)
        self._settle("on_unknown", OnUnknown)
        self._settle("on_evacuate", OnEvacuate)
        for name in _NUMBERS:
            self._check_number(name)
        self._check_domains()
        if self.kind is RuleKind.SPREAD:
            if self.max_per_domain is None and self.max_skew is None:
                self._set("max_per_domain", 1)
            if self.min_domains is not None and self.max_skew is None:
                raise self._error(
                    "min_domains means something with max_skew only",
                    "spread:dc:max_skew=1:min_domains=2")

    @property
    def required(self) -> bool:
        """Whether the rule is hard."""
        return self.strength is Strength.REQUIRE

    def relaxed(self, evacuation: bool) -> bool:
        """Whether a required rule only advises the move at hand."""
        return (evacuation and self.required
                and self.on_evacuate is OnEvacuate.RELAX)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _settle(
        self, name: str, kind: type[enum.Enum],
        barred: Collection[enum.Enum] = (),
    ) -> None:
        value = getattr(self, name)
        try:
            found = kind(value)
        except ValueError:
            found = None
        if found is None or found in barred:
            known = ", ".join(k.value for k in kind if k not in barred)
            raise self._error(
                f"{name} is {_shown(value)}, it can be {known}")
        self._set(name, found)

    def _check_number(self, name: str) -> None:
        value = getattr(self, name)
        if value is None:
            return
        if self.kind is not RuleKind.SPREAD:
            raise self._error(f"{name} is for spread rules only")
        if (
            not isinstance(value, int) or isinstance(value, bool)
            or not 1 <= value <= MOST
        ):
            raise self._error(
                f"{name} is {_shown(value)}, it can be a whole number from "
                f"1 to {MOST}")

    def _check_domains(self) -> None:
        names = self.domains
        if isinstance(names, (str, bytes)) or not isinstance(
                names, Collection):
            raise self._error(
                f"domains is {_shown(names)}, it is a list of names")
        if self.kind is not RuleKind.FENCE:
            if names:
                raise self._error(
                    "domains is for fence rules only; add a fence rule "
                    "beside this one")
        elif not names:
            raise self._error("a fence needs the names of its domains")
        for name in names:
            problem = name_problem(name)
            if problem is not None:
                raise self._error(f"domains: {problem}")
        self._set("domains", tuple(sorted(set(names))))

    def _error(self, problem: str, example: str | None = None) -> RuleError:
        kind, level = (
            value.value if isinstance(value, enum.Enum) else str(value)
            for value in (self.kind, self.level))
        if example is None:
            example = EXAMPLES.get(self.kind, EXAMPLES[RuleKind.SPREAD])
        return RuleError(f"{kind}:{level}"[:80], problem, example)


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Servers and the rules they keep together.

    :ivar revision: grows with every change of the group
    :ivar window: when it may be repaired, as text; see core/windows
    :ivar native: one of Nova's own server groups, read as host rules: Nova
        enforces it, a repair must honour it and nobody changes it here
    """

    id: str
    name: str
    project_id: str
    mode: GroupMode
    rules: tuple[Rule, ...]
    members: frozenset[str]
    revision: int
    window: str | None = None
    native: bool = False

    @property
    def enforced(self) -> bool:
        """Whether placements and moves are held to the rules."""
        return self.mode in (GroupMode.ENFORCE, GroupMode.REPAIR)


def _shown(value: object) -> str:
    text = repr(value.value if isinstance(value, enum.Enum) else value)
    return text if len(text) <= 60 else text[:57] + "..."
