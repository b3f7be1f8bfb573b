# SPDX-License-Identifier: Apache-2.0
"""At most one live migration a server at a time, and only where it was meant.

The counterpart of ``core/adoption.py`` for servers that run. What differs:
both hosts live, so that nothing has to be fenced; Nova itself refuses a second
request while the first is worked on; a failed try leaves the guest where it
was; and a server that somebody else moved is not brought to where it was to
go, since the plan was made for another cloud. Which migrations belong to the
attempt at hand is told by ids (ServerRecord.past_migrations), never by clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import datetime
import typing

from aacloud.core.adoption import Adopt
from aacloud.core.adoption import Failed
from aacloud.core.adoption import Landed
from aacloud.core.adoption import Manual
from aacloud.core.adoption import Outcome
from aacloud.core.adoption import Send
from aacloud.core.adoption import Wait
from aacloud.core.incidents import ServerRecord
from aacloud.core.incidents import ServerState
from aacloud.core.migrations import FAILED
from aacloud.core.migrations import MigrationView
from aacloud.core.recovery.views import ServerView
from aacloud.core.retries import FailureKind

_NOT_SENT = frozenset({
    ServerState.PENDING, ServerState.CLAIMED, ServerState.RETRY})

#: Why a server in this vm_state is not live-migrated: code, and what to do.
_UNFIT: dict[str, tuple[str, str]] = {
    "paused": ("paused", "unpause it, or move it by hand"),
    "stopped": ("stopped", "a stopped server needs a cold migration"),
    "resized": ("resizing", "confirm or revert its resize first"),
    "error": (
        "in-error",
        "look whether its guest runs on its host, and reset its state"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class LivePolicy:
    """How long is waited for what. Times in seconds.

    :ivar request_grace_s: how long to look for the trace of a request that
        may have reached Nova. Longer than the HTTP time-out of a call.
    :ivar accepted_stuck_s: a request that no compute took up for so long is
        given to the operator: the message may be lost.
    :ivar stuck_after_s: the same for a migration that is queued or runs, and
        of which Nova wrote nothing new for so long.
    :ivar settling_s: how long the source may clean up once the server is on
        its destination; after that it counts as landed without the source.
    :ivar busy_s: how long another task of the server is waited for.
    """

    request_grace_s: float = 20.0
    accepted_stuck_s: float = 600.0
    stuck_after_s: float = 3600.0
    settling_s: float = 60.0
    busy_s: float = 300.0


@dataclasses.dataclass(frozen=True, slots=True)
class HostNow:
    """A host's nova-compute as Nova shows it.

    :ivar up: it reports, and nobody forced it down.
    :ivar enabled: servers may be scheduled on it.
    :ivar zone: its availability zone; None when it is not known.
    """

    up: bool
    enabled: bool
    zone: str | None = None


def decide_live_migration(
    record: ServerRecord,
    server_now: ServerView | None,
    migrations: Sequence[MigrationView] | None,
    now_utc: datetime.datetime,
    policy: LivePolicy = LivePolicy(),
    *,
    watched_s: float,
    gone: bool = False,
) -> Outcome:
    """What to do about one server's live migration, given what Nova shows.

    To be asked before every call and on every look afterwards. The record's
    state must have been journalled as REQUESTED before a call is made.

    :param server_now: the server; None when Nova could not be asked
    :param migrations: its migrations; None when Nova could not be asked
    :param now_utc: only to tell a migration that is stuck or settled
    :param watched_s: seconds on this engine's monotonic clock since it made
        the call itself or, after a takeover, first read this record
    :param gone: Nova says that there is no such server
    """
    if gone:
        return Manual("deleted", f"server {record.server} was deleted")
    if server_now is None or migrations is None:
        return Wait("Nova could not be asked: nothing is known, so nothing "
                    "is sent")
    case = _Case(record, server_now, migrations, now_utc, policy, watched_s)
    unfinished = unfinished_of(record, migrations)
    if unfinished is not None:
        return case.under_way(unfinished)
    if server_now.host != record.source:
        return case.moved()
    return case.still_there()


def unfinished_of(
    record: ServerRecord, migrations: Sequence[MigrationView],
) -> MigrationView | None:
    """The newest live migration of this attempt that Nova works on."""
    return next((m for m in _live(record, migrations) if m.unfinished), None)


def idle_s(migration: MigrationView, now_utc: datetime.datetime) -> float:
    """Seconds since Nova last wrote to a migration, as far as clocks agree."""
    since = max(
        migration.updated_at_utc or migration.created_at_utc,
        migration.created_at_utc)
    return (now_utc - since).total_seconds()


def unfit(
    server: ServerView, waited_s: float, policy: LivePolicy = LivePolicy(),
) -> Manual | Wait | None:
    """Why a server, by its own state, cannot be live-migrated now.

    :param waited_s: seconds that a task of it was waited for already
    :returns: None when nothing about the server itself is in the way
    """
    task = server.task_state
    if task in ("deleting", "soft-deleting"):
        return Manual("deleting", "the server is being deleted")
    if server.vm_state == "deleted":
        # For a moment Nova shows it like that, before it shows none.
        return Manual("deleted", "the server was deleted")
    if server.vm_state in _UNFIT:
        code, remedy = _UNFIT[server.vm_state]
        return Manual(code, f"the server is {server.vm_state}: {remedy}")
    if server.vm_state != "active":
        return Manual("vm-state", (
            f"the server is {server.vm_state}; only active servers are "
            f"live-migrated"))
    if server.locked:
        return Manual("locked", (
            "the server is locked: who locked it does not want it touched. "
            "Unlock it, then it can be moved"))
    if task is not None:
        said = f"Nova works on the server ({task})"
        if waited_s <= policy.busy_s:
            return Wait(said)
        code = "resizing" if task.startswith("resize_") else "busy"
        return Manual(code, (
            f"{said}, for {waited_s:.0f} s. Look at the server's events; "
            f"when nothing is done any more, reset its state"))
    if server.power_state != "running":
        return Manual("not-running", (
            f"the server is active, but the power state of its guest is "
            f"{server.power_state}: Nova does not live-migrate it"))
    return None


def hindrance(
    record: ServerRecord,
    server: ServerView,
    source: HostNow | None,
    destination: HostNow | None,
) -> Manual | Failed | Wait | None:
    """What is in the way right before the request, read fresh.

    Nova finds out the same, but only says that no host is valid.

    :param server: with its zone and its native group filled in
    :param source: nova-compute of its host; None when Nova knows none
    :param destination: the same of where it is to go
    :returns: Failed when another destination could do; None: nothing
    """
    if server.host != record.source:
        return Wait(f"the server is no longer on {record.source}")
    own = unfit(server, 0.0)
    if own is not None:
        return own
    if source is None or not source.up:
        return Manual("source-down", (
            f"nova-compute on {record.source} is down for Nova: a server "
            f"leaves a host alive only with its help"))
    where = record.destination or "?"
    if destination is None:
        return Failed(FailureKind.DESTINATION_DOWN, (
            f"Nova knows no nova-compute on {where}"))
    if not destination.up:
        return Failed(FailureKind.DESTINATION_DOWN, (
            f"nova-compute on {where} is down for Nova"))
    if not destination.enabled:
        return Failed(FailureKind.DESTINATION_DOWN, (
            f"nova-compute on {where} is disabled"))
    pin = server.availability_zone
    if pin is not None and destination.zone not in (None, pin):
        return Failed(FailureKind.PINNED_ZONE, (
            f"the server is pinned to availability zone {pin}, and {where} "
            f"is in {destination.zone}. Unpin it (Nova 2.104 can), or keep "
            f"it in its zone"))
    return _breaks_group(server, where)


def _breaks_group(server: ServerView, destination: str) -> Failed | None:
    """Whether Nova's own group of the server forbids the destination."""
    group = server.server_group
    if group is None:
        return None
    others = [
        host for uuid, host in group.hosts.items() if uuid != server.uuid]
    if group.policy == "anti-affinity":
        there = others.count(destination)
        if there >= group.max_per_host:
            return Failed(FailureKind.NATIVE_GROUP, (
                f"Nova's server group {group.id} allows "
                f"{group.max_per_host} of its members on a host, and "
                f"{destination} has {there}"))
    if (group.policy == "affinity" and destination != server.host
            and destination not in others):
        # With its last member, too: Nova counts the server's own host.
        return Failed(FailureKind.NATIVE_GROUP, (
            f"Nova's server group {group.id} keeps its members on one host, "
            f"and none of them is on {destination}"))
    return None


