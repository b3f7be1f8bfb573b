# SPDX-License-Identifier: Apache-2.0
"""Neither is a dead host made to look alive, nor a live one dead."""

from __future__ import annotations

from collections.abc import Iterator
import datetime
import json
import os
import threading
import time
from typing import Any

import pytest

from aacloud.monitor import wire
from tests.lab.plan import DCS
from tests.lab.suite import truths
from tests.lab.suite.attacker import Bus
from tests.lab.suite.attacker import Frame
from tests.lab.suite.attacker import Rogue
from tests.lab.suite.attacker import Tap
from tests.lab.suite.stage import Stage

#: One round of everything that was recorded, this often a second.
ROUNDS = 10
MAC_BYTES = 32


class Attack:
    """Sends what is given, again and again, in a thread."""

    def __init__(self, rogue: Rogue, bus: Bus) -> None:
        self._rogue = rogue
        self._bus = bus
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.frames: list[Frame] = []
        self.messages: list[dict[str, Any]] = []
        self.envelopes: list[tuple[dict[str, Any], object]] = []
        self.rounds = 0
        self.failure: BaseException | None = None

    def __enter__(self) -> Attack:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join(30)
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._stop.wait(1 / ROUNDS):
                self._rogue.send(self.frames)
                if self.rounds % ROUNDS == 0:
                    for message in self.messages:
                        self._bus.replay(message)
                    for like, envelope in self.envelopes:
                        self._bus.envelope(like, envelope)
                self.rounds += 1
        except BaseException as error:  # noqa: BLE001 - raised at the end
            self.failure = error


@pytest.fixture
def bus(stage: Stage) -> Iterator[Bus]:
    bus = Bus(stage.lab)
    yield bus
    bus.close()


def forged(frame: Frame) -> list[Frame]:
    """The frame without a signature, with a wrong one, with a strange key,
    and as nonsense."""
    payload = frame.raw[frame.at:]
    signed = payload[:-MAC_BYTES]
    return [
        frame.saying(signed + bytes(MAC_BYTES)),
        frame.saying(signed + os.urandom(MAC_BYTES)),
        frame.saying(signed.replace(b"\x03lab", b"\x03evl")
                     + os.urandom(MAC_BYTES)),
        frame.saying(os.urandom(len(payload))),
    ]  # fmt: skip


def forgeries(
    like: dict[str, Any], body: dict[str, Any]
) -> list[tuple[dict[str, Any], object]]:
    """The report unsigned, wrongly signed, by a strange key, and broken."""
    text = json.dumps(body)
    head = {"version": "1.0"}
    genuine = like["args"]["message"]
    return [
        (like, {**head, "body": text}),
        (like, {**head, "body": text, "key": "lab", "mac": "00" * MAC_BYTES}),
        (like, {**genuine, "body": text}),
        (like, {**genuine, "key": "evil"}),
        (like, {**genuine, "body": "{"}),
        (like, ["not", "a", "report"]),
        (like, {**genuine, "version": "9.0"}),
    ]


