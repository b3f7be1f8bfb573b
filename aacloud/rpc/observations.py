# SPDX-License-Identifier: Apache-2.0
"""Reports of the agents on their way to every engine.

An agent casts its signed report to topic ``aacloud.observations``, fanned
out: each engine gets its own copy. With no engine listening, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import logging
import time

from oslo_context import context as oslo_context
import oslo_messaging

from aacloud.rpc import delay
from aacloud.rpc import envelope
from aacloud.rpc import messaging
from aacloud.rpc import metrics
from aacloud.rpc import rates
from aacloud.rpc import replay
from aacloud.rpc import schema
from aacloud.rpc import signing

LOG = logging.getLogger(__name__)

TOPIC = "aacloud.observations"
VERSION = "1.0"

#: More agents than this are not remembered one by one.
MAX_OBSERVERS = 10_000

#: An agent whose wall clock differs more is refused: what a recording of its
#: reports could be used for ends after this time too. Seconds.
MAX_CLOCK_SKEW = 300.0

#: Reports that were longer under way say nothing about now. Seconds.
MAX_DELAY = 6.0

Callback = Callable[[schema.Heartbeat], None]


class ObservationClient:
    """The agent's end: casts reports."""

    def __init__(
        self, transport: messaging.RPCTransport, keys: signing.KeyRing
    ) -> None:
        self._keys = keys
        self._client = messaging.get_client(
            transport,
            oslo_messaging.Target(topic=TOPIC, version=VERSION, fanout=True),
            timeout=5.0,
        )

    def report(self, heartbeat: schema.Heartbeat) -> None:
        """Sign a report and cast it.

        It blocks for as long as the driver does: seconds, or until the bus
        is back. Call it in a thread of its own.

        :raises oslo_messaging.MessagingException: it did not reach the bus
        """
        message = envelope.seal(
            schema.report_body(heartbeat), self._keys, signing.Purpose.REPORT
        )
        context = oslo_context.RequestContext(overwrite=False)
        self._client.cast(context, "report", message=message)


class ReportGate:
    """Decides which reports are taken. One thread only.

    :param keys: the accepted keys
    :param max_delay: seconds a report may have been under way
    :param max_skew: seconds an agent's wall clock may differ from ours
    """

    def __init__(
        self,
        keys: signing.KeyRing,
        max_delay: float = MAX_DELAY,
        max_skew: float = MAX_CLOCK_SKEW,
    ) -> None:
        self._keys = keys
        self._max_delay = max_delay
        self._max_skew = max_skew
        self._seen = replay.ReplayTable(MAX_OBSERVERS, window=1)
        self._delays: dict[str, tuple[str, delay.DelayMeter]] = {}

    def seed(self, boots: Mapping[str, str]) -> None:
        """Remember the last boot id of each observer from earlier times."""
        for observer, boot_id in boots.items():
            self._seen.seed(observer, boot_id)

    def accept(
        self, message: object, now: float, utc: float
    ) -> schema.Heartbeat:
        """Check a message.

        :param now: the receiver's steady clock, seconds
        :param utc: the receiver's wall clock, UTC seconds
        :returns: with ``report.received``: when it was sent, on the
            receiver's steady clock, so that waiting in a queue does not make
            it younger
        :raises envelope.MessageError: those of :func:`envelope.unseal`, and
            ``malformed``, ``clock-skew``, ``stale-boot``, ``replayed``,
            ``late``
        """
        body = envelope.unseal(message, self._keys, signing.Purpose.REPORT)
        try:
            heartbeat = schema.parse_report(body)
        except envelope.MessageError as error:
            claimed = body.get("observer")
            error.sender = claimed if isinstance(claimed, str) else None
            raise
        report = heartbeat.report
        skew = heartbeat.at - utc
        if abs(skew) > self._max_skew:
            raise envelope.MessageError(
                "clock-skew",
                f"the clock of {report.observer} is {skew:+.0f} s from ours, "
                f"{self._max_skew:.0f} s are allowed: check the time "
                "synchronisation of both hosts (or somebody replays an old "
                "report)",
                report.observer,
            )
        self._check_new(heartbeat)
        under_way = self._delay(heartbeat, now)
        metrics.REPORT_DELAY.observe(under_way)
        if under_way > self._max_delay:
            raise envelope.MessageError(
                "late",
                f"a report of {report.observer} was {under_way:.1f} s under "
                f"way, {self._max_delay:.1f} s are allowed",
                report.observer,
            )
        return dataclasses.replace(
            heartbeat,
            report=dataclasses.replace(report, received=now - under_way),
        )

    def _check_new(self, heartbeat: schema.Heartbeat) -> None:
        report = heartbeat.report
        seen = self._seen.see(report.observer, report.boot_id, report.seq)
        if seen is replay.Seen.NEW:
            return
        if seen is replay.Seen.BAD_BOOT:
            text = "names no boot id"
        elif seen is replay.Seen.STALE_BOOT:
            text = (
                "comes from an earlier life of its agent (boot "
                f"{report.boot_id}, known is "
                f"{self._seen.boot_of(report.observer)}): somebody replays "
                "it, or two agents use this host name, or the agent lost its "
                "state_path and its clock went back"
            )
        else:
            text = f"was seen before (number {report.seq})"
        reason = (
            "malformed" if seen is replay.Seen.BAD_BOOT else seen.value
        )
        raise envelope.MessageError(
            reason, f"a report of {report.observer} {text}", report.observer
        )

    def _delay(self, heartbeat: schema.Heartbeat, now: float) -> float:
        report = heartbeat.report
        known = self._delays.get(report.observer)
        if known is None or known[0] != report.boot_id:
            if len(self._delays) >= MAX_OBSERVERS and known is None:
                self._delays.pop(next(iter(self._delays)))
            known = (report.boot_id, delay.DelayMeter())
            self._delays[report.observer] = known
        return known[1].delay(heartbeat.uptime_s, now)


