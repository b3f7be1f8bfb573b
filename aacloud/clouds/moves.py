# SPDX-License-Identifier: Apache-2.0
"""What a mover is given and what it gives back.

A mover knows nothing of incidents: it takes records of servers to be moved,
and writes each step into a ledger. What kind of move it is — evacuation, or a
live migration — is its strategy.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import typing
from typing import Any

from aacloud.clouds import ports
from aacloud.core import adoption
from aacloud.core import incidents
from aacloud.core import migrations
from aacloud.core import recovery
from aacloud.core import retries


@dataclasses.dataclass(frozen=True, slots=True)
class Transition:
    """One step of one record, to be written.

    :ivar record: as it was read; its version is what the write compares.
    :ivar state: the new state; the same one when only columns change.
    :ivar columns: fields of ServerRecord and their new values.
    :ivar text: what happened, for the timeline.
    :ivar detail: the same for programs, as JSON-able values.
    """

    record: incidents.ServerRecord
    state: incidents.ServerState
    columns: Mapping[str, Any]
    text: str
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def step(
    record: incidents.ServerRecord,
    state: incidents.ServerState,
    text: str,
    **columns: Any,
) -> Transition:
    """Return the transition of a record to a state (or in the same one)."""
    return Transition(record, state, columns, f"{record.name}: {text}")


def manual(
    record: incidents.ServerRecord,
    code: str,
    why: str,
    **columns: Any,
) -> Transition:
    """Return the transition that leaves a record to the operator."""
    return step(
        record,
        incidents.ServerState.MANUAL,
        why,
        reason_code=code,
        reason=why,
        **columns,
    )


def given_up(
    record: incidents.ServerRecord,
    told: str,
    failed: str = "",
    **columns: Any,
) -> Transition:
    """Return the transition that leaves a server where it is.

    :param told: who said so, and why
    :param failed: what became of the last attempt to move it
    """
    said = f"{failed}. " if failed else ""
    return manual(
        record,
        "given-up",
        f"{said}Nothing more is sent: {told}. It stays on {record.source};"
        " start it there by hand if it does not run",
        **{"destination": None, "spares": (), "not_before": None, **columns},
    )


def at_source(
    record: incidents.ServerRecord, task_state: str
) -> recovery.ServerView:
    """Return a server as it has to be while Nova moves it."""
    return recovery.ServerView(
        uuid=record.server,
        name=record.name,
        project_id=record.project_id,
        host=record.source,
        vm_state=str(record.snapshot.get("vm_state", "active")),
        task_state=task_state,
        power_state="nostate",
        flavor=recovery.FlavorView(vcpus=0, ram_mb=0, root_gb=0),
    )


class Ledger(typing.Protocol):
    """Where each step is written, before it is taken and after."""

    def write(
        self, transitions: Sequence[Transition]
    ) -> Sequence[incidents.ServerRecord]:
        """Write all steps or none; return the records as they are now.

        Whatever it raises ends the mover's round before any call to the
        cloud that depends on these steps, and is passed on.
        """


class Strategy(typing.Protocol):
    """One kind of move."""

    kind: str

    def begin_round(self) -> None:
        """Take over what all decisions of one round go by."""

    def server(self, uuid: str) -> recovery.ServerView:
        """Read one server."""

    def servers_on(self, host: str) -> Sequence[recovery.ServerView]:
        """Read servers of a host; those left out are read one by one."""

    def all_migrations(
        self, source: str, now_utc: datetime.datetime
    ) -> Sequence[migrations.MigrationView]:
        """Read migrations of any kind away from a host."""

    def own_migrations(
        self, source: str, now_utc: datetime.datetime
    ) -> Sequence[migrations.MigrationView]:
        """Read the migrations of this kind away from a host: one request."""

    def under_way(
        self,
        record: incidents.ServerRecord,
        found: Sequence[migrations.MigrationView],
    ) -> migrations.MigrationView | None:
        """Return this attempt's migration that Nova still works on."""

    def assumed(
        self,
        record: incidents.ServerRecord,
        found: Sequence[migrations.MigrationView],
        now_utc: datetime.datetime,
    ) -> recovery.ServerView | None:
        """Return what the server must be like, by its migration alone.

        None: that does not suffice, the server has to be read.
        """

    def decide(
        self,
        record: incidents.ServerRecord,
        server: recovery.ServerView | None,
        found: Sequence[migrations.MigrationView] | None,
        now_utc: datetime.datetime,
        *,
        watched_s: float,
        gone: bool,
    ) -> adoption.Outcome:
        """Decide what is to be done about a record."""

    def lost_request(
        self,
        record: incidents.ServerRecord,
        found: Sequence[migrations.MigrationView],
        now_utc: datetime.datetime,
    ) -> ports.Trace | None:
        """Return a request that reached Nova and led to no migration yet."""

    def check(self, record: incidents.ServerRecord) -> None:
        """Look once more, right before the order, and change nothing.

        Called by the pool's threads, as send(). What it raises is told to
        refusal(); a CloudUnknown means that nothing was sent.
        """

    def send(self, record: incidents.ServerRecord) -> str:
        """Order the move to ``record.destination``; return a request id."""

    def refusal(
        self, error: Exception
    ) -> retries.FailureKind | adoption.Manual | None:
        """Say what a refusal means; None: nothing, try the same again."""

    def left_behind(
        self,
        record: incidents.ServerRecord,
        failed: adoption.Failed,
        since: float,
        waited_s: float,
        patience_s: float,
    ) -> adoption.Wait | adoption.Manual | None:
        """Say what a failed try left that keeps the next from beginning.

        :param since: when the failure was seen, monotonic
        :param waited_s: seconds since then
        :param patience_s: seconds after which an operator is asked
        """

    def by_hand(self, record: incidents.ServerRecord) -> str:
        """Return the command of such a move, for who goes on by hand."""

    def verify(
        self,
        record: incidents.ServerRecord,
        server: recovery.ServerView,
    ) -> str | None:
        """Say what is wrong with a server that landed; None: nothing."""


