# SPDX-License-Identifier: Apache-2.0
import logging
import queue
from typing import Any

import prometheus_client
import pytest

from aacloud.rpc import envelope
from aacloud.rpc import observations
from aacloud.rpc import replay
from aacloud.rpc import schema
from aacloud.rpc import signing
from tests.unit.rpc import bus
from tests.unit.rpc import heartbeats
from tests.unit.rpc import keys

RING = keys.ring()
WAIT = 20


def sealed(ring: signing.KeyRing = RING, **changes: Any) -> dict[str, Any]:
    body = schema.report_body(heartbeats.heartbeat(**changes))
    return envelope.seal(body, ring, signing.Purpose.REPORT)


def refused(
    gate: observations.ReportGate,
    message: object,
    now: float = 50.0,
    utc: float = heartbeats.AT,
) -> str:
    with pytest.raises(envelope.MessageError) as caught:
        gate.accept(message, now, utc)
    return caught.value.reason


def test_a_good_report_is_taken() -> None:
    gate = observations.ReportGate(RING)
    taken = gate.accept(sealed(), 50.0, heartbeats.AT)
    assert taken.report.received == 50.0
    assert taken.report.observer == "dc1-r1-h1"
    assert taken.report.observations == (heartbeats.observation(),)
    assert taken.addresses == {"management": "10.21.1.11"}


def test_a_replayed_report_is_refused() -> None:
    gate = observations.ReportGate(RING)
    first, second = sealed(seq=7), sealed(seq=8)
    gate.accept(first, 50.0, heartbeats.AT)
    assert refused(gate, first) == "replayed"
    gate.accept(second, 51.0, heartbeats.AT)
    assert refused(gate, first) == "replayed"
    assert refused(gate, second) == "replayed"


def test_an_earlier_life_is_refused_also_after_a_restart() -> None:
    recorded = sealed(seq=900)
    later = replay.make_boot_id(1_700_000_000_001)
    gate = observations.ReportGate(RING)
    gate.accept(recorded, 50.0, heartbeats.AT)
    gate.accept(sealed(boot=later, seq=1), 51.0, heartbeats.AT)
    assert refused(gate, recorded) == "stale-boot"
    fresh = observations.ReportGate(RING)
    fresh.seed({"dc1-r1-h1": later})
    assert refused(fresh, recorded) == "stale-boot"
    fresh.accept(sealed(boot=later, seq=2), 50.0, heartbeats.AT)


def test_unsigned_wrongly_signed_and_malformed_are_refused() -> None:
    gate = observations.ReportGate(RING)
    good = sealed()
    assert refused(gate, {**good, "mac": None}) == "unsigned"
    assert refused(gate, {**good, "mac": "00"}) == "bad-signature"
    assert refused(gate, sealed(keys.ring(k1=keys.WRONG))) == "bad-signature"
    assert refused(gate, sealed(keys.ring(k7=keys.WRONG))) == "unknown-key"
    assert refused(gate, {**good, "version": "2.0"}) == "newer-version"
    assert refused(gate, sealed(boot="no-boot-id")) == "malformed"
    assert refused(gate, "text") == "malformed"
    gate.accept(good, 50.0, heartbeats.AT)


def test_a_refused_report_does_not_use_up_its_number() -> None:
    gate = observations.ReportGate(RING)
    forged = sealed(keys.ring(k1=keys.WRONG), seq=1_000_000)
    assert refused(gate, forged) == "bad-signature"
    gate.accept(sealed(seq=1), 50.0, heartbeats.AT)


def test_after_a_key_change_the_old_key_is_refused() -> None:
    both = keys.ring(new=keys.SECOND, k1=keys.FIRST)
    gate = observations.ReportGate(both)
    gate.accept(sealed(seq=1), 50.0, heartbeats.AT)
    gate.accept(sealed(both, seq=2), 51.0, heartbeats.AT)
    only_new = observations.ReportGate(keys.ring(new=keys.SECOND))
    assert refused(only_new, sealed(seq=3)) == "unknown-key"


def test_a_report_from_a_queue_is_as_old_as_it_is() -> None:
    gate = observations.ReportGate(RING, max_delay=6.0)
    for second in range(5):
        taken = gate.accept(
            sealed(seq=second, uptime_s=100.0 + second),
            50.0 + second,
            heartbeats.AT,
        )
        assert taken.report.received == 50.0 + second
    waited = gate.accept(sealed(seq=5, uptime_s=105.0), 58.0, heartbeats.AT)
    assert waited.report.received == pytest.approx(55.0)
    late = sealed(seq=6, uptime_s=106.0)
    assert refused(gate, late, now=70.0) == "late"
    fresh = gate.accept(sealed(seq=20, uptime_s=120.0), 70.0, heartbeats.AT)
    assert fresh.report.received == pytest.approx(70.0)


def test_a_report_of_another_time_is_refused() -> None:
    gate = observations.ReportGate(RING, max_skew=300.0)
    for skew in (301.0, -301.0):
        with pytest.raises(envelope.MessageError, match="time sync") as info:
            gate.accept(sealed(), 50.0, heartbeats.AT + skew)
        assert info.value.reason == "clock-skew"
    gate.accept(sealed(), 50.0, heartbeats.AT + 299)


class Engine:
    """An observation server, what it was given, and its clock."""

    def __init__(self, transport: Any, name: str = "engine") -> None:
        self.taken: queue.Queue[schema.Heartbeat] = queue.Queue()
        self.server = observations.ObservationServer(
            transport,
            RING,
            self.taken.put,
            name=name,
            clock=lambda: 50.0,
            utc=lambda: heartbeats.AT,
        )


def test_every_engine_gets_every_report() -> None:
    with bus.transport() as transport:
        engines = [Engine(transport, name) for name in ("one", "two")]
        for engine in engines:
            engine.server.start()
        for engine in engines:
            assert engine.server.wait_listening(WAIT)
        client = observations.ObservationClient(transport, RING)
        client.report(heartbeats.heartbeat(seq=1))
        client.report(heartbeats.heartbeat(seq=2))
        for engine in engines:
            seqs = [engine.taken.get(timeout=WAIT).report.seq for _ in "ab"]
            assert seqs == [1, 2]
        for engine in engines:
            engine.server.stop(WAIT)
            assert not engine.server.listening


def refusals(reason: str) -> float:
    value = prometheus_client.REGISTRY.get_sample_value(
        "aacloud_reports_refused_total", {"reason": reason}
    )
    return value or 0.0


def test_refusals_are_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Engine(None)
    before = refusals("replayed")
    message = sealed()
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            engine.server.receive(message)
    assert engine.taken.qsize() == 1
    assert refusals("replayed") == before + 3
    assert caplog.text.count("Refused a report (replayed)") == 1


def test_a_callback_that_fails_does_not_end_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_heartbeat: schema.Heartbeat) -> None:
        raise RuntimeError("boom")

    server = observations.ObservationServer(
        None, RING, fail, name="x", utc=lambda: heartbeats.AT
    )
    server.receive(sealed())
    assert "could not be handled" in caplog.text


def test_a_report_of_a_probe_that_came_later_is_taken() -> None:
    engine = Engine(None)
    body = schema.report_body(heartbeats.heartbeat())
    body["observations"].append(
        {**body["observations"][0], "vantage": "witness"}
    )
    engine.server.receive(
        envelope.seal(body, RING, signing.Purpose.REPORT)
    )
    taken = engine.taken.get(timeout=WAIT)
    assert taken.skipped == 1
    assert len(taken.report.observations) == 1
