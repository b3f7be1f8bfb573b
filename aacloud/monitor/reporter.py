# SPDX-License-Identifier: Apache-2.0
"""Sends what the probes found: one report an interval, always the newest.

Nothing waits in a queue: a report is made when it can be sent. While
messaging is down, reports are simply not made, and probing goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import logging
import threading

from aacloud.core.observations import Observation
from aacloud.core.observations import Report
from aacloud.monitor import metrics
from aacloud.monitor import probe
from aacloud.rpc import rates
from aacloud.rpc import schema

LOG = logging.getLogger(__name__)

#: Seconds between two tries while messaging is down, at most.
BACKOFF_MAX = 3.0

#: A report that did not leave for so many intervals is a matter of health.
LATE_INTERVALS = 5

Send = Callable[[schema.Heartbeat], None]


class Reporter:
    """Makes and sends reports in a thread of its own.

    :param host: the observer
    :param probes: name to probe; one that fails is left out
    :param send: sends a report; may block, and raise
    :param interval: returns the seconds between two reports
    :param clock: monotonic seconds
    :param uptime: steady seconds that go on while the machine is suspended
    :param utc: wall clock, UTC seconds
    """

    def __init__(
        self,
        *,
        host: str,
        boot_id: str,
        addresses: Mapping[str, str],
        probes: Mapping[str, probe.Probe],
        send: Send,
        interval: Callable[[], float],
        clock: Callable[[], float],
        uptime: Callable[[], float],
        utc: Callable[[], float],
    ) -> None:
        self._host = host
        self._boot_id = boot_id
        self._addresses = dict(addresses)
        self._probes = probes
        self._send = send
        self._interval = interval
        self._clock = clock
        self._uptime = uptime
        self._utc = utc
        self._seq = 0
        self._backoff = 0.0
        self._sent_at: float | None = None
        self._failing = False
        self._pace = rates.LogPace(clock=clock)
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="reporter", daemon=True
        )

    def start(self) -> None:
        """Begin to report."""
        self._thread.start()

    def stop(self) -> None:
        """End; a report that is under way is left behind."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(0.5)

    def compose(self) -> schema.Heartbeat:
        """Return a new report of what the probes know now."""
        observations: list[Observation] = []
        facts: dict[str, str] = {}
        for name, source in self._probes.items():
            try:
                findings = source.collect()
            except Exception:
                if self._pace.due(("collect", name)) is not None:
                    LOG.exception("The probe %s could not be asked", name)
                facts[f"probe-{name}"] = "failed"
                continue
            observations.extend(findings.observations)
            facts.update(findings.facts)
        self._seq += 1
        return schema.Heartbeat(
            report=Report(
                observer=self._host,
                boot_id=self._boot_id,
                seq=self._seq,
                interval_s=self._interval(),
                observations=tuple(observations),
                received=0.0,
                facts=facts,
            ),
            addresses=self._addresses,
            uptime_s=self._uptime(),
            at=self._utc(),
        )

    def report(self) -> float:
        """Send one report.

        :returns: seconds until the next one should be sent
        """
        started = self._clock()
        try:
            self._send(self.compose())
        except Exception as error:  # noqa: BLE001 (drivers raise anything)
            metrics.REPORTS.labels("failed").inc()
            self._failing = True
            interval = self._interval()
            self._backoff = min(
                max(interval, self._backoff * 2), max(interval, BACKOFF_MAX)
            )
            held_back = self._pace.due("send")
            if held_back is not None:
                LOG.warning(
                    "The report did not leave: %s. Probing goes on; trying "
                    "again%s. Check that RabbitMQ runs and can be reached",
                    error,
                    self._pace.text(held_back),
                )
            return self._backoff
        now = self._clock()
        metrics.REPORTS.labels("sent").inc()
        if self._failing:
            LOG.info("Reports leave again")
        self._failing = False
        self._backoff = 0.0
        self._sent_at = now
        return max(0.0, self._interval() - (now - started))

    def health(self) -> tuple[bool, str]:
        """Return whether reports leave, and a sentence."""
        if self._sent_at is None:
            return False, "no report has left yet"
        age = self._clock() - self._sent_at
        text = f"the last report left {age:.1f} s ago"
        return age <= LATE_INTERVALS * max(1.0, self._interval()), text

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self.report())
