# SPDX-License-Identifier: Apache-2.0
"""Rules as an operator writes them, and as JSON holds them.

``KIND:LEVEL[:key=value or flag]...``::

    spread:host                         at most one member a host
    spread:rack:max=2:prefer            at most two a rack, if it can be
    spread:dc:max_skew=1:min_domains=2  evenly over the data centres
    together:dc                         all in one data centre
    fence:dc:domains=dc1,dc2            only in these

Flags are ``require`` and ``prefer``; keys are ``max``, ``max_skew``,
``min_domains``, ``domains``, ``on_unknown`` (open, closed) and
``on_evacuate`` (relax, hold). A colon in the name of a domain is written
``%3A``; no name holds a per cent sign.
"""

from __future__ import annotations

from collections.abc import Mapping
import enum
import typing

from aacloud.core.rules.model import EXAMPLES
from aacloud.core.rules.model import OnEvacuate
from aacloud.core.rules.model import OnUnknown
from aacloud.core.rules.model import Rule
from aacloud.core.rules.model import RuleError
from aacloud.core.rules.model import RuleKind
from aacloud.core.rules.model import Strength

_COLON = "%3A"

# What stands in the text -> the field of the rule.
_KEYS = {
    "max": "max_per_domain",
    "max_per_domain": "max_per_domain",
    "max_skew": "max_skew",
    "min_domains": "min_domains",
    "domains": "domains",
    "on_unknown": "on_unknown",
    "on_evacuate": "on_evacuate",
}
_SHOWN_KEYS = tuple(key for key in _KEYS if key != "max_per_domain")
_NUMBERS = frozenset({"max_per_domain", "max_skew", "min_domains"})
_FIELDS = (
    "level", "kind", "strength", "max_per_domain", "max_skew", "min_domains",
    "domains", "on_unknown", "on_evacuate")
_FLAGS = frozenset(strength.value for strength in Strength)


def parse_rule(text: str) -> Rule:
    """Make a rule from its text.

    :raises RuleError: says what is wrong and shows one that works
    """
    parts = [part.strip() for part in text.split(":")]
    kind = parts[0].lower()
    known = {k.value: example for k, example in EXAMPLES.items()}
    example = known.get(kind, EXAMPLES[RuleKind.SPREAD])

    def wrong(problem: str) -> RuleError:
        return RuleError(_short(text), problem, example)

    if kind not in known:
        raise wrong(
            f"it begins with {_short(parts[0])!r} instead of the kind of "
            f"rule: {', '.join(known)}")
    if len(parts) < 2 or not parts[1]:
        raise wrong("the level is missing: host, rack or dc")
    found: dict[str, object] = {"kind": kind, "level": parts[1].lower()}
    for part in parts[2:]:
        name, value = _read(part, wrong)
        if name in found:
            raise wrong(f"{name} is said twice")
        found[name] = value
    try:
        return rule_from_dict(found)
    except RuleError as error:
        raise wrong(error.problem) from None


def format_rule(rule: Rule) -> str:
    """The text of a rule; ``parse_rule`` makes the same rule of it.

    What is the default of its kind is left out, but for the limit.
    """
    parts = [rule.kind.value, rule.level.value]
    if rule.max_per_domain is not None:
        parts.append(f"max={rule.max_per_domain}")
    if rule.max_skew is not None:
        parts.append(f"max_skew={rule.max_skew}")
    if rule.min_domains is not None:
        parts.append(f"min_domains={rule.min_domains}")
    if rule.domains:
        names = ",".join(rule.domains).replace(":", _COLON)
        parts.append(f"domains={names}")
    if not rule.required:
        parts.append(rule.strength.value)
    fence = rule.kind is RuleKind.FENCE
    if (rule.on_unknown is OnUnknown.CLOSED) is not fence:
        parts.append(f"on_unknown={rule.on_unknown.value}")
    if (rule.on_evacuate is OnEvacuate.HOLD) is not fence:
        parts.append(f"on_evacuate={rule.on_evacuate.value}")
    return ":".join(parts)


def rule_to_dict(rule: Rule) -> dict[str, typing.Any]:
    """A rule for JSON; what does not apply to it is left out."""
    found: dict[str, typing.Any] = {}
    for name in _FIELDS:
        value = getattr(rule, name)
        if value is None or value == ():
            continue
        if isinstance(value, enum.Enum):
            value = value.value
        elif isinstance(value, tuple):
            value = list(value)
        found[name] = value
    return found


def rule_from_dict(content: object) -> Rule:
    """Make a rule from what JSON held; null means left out.

    :raises RuleError: also for a key that no rule has
    """
    if not isinstance(content, Mapping):
        raise RuleError(
            _short(repr(content)), "it is no mapping of keys to values",
            '{"kind": "spread", "level": "rack", "max_per_domain": 1}')
    given = {
        key: value for key, value in content.items() if value is not None}
    shown = ":".join(
        _short(str(given.get(name, "?"))) for name in ("kind", "level"))
    example = next(
        (text for kind, text in EXAMPLES.items()
         if given.get("kind") == kind.value), EXAMPLES[RuleKind.SPREAD])
    unknown = [key for key in content if key not in _FIELDS]
    if unknown:
        raise RuleError(
            shown, f"unknown key {_short(repr(unknown[0]))}; known are "
            f"{', '.join(_FIELDS)}", example)
    for name in ("kind", "level"):
        if name not in given:
            raise RuleError(shown, f"{name} is missing", example)
    return Rule(**given)


def _read(
    part: str, wrong: typing.Callable[[str], RuleError],
) -> tuple[str, object]:
    """The field and its value that one part of the text stands for."""
    key, equals, value = part.partition("=")
    key, value = key.strip().lower(), value.strip()
    if not equals:
        if key in _FLAGS:
            return "strength", key
        raise wrong(
            f"{_short(part)!r} is no flag ({', '.join(sorted(_FLAGS))}) and "
            f"no key=value; keys are {', '.join(_SHOWN_KEYS)}")
    if key not in _KEYS:
        raise wrong(
            f"unknown key {_short(key)!r}; keys are "
            f"{', '.join(_SHOWN_KEYS)}")
    name = _KEYS[key]
    if name in _NUMBERS:
        if not (value.isascii() and value.isdigit() and len(value) < 20):
            raise wrong(f"{key} is {_short(value)!r}, not a whole number")
        return name, int(value)
    if name == "domains":
        return name, tuple(
            domain.strip().replace(_COLON, ":").replace(
                _COLON.lower(), ":")
            for domain in value.split(",") if domain.strip())
    return name, value.lower()


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
