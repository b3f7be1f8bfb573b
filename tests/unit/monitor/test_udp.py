# SPDX-License-Identifier: Apache-2.0
"""The udp probe with real sockets on loopback addresses."""

from collections.abc import Iterator
import errno
import logging
import pathlib
import socket
import time

import prometheus_client
import pytest

from aacloud.core.observations import Reach
from aacloud.monitor import metrics
from aacloud.monitor import wire
from aacloud.rpc import replay
from aacloud.rpc import signing
from tests.unit.monitor import agents
from tests.unit.monitor.agents import addresses
from tests.unit.monitor.agents import Agent
from tests.unit.monitor.agents import running
from tests.unit.monitor.agents import wait_for
from tests.unit.rpc import keys

NETWORKS = ("management", "tenant", "storage")


@pytest.fixture
def port() -> int:
    return agents.free_port()


def pair(port: int, **options: object) -> tuple[Agent, Agent]:
    one = Agent("one", port, addresses(*NETWORKS), **options)
    two = Agent("two", port, addresses(*NETWORKS), **options)
    one.watch(two.target())
    two.watch(one.target())
    return one, two


def drops(network: str, drop: wire.Drop) -> float:
    value = prometheus_client.REGISTRY.get_sample_value(
        "aacloud_probe_drops_total",
        {"network": network, "reason": drop.value},
    )
    return value or 0.0


def up(watcher: Agent, target: str, network: str = "management") -> bool:
    return watcher.sees(target, network).reach is Reach.UP


def down(watcher: Agent, target: str, network: str = "management") -> bool:
    return watcher.sees(target, network).reach is Reach.DOWN


def test_two_agents_see_each_other_until_one_is_stopped(port: int) -> None:
    one, two = pair(port, refused_probe="ignore")
    with running(one):
        with running(two):
            for network in NETWORKS:
                wait_for(lambda n=network: up(one, "two", n), "one sees two")
                wait_for(lambda n=network: up(two, "one", n), "two sees one")
            seen = one.sees("two", "tenant")
            assert seen.rtt_ms is not None
            assert seen.rtt_ms < 90
            assert one.probe.health() == (True, "3 paths probed")
        counts = []
        for network in NETWORKS:
            wait_for(lambda n=network: down(one, "two", n), "two is down")
            counts.append(one.sees("two", network).misses)
        assert min(counts) >= 3
        before = counts[0]
        wait_for(
            lambda: one.sees("two", "management").misses > before,
            "misses go on rising",
        )
        assert (one.sees("two", "management").silent_s or 0) > 0.2


def test_a_stopped_agent_that_starts_again_is_up_again(port: int) -> None:
    one, two = pair(port, refused_probe="ignore")
    with running(one):
        with running(two):
            wait_for(lambda: up(one, "two"), "up")
        wait_for(lambda: down(one, "two"), "down")
        again = Agent("two", port, two.addresses)
        with running(again):
            wait_for(lambda: up(one, "two"), "up again")


def test_only_the_network_that_loses_packets_is_down(port: int) -> None:
    one, two = pair(port)
    relay = addresses("management")["management"]
    one.watch(two.target(management=relay))
    target = two.addresses["management"]
    with agents.Wire(port, relay, target) as between, running(one, two):
        wait_for(lambda: up(one, "two"), "up through the relay")
        between.lossy.set()
        wait_for(
            lambda: down(one, "two")
            and up(one, "two", "tenant")
            and up(one, "two", "storage"),
            "down behind the relay alone",
        )
        between.lossy.clear()
        wait_for(lambda: up(one, "two"), "up again")


