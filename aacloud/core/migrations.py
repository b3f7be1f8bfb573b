# SPDX-License-Identifier: Apache-2.0
"""Nova's records of servers being moved."""

from __future__ import annotations

import dataclasses
import datetime

EVACUATION = "evacuation"
LIVE_MIGRATION = "live-migration"

#: Nova is through with these.
SUCCEEDED = frozenset({"done", "completed", "finished", "confirmed"})
FAILED = frozenset({"failed", "error", "cancelled", "reverted"})

#: All that Nova works on, in the order in which a migration of any kind goes
#: through them: who asks for one after the other in this order misses none.
UNFINISHED = (
    "accepted", "queued", "preparing", "pre-migrating", "running",
    "migrating", "post-migrating", "confirming", "reverting")


@dataclasses.dataclass(frozen=True, slots=True)
class MigrationView:
    """One record of os-migrations. Times are Nova's, aware UTC.

    :ivar type: evacuation, live-migration, migration or resize.
    :ivar dest: None as long as no destination was chosen.
    """

    id: int
    uuid: str | None
    server: str
    source: str
    dest: str | None
    status: str
    type: str
    created_at_utc: datetime.datetime
    updated_at_utc: datetime.datetime | None = None

    @property
    def unfinished(self) -> bool:
        """Nova may still be working on it. A strange status counts so."""
        return self.status not in SUCCEEDED and self.status not in FAILED

    @property
    def is_evacuation(self) -> bool:
        return self.type == EVACUATION

    @property
    def is_live(self) -> bool:
        return self.type == LIVE_MIGRATION
