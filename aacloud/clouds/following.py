# SPDX-License-Identifier: Apache-2.0
"""Following one move: the step that an answer, or what is seen, makes.

Nothing is written and nothing is sent here: each method returns the step that
the mover is to write, or None.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
import dataclasses
import datetime
from typing import Any

from aacloud.clouds import errors
from aacloud.clouds import moves
from aacloud.clouds import pace as paces
from aacloud.clouds import picture as pictures
from aacloud.core import adoption
from aacloud.core import incidents
from aacloud.core import retries

_S = incidents.ServerState

#: A call to the cloud was made, or may have been, and is not settled.
IN_FLIGHT = frozenset({_S.REQUESTED, _S.MIGRATING})
#: No call is on its way.
UNSENT = frozenset({_S.PENDING, _S.CLAIMED, _S.RETRY})

_FOREVER_AGO = float("-inf")


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """How a call to the cloud ended. ``at`` is monotonic."""

    at: float
    took_s: float
    request_id: str | None = None
    error: errors.CloudError | None = None
    held: bool = False


@dataclasses.dataclass(slots=True)
class Memory:
    """What is known of one server beside its record. Times: monotonic."""

    since: float
    version: int = 0
    call: futures.Future[Answer] | None = None
    answer: Answer | None = None
    sent_at: float | None = None
    slot: str | None = None
    unsent: int = 0
    landed_at: float | None = None
    failed_at: float | None = None
    waits: str | None = None


class Follower:
    """Finds the next step of each record. Used by one thread at a time.

    :ivar give_up: who gave the moves up, and why; None: nobody did. Then
        what has to be sent yet, or again, stays where it is.
    """

    def __init__(
        self,
        strategy: moves.Strategy,
        picture: pictures.Picture,
        pace: paces.Pace,
        *,
        times: moves.MoverTimes,
        retry: retries.RetryPolicy,
        clock: Callable[[], float],
        utcnow: Callable[[], datetime.datetime],
    ) -> None:
        self._strategy = strategy
        self._picture = picture
        self._pace = pace
        self._times = times
        self._retry = retry
        self._clock = clock
        self._utcnow = utcnow
        self.give_up: str | None = None

    def next_step(
        self, record: incidents.ServerRecord, memory: Memory, send: bool
    ) -> moves.Transition | None:
        """Return the step that this record has made, if it made one.

        :param send: servers that were not sent yet are looked at, too
        """
        if record.state is _S.LANDED:
            return self.verified(record, memory)
        if record.state in UNSENT:
            if self.give_up is not None:
                # Without a look at Nova: wherever it is, it is left there.
                return moves.given_up(record, self.give_up)
            if (
                send
                and due(record, self._utcnow())
                and self._picture.can_send(record.source)
            ):
                return self.decided(record, memory, send)
            return None
        found = self.answered(record, memory)
        read_at = self._picture.read_at(record.source)
        if found is not None or read_at is None or read_at <= memory.since:
            # What was seen last is older than the call.
            return found
        found = self.decided(record, memory, send)
        answer = memory.answer
        if found is None and answer is not None and (
            answer.request_id != record.request_id
        ):
            # Most often its migration shows in the same look: one step less.
            found = moves.step(
                record,
                _S.REQUESTED,
                "Nova took the request",
                request_id=answer.request_id,
            )
        return found

    def needs_reading(
        self,
        record: incidents.ServerRecord,
        memory: Memory,
        send: bool,
    ) -> bool:
        found = self._picture.migrations(record.source)
        if found is None:
            return False
        if record.state in UNSENT:
            # The list of its source shows it, unless it left or is gone.
            return (
                send
                and due(record, self._utcnow())
                and self._picture.can_send(record.source)
                and self._seen(record) is None
            )
        if record.state in IN_FLIGHT:
            read_at = self._picture.read_at(record.source)
            if read_at is None or read_at <= memory.since:
                return False
            if self._strategy.assumed(record, found, self._utcnow()):
                return False
        recent = self._clock() - self._times.reread
        return self._picture.server(record.server, recent) is None

    def _seen(
        self, record: incidents.ServerRecord
    ) -> pictures.Seen | None:
        """Return the server as it was read, fresh enough to decide on."""
        if record.state in UNSENT:
            oldest = self._clock() - 2 * self._times.list
        else:
            oldest = self._picture.read_at(record.source) or _FOREVER_AGO
        return self._picture.server(record.server, oldest)

    def _to_be_read(self, record: incidents.ServerRecord) -> bool:
        """Whether nothing new is known: it is read again soon."""
        recent = self._clock() - 2 * self._times.reread
        return (
            self._picture.migrations(record.source) is not None
            and self._seen(record) is None
            and self._picture.server(record.server, recent) is not None
        )

    def outcome(
        self, record: incidents.ServerRecord, memory: Memory
    ) -> adoption.Outcome:
        found = self._picture.migrations(record.source)
        seen = self._seen(record)
        server = seen.server if seen is not None else None
        now = self._utcnow()
        if server is None and not (seen is not None and seen.gone):
            # Nova's own record may say where it is: still on its way.
            server = self._strategy.assumed(record, found or (), now)
        return self._strategy.decide(
            record,
            server,
            found,
            now,
            watched_s=self._clock() - memory.since,
            gone=seen is not None and seen.gone,
        )

    def answered(
        self, record: incidents.ServerRecord, memory: Memory
    ) -> moves.Transition | None:
        """Find the step that the answer to a call makes by itself."""
        answer = memory.answer
        if answer is None or record.state is not _S.REQUESTED:
            return None
        error = answer.error
        if error is None and not answer.held:
            return None
        if isinstance(error, errors.CloudUnknown) and error.sent:
            text = f"it is not known whether Nova took the request: {error}"
            memory.waits = text
            if record.reason == text:
                return None
            return moves.step(record, _S.REQUESTED, text, reason=text)
        if error is None or isinstance(error, errors.CloudUnknown):
            return self._unsent(
                record, memory, str(error or "the mover had to stop")
            )
        kind = self._strategy.refusal(error)
        if kind is None:
            return self._unsent(record, memory, str(error))
        if isinstance(kind, adoption.Manual):
            return moves.manual(
                record, kind.reason_code, kind.reason, requested_at=None
            )
        return self._failed(record, kind, str(error))

    def _unsent(
        self,
        record: incidents.ServerRecord,
        memory: Memory,
        why: str,
    ) -> moves.Transition:
        """Nothing reached Nova, or nothing it could judge: the same again."""
        if self.give_up is not None:
            return moves.given_up(
                record,
                self.give_up,
                f"not sent: {why}",
                requested_at=None,
            )
        pause = self._times.resend * 2 ** min(memory.unsent, 3)
        memory.unsent += 1
        text = f"not sent, tried again in {pause:g} s: {why}"
        memory.waits = text
        return moves.step(
            record,
            _S.RETRY,
            text,
            not_before=self._utcnow() + datetime.timedelta(seconds=pause),
            requested_at=None,
            reason=text,
        )

    def decided(
        self,
        record: incidents.ServerRecord,
        memory: Memory,
        send: bool,
    ) -> moves.Transition | None:
        """Find the step that what the cloud shows makes."""
        outcome = self.outcome(record, memory)
        if (
            isinstance(outcome, adoption.Send)
            and not send
            and self.give_up is None
        ):
            return None
        if isinstance(outcome, adoption.Wait) and self._to_be_read(record):
            return None
        memory.waits = None
        if isinstance(outcome, adoption.Adopt):
            return self._adopted(record, memory, outcome)
        if isinstance(outcome, adoption.Landed):
            return self._landed(record, memory, outcome)
        if isinstance(outcome, adoption.Failed):
            remains = self._remains(record, memory, outcome)
            if isinstance(remains, adoption.Wait):
                memory.waits = remains.reason
                return None
            self._learn(memory, ok=False)
            if isinstance(remains, adoption.Manual):
                return moves.manual(
                    record, remains.reason_code, remains.reason
                )
            memory.failed_at = None
            return self._failed(
                record, outcome.kind, outcome.reason, outcome.settled
            )
        if isinstance(outcome, adoption.Manual):
            return moves.manual(record, outcome.reason_code, outcome.reason)
        if isinstance(outcome, adoption.Wait):
            memory.waits = outcome.reason
        elif record.state is _S.REQUESTED:
            return self._forgotten(record, memory, outcome.reason)
        return None

    def _remains(
        self,
        record: incidents.ServerRecord,
        memory: Memory,
        outcome: adoption.Failed,
    ) -> adoption.Wait | adoption.Manual | None:
        """Make sure that a failed try left nothing in the way."""
        now = self._clock()
        if memory.failed_at is None:
            memory.failed_at = now
        return self._strategy.left_behind(
            record, outcome, memory.failed_at, now - memory.failed_at,
            self._times.verify,
        )

    def _adopted(
        self,
        record: incidents.ServerRecord,
        memory: Memory,
        outcome: adoption.Adopt,
    ) -> moves.Transition | None:
        migration = outcome.migration
        if record.state is _S.MIGRATING and (
            record.migration_id == migration.id
        ):
            return None
        if record.state is _S.PENDING:
            return moves.step(record, _S.CLAIMED, outcome.reason)
        columns: dict[str, Any] = {
            "migration_id": migration.id,
            "destination": migration.dest or record.destination,
            "reason": None,
        }
        if memory.answer is not None and memory.answer.request_id:
            columns["request_id"] = memory.answer.request_id
        return moves.step(record, _S.MIGRATING, outcome.reason, **columns)

    def _landed(
        self,
        record: incidents.ServerRecord,
        memory: Memory,
        outcome: adoption.Landed,
    ) -> moves.Transition:
        self._learn(memory, ok=True)
        memory.landed_at = self._clock()
        columns: dict[str, Any] = {
            "destination": outcome.host,
            "landed_at": self._utcnow(),
            "reason": None,
            "not_before": None,
        }
        if outcome.migration is not None:
            columns["migration_id"] = outcome.migration.id
        return moves.step(record, _S.LANDED, outcome.reason, **columns)

    def _forgotten(
        self, record: incidents.ServerRecord, memory: Memory, why: str
    ) -> moves.Transition | None:
        """Nova shows no trace of a request: make sure, then send it again,
        or give it up."""
        found = self._picture.migrations(record.source) or ()
        try:
            trace = self._strategy.lost_request(
                record, found, self._utcnow()
            )
        except errors.CloudError as error:
            memory.waits = str(error)
            return None
        if trace is None and self.give_up is not None:
            return moves.given_up(
                record, self.give_up, why, requested_at=None
            )
        if trace is None:
            return moves.step(
                record,
                _S.RETRY,
                why,
                not_before=None,
                requested_at=None,
                reason=why,
            )
        memory.waits = (
            f"Nova took a request ({trace.request_id}) but shows no"
            f" {self._strategy.kind} of the server"
        )
        if self._clock() - memory.since > self._times.verify:
            return moves.manual(
                record,
                "stuck",
                f"{memory.waits}. Nothing more is sent. Look for the request"
                " in nova-api's log; if nothing came of it, move the server"
                " by hand",
            )
        return None

    def _failed(
        self,
        record: incidents.ServerRecord,
        kind: retries.FailureKind,
        why: str,
        settled: tuple[int, ...] = (),
    ) -> moves.Transition:
        now = self._utcnow()
        past = tuple(sorted({*record.past_migrations, *settled}))
        if record.state is _S.PENDING:
            # Nothing was ever sent for it: no try of ours failed.
            return moves.step(
                record, _S.CLAIMED, f"not ours: {why}", past_migrations=past,
                intent_at=now,
            )
        following = retries.next_try(
            record, kind, now, self._retry, detail=why,
            by_hand=self._strategy.by_hand(record),
        )
        if isinstance(following, retries.GiveUp):
            return moves.manual(
                record,
                following.reason_code,
                following.reason,
                past_migrations=past,
            )
        if self.give_up is not None:
            return moves.given_up(
                record,
                self.give_up,
                f"try {following.tries} to {record.destination} failed: "
                f"{why}",
                tries=following.tries,
                past_migrations=past,
            )
        return moves.step(
            record,
            _S.RETRY,
            following.reason,
            not_before=following.at,
            destination=following.destination,
            spares=following.spares,
            tries=following.tries,
            past_migrations=past,
            requested_at=None,
            request_id=None,
            migration_id=None,
            reason=following.reason,
        )

    def verified(
        self, record: incidents.ServerRecord, memory: Memory
    ) -> moves.Transition | None:
        """See whether a landed server is what it was."""
        now = self._clock()
        if memory.landed_at is None:
            memory.landed_at = now
        oldest = memory.landed_at - self._times.reread
        seen = self._picture.server(record.server, oldest)
        if seen is None:
            return None
        outcome = self.outcome(record, memory)
        if isinstance(outcome, adoption.Manual):
            return moves.manual(record, outcome.reason_code, outcome.reason)
        wrong = "it left where it had landed"
        if seen.server is not None:
            found = self._strategy.verify(record, seen.server)
            if found is None:
                return moves.step(
                    record,
                    _S.VERIFIED,
                    f"runs on {seen.server.host} as it did before",
                    verified_at=self._utcnow(),
                    destination=seen.server.host,
                    reason=None,
                )
            wrong = found
        memory.waits = wrong
        if now - memory.landed_at > self._times.verify:
            return moves.manual(
                record,
                "not-verified",
                f"it landed on {record.destination}, but {wrong}, for"
                f" {now - memory.landed_at:.0f} s. Look at the server's"
                " events and at its console",
            )
        return None

    def _learn(self, memory: Memory, ok: bool) -> None:
        if memory.sent_at is not None:
            self._pace.learn(self._clock() - memory.sent_at, ok)
            memory.sent_at = None
            if ok:
                memory.unsent = 0


def due(record: incidents.ServerRecord, now: datetime.datetime) -> bool:
    """Whether the record may be gone on with, by its own ``not_before``."""
    return record.not_before is None or record.not_before <= now