def _live(
    record: ServerRecord, migrations: Sequence[MigrationView],
) -> list[MigrationView]:
    """Live migrations of the server since the plan, the newest first."""
    past = set(record.past_migrations)
    return sorted(
        (m for m in migrations
         if m.is_live and m.server == record.server and m.id not in past),
        key=lambda m: m.id, reverse=True)


@dataclasses.dataclass(frozen=True, slots=True)
class _Case:
    record: ServerRecord
    server: ServerView
    migrations: Sequence[MigrationView]
    now: datetime.datetime
    policy: LivePolicy
    watched_s: float

    def _ours(self, migration: MigrationView) -> bool:
        """Nova chooses no destination but the one that was asked for."""
        return migration.dest in (None, self.record.destination)

    def under_way(self, migration: MigrationView) -> Outcome:
        name = f"live migration {migration.id}"
        where = migration.dest or "a host that Nova has to check yet"
        idle = idle_s(migration, self.now)
        settled = (
            self.server.host == migration.dest != self.record.source
            and self.server.task_state is None)
        if settled and idle > self.policy.settling_s:
            return self._arrived(migration, (
                f"the server runs on {migration.dest}, though {name} is "
                f"{migration.status} for {idle:.0f} s: its source hangs"))
        limit = (self.policy.accepted_stuck_s
                 if migration.status == "accepted"
                 else self.policy.stuck_after_s)
        if idle > limit:
            return Manual("stuck", (
                f"{name} to {where} is {migration.status} for {idle:.0f} s. "
                f"Look at nova-conductor and at nova-compute on "
                f"{self.record.source}; 'openstack server migration abort "
                f"{self.record.server} {migration.id}' ends it"))
        if not self._ours(migration):
            return Wait(
                f"something else moves the server: {name} to {where} "
                f"({migration.status})")
        return Adopt(migration, (
            f"Nova works on {name} to {where} ({migration.status})"))

    def moved(self) -> Outcome:
        host = self.server.host
        if self.server.task_state is not None:
            return self._wait(
                f"the server is on {host or 'no host'}, but Nova still works "
                f"on it ({self.server.task_state})")
        ended = [
            m for m in _live(self.record, self.migrations)
            if m.dest == host and m.status not in FAILED]
        if ended:
            return self._arrived(
                ended[0], f"live migration {ended[0].id} ended on {host}")
        return self._arrived(None, (
            f"the server is on {host}, moved there by something else"))

    def _arrived(
        self, migration: MigrationView | None, reason: str,
    ) -> Landed | Manual:
        host = self.server.host
        if host == self.record.destination:
            return Landed(host, migration, reason)
        return Manual("moved-by-others", (
            f"the server is on {host or 'no host'}, not on "
            f"{self.record.destination} where it was to go: something else "
            f"moved it, or a request that came late. Plan anew"))

    def still_there(self) -> Outcome:
        ended = [
            m for m in _live(self.record, self.migrations) if self._ours(m)]
        if not ended:
            return self._not_started()
        last = ended[0]
        if last.status not in FAILED:
            return self._wait(
                f"Nova calls live migration {last.id} {last.status}, but "
                f"still places the server on {self.record.source}")
        if self.server.task_state is not None:
            return self._wait(
                f"live migration {last.id} failed, Nova still works on the "
                f"server ({self.server.task_state})")
        if self.server.vm_state == "error":
            return Manual("in-error", (
                f"live migration {last.id} to {last.dest} left the server "
                f"in error. Look whether its guest runs on "
                f"{self.record.source} or on {last.dest}, and only then "
                f"reset its state"))
        if last.status == "cancelled":
            return Manual("cancelled", (
                f"live migration {last.id} was cancelled: whoever did it "
                f"does not want the server moved now"))
        settled = tuple(m.id for m in ended)
        if last.dest is None:
            return Failed(FailureKind.NO_VALID_HOST, (
                f"Nova's scheduler or its checks refused "
                f"{self.record.destination} (live migration {last.id} ended "
                f"{last.status} before it began)"), settled)
        return Failed(FailureKind.MIGRATION_FAILED, (
            f"live migration {last.id} to {last.dest} ended "
            f"{last.status}; the server runs on {self.record.source}"),
            settled)

    def _not_started(self) -> Outcome:
        """Nova shows no trace of this attempt."""
        if self.record.state in _NOT_SENT:
            return self._unfit() or Send(
                "nothing was sent and nothing is under way")
        if self.record.state is not ServerState.REQUESTED:
            return self._wait(
                f"the server was {self.record.state.value} and Nova now "
                f"places it on {self.record.source} without a trace")
        if self.record.request_id is not None:
            return self._wait((
                f"Nova took the request ({self.record.request_id}), but "
                f"shows no live migration of the server"),
                self.policy.accepted_stuck_s)
        if self.watched_s < self.policy.request_grace_s:
            return Wait(
                f"a request may be on its way to Nova: it is looked for "
                f"during {self.policy.request_grace_s:g} s, so far "
                f"{self.watched_s:.0f}")
        if self.server.task_state == "migrating":
            return self._wait((
                "Nova means to migrate the server, but shows no live "
                "migration of it"), self.policy.accepted_stuck_s)
        return self._unfit() or Send(
            f"no trace of the request within {self.watched_s:.0f} s: it "
            f"never reached Nova")

    def _unfit(self) -> Manual | Wait | None:
        """Why the server cannot be sent off, as far as Nova shows it."""
        others = [
            m for m in self.migrations
            if m.server == self.record.server and m.unfinished
            and not m.is_live and m.id not in self.record.past_migrations]
        found = unfit(self.server, self.watched_s, self.policy)
        if isinstance(found, Manual) or not others:
            return found
        other = others[-1]
        said = (f"a {other.type} of the server ({other.id}, {other.status}) "
                f"is under way")
        if self.watched_s <= self.policy.busy_s:
            return Wait(said)
        code = "busy" if other.is_evacuation else "resizing"
        return Manual(code, f"{said}, for {self.watched_s:.0f} s")

    def _wait(
        self, reason: str, patience_s: float | None = None,
    ) -> Wait | Manual:
        limit = (self.policy.stuck_after_s
                 if patience_s is None else patience_s)
        if self.watched_s > limit:
            return Manual("stuck", (
                f"{reason}, for {self.watched_s:.0f} s. Look at the server's "
                f"events and at nova-conductor's log; nothing more is sent"))
        return Wait(reason)


