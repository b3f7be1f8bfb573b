# SPDX-License-Identifier: Apache-2.0
"""Probes that a kernel refuses, with real sockets on loopback addresses."""

import errno
import logging
import socket
import struct

import prometheus_client
import pytest

from aacloud.core.observations import Observation
from aacloud.core.observations import Reach
from aacloud.monitor import prober
from aacloud.monitor import refusals
from aacloud.monitor import wire
from tests.unit.monitor import agents
from tests.unit.monitor.agents import addresses
from tests.unit.monitor.agents import Agent
from tests.unit.monitor.agents import running
from tests.unit.monitor.agents import wait_for
from tests.unit.monitor.test_prober import PACE
from tests.unit.monitor.test_prober import target
from tests.unit.monitor.test_prober import World

NETWORKS = ("management", "tenant", "storage")
#: Misses by when a path that nobody speaks for is down long since.
MANY = 8


@pytest.fixture
def port() -> int:
    return agents.free_port()


def refused(network: str) -> float:
    value = prometheus_client.REGISTRY.get_sample_value(
        "aacloud_probes_refused_total", {"network": network}
    )
    return value or 0.0


def hosts(port: int, *names: str, **options: object) -> list[Agent]:
    made = [Agent(n, port, addresses(*NETWORKS), **options) for n in names]
    for watcher in made:
        watcher.watch(*(o.target() for o in made if o is not watcher))
    return made


def all_of(watcher: Agent, name: str) -> list[Observation]:
    return [watcher.sees(name, network) for network in NETWORKS]


