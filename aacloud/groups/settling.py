# SPDX-License-Identifier: Apache-2.0
"""Which groups somebody is changing just now: these are not planned for yet.

Members are often added one after the other; a plan that is made after the
first is another one after the last.
"""

from __future__ import annotations

from collections.abc import Collection

from aacloud.groups import catalogue as catalogues

#: A group that does not come to rest is planned for after so many times the
#: settle time.
MOST_TIMES = 30


class Settling:
    """Follows the revisions of groups. All calls are made by one thread."""

    def __init__(self, catalogue: catalogues.Catalogue) -> None:
        self._catalogue = catalogue
        self._revision: int | None = None
        #: Group -> when it was changed first and last without a rest.
        self._changed: dict[str, tuple[float, float]] = {}

    def note(self, now: float, settle_s: float) -> frozenset[str]:
        """See what was changed since the last call.

        What was changed before the first one is taken to be at rest.

        :param now: monotonic seconds
        :returns: ids of the groups that came to rest since
        """
        known = self._revision
        revision, groups, gone, _ = self._catalogue.since(known)
        if known is not None:
            # They may be all groups.
            for group in groups:
                if group.revision <= known:
                    continue
                first, last = self._changed.get(group.id, (now, now))
                self._changed[group.id] = (
                    first if now - last < settle_s else now, now)
        self._revision = revision
        for group_id in gone:
            self._changed.pop(group_id, None)
        rested = frozenset(
            group_id for group_id, (first, last) in self._changed.items()
            if now >= min(last + settle_s, first + MOST_TIMES * settle_s))
        for group_id in rested:
            del self._changed[group_id]
        return rested

    def restless(self, wanted: Collection[str]) -> frozenset[str]:
        """Those of these groups that were not at rest at the last call."""
        return frozenset(self._changed.keys() & set(wanted))
