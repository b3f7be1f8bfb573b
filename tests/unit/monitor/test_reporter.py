# SPDX-License-Identifier: Apache-2.0
import queue
import threading

import pytest

from aacloud.core.observations import Observation
from aacloud.core.observations import Reach
from aacloud.core.topology import Vantage
from aacloud.monitor import probe
from aacloud.monitor import reporter
from aacloud.rpc import schema
from tests.unit.rpc import heartbeats

WAIT = 20
SEEN = Observation(
    "here", "there", "tenant", Vantage.OTHER_DC, Reach.DOWN, 5, 5.2, None
)


class Probe:
    """A probe that knows one thing."""

    def __init__(self, findings: probe.Findings | Exception) -> None:
        self.findings = findings

    def collect(self) -> probe.Findings:
        if isinstance(self.findings, Exception):
            raise self.findings
        return self.findings

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def retarget(self, assignment: schema.Assignment) -> None: ...

    def reload(self) -> None: ...

    def health(self) -> tuple[bool, str]:
        return True, "fine"


class Station:
    """A reporter, its clock, and a bus that may be down."""

    def __init__(self, **probes: probe.Probe) -> None:
        self.now = 50.0
        self.down = False
        self.cost = 0.0
        self.sent: queue.Queue[schema.Heartbeat] = queue.Queue()
        self.reporter = reporter.Reporter(
            host="here",
            boot_id=heartbeats.BOOT,
            addresses={"tenant": "10.21.2.11"},
            probes=probes,
            send=self.send,
            interval=lambda: 1.0,
            clock=lambda: self.now,
            uptime=lambda: self.now + 1000,
            utc=lambda: heartbeats.AT,
        )

    def send(self, heartbeat: schema.Heartbeat) -> None:
        self.now += self.cost
        if self.down:
            raise OSError("no bus")
        self.sent.put(heartbeat)


def test_a_report_says_all_that_the_probes_found() -> None:
    station = Station(
        udp=Probe(probe.Findings((SEEN,), {})),
        compute=Probe(probe.Findings((), {"nova-compute": "up"})),
    )
    made = station.reporter.compose()
    assert made.report.observer == "here"
    assert made.report.observations == (SEEN,)
    assert made.report.facts == {"nova-compute": "up"}
    assert made.addresses == {"tenant": "10.21.2.11"}
    assert (made.uptime_s, made.at) == (1050.0, heartbeats.AT)
    assert station.reporter.compose().report.seq == made.report.seq + 1


def test_a_probe_that_fails_does_not_stop_the_heartbeat(
    caplog: pytest.LogCaptureFixture,
) -> None:
    station = Station(
        disk=Probe(RuntimeError("hung")),
        udp=Probe(probe.Findings((SEEN,), {})),
    )
    for _ in range(3):
        made = station.reporter.compose().report
        assert made.observations == (SEEN,)
        assert made.facts == {"probe-disk": "failed"}
    assert caplog.text.count("could not be asked") == 1


def test_while_the_bus_is_down_nothing_piles_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    station = Station(udp=Probe(probe.Findings((SEEN,), {})))
    assert station.reporter.report() == 1.0
    station.down = True
    waits = [station.reporter.report() for _ in range(4)]
    assert waits == [1.0, 2.0, 3.0, 3.0]
    assert caplog.text.count("did not leave") == 1
    station.now += 30
    assert station.reporter.health()[0] is False
    station.down = False
    assert station.reporter.report() == 1.0
    assert station.reporter.health() == (
        True,
        "the last report left 0.0 s ago",
    )
    seqs = [station.sent.get_nowait().report.seq for _ in range(2)]
    assert seqs == [1, 6]
    assert station.sent.empty()


def test_a_slow_bus_does_not_stretch_the_interval() -> None:
    station = Station()
    station.cost = 0.4
    assert station.reporter.report() == pytest.approx(0.6)
    station.cost = 5.0
    assert station.reporter.report() == 0.0


def test_no_report_yet_is_not_well() -> None:
    assert Station().reporter.health() == (False, "no report has left yet")


def test_a_blocked_send_does_not_hold_up_the_end() -> None:
    station = Station()
    reached, release = threading.Event(), threading.Event()

    def block(_heartbeat: schema.Heartbeat) -> None:
        reached.set()
        release.wait(WAIT)

    station.reporter._send = block
    station.reporter.start()
    assert reached.wait(WAIT)
    station.reporter.stop()
    release.set()
    station.reporter._thread.join(WAIT)
    assert not station.reporter._thread.is_alive()