def test_a_host_that_answers_under_another_name_is_not_up(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = pair(port)
    wrong = two.target()
    one.watch(
        type(wrong)("somebody-else", wrong.vantage, wrong.addresses)
    )
    with caplog.at_level(logging.WARNING), running(one, two):
        wait_for(lambda: down(one, "somebody-else"), "down")
        assert one.sees("somebody-else", "management").silent_s is None
    assert "asks for somebody-else" in caplog.text


def test_a_network_is_not_proved_through_another_one(port: int) -> None:
    one, two = pair(port)
    crossed = two.target(management=two.addresses["tenant"])
    before = drops("tenant", wire.Drop.WRONG_NETWORK)
    one.watch(crossed)
    with running(one, two):
        wait_for(
            lambda: down(one, "two") and up(one, "two", "tenant"),
            "down on one network alone",
        )
    assert drops("tenant", wire.Drop.WRONG_NETWORK) > before


def test_agents_with_different_keys_do_not_see_each_other(port: int) -> None:
    one = Agent("one", port, addresses("management"))
    two = Agent(
        "two", port, addresses("management"), keys.ring(k1=keys.WRONG)
    )
    one.watch(two.target())
    two.watch(one.target())
    before = drops("management", wire.Drop.BAD_SIGNATURE)
    with running(one, two):
        wait_for(lambda: down(one, "two"), "down")
        wait_for(lambda: down(two, "one"), "down")
    assert drops("management", wire.Drop.BAD_SIGNATURE) > before


def test_keys_are_changed_while_agents_run(
    port: int, tmp_path: pathlib.Path
) -> None:
    files = [tmp_path / name for name in ("one", "two")]
    made = []
    for path in files:
        keys.write(path, old=keys.FIRST)
        ring = signing.KeyRing.from_file(str(path))
        made.append((path, ring))
    one = Agent("one", port, addresses("management"), made[0][1])
    two = Agent("two", port, addresses("management"), made[1][1])
    one.watch(two.target())
    two.watch(one.target())
    steps = (
        {"old": keys.FIRST, "new": keys.SECOND},
        {"new": keys.SECOND, "old": keys.FIRST},
        {"new": keys.SECOND},
    )
    with running(one, two):
        wait_for(lambda: up(one, "two") and up(two, "one"), "up")
        for step in steps:
            for path, ring in made:
                keys.write(path, **step)
                ring.reload()
            changed = time.monotonic()
            wait_for(
                lambda since=changed: answered_since(one, since)
                and answered_since(two, since),
                f"answers with {list(step)}",
            )


def answered_since(watcher: Agent, since: float) -> bool:
    other = "two" if watcher.host == "one" else "one"
    silent = watcher.sees(other, "management").silent_s
    # An answer on its way during the change may still be of the old key.
    return silent is not None and time.monotonic() - silent > since + 0.2


class Stranger:
    """Somebody with a socket and no agent."""

    def __init__(self, port: int) -> None:
        self.address = addresses("management")["management"]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, port))
        self._socket.settimeout(agents.WAIT)
        self._port = port
        self._seq = 0
        self.boot = replay.make_boot_id(1_700_000_000_000)

    def send(self, data: bytes, target: Agent) -> None:
        address = target.addresses["management"]
        self._socket.sendto(data, (address, self._port))

    def request(
        self, target: str = "one", secret: bytes = keys.FIRST
    ) -> bytes:
        self._seq += 1
        return wire.encode(
            wire.Packet(
                kind=wire.Kind.REQUEST,
                network="management",
                source="stranger",
                target=target,
                boot_id=self.boot,
                seq=self._seq,
                nonce=bytes(16),
            ),
            keys.ring(k1=secret),
        )

    def heard(self) -> wire.Packet:
        data, _sender = self._socket.recvfrom(2048)
        return wire.authenticate(wire.decode(data), keys.ring())

    def nothing_waits(self) -> bool:
        self._socket.setblocking(False)
        try:
            self._socket.recvfrom(2048)
        except OSError as error:
            assert error.errno == errno.EAGAIN
            return True
        finally:
            self._socket.settimeout(agents.WAIT)
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def stranger(port: int) -> Iterator[Stranger]:
    made = Stranger(port)
    yield made
    made.close()


def test_nobody_without_a_key_is_answered(
    port: int, stranger: Stranger
) -> None:
    one = Agent("one", port, addresses("management"))
    good = stranger.request()
    cases = [
        (good[:-32] + bytes(32), wire.Drop.BAD_SIGNATURE),
        (stranger.request(secret=keys.WRONG), wire.Drop.BAD_SIGNATURE),
        (good[:-32], wire.Drop.MALFORMED),
        (good + bytes(1400), wire.Drop.OVERSIZED),
        (b"", wire.Drop.MALFORMED),
        (b"\x00" * 300, wire.Drop.MALFORMED),
        (stranger.request(target="two"), wire.Drop.WRONG_TARGET),
    ]
    with running(one):
        for data, drop in cases:
            before = drops("management", drop)
            stranger.send(data, one)
            wait_for(
                lambda d=drop, b=before: drops("management", d) == b + 1,
                drop.value,
            )
        # Answers come in order, so nothing was answered before this one.
        last = stranger.request()
        stranger.send(last, one)
        assert stranger.heard().seq == wire.decode(last).packet.seq
        assert stranger.nothing_waits()


