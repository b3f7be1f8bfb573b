# SPDX-License-Identifier: Apache-2.0
import dataclasses
import itertools

import pytest

from aacloud.core.observations import Observation
from aacloud.core.observations import Reach
from aacloud.core.topology import Vantage
from aacloud.monitor import prober
from aacloud.monitor import responder
from aacloud.monitor import wire
from aacloud.rpc import replay
from aacloud.rpc import schema
from tests.unit.rpc import heartbeats
from tests.unit.rpc import keys

RING = keys.ring()
NETWORKS = ("management", "tenant")
PACE = prober.Pace(interval=1.0, timeout=0.9, misses_down=4)


def target(name: str, number: int) -> schema.PeerTarget:
    return schema.PeerTarget(
        name,
        Vantage.OTHER_RACK,
        {
            "management": f"10.1.1.{number}",
            "tenant": f"10.1.2.{number}",
            "storage": f"10.1.3.{number}",
        },
    )


class World:
    """A prober, the hosts that answer it, and the time."""

    def __init__(self, *names: str, pace: prober.Pace = PACE) -> None:
        self.now = 1000.0
        self.targets = [
            target(name, number) for number, name in enumerate(names, 1)
        ]
        self.prober = prober.Prober(
            "me", heartbeats.BOOT, RING, pace, self.now
        )
        self.prober.retarget(self.targets, NETWORKS, self.now)
        self.responders = {
            name: responder.Responder(
                name, replay.make_boot_id(number), RING
            )
            for number, name in enumerate(names, 1)
        }
        self.dead: set[str] = set()
        self.unsendable: set[str] = set()
        self.delay = 0.001
        self.requests: list[tuple[float, prober.Request]] = []

    def run(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass; who is not dead answers after the delay."""
        end = self.now + seconds
        waiting: list[tuple[float, prober.Request]] = []
        while self.now < end - 1e-9:
            self.now = round(self.now + step, 6)
            for when, request in list(waiting):
                if when <= self.now:
                    waiting.remove((when, request))
                    self.answer(request)
            self.prober.tick(self.now)
            for request in self.prober.due(self.now):
                self.requests.append((self.now, request))
                if request.address in self.unsendable:
                    self.prober.not_sent(request.nonce)
                else:
                    waiting.append((self.now + self.delay, request))

    def answer(self, request: prober.Request) -> None:
        signed = wire.decode(request.data)
        name = signed.packet.target
        if name in self.dead:
            return
        answer = self.responders[name].answer(
            signed, request.network, self.now
        )
        self.prober.reply(
            wire.decode(answer), request.network, request.address, self.now
        )

    def sees(self, name: str, network: str = "management") -> Observation:
        (found,) = (
            o
            for o in self.prober.observations(self.now)
            if (o.target, o.network) == (name, network)
        )
        return found


def test_who_answers_is_up() -> None:
    world = World("a", "b")
    assert world.sees("a").reach is Reach.UNKNOWN
    world.run(2.0)
    for name in ("a", "b"):
        for network in NETWORKS:
            seen = world.sees(name, network)
            assert seen.reach is Reach.UP
            assert seen.misses == 0
            assert seen.silent_s is not None
            assert seen.silent_s <= 1.0
            assert seen.rtt_ms is not None
            assert seen.vantage is Vantage.OTHER_RACK
    assert len(world.prober.observations(world.now)) == 4


def test_misses_rise_until_a_silent_path_is_down() -> None:
    world = World("a", "b")
    world.run(3.0)
    world.dead.add("a")
    seen = []
    for _ in range(7):
        world.run(1.0)
        seen.append((world.sees("a").misses, world.sees("a").reach))
    misses = [count for count, _reach in seen]
    assert misses == sorted(misses)
    assert misses[0] <= 1
    assert misses[-1] >= 6
    for count, reach in seen:
        assert (reach is Reach.DOWN) == (count >= 4)
    assert world.sees("b").reach is Reach.UP
    silent = world.sees("a").silent_s
    assert silent is not None
    assert 7.0 <= silent <= 8.1


def test_down_is_said_within_misses_and_time_out() -> None:
    world = World("a")
    world.run(5.0)
    world.dead.add("a")
    died = world.now
    while world.sees("a").reach is not Reach.DOWN:
        world.run(0.05)
        assert world.now - died < 10
    assert world.now - died <= 4 * PACE.interval + PACE.timeout + 0.1


def test_one_answer_ends_the_misses() -> None:
    world = World("a")
    world.dead.add("a")
    world.run(8.0)
    assert world.sees("a").reach is Reach.DOWN
    assert world.sees("a").silent_s is None
    world.dead.clear()
    world.run(1.1)
    assert world.sees("a").reach is Reach.UP


def test_a_late_answer_is_a_sign_of_life() -> None:
    world = World("a")
    world.delay = 1.5
    world.run(10.0)
    seen = world.sees("a")
    assert seen.reach is not Reach.DOWN
    assert seen.misses <= 2
    assert seen.silent_s is not None
    assert seen.rtt_ms is None


def test_an_answer_after_the_last_chance_proves_nothing() -> None:
    world = World("a")
    world.delay = PACE.linger + 0.5
    with pytest.raises(wire.WireError) as caught:
        world.run(10.0)
    assert caught.value.drop is wire.Drop.NOT_ASKED


def test_a_probe_that_cannot_be_sent_says_nothing() -> None:
    world = World("a")
    world.run(3.0)
    world.unsendable.add("10.1.1.1")
    world.run(10.0)
    assert world.sees("a").reach is Reach.UNKNOWN
    assert world.sees("a").misses == 0
    assert world.sees("a", "tenant").reach is Reach.UP
    world.unsendable.clear()
    world.run(1.1)
    assert world.sees("a").reach is Reach.UP


def test_an_agent_that_stood_still_blames_nobody() -> None:
    world = World("a")
    world.run(3.0)
    world.dead.add("a")
    world.run(0.95)
    world.now += 30.0
    assert world.sees("a").reach is Reach.UNKNOWN
    before = world.sees("a").misses
    world.run(0.05)
    assert world.sees("a").misses <= before
    assert world.sees("a").reach is Reach.UNKNOWN
    world.dead.clear()
    world.run(2.0)
    assert world.sees("a").reach is Reach.UP


def test_probes_are_spread_and_each_path_keeps_its_interval() -> None:
    names = [f"h{number}" for number in range(10)]
    world = World(*names)
    world.run(10.0, step=0.01)
    per_path: dict[str, list[float]] = {}
    for when, request in world.requests:
        per_path.setdefault(request.address, []).append(when)
    assert len(per_path) == 20
    for times in per_path.values():
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert all(0.98 <= gap <= 1.02 for gap in gaps)
    moments = [when for when, _request in world.requests if when > 1002]
    busiest = max(moments.count(when) for when in set(moments))
    assert busiest <= 4


def test_after_a_pause_the_probes_are_spread_again() -> None:
    names = [f"h{number}" for number in range(10)]
    world = World(*names)
    world.run(3.0, step=0.01)
    world.now += 60
    world.run(0.02, step=0.01)
    world.requests.clear()
    world.run(3.0, step=0.01)
    moments = [when for when, _request in world.requests]
    assert max(moments.count(when) for when in set(moments)) <= 4


def test_numbers_go_on_when_a_target_leaves_and_comes_back() -> None:
    world = World("a", "b")
    world.run(3.0)
    world.prober.retarget(world.targets[1:], NETWORKS, world.now)
    assert world.prober.paths == 2
    world.run(2.0)
    assert {o.target for o in world.prober.observations(world.now)} == {"b"}
    world.prober.retarget(world.targets, NETWORKS, world.now)
    world.run(1.5)
    assert world.sees("a").reach is Reach.UP


def test_a_path_that_stays_keeps_what_is_known_of_it() -> None:
    world = World("a")
    world.run(2.0)
    other_group = dataclasses.replace(
        world.targets[0], vantage=Vantage.OTHER_DC
    )
    world.prober.retarget([other_group], NETWORKS, world.now)
    assert world.sees("a").reach is Reach.UP
    assert world.sees("a").vantage is Vantage.OTHER_DC
    moved = dataclasses.replace(
        other_group, addresses={"management": "10.9.9.9"}
    )
    world.prober.retarget([moved], NETWORKS, world.now)
    assert world.sees("a").reach is Reach.UNKNOWN
    assert world.sees("a").silent_s is None


def test_no_agent_probes_itself_or_a_network_it_is_not_on() -> None:
    world = World("a")
    world.prober.retarget(
        [*world.targets, target("me", 9)], ["storage"], world.now
    )
    seen = world.prober.observations(world.now)
    assert [(o.target, o.network) for o in seen] == [("a", "storage")]


class Answers:
    """One request, and answers to it that prove nothing."""

    def __init__(self) -> None:
        self.prober = prober.Prober("me", heartbeats.BOOT, RING, PACE, 0.0)
        self.prober.retarget([target("a", 1)], ["management"], 0.0)
        (self.request,) = self.prober.due(0.0)
        asked = wire.decode(self.request.data).packet
        self.good = dataclasses.replace(
            asked,
            kind=wire.Kind.REPLY,
            source="a",
            target="me",
            boot_id=replay.make_boot_id(1),
        )

    def take(
        self,
        packet: wire.Packet,
        network: str = "management",
        address: str = "10.1.1.1",
        secret: bytes = keys.FIRST,
    ) -> float | None:
        data = wire.encode(packet, keys.ring(k1=secret))
        return self.prober.reply(wire.decode(data), network, address, 0.3)


@pytest.mark.parametrize(
    ("change", "how", "drop"),
    [
        ({"nonce": bytes(16)}, {}, wire.Drop.NOT_ASKED),
        ({"seq": 99}, {}, wire.Drop.NOT_ASKED),
        ({"source": "b"}, {}, wire.Drop.WRONG_SOURCE),
        ({"target": "you"}, {}, wire.Drop.WRONG_TARGET),
        ({"network": "tenant"}, {}, wire.Drop.WRONG_NETWORK),
        ({}, {"network": "tenant"}, wire.Drop.WRONG_NETWORK),
        ({}, {"address": "10.1.1.2"}, wire.Drop.WRONG_SOURCE),
        ({}, {"secret": keys.WRONG}, wire.Drop.BAD_SIGNATURE),
    ],
)
def test_only_the_answer_of_the_target_to_this_question_counts(
    change: dict[str, object], how: dict[str, object], drop: wire.Drop
) -> None:
    answers = Answers()
    packet = dataclasses.replace(
        answers.good,
        **change,  # type: ignore[arg-type]
    )
    with pytest.raises(wire.WireError) as caught:
        answers.take(packet, **how)  # type: ignore[arg-type]
    assert caught.value.drop is drop
    assert answers.prober.observations(0.3)[0].silent_s is None
    assert answers.take(answers.good) == pytest.approx(0.3)
    assert answers.prober.observations(0.3)[0].reach is Reach.UP


def test_an_answer_counts_once() -> None:
    answers = Answers()
    answers.take(answers.good)
    with pytest.raises(wire.WireError) as caught:
        answers.take(answers.good)
    assert caught.value.drop is wire.Drop.NOT_ASKED


def test_a_new_pace_is_kept() -> None:
    world = World("a")
    world.run(2.0)
    world.prober.set_pace(prober.Pace(0.5, 0.4, 2))
    world.run(2.0)
    world.requests.clear()
    world.run(5.0)
    assert len(world.requests) == pytest.approx(20, abs=2)
    world.dead.add("a")
    world.run(2.0)
    assert world.sees("a").reach is Reach.DOWN


def test_nothing_is_kept_of_questions_that_are_over() -> None:
    world = World("a", "b", "c")
    world.dead.add("b")
    world.run(60.0)
    assert len(world.prober._asked) <= 6 * (PACE.linger + 1)
    assert len(world.prober._lingering) <= 6 * (PACE.linger + 1)
    assert len(world.prober._agenda) == 6
