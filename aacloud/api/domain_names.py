# SPDX-License-Identifier: Apache-2.0
"""Names of domains for callers who may not know them.

Who may not is shown ``rack-3`` instead of a rack's name. The numbers are
those of the names in their order, so that they are the same in every answer
until the topology changes.
"""

from collections.abc import Collection
from collections.abc import Mapping
import re
from typing import Any

from aacloud.core import topology as core_topology

#: A name has none of what is left out here, or it is an odd one.
_WORD = r"[^\s/,;?#%()\"'=]+"
_ODD = re.compile(r"[()\"'=:]")
#: Its numbers are not taken for names.
_TIME = re.compile(r"[\dTZ:.+-]+")
_LEVELS = (
    core_topology.Level.HOST,
    core_topology.Level.RACK,
    core_topology.Level.DC,
)


class Names:
    """How one caller is shown the domains.

    :param tree: the topology
    :param known: whether the caller may know the names
    :param said: names that the caller's own rules have; they stay
    """

    def __init__(
        self,
        tree: core_topology.Topology,
        *,
        known: bool,
        said: Collection[str] = (),
    ) -> None:
        self._tree = tree
        self._known = known
        self._shown: dict[core_topology.Level, dict[str, str]] = {}
        self._any: dict[str, str] = {}
        self._words = re.compile(_WORD)
        if known:
            return
        names = (sorted(tree.hosts), tree.racks(), tree.dcs())
        for level, every in zip(_LEVELS, names, strict=True):
            self._shown[level] = {
                name: name if name in said else f"{level.value}-{number}"
                for number, name in enumerate(every, start=1)
            }
        # A host may have the name of its rack: the widest domain wins.
        for level in _LEVELS:
            self._any.update(self._shown[level])
        odd = {name for name in self._any if _ODD.search(name)}
        for name in [one for one in odd if ":" in one]:
            # As it stands in the text of a rule.
            written = name.replace(":", "%3A")
            self._any[written] = self._any[name]
            odd.add(written)
        if odd:
            longest = sorted(odd, key=lambda one: (-len(one), one))
            self._words = re.compile(
                "|".join([*map(re.escape, longest), _WORD])
            )

    @property
    def known(self) -> bool:
        """Whether the real names are shown."""
        return self._known

    def of(self, level: core_topology.Level, name: str) -> str:
        """Return a domain as the caller may see it."""
        if self._known or name == "?":
            return name
        shown = self._shown[level]
        if name not in shown:
            # A host that the topology does not have.
            shown[name] = f"{level.value}-{len(shown) + 1}"
            self._any.setdefault(name, shown[name])
        return shown[name]

    def host(self, name: str) -> str:
        """Return a host as the caller may see it."""
        return self.of(core_topology.Level.HOST, name)

    def maybe_host(self, name: str | None) -> str | None:
        """Return a host that may be missing."""
        return None if name is None else self.host(name)

    def place(self, host: str) -> dict[str, Any]:
        """Return a host with its rack and its data centre."""
        found = self._tree.hosts.get(host)
        return {
            "host": self.host(host),
            "rack": (
                None
                if found is None
                else self.of(core_topology.Level.RACK, found.rack)
            ),
            "dc": (
                None
                if found is None
                else self.of(core_topology.Level.DC, found.dc)
            ),
        }

    def counts(
        self, level: core_topology.Level, counts: Mapping[str, int]
    ) -> dict[str, int]:
        """Return numbers by domain."""
        return {
            self.of(level, name): number
            for name, number in sorted(counts.items())
        }

    def text(self, text: str) -> str:
        """Return a sentence with the names in it replaced."""
        if self._known:
            return text

        return self._words.sub(lambda found: self._word(found[0]), text)

    def _word(self, word: str) -> str:
        if word in self._any:
            return self._any[word]
        bare = word.rstrip(".:!?")
        shown = self._any.get(bare, bare)
        if shown is bare and ":" in bare and not _TIME.fullmatch(bare):
            # Such as a rule with the name of a domain in it.
            shown = ":".join(
                self._any.get(part, part) for part in bare.split(":")
            )
        return shown + word[len(bare):]

    def maybe_text(self, text: str | None) -> str | None:
        """Return a sentence that may be missing."""
        return None if text is None else self.text(text)