# -- real sockets ----------------------------------------------------------
def test_a_host_whose_agent_is_stopped_is_unknown_and_not_down(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    one, two, three = hosts(port, "one", "two", "three")
    before = [refused(network) for network in NETWORKS]
    with caplog.at_level(logging.WARNING), running(one, two):
        with running(three):
            wait_for(
                lambda: all(
                    seen.reach is Reach.UP and not seen.refused
                    for seen in all_of(one, "three")
                ),
                "up",
            )
        reaches = set()

        def missed() -> bool:
            seen = all_of(one, "three")
            reaches.update(each.reach for each in seen)
            return min(each.misses for each in seen) >= MANY

        wait_for(missed, "many misses")
        assert Reach.DOWN not in reaches
        for seen in all_of(one, "three"):
            assert seen.reach is Reach.UNKNOWN
            assert seen.refused
        # What three's kernel says is no trouble between the others.
        for seen in (*all_of(one, "two"), *all_of(two, "one")):
            assert seen.reach is Reach.UP
            assert not seen.refused
        assert one.probe.health() == (True, "6 paths probed")
        for network, old in zip(NETWORKS, before, strict=True):
            assert refused(network) > old
        again = Agent("three", port, three.addresses)
        with running(again):
            wait_for(
                lambda: all(
                    seen.reach is Reach.UP and not seen.refused
                    for seen in all_of(one, "three")
                ),
                "up again",
            )
    assert not caplog.records


def test_with_ignore_a_refused_probe_is_a_miss(port: int) -> None:
    one, _two = hosts(port, "one", "two", refused_probe="ignore")
    before = [refused(network) for network in NETWORKS]
    with running(one):
        wait_for(
            lambda: all(
                seen.reach is Reach.DOWN for seen in all_of(one, "two")
            ),
            "down",
        )
    assert not any(seen.refused for seen in all_of(one, "two"))
    assert [refused(network) for network in NETWORKS] == before


def test_a_host_that_only_loses_packets_is_down(port: int) -> None:
    """It takes probes and says nothing, like a firewall that drops."""
    one, two = hosts(port, "one", "two")
    place = two.addresses["management"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind((place, port))
        with running(one):
            wait_for(
                lambda: one.sees("two", "management").reach is Reach.DOWN,
                "down",
            )
            assert not one.sees("two", "management").refused
            assert one.sees("two", "tenant").reach is Reach.UNKNOWN


def test_a_network_that_refuses_stops_to_count_when_it_falls_silent(
    port: int,
) -> None:
    one, two = hosts(port, "one", "two")
    with running(one):
        wait_for(lambda: one.sees("two", "management").refused, "refused")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
            deaf.bind((two.addresses["management"], port))
            wait_for(
                lambda: one.sees("two", "management").reach is Reach.DOWN,
                "down once its kernel is silent, too",
            )


def test_many_refusing_peers_do_not_keep_a_probe_from_being_sent(
    port: int,
) -> None:
    one, two, *_others = hosts(
        port, "one", "two", *(f"h{number}" for number in range(20))
    )
    unsent = prometheus_client.REGISTRY.get_sample_value
    labels = {"network": "management", "reason": wire.Drop.NOT_SENT.value}
    before = unsent("aacloud_probe_drops_total", labels)
    with running(one, two):
        wait_for(
            lambda: all(one.sees(f"h{n}", "management").misses >= MANY
                        for n in range(20)),
            "many misses",
        )
        for seen in (*all_of(one, "two"), *all_of(two, "one")):
            assert seen.reach is Reach.UP
        assert all(one.sees(f"h{n}", "tenant").refused for n in range(20))
    assert unsent("aacloud_probe_drops_total", labels) == before


def test_a_kernel_without_the_option_still_probes(
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def cannot(_bound: socket.socket) -> None:
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    monkeypatch.setattr(refusals, "enable", cannot)
    one, two = hosts(port, "one", "two")
    with running(one, two):
        wait_for(
            lambda: one.sees("two", "tenant").reach is Reach.UP, "up"
        )
    assert "Refused probes are not seen on the tenant network" in caplog.text


def test_drain_tells_who_refused_what(port: int) -> None:
    own = addresses("management", "tenant")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.setblocking(False)
        refusals.enable(bound)
        bound.bind((own["management"], port))
        bound.sendto(b"question" * 30, (own["tenant"], port))
        found: list[refusals.Refusal] = []

        def told() -> bool:
            found.extend(refusals.drain(bound, 10))
            return bool(found)

        wait_for(told, "refused")
        assert found == [refusals.Refusal(own["tenant"], b"question" * 30)]
        assert not list(refusals.drain(bound, 10))


# -- what the kernel hands over -------------------------------------------
def error(
    number: int, origin: int, icmp_type: int, code: int, offender: bytes
) -> bytes:
    return struct.pack(
        "=IBBBBII", number, origin, icmp_type, code, 0, 0, 0
    ) + offender


IPV4 = struct.pack("=HH", socket.AF_INET, 0) + bytes((10, 1, 2, 3)) + bytes(8)
IPV6 = struct.pack("=HHI", socket.AF_INET6, 0, 0) + socket.inet_pton(
    socket.AF_INET6, "fd00::a:1") + bytes(4)


@pytest.mark.parametrize(
    ("level", "kind", "data", "wanted"),
    [
        (0, 11, error(errno.ECONNREFUSED, 2, 3, 3, IPV4), "10.1.2.3"),
        (41, 25, error(errno.ECONNREFUSED, 3, 1, 4, IPV6), "fd00::a:1"),
        (0, 11, error(errno.EHOSTUNREACH, 2, 3, 1, IPV4), None),
        (0, 11, error(errno.ENETUNREACH, 2, 3, 0, IPV4), None),
        (0, 11, error(errno.ECONNREFUSED, 1, 3, 3, IPV4), None),
        (0, 11, error(errno.ECONNREFUSED, 2, 3, 2, IPV4), None),
        (41, 25, error(errno.EACCES, 3, 1, 1, IPV6), None),
        (41, 11, error(errno.ECONNREFUSED, 3, 1, 4, IPV6), None),
        (0, 11, error(errno.ECONNREFUSED, 2, 3, 3, IPV4[:6]), None),
        (0, 11, error(errno.ECONNREFUSED, 2, 3, 3, b""), None),
        (0, 11, error(errno.ECONNREFUSED, 2, 3, 3, bytes(16)), None),
        (0, 11, b"\x6f", None),
    ],
)
def test_only_a_closed_port_is_a_refusal(
    level: int, kind: int, data: bytes, wanted: str | None
) -> None:
    assert refusals.offender_of([(level, kind, data)]) == wanted
    other = (socket.SOL_SOCKET, 29, bytes(16))
    assert refusals.offender_of([other, (level, kind, data)]) == wanted


# -- the prober, with a clock of its own ----------------------------------
class Refusing(World):
    """A world in which the kernels of dead agents may live."""

    def __init__(self, *names: str, pace: prober.Pace = PACE) -> None:
        super().__init__(*names, pace=pace)
        self.kernels: set[str] = set()

    def answer(self, request: prober.Request) -> None:
        if wire.decode(request.data).packet.target in self.kernels:
            assert self.prober.refused(
                request.nonce, request.network, request.address, self.now
            )
        else:
            super().answer(request)


def test_refused_probes_are_misses_but_not_down() -> None:
    world = Refusing("a", "b")
    world.run(3.0)
    world.kernels.add("a")
    world.dead.add("b")
    world.run(20.0)
    seen = world.sees("a")
    assert seen.reach is Reach.UNKNOWN
    assert seen.refused
    assert seen.misses >= 15
    assert seen.silent_s is not None
    assert seen.silent_s > 15
    assert world.sees("b").reach is Reach.DOWN
    assert not world.sees("b").refused


def test_a_refusal_never_makes_a_host_up() -> None:
    world = Refusing("a")
    world.kernels.add("a")
    for _ in range(30):
        world.run(1.3)
        assert world.sees("a").reach is Reach.UNKNOWN
        assert world.sees("a").silent_s is None


def test_an_answer_ends_the_refusal() -> None:
    world = Refusing("a")
    world.kernels.add("a")
    world.run(8.0)
    assert world.sees("a").refused
    world.kernels.clear()
    world.run(1.1)
    assert world.sees("a").reach is Reach.UP
    assert not world.sees("a").refused


@pytest.mark.parametrize(
    ("pace", "window"),
    [(PACE, 4.0), (prober.Pace(0.2, 0.1, 3), 3.0)],
)
def test_when_the_kernel_falls_silent_the_host_is_down_after_the_window(
    pace: prober.Pace, window: float
) -> None:
    world = Refusing("a", pace=pace)
    world.run(3.0)
    world.kernels.add("a")
    world.run(10.0)
    world.kernels.clear()
    world.dead.add("a")
    silent = world.now
    while world.sees("a").reach is not Reach.DOWN:
        world.run(0.05)
        assert world.now - silent < 10
    assert not world.sees("a").refused
    assert window - pace.interval - 0.1 <= world.now - silent <= window + 0.1


def test_one_refusal_a_second_is_enough_however_fast_the_probes() -> None:
    """Linux sends no more to one address."""
    pace = prober.Pace(0.1, 0.09, 4)
    world = World("a", pace=pace)
    world.dead.add("a")
    for _ in range(10):
        world.run(1.0)
        _when, request = world.requests[-1]
        assert world.prober.refused(
            request.nonce, request.network, request.address, world.now
        )
        for _ in range(10):
            assert world.sees(
                "a", request.network).reach is Reach.UNKNOWN
            world.run(0.1)


def test_an_agent_that_stood_still_keeps_the_refusals_it_had() -> None:
    world = Refusing("a")
    world.kernels.add("a")
    world.run(10.0)
    world.now += 30.0
    assert world.sees("a").reach is Reach.UNKNOWN
    for _ in range(40):
        world.run(0.05)
        assert world.sees("a").reach is Reach.UNKNOWN
    world.kernels.clear()
    world.dead.add("a")
    world.run(6.0)
    assert world.sees("a").reach is Reach.DOWN


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({}, True),
        ({"nonce": bytes(16)}, False),
        ({"address": "10.1.1.2"}, False),
        ({"network": "tenant"}, False),
    ],
)
def test_only_the_target_refuses_a_probe_of_ours(
    change: dict[str, object], taken: bool
) -> None:
    world = World("a")
    world.dead.add("a")
    world.run(8.0)
    assert world.sees("a").reach is Reach.DOWN
    request = [r for _when, r in world.requests
               if r.network == "management"][-1]
    said = {
        "nonce": request.nonce, "network": "management",
        "address": request.address, **change}
    assert world.prober.refused(  # type: ignore[arg-type]
        **said, now=world.now) is taken
    wanted = Reach.UNKNOWN if taken else Reach.DOWN
    assert world.sees("a").reach is wanted
    assert world.sees("a").refused is taken


def test_a_target_that_was_given_up_is_not_refused() -> None:
    world = World("a")
    world.dead.add("a")
    world.run(2.0)
    _when, request = world.requests[-1]
    world.prober.retarget([target("b", 2)], ["management"], world.now)
    assert not world.prober.refused(
        request.nonce, request.network, request.address, world.now
    )


# -- the quoted probe -----------------------------------------------------
def test_the_nonce_is_read_from_the_beginning_of_a_request() -> None:
    world = World("a")
    world.run(1.0)
    _when, request = world.requests[0]
    assert wire.nonce_asked(request.data) == request.nonce
    assert wire.nonce_asked(request.data[:32]) == request.nonce
    assert wire.nonce_asked(request.data[:31]) is None
    assert wire.nonce_asked(b"") is None
    assert wire.nonce_asked(b"BAAP" + request.data[4:]) is None
    reply = bytearray(request.data)
    reply[6] = wire.Kind.REPLY
    assert wire.nonce_asked(bytes(reply)) is None