Refusal: typing.TypeAlias = FailureKind | Manual | None
"""What a refusal means: another destination could do; an operator has to
look; the same again a little later."""

#: Texts of Nova that mean the server can never be live-migrated as it is.
_NEVER = (
    "Operation 'live-migration' not supported",
    "Feature not supported",
    "vTPM live migration is not supported",
    "The port-resource-request-groups neutron API extension is not supported",
)

_STATE = " while it is in "


def refused(code: int, message: str) -> Refusal:
    """What Nova's answer to a request for a live migration means.

    A text that is not known means no more than that Nova refused.

    :param code: the HTTP status
    :param message: what Nova said
    """
    if code in (401, 403, 413, 429):
        return None
    if code == 409 and message.endswith(" is locked"):
        return Manual("locked", f"Nova says: {message}")
    if code == 409 and _STATE in message:
        attribute, _, state = message.partition(_STATE)[2].partition(" ")
        if attribute == "task_state":
            # Something is being done to it, perhaps this very migration.
            return None
        if attribute == "vm_state":
            reason = _UNFIT.get(state, ("vm-state", ""))[0]
            return Manual(reason, f"Nova says: {message}")
        return FailureKind.REFUSED
    if code in (400, 409) and message.startswith(_NEVER):
        return Manual("not-supported", f"Nova says: {message}")
    if (code == 400 and message.startswith("Compute host ")
            and message.endswith(" could not be found.")):
        return FailureKind.DESTINATION_DOWN
    return FailureKind.REFUSED
