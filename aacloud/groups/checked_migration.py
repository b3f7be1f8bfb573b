# SPDX-License-Identifier: Apache-2.0
"""Live migrations that our own rules are asked about, too."""

from __future__ import annotations

from collections.abc import Callable

from aacloud.clouds import live_migration
from aacloud.clouds import ports
from aacloud.core import adoption
from aacloud.core import adoption_live
from aacloud.core import incidents


class CheckedMigration(live_migration.LiveMigration):
    """A live migration that is checked by the groups' rules as the last
    thing before it is ordered, also when it is ordered again.

    :param wrong: says why a move must not be made now, or None
    """

    def __init__(
        self,
        cloud: ports.LiveMigrator,
        policy: adoption_live.LivePolicy,
        wrong: Callable[[incidents.ServerRecord], str | None],
    ) -> None:
        super().__init__(cloud, policy)
        self._wrong = wrong

    def check(self, record: incidents.ServerRecord) -> None:
        """Look whether the move is still right, and whether Nova can.

        :raises live_migration.Hindered: it is not sent, and looked at anew
        """
        reason = self._wrong(record)
        if reason is not None:
            raise live_migration.Hindered(adoption.Wait(reason))
        super().check(record)
