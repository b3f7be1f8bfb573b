# SPDX-License-Identifier: Apache-2.0
"""What schedulers tell: what they know, and what they had to let pass."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
import dataclasses
import datetime

import sqlalchemy as sa

from aacloud.db import api
from aacloud.db import engine
from aacloud.db import group_rows
from aacloud.db import story

_ACKS = group_rows.ACKS
_OPENS = group_rows.FAIL_OPENS


@dataclasses.dataclass(frozen=True, slots=True)
class Ack:
    """Up to which revision a scheduler knows the groups.

    :ivar seen_at: when it said so last
    """

    scheduler: str
    revision: int
    seen_at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class FailOpen:
    """A placement that a scheduler let pass without knowing the rules.

    :ivar id: made by the scheduler; told twice it is kept once
    :ivar group_id: None when not even the group was known
    :ivar operation: create, evacuate, ...
    :ivar checked_at: when the placement was inspected
    """

    id: str
    scheduler: str
    server: str
    group_id: str | None
    operation: str
    reason: str
    at: datetime.datetime
    checked_at: datetime.datetime | None = None


class Schedulers:
    """Acknowledgements and fail-opens. No leadership is needed."""

    def __init__(
        self,
        database: engine.Database,
        *,
        now: Callable[[], datetime.datetime] = api.utcnow,
    ) -> None:
        self._database = database
        self._now = now

    def ack(self, scheduler: str, revision: int) -> None:
        """Keep that a scheduler works with this revision now.

        A lower one than before counts too: it may have started anew.
        """
        values = {"revision": revision, "seen_at": self._now()}

        def work(connection: sa.Connection, _again: bool) -> None:
            updated = connection.execute(
                sa.update(_ACKS)
                .where(_ACKS.c.scheduler == scheduler)
                .values(values)
            )
            if not updated.rowcount:
                connection.execute(
                    sa.insert(_ACKS).values(scheduler=scheduler, **values)
                )

        self._database.write(f"revision of scheduler {scheduler}", work)

    def acks(
        self, *, since: datetime.datetime | None = None
    ) -> tuple[Ack, ...]:
        """What each scheduler knows, by name.

        :param since: only of those heard since then
        """
        query = sa.select(_ACKS).order_by(_ACKS.c.scheduler)
        if since is not None:
            query = query.where(_ACKS.c.seen_at >= since)
        found = self._database.read(
            "revisions of the schedulers",
            lambda connection: connection.execute(query).all(),
        )
        return tuple(
            Ack(row.scheduler, row.revision, row.seen_at) for row in found
        )

    def record_fail_open(self, one: FailOpen) -> bool:
        """Keep it until it is checked.

        :returns: whether it is new
        """

        def work(connection: sa.Connection, _again: bool) -> bool:
            known = connection.scalar(
                sa.select(_OPENS.c.id).where(_OPENS.c.id == one.id)
            )
            if known is not None:
                return False
            values = dataclasses.asdict(one)
            values["reason"] = one.reason[: story.TEXT_LIMIT]
            connection.execute(sa.insert(_OPENS).values(values))
            return True

        return self._database.write(
            f"fail-open of server {one.server}", work
        )

    def fail_opens(
        self, *, unchecked: bool = True, limit: int | None = None
    ) -> tuple[FailOpen, ...]:
        """Fail-opens, the oldest first.

        :param unchecked: only those that nobody has inspected yet
        """
        query = sa.select(_OPENS).order_by(_OPENS.c.at, _OPENS.c.id)
        if unchecked:
            query = query.where(_OPENS.c.checked_at.is_(None))
        if limit is not None:
            query = query.limit(limit)
        found = self._database.read(
            "fail-opens",
            lambda connection: connection.execute(query).all(),
        )
        return tuple(FailOpen(**row._mapping) for row in found)

    def mark_checked(self, ids: Collection[str]) -> None:
        """Write that these were inspected."""

        def work(connection: sa.Connection, _again: bool) -> None:
            for batch in group_rows.batches(ids):
                connection.execute(
                    sa.update(_OPENS)
                    .where(_OPENS.c.id.in_(batch))
                    .values(checked_at=self._now())
                )

        self._database.write("checked fail-opens", work)

    def prune(self, before: datetime.datetime) -> int:
        """Forget schedulers not heard since, and what was checked before.

        :returns: how many rows went
        """

        def work(connection: sa.Connection, _again: bool) -> int:
            gone = connection.execute(
                sa.delete(_ACKS).where(_ACKS.c.seen_at < before)
            ).rowcount
            return gone + connection.execute(
                sa.delete(_OPENS).where(_OPENS.c.checked_at < before)
            ).rowcount

        return self._database.write("old words of schedulers", work)