class RunsOn(typing.Protocol):
    """Says whether a guest of a server runs on a host."""

    def __call__(
        self, host: str, server: str, since: float
    ) -> bool | None:
        """Answer with what was seen after ``since`` (monotonic seconds);
        None: nothing was seen of the host since then."""


Replacement: typing.TypeAlias = recovery.PlannedMove | recovery.HeldServer


@dataclasses.dataclass(frozen=True, slots=True)
class MoverTimes:
    """Seconds between and for things.

    :ivar poll: between two looks at the migrations under way.
    :ivar list: for which a list of the source's servers is fresh enough to
        send a server off.
    :ivar reread: between two readings of one server that has to be watched.
    :ivar replan: between two attempts at new destinations.
    :ivar resend: before a request that never left, or that Nova could not
        serve at all, is made again; doubled each time up to eightfold.
    :ivar verify: in which a landed server must prove to run.
    """

    poll: float = 1.0
    list: float = 15.0
    reread: float = 2.0
    replan: float = 5.0
    resend: float = 2.0
    verify: float = 300.0


@dataclasses.dataclass(frozen=True, slots=True)
class Round:
    """What one round of a mover came to.

    :ivar records: all records, as they are now.
    :ivar waiting: why nothing can go on, and for what; None when it goes on.
    :ivar pause_s: after which the next round makes sense.
    :ivar stopped: the mover may not act, and did nothing.
    """

    records: tuple[incidents.ServerRecord, ...]
    waiting: str | None = None
    pause_s: float = 0.0
    stopped: bool = False

    @property
    def settled(self) -> bool:
        """Nothing is left to be done for any server."""
        return not self.stopped and all(
            record.state in incidents.SETTLED for record in self.records
        )