def test_a_replayed_request_is_not_answered(
    port: int, stranger: Stranger
) -> None:
    one = Agent("one", port, addresses("management"))
    first = stranger.request()
    before = drops("management", wire.Drop.REPLAYED)
    with running(one):
        stranger.send(first, one)
        assert stranger.heard().source == "one"
        stranger.send(first, one)
        wait_for(
            lambda: drops("management", wire.Drop.REPLAYED) == before + 1,
            "replayed",
        )
        stranger.send(stranger.request(), one)
        assert stranger.heard().seq == 2
        assert stranger.nothing_waits()


def test_a_recorded_answer_does_not_make_a_dead_host_live(port: int) -> None:
    one, two = pair(port, refused_probe="ignore")
    relay = addresses("management")["management"]
    one.watch(two.target(management=relay))
    with running(one):
        with agents.Wire(port, relay, two.addresses["management"]) as between:
            with running(two):
                wait_for(lambda: up(one, "two"), "up")
            recorded = [
                data
                for data in between.passed
                if wire.decode(data).packet.kind is wire.Kind.REPLY
            ]
        assert recorded
        before = drops("management", wire.Drop.NOT_ASKED)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
            forger.bind((relay, port))
            for data in recorded:
                forger.sendto(data, (one.addresses["management"], port))
            wait_for(
                lambda: drops("management", wire.Drop.NOT_ASKED)
                == before + len(recorded),
                "recorded answers are dropped",
            )
            wait_for(lambda: down(one, "two"), "down")


def test_a_flood_without_a_key_does_not_stop_the_probes(
    port: int, stranger: Stranger
) -> None:
    one, two = pair(port)
    junk = stranger.request(secret=keys.WRONG)
    before = drops("management", wire.Drop.BAD_SIGNATURE)
    with running(one, two):
        wait_for(lambda: up(one, "two"), "up")
        for _ in range(3000):
            stranger.send(junk, one)
        wait_for(
            lambda: drops("management", wire.Drop.BAD_SIGNATURE)
            > before + 100,
            "junk is dropped",
        )
        mark = time.monotonic()
        wait_for(
            lambda: answered_since(one, mark) and answered_since(two, mark),
            "both still answer",
        )


def test_an_address_that_is_not_there_is_said_and_tried_again(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    own = addresses("management", "tenant")
    blocker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    blocker.bind((own["tenant"], port))
    one = Agent("one", port, own)
    two = Agent("two", port, addresses("management", "tenant"))
    one.watch(two.target())
    with running(one, two):
        well, text = one.probe.health()
        assert not well
        assert own["tenant"] in text
        assert "Address already in use" in text
        assert "tenant_address" in caplog.text
        wait_for(lambda: up(one, "two"), "the other network works")
        assert one.sees("two", "tenant").reach is Reach.UNKNOWN
        assert one.sees("two", "tenant").misses == 0
        blocker.close()
        one.probe._rebind_at = 0.0
        wait_for(lambda: up(one, "two", "tenant"), "bound again")
        assert one.probe.health()[0]


def test_a_new_pace_is_taken_at_reload(port: int) -> None:
    one, _two = pair(port, misses_down=100, refused_probe="ignore")
    with running(one):
        conf = one.probe._context.conf
        wait_for(
            lambda: one.sees("two", "management").misses >= 4, "misses"
        )
        assert not down(one, "two")
        conf.set_override("misses_down", 2, group="aacloud_agent")
        one.probe.reload()
        wait_for(lambda: down(one, "two"), "down")


def test_an_agent_that_runs_no_more_says_unknown(port: int) -> None:
    one, two = pair(port)
    with running(two):
        with running(one):
            wait_for(lambda: up(one, "two"), "up")
        assert one.probe.health() == (False, "it does not run")
        wait_for(
            lambda: one.sees("two", "management").reach is Reach.UNKNOWN,
            "what is old is not told as new",
        )


def test_what_is_counted(port: int) -> None:
    sent = metrics.PROBES_SENT.labels("management")
    before = sent._value.get()
    one, two = pair(port)
    with running(one, two):
        wait_for(lambda: up(one, "two"), "up")
    assert sent._value.get() > before
    one.watch()
    assert metrics.PATHS._value.get() == 0
