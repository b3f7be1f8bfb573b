# SPDX-License-Identifier: Apache-2.0
"""The mover: carries servers through their moves, a round at a time.

Each round takes what the pool's threads brought back, looks at the cloud once
for all moves, writes what changed, and starts as many new moves as the pace
allows, in the order of their waves. All decisions are those of the strategy,
which asks ``core``; all memory that counts is in the records, so that another
mover can go on from them at any point. Kept here is only what is fresher than
the records: calls that are on their way, and how long something is watched.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import datetime
import logging
import time

from aacloud.clouds import errors
from aacloud.clouds import following
from aacloud.clouds import moves
from aacloud.clouds import pace as paces
from aacloud.clouds import picture as pictures
from aacloud.core import adoption
from aacloud.core import incidents
from aacloud.core import recovery
from aacloud.core import retries

LOG = logging.getLogger(__name__)

_S = incidents.ServerState

#: Something is still to be done for these.
_OPEN = following.IN_FLIGHT | following.UNSENT | {_S.LANDED}

_FOREVER_AGO = float("-inf")


def _utcnow() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


class Mover:
    """Moves servers. All methods are called by one thread.

    :param ledger: is written before each call and after each result
    :param may_act: is asked right before each call to the cloud that changes
        anything; once it says no, nothing more is sent
    :param usable: says why a destination must not be used now, or None
    :param replan: finds new destinations for servers without one
    :param pool: makes the calls; by default threads of its own
    :param word: what the records belong to, for the log
    """

    def __init__(
        self,
        strategy: moves.Strategy,
        ledger: moves.Ledger,
        pace: paces.Pace,
        *,
        may_act: Callable[[], bool],
        usable: Callable[[str], str | None] = lambda host: None,
        replan: Callable[
            [Collection[str]], Mapping[str, moves.Replacement]
        ] = lambda servers: {},
        times: moves.MoverTimes | None = None,
        retry: retries.RetryPolicy | None = None,
        pool: futures.Executor | None = None,
        word: str = "Incident",
        clock: Callable[[], float] = time.monotonic,
        utcnow: Callable[[], datetime.datetime] = _utcnow,
    ) -> None:
        self._strategy = strategy
        self._ledger = ledger
        self._pace = pace
        self._may_act = may_act
        self._usable = usable
        self._replan = replan
        self._times = times or moves.MoverTimes()
        self._word = word
        self._clock = clock
        self._utcnow = utcnow
        self._picture = pictures.Picture(
            strategy, self._times, clock, utcnow
        )
        self._follower = following.Follower(
            strategy,
            self._picture,
            pace,
            times=self._times,
            retry=retry or retries.RetryPolicy(),
            clock=clock,
            utcnow=utcnow,
        )
        self._records: dict[str, incidents.ServerRecord] = {}
        self._memory: dict[str, following.Memory] = {}
        self._replanned_at = _FOREVER_AGO
        self._pool = pool or futures.ThreadPoolExecutor(
            max_workers=pace.limits.ceiling, thread_name_prefix="mover"
        )
        self._closed = False

    def close(self) -> None:
        """Send nothing more and give back the slots; never blocks."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for memory in self._memory.values():
            self._release(memory)

    @property
    def busy(self) -> bool:
        """Whether calls are on their way, so that wait() may end early."""
        return bool(self._calls())

    def _calls(self) -> list[futures.Future[following.Answer]]:
        return [
            memory.call
            for memory in self._memory.values()
            if memory.call is not None
        ]

    def wait(self, seconds: float) -> None:
        """Wait until a call comes back, or so long."""
        calls = self._calls()
        if calls:
            futures.wait(
                calls, seconds, return_when=futures.FIRST_COMPLETED
            )
        elif seconds > 0:
            time.sleep(seconds)

    def round(
        self,
        records: Sequence[incidents.ServerRecord],
        *,
        send: bool = True,
        give_up: str | None = None,
    ) -> moves.Round:
        """Go as far as can be gone now.

        :param records: all records, as the ledger has them
        :param send: False follows the moves under way and starts none
        :param give_up: who gave the moves up, and why: nothing is sent any
            more, and what nothing was sent for is left to the operator
        :raises Exception: what the ledger raised; nothing was sent after it
        """
        self._follower.give_up = give_up
        send = send and give_up is None
        self._take(records)
        if self._closed or not self._may_act():
            return moves.Round(
                tuple(self._records.values()), stopped=True, pause_s=0.1
            )
        self._strategy.begin_round()
        self._collect()
        self._look(send)
        self._write(
            [
                step
                for record, memory in self._of(_OPEN)
                if (step := self._follower.next_step(record, memory, send))
            ]
        )
        if send:
            self._write(self._claims())
            self._start()
        return moves.Round(
            tuple(self._records.values()), self._waiting(), self._pause()
        )

    # -- memory -------------------------------------------------------------

    def _take(self, records: Sequence[incidents.ServerRecord]) -> None:
        """Go by the ledger's records, unless those at hand are newer."""
        now = self._clock()
        fresh: dict[str, incidents.ServerRecord] = {}
        for given in records:
            known = self._records.get(given.server)
            newer = known is not None and known.version > given.version
            record = known if known is not None and newer else given
            fresh[record.server] = record
            memory = self._memory.setdefault(
                record.server, following.Memory(since=now)
            )
            self._settle_slot(record, memory)
        for server in set(self._records) - set(fresh):
            self._release(self._memory.pop(server))
        self._records = fresh

    def _settle_slot(
        self, record: incidents.ServerRecord, memory: following.Memory
    ) -> None:
        flying = (
            record.state in following.IN_FLIGHT or memory.call is not None
        )
        if flying and memory.slot is None:
            # Sent by an earlier mover.
            memory.slot = record.destination or ""
            self._pace.adopt(memory.slot)
        elif not flying:
            self._release(memory)

    def _release(self, memory: following.Memory) -> None:
        if memory.slot is not None:
            self._pace.end(memory.slot)
            memory.slot = None

    def _of(
        self, states: Collection[incidents.ServerState]
    ) -> list[tuple[incidents.ServerRecord, following.Memory]]:
        """Return records in these states without a call on its way."""
        return [
            (record, self._memory[record.server])
            for record in self._records.values()
            if record.state in states
            and self._memory[record.server].call is None
        ]

    # -- what comes back ----------------------------------------------------

    def _collect(self) -> None:
        """Take over the answers of calls that ended."""
        for record in self._records.values():
            memory = self._memory[record.server]
            if memory.call is not None and memory.call.done():
                memory.answer = memory.call.result()
                memory.call = None
                memory.since = memory.answer.at
                error = memory.answer.error
                if isinstance(error, errors.CloudUnknown):
                    self._pace.learn(memory.answer.took_s, ok=False)

    def _look(self, send: bool) -> None:
        """Read what the decisions of this round need, and no more."""
        for source in sorted({one.source for one, _ in self._of(_OPEN)}):
            self._picture.poll(source)
        if send:
            now = self._utcnow()
            unsent = self._of(following.UNSENT)
            for source in sorted(
                {one.source for one, _ in unsent if following.due(one, now)}
            ):
                self._picture.list(source)
        self._picture.read(
            [
                record.server
                for record, memory in self._of(_OPEN)
                if self._follower.needs_reading(record, memory, send)
            ]
        )

    # -- starting -----------------------------------------------------------

    def _claims(self) -> list[moves.Transition]:
        """Claim a destination in the ledger for each server that is due."""
        now = self._utcnow()
        steps = []
        lost = []
        for record, memory in self._of({_S.PENDING, _S.RETRY}):
            if not following.due(record, now):
                continue
            if record.destination is None:
                lost.append(record)
                continue
            memory.waits = None
            steps.append(
                moves.step(
                    record,
                    _S.CLAIMED,
                    f"destination {record.destination}",
                    intent_at=now,
                    not_before=None,
                    requested_at=None,
                    request_id=None,
                    migration_id=None,
                )
            )
        return steps + self._replanned(lost)

    def _replanned(
        self, lost: Sequence[incidents.ServerRecord]
    ) -> list[moves.Transition]:
        now = self._clock()
        if not lost or now - self._replanned_at < self._times.replan:
            return []
        self._replanned_at = now
        try:
            found = self._replan([record.server for record in lost])
        except errors.CloudError as error:
            LOG.warning("No new destinations can be planned: %s", error)
            return []
        steps = []
        for record in lost:
            new = found.get(record.server)
            if isinstance(new, recovery.HeldServer):
                steps.append(
                    moves.manual(record, new.reason_code, new.reason)
                )
            elif new is not None:
                steps.append(
                    moves.step(
                        record,
                        _S.CLAIMED,
                        f"new destination {new.destination}",
                        destination=new.destination,
                        spares=new.spares,
                        intent_at=self._utcnow(),
                        not_before=None,
                        requested_at=None,
                        request_id=None,
                        migration_id=None,
                    )
                )
            else:
                self._memory[record.server].waits = (
                    "no destination has room for it"
                )
        return steps

    def _start(self) -> None:
        """Send off claimed servers, as many as the pace allows."""
        ready = [
            (record, memory)
            for record, memory in self._of({_S.CLAIMED})
            if self._may_send(record, memory)
        ]
        order = {server: n for n, server in enumerate(self._records)}
        steps, chosen, lost = [], [], []
        while ready and not self._pace.full:
            # The earliest wave, and in it the least busy destination.
            ready.sort(
                key=lambda pair: (
                    pair[0].wave,
                    self._pace.flying_to(pair[0].destination or ""),
                    order[pair[0].server],
                )
            )
            record, memory = ready.pop(0)
            destination, spares, why = self._pick(record)
            if destination is None:
                lost.append(
                    moves.step(
                        record, _S.RETRY, why, destination=None,
                        spares=(), not_before=None, reason=why,
                    )
                )
                continue
            if not self._pace.try_start(destination):
                continue
            memory.slot = destination
            chosen.append(record.server)
            steps.append(
                moves.step(
                    record,
                    _S.REQUESTED,
                    why or f"asks Nova to move it to {destination}",
                    destination=destination,
                    spares=spares,
                    requested_at=self._utcnow(),
                    request_id=None,
                    migration_id=None,
                    reason=None,
                )
            )
        try:
            self._write(steps + lost)
        except BaseException:
            for server in chosen:
                self._release(self._memory[server])
            raise
        for server in chosen:
            memory = self._memory[server]
            memory.since = memory.sent_at = self._clock()
            memory.waits = None
            memory.call = self._pool.submit(
                self._call, self._records[server]
            )

    def _may_send(
        self, record: incidents.ServerRecord, memory: following.Memory
    ) -> bool:
        return self._picture.can_send(record.source) and isinstance(
            self._follower.outcome(record, memory), adoption.Send
        )

    def _pick(
        self, record: incidents.ServerRecord
    ) -> tuple[str | None, tuple[str, ...], str]:
        """Return destination, spares left, and why it is another one."""
        troubles: list[str] = []
        hosts = (record.destination or "", *record.spares)
        for n, host in enumerate(hosts):
            trouble = self._usable(host)
            if trouble is None:
                why = "; ".join(troubles)
                return host, hosts[n + 1 :], (
                    f"goes to {host} instead: {why}" if why else ""
                )
            troubles.append(f"{host} cannot be used: {trouble}")
        return None, (), "; ".join(troubles)

    def _call(self, record: incidents.ServerRecord) -> following.Answer:
        """Make the call, in a thread of the pool. Never raises."""
        started = self._clock()
        request_id: str | None = None
        error: errors.CloudError | None = None
        held = sending = False
        try:
            self._strategy.check(record)
            held = (
                self._closed
                or self._follower.give_up is not None
                or not self._may_act()
            )
            if not held:
                sending = True
                request_id = self._strategy.send(record)
        except errors.CloudUnknown as caught:
            error = errors.CloudUnknown(
                str(caught), sent=sending and caught.sent
            )
        except errors.CloudError as caught:
            error = caught
        except Exception as caught:
            LOG.exception("Server %s could not be moved", record.server)
            error = errors.CloudUnknown(
                f"{type(caught).__name__}: {caught}", sent=sending
            )
        now = self._clock()
        return following.Answer(
            now, now - started, request_id, error, held
        )

    # -- writing ------------------------------------------------------------

    def _write(self, steps: Sequence[moves.Transition]) -> None:
        """Write the steps and go by what was written."""
        if not steps:
            return
        for record in self._ledger.write(steps):
            self._records[record.server] = record
            memory = self._memory[record.server]
            if record.state is not _S.REQUESTED or record.request_id:
                memory.answer = None
            if record.state is not _S.REQUESTED:
                self._settle_slot(record, memory)
        for step in steps:
            LOG.info(
                "%s %s, server %s: %s", self._word,
                step.record.incident_id, step.record.server, step.text,
            )

    # -- what is told -------------------------------------------------------

    def _waiting(self) -> str | None:
        """Say why no record can go on, when none can."""
        open_ones = [
            record
            for record in self._records.values()
            if record.state not in incidents.SETTLED
        ]
        if not open_ones:
            return None
        trouble = self._picture.trouble()
        if trouble is not None:
            return f"Nova cannot be read, nothing is sent: {trouble}"
        reasons = [self._memory[r.server].waits for r in open_ones]
        if all(reasons):
            return f"{len(open_ones)} servers wait, the first: {reasons[0]}"
        return None

    def _pause(self) -> float:
        """Return when a round makes sense again."""
        if any(memory.call for memory in self._memory.values()):
            return min(0.2, self._times.poll)
        return min(self._picture.next_poll_s(), self._times.poll)
