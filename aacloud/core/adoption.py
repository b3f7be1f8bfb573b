# SPDX-License-Identifier: Apache-2.0
"""Exactly one evacuation a server, on a Nova that has no idempotency key.

The journal says what this or an earlier engine meant to do, Nova's migration
records say what happened. Which records belong to the attempt at hand is told
by their ids (ServerRecord.past_migrations), never by comparing clocks.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import dataclasses
import datetime
import typing

from aacloud.core.incidents import ServerRecord
from aacloud.core.incidents import ServerState
from aacloud.core.migrations import FAILED
from aacloud.core.migrations import MigrationView
from aacloud.core.recovery.views import EVACUABLE
from aacloud.core.recovery.views import ServerView
from aacloud.core.retries import FailureKind

_NOT_SENT = frozenset({
    ServerState.PENDING, ServerState.CLAIMED, ServerState.RETRY})


@dataclasses.dataclass(frozen=True, slots=True)
class AdoptionPolicy:
    """When a silent request may be sent again. Times in seconds.

    :ivar request_grace_s: how long to look for the trace of a request that
        may have reached Nova. Longer than the HTTP time-out of a call.
    :ivar accepted_stuck_s: an evacuation that no compute took up for so
        long is given to the operator: the message may be lost.
    :ivar stuck_after_s: the same for one that was taken up.
    """

    request_grace_s: float = 20.0
    accepted_stuck_s: float = 600.0
    stuck_after_s: float = 1800.0


@dataclasses.dataclass(frozen=True, slots=True)
class Adopt:
    """Nova is working on an evacuation: follow it, send nothing."""

    migration: MigrationView
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Send:
    """Nothing is under way and nothing can be: send the evacuation."""

    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """It is not known what happened: look again later, send nothing."""

    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Landed:
    """The server is on another host and nothing is under way."""

    host: str
    migration: MigrationView | None
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """This attempt is over, without success: see core/retries.

    :ivar settled: ids to be added to ServerRecord.past_migrations.
    """

    kind: FailureKind
    reason: str
    settled: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Manual:
    """The engine keeps its hands off; an operator has to look."""

    reason_code: str
    reason: str


Outcome: typing.TypeAlias = Adopt | Send | Wait | Landed | Failed | Manual


def decide_evacuate(
    record: ServerRecord,
    server_now: ServerView | None,
    migrations: Sequence[MigrationView] | None,
    now_utc: datetime.datetime,
    policy: AdoptionPolicy = AdoptionPolicy(),
    *,
    watched_s: float,
    fenced: Collection[str] = (),
    gone: bool = False,
) -> Outcome:
    """What to do about one server's evacuation, given what Nova shows.

    To be asked before every call and on every look afterwards. The record's
    state must have been journalled as REQUESTED before a call is made.

    :param server_now: the server; None when Nova could not be asked
    :param migrations: all its migrations; None when Nova could not be asked
    :param now_utc: only to tell an evacuation that is stuck
    :param watched_s: seconds on this engine's monotonic clock since it made
        the call itself or, after a takeover, first read this record
    :param fenced: hosts with a fence proof that holds
    :param gone: Nova says that there is no such server
    """
    if gone:
        return Manual("deleted", f"server {record.server} was deleted")
    if server_now is None or migrations is None:
        return Wait("Nova could not be asked: nothing is known, so nothing "
                    "is sent")
    case = _Case(record, server_now, migrations, now_utc, policy,
                 watched_s, frozenset(fenced))
    unfinished = case.unfinished_evacuation()
    if unfinished is not None:
        return case.under_way(unfinished)
    if server_now.host != record.source:
        return case.moved()
    return case.still_there()


@dataclasses.dataclass(frozen=True, slots=True)
class _Case:
    record: ServerRecord
    server: ServerView
    migrations: Sequence[MigrationView]
    now: datetime.datetime
    policy: AdoptionPolicy
    watched_s: float
    fenced: frozenset[str]

    def _evacuations(self) -> list[MigrationView]:
        """This attempt's evacuations, the newest first."""
        past = set(self.record.past_migrations)
        return sorted(
            (m for m in self.migrations
             if m.is_evacuation and m.server == self.record.server
             and m.id not in past),
            key=lambda m: m.id, reverse=True)

    def unfinished_evacuation(self) -> MigrationView | None:
        return next((m for m in self._evacuations() if m.unfinished), None)

    def under_way(self, migration: MigrationView) -> Outcome:
        where = migration.dest or "a host that Nova chooses"
        if migration.dest in self.fenced:
            if self.server.host == migration.dest:
                return self._handed_over(migration.dest)
            return Failed(
                FailureKind.DESTINATION_DIED,
                f"evacuation {migration.id} cannot end: its destination "
                f"{where} died and was fenced before the server landed",
                settled=tuple(m.id for m in self._evacuations()))
        if self._settled_elsewhere():
            return Landed(self.server.host, migration, (
                f"the server is on {self.server.host} and Nova is through "
                f"with it, though evacuation {migration.id} is "
                f"{migration.status}"))
        since = max(
            migration.updated_at_utc or migration.created_at_utc,
            migration.created_at_utc)
        idle = (self.now - since).total_seconds()
        limit = (self.policy.accepted_stuck_s
                 if migration.status == "accepted"
                 else self.policy.stuck_after_s)
        if idle > limit:
            return Manual("stuck", (
                f"evacuation {migration.id} to {where} is "
                f"{migration.status} for {idle:.0f} s: Nova lost it or "
                f"hangs. Look at nova-conductor and at nova-compute on "
                f"{where}; when you are sure that it does not run there, "
                f"reset the server's state and evacuate it by hand"))
        return Adopt(migration, (
            f"Nova works on evacuation {migration.id} to {where} "
            f"({migration.status})"))

    def _settled_elsewhere(self) -> bool:
        """Nova names the new host once the guest is there.

        The record may lag behind, or for ever: with an older record left
        over in "accepted", Nova writes the outcome into that one.
        """
        return (self.server.host != self.record.source
                and self.server.host not in self.fenced
                and self.server.task_state is None)

    def moved(self) -> Outcome:
        host = self.server.host
        if host in self.fenced:
            return self._handed_over(host)
        if self.server.task_state is not None:
            return self._wait(
                f"the server is on {host}, but Nova still works on it "
                f"({self.server.task_state})")
        ended = [m for m in self._evacuations() if m.status not in FAILED]
        if ended:
            return Landed(
                host, ended[0], f"evacuation {ended[0].id} ended on {host}")
        return Landed(host, None, (
            f"the server is on {host}, moved there by something else"))

    def still_there(self) -> Outcome:
        ended = self._evacuations()
        if any(m.status not in FAILED for m in ended):
            return self._wait(
                f"Nova calls evacuation {ended[0].id} {ended[0].status}, but "
                f"still places the server on {self.record.source}")
        if ended:
            if self.server.task_state is not None:
                return self._wait(
                    f"evacuation {ended[0].id} failed, Nova still works on "
                    f"the server ({self.server.task_state})")
            return Failed(
                FailureKind.MIGRATION_FAILED,
                f"evacuation {ended[0].id} to {ended[0].dest} ended "
                f"{ended[0].status}",
                settled=tuple(m.id for m in ended))
        return self._not_started()

    def _not_started(self) -> Outcome:
        """Nova shows no trace of this attempt."""
        hindrance = self._hindrance()
        if hindrance is not None:
            return hindrance
        task = self.server.task_state
        if (task is not None and task.startswith("rebuild")
                and not self._left_by_a_dead_destination()):
            return self._wait(
                f"Nova works on the server ({task}), but shows no "
                f"evacuation of it")
        if self.record.state in _NOT_SENT:
            return Send("nothing was sent and nothing is under way")
        if self.record.state is not ServerState.REQUESTED:
            return self._wait(
                f"the server was {self.record.state.value} and Nova now "
                f"places it on {self.record.source} without a trace")
        if self.record.request_id is not None:
            return self._wait(
                f"Nova took the request ({self.record.request_id}), but "
                f"shows no evacuation of the server")
        if self.watched_s < self.policy.request_grace_s:
            return Wait(
                f"a request may be on its way to Nova: it is looked for "
                f"during {self.policy.request_grace_s:g} s, so far "
                f"{self.watched_s:.0f}")
        return Send(
            f"no trace of the request within {self.watched_s:.0f} s: it "
            f"never reached Nova")

    def _left_by_a_dead_destination(self) -> bool:
        """The task state is that of an evacuation which cannot end."""
        past = set(self.record.past_migrations)
        return any(
            m.is_evacuation and m.unfinished and m.id in past
            and m.server == self.record.server and m.dest in self.fenced
            for m in self.migrations)

    def _hindrance(self) -> Manual | None:
        task = self.server.task_state
        moving = [
            m for m in self.migrations
            if m.unfinished and not m.is_evacuation
            and m.server == self.record.server
            and m.source == self.record.source]
        if moving or task in ("migrating", "resize_migrating"):
            what = (f"{moving[0].type} {moving[0].id} to {moving[0].dest}"
                    if moving else f"task {task}")
            return Manual("in-transit", (
                f"a {what} was under way when the host died: the guest may "
                f"run at the other end. Look for it there; if it does not "
                f"run, reset the server's state and evacuate it by hand"))
        if task == "deleting":
            return Manual("deleting", (
                "the server is being deleted; if that does not end, delete "
                "it again"))
        if self.server.vm_state not in EVACUABLE:
            return Manual("vm-state", (
                f"Nova does not evacuate a server that is "
                f"{self.server.vm_state}: reset its state to active and "
                f"evacuate it by hand, or wait for the host to return"))
        return None

    def _wait(self, reason: str) -> Wait | Manual:
        if self.watched_s > self.policy.stuck_after_s:
            return Manual("stuck", (
                f"{reason}, for {self.watched_s:.0f} s. Look at the server's "
                f"events and at nova-conductor's log; nothing more is sent"))
        return Wait(reason)

    def _handed_over(self, host: str) -> Manual:
        return Manual("handed-over", (
            f"the server landed on {host}, which then died: the incident of "
            f"{host} takes care of it"))