class _Endpoint:
    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, receive: Callable[[object], None]) -> None:
        self._receive = receive

    @oslo_messaging.expose
    def report(
        self, context: oslo_context.RequestContext, message: object
    ) -> None:
        self._receive(message)


class ObservationServer:
    """The engine's end: hands every good report to a callback.

    Reports that are unsigned, forged, replayed, from an earlier life, late
    or malformed are counted, logged (not more often than once a minute for
    each sender and reason) and go nowhere.

    :param callback: called with each accepted heartbeat, one at a time, in a
        thread of the server. It must be quick: keep what it gets and return.
    :param name: names this engine on the bus; unique
    :param known_boots: observer to its last known boot id, from the journal
    :param clock: steady seconds; ``report.received`` is on this clock
    :param utc: wall clock, UTC seconds
    """

    def __init__(
        self,
        transport: messaging.RPCTransport,
        keys: signing.KeyRing,
        callback: Callback,
        *,
        name: str,
        known_boots: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        utc: Callable[[], float] = time.time,
    ) -> None:
        self._gate = ReportGate(keys)
        self._gate.seed(known_boots or {})
        self._callback = callback
        self._clock = clock
        self._utc = utc
        self._pace = rates.LogPace(clock=clock)
        target = oslo_messaging.Target(topic=TOPIC, server=name)
        self._server = messaging.BackgroundServer(
            TOPIC,
            lambda: messaging.get_server(
                transport, target, [_Endpoint(self.receive)]
            ),
        )

    @property
    def listening(self) -> bool:
        """Whether it has begun to listen."""
        return self._server.listening

    def wait_listening(self, timeout: float) -> bool:
        """Wait until it listens; False when ``timeout`` seconds passed."""
        return self._server.wait_listening(timeout)

    def start(self) -> None:
        """Begin to listen, as soon as messaging can be reached."""
        self._server.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop to listen; gives up waiting after ``timeout`` seconds."""
        self._server.stop(timeout)

    def receive(self, message: object) -> None:
        """Take one message; never raises."""
        try:
            heartbeat = self._gate.accept(
                message, self._clock(), self._utc()
            )
        except envelope.MessageError as error:
            self._refuse(error)
            return
        metrics.REPORTS_RECEIVED.inc()
        if heartbeat.skipped:
            metrics.OBSERVATIONS_SKIPPED.inc(heartbeat.skipped)
        try:
            self._callback(heartbeat)
        except Exception:
            LOG.exception(
                "A report of %s was good but could not be handled",
                heartbeat.report.observer,
            )

    def _refuse(self, error: envelope.MessageError) -> None:
        metrics.REPORTS_REFUSED.labels(error.reason).inc()
        # Only who has a key can put a name here, so names are few.
        held_back = self._pace.due((error.reason, error.sender))
        if held_back is not None:
            LOG.warning(
                "Refused a report (%s): %s%s",
                error.reason,
                error,
                self._pace.text(held_back),
            )