@pytest.mark.mode("shadow")
def test_replays_and_forgeries_deceive_nobody(
    stage: Stage, bus: Bus
) -> None:
    lab = stage.lab
    victim = stage.host("dc1")
    node = lab.plan.host(victim)
    crew = stage.crew(victim, 2)
    stage.ready()
    peers = [host for host in lab.hosts if host != victim]

    # He listens while the host lives.
    tap = Tap(lab, victim)
    bus.listen()
    frames = tap.record(_enough(victim), 30)
    tap.close()
    lab.wait("reports of the victim", lambda: _own(bus, victim), 15)
    own = _own(bus, victim)[-5:]
    voice = [one for one in frames if one.packet.source == victim]
    counted = _drops(stage, peers)
    refused = _refused(stage)

    rogue = Rogue(lab, node.dc, node.rack.partition("-")[2])
    with Attack(rogue, bus) as attack:
        # He goes on with the voice of the host when it is dead.
        stage.crash(victim)
        attack.frames = voice + [
            lie for one in voice[:3] + voice[-3:] for lie in forged(one)]
        attack.messages = [message for message, _ in own]
        attack.envelopes = forgeries(*own[-1])
        died = time.time()
        incident = stage.incident_of(victim)
        found = stage.until(incident, {"shadowed"}, 15)
        assert attack.rounds > 10
        rose = {
            reason: count - counted[reason]
            for reason, count in _drops(stage, peers).items()}
        for reason in (
            "not-asked", "replayed", "bad-signature", "unknown-key",
            "malformed",
        ):
            assert rose[reason] > 0, rose
        more = {
            reason: count - refused[reason]
            for reason, count in _refused(stage).items()}
        for reason in (
            "replayed", "unsigned", "bad-signature", "unknown-key",
            "malformed", "newer-version",
        ):
            assert more[reason] > 0, more
        # What the others truly say of the dead host, he keeps for later.
        lab.wait("reports of the death", lambda: _death(bus, victim), 15)
        attack.frames, attack.messages, attack.envelopes = [], [], []
        death = _death(bus, victim)

        # The host is back; now he goes on with the words of its death.
        stage.switch_on(victim)
        stage.returned(incident)
        lab.wait(
            "its servers run again",
            lambda: lab.guests_on(victim) == crew.ids, 60)
        stage.remember()
        attack.messages = [message for message, _ in death[-40:]]
        for message, body in death[-3:]:
            attack.envelopes += forgeries(message, body)
        attack.frames = voice
        since = _refused(stage)
        stage.keep_quiet(
            truths.DETECTION + 3, more=lambda: _not_up(stage, victim))
        now = _refused(stage)
        assert now["replayed"] > since["replayed"]
        assert now["bad-signature"] > since["bad-signature"]
    rogue.close()
    opened = _timestamp(found["opened_at"])
    assert opened - died <= truths.DETECTION, found


def _enough(victim: str) -> Any:
    """Its own requests and its answers, on each network."""

    def enough(frames: list[Frame]) -> bool:
        heard = {
            (one.net, one.packet.kind) for one in frames
            if one.packet.source == victim}
        return len(heard) == 6 and len(frames) > 100

    assert len(wire.Kind) == 2
    return enough


def _own(bus: Bus, victim: str) -> list[tuple[Any, Any]]:
    bus.drain()
    return [
        (message, body) for message, body in bus.reports()
        if body["observer"] == victim]


def _death(bus: Bus, victim: str) -> list[tuple[Any, Any]]:
    """Reports in which the victim is down on all its networks."""
    bus.drain()
    found = []
    for message, body in bus.reports():
        down = [
            seen for seen in body["observations"]
            if seen["target"] == victim and seen["reach"] == "down"]
        if len(down) == 3:
            found.append((message, body))
    return found if len({body["observer"] for _, body in found}) > 3 else []


def _drops(stage: Stage, nodes: list[str]) -> dict[str, float]:
    found = {drop.value: 0.0 for drop in wire.Drop}
    for node in nodes:
        metrics = stage.look.metrics(node)
        for reason in found:
            found[reason] += metrics.value(
                "aacloud_probe_drops_total", reason=reason)
    return found


def _refused(stage: Stage) -> dict[str, float]:
    reasons = (
        "replayed", "unsigned", "bad-signature", "unknown-key", "malformed",
        "newer-version",
    )  # fmt: skip
    metrics = [stage.look.metrics(f"{dc}-ha") for dc in DCS]
    return {
        reason: min(
            one.value("aacloud_reports_refused_total", reason=reason)
            for one in metrics)
        for reason in reasons
    }


def _not_up(stage: Stage, host: str) -> list[str]:
    told = stage.look.hosts()[host]
    if told["state"] == "up":
        return []
    return [f"{host} is {told['state']}: {told['reasons']}"]


def _timestamp(text: str) -> float:
    return datetime.datetime.fromisoformat(
        text.replace("Z", "+00:00")).timestamp()
