# SPDX-License-Identifier: Apache-2.0
"""Agents and engines over a real RabbitMQ that is killed and restarted."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import pathlib
import queue
import subprocess
import sys
import time

from oslo_config import cfg
import pytest

from aacloud.conf import agent as agent_conf
from aacloud.core.observations import Reach
from aacloud.core.topology import Vantage
from aacloud.monitor import agent
from aacloud.rpc import messaging
from aacloud.rpc import observations
from aacloud.rpc import peers
from aacloud.rpc import schema
from tests.functional.monitor import listening
from tests.functional.monitor import rabbitmq
from tests.unit.monitor import agents
from tests.unit.rpc import bus
from tests.unit.rpc import keys

WAIT = 40

#: Seconds in which reports must flow again once the broker is back. The
#: usual is one or two; the rest is for a busy machine.
RECOVERY = 10.0


def options(broker: rabbitmq.RabbitMQ) -> cfg.ConfigOpts:
    conf = bus.conf()
    agent_conf.register_opts(conf)
    conf.set_override("transport_url", broker.url)
    return conf


def make_agent(
    broker: rabbitmq.RabbitMQ,
    path: pathlib.Path,
    name: str,
    own: dict[str, str],
    port: int,
) -> agent.AgentDaemon:
    conf = options(broker)
    key_file = path / "keys"
    if not key_file.exists():
        keys.write(key_file, k1=keys.FIRST)
    chosen: dict[str, object] = {
        "host": name,
        "key_file": str(key_file),
        "state_path": str(path / "state"),
        "probe_port": port,
        "probes": ["udp"],
        "report_interval": 0.5,
        **{f"{network}_address": ip for network, ip in own.items()},
    }
    for option, value in chosen.items():
        conf.set_override(option, value, group=agent_conf.GROUP)
    return agent.AgentDaemon(conf)


class Engine:
    """An engine's ends, with the reports it got."""

    def __init__(
        self,
        broker: rabbitmq.RabbitMQ,
        name: str,
        hosts: dict[str, dict[str, str]],
    ) -> None:
        self.reports: queue.Queue[schema.Heartbeat] = queue.Queue()
        self._hosts = hosts
        self._transport = messaging.init(options(broker))
        ring = keys.ring()
        self.servers = (
            observations.ObservationServer(
                self._transport, ring, self.reports.put, name=name
            ),
            peers.peers_server(
                self._transport,
                peers.PeersEndpoint(ring, self._assign),
                name=name,
            ),
        )

    def _assign(self, request: schema.PeersRequest) -> schema.Assignment:
        return schema.Assignment(
            tuple(
                schema.PeerTarget(host, Vantage.OTHER_DC, own)
                for host, own in self._hosts.items()
                if host != request.host
            ),
            version="1",
            refresh_s=1.0,
        )

    def start(self) -> None:
        for server in self.servers:
            server.start()

    def listen(self) -> None:
        self.start()
        for server in self.servers:
            assert server.wait_listening(WAIT)

    def stop(self) -> None:
        for server in self.servers:
            server.stop(10)
        self._transport.cleanup()

    def hears(
        self, wanted: Callable[[schema.Heartbeat], bool], what: str
    ) -> schema.Heartbeat:
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                heartbeat = self.reports.get(timeout=1)
                if wanted(heartbeat):
                    return heartbeat
        pytest.fail(f"not heard: {what}")

    def forget(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self.reports.get_nowait()


def sees(target: str, reach: Reach) -> Callable[[schema.Heartbeat], bool]:
    def check(heartbeat: schema.Heartbeat) -> bool:
        return {
            o.reach
            for o in heartbeat.report.observations
            if o.target == target
        } == {reach}

    return check


def of(observer: str) -> Callable[[schema.Heartbeat], bool]:
    return lambda heartbeat: heartbeat.report.observer == observer


class Site:
    """Two agents and two engines."""

    def __init__(
        self, broker: rabbitmq.RabbitMQ, path: pathlib.Path
    ) -> None:
        port = agents.free_port()
        self.hosts = {
            name: agents.addresses("management", "tenant")
            for name in ("one", "two")
        }
        self.agents = {
            name: make_agent(broker, path, name, own, port)
            for name, own in self.hosts.items()
        }
        self.engines = [
            Engine(broker, name, self.hosts) for name in ("dc1", "dc2")
        ]

    def stop(self) -> None:
        for daemon in self.agents.values():
            daemon.stop()
        for engine in self.engines:
            engine.stop()


@pytest.fixture
def site(
    broker: rabbitmq.RabbitMQ, tmp_path: pathlib.Path
) -> Iterator[Site]:
    made = Site(broker, tmp_path)
    yield made
    # The driver closes its connections only with a broker at the other end.
    if not broker.answers():
        broker.start()
    made.stop()


def test_reports_reach_both_engines(site: Site) -> None:
    for engine in site.engines:
        engine.listen()
    for daemon in site.agents.values():
        daemon.start()
    for engine in site.engines:
        engine.hears(sees("two", Reach.UP), "one sees two")
        engine.hears(sees("one", Reach.UP), "two sees one")
    agents.wait_for(
        lambda: all(well for well, _ in site.agents["one"].checks().values()),
        "the agent is well",
    )


def test_a_broker_that_was_killed_costs_seconds(
    site: Site,
    broker: rabbitmq.RabbitMQ,
    record_property: Callable[[str, object], None],
) -> None:
    for engine in site.engines:
        engine.listen()
    for daemon in site.agents.values():
        daemon.start()
    engine = site.engines[0]
    engine.hears(sees("two", Reach.UP), "one sees two")
    broker.kill()
    other = site.agents["one"]
    agents.wait_for(
        lambda: not other.checks()["reports"][0], "the agent notices"
    )
    # Probing goes on meanwhile.
    found = other._reporter.compose().report.observations
    assert {o.reach for o in found} == {Reach.UP}
    engine.forget()
    broker.start()
    back = time.monotonic()
    for name in site.hosts:
        for each in site.engines:
            heartbeat = each.hears(of(name), f"{name} again")
            assert heartbeat.report.received <= time.monotonic()
    took = time.monotonic() - back
    record_property("seconds_to_recover", round(took, 2))
    assert took <= RECOVERY
    agents.wait_for(
        lambda: other.checks()["reports"][0], "the agent is well again"
    )


def test_agent_and_engine_start_before_the_broker(
    site: Site, broker: rabbitmq.RabbitMQ
) -> None:
    broker.kill()
    for engine in site.engines:
        engine.start()
    for daemon in site.agents.values():
        daemon.start()
    watched = site.agents["one"]
    agents.wait_for(lambda: watched._reporter._failing, "no report leaves")
    assert watched.checks()["probe-udp"][0]
    assert not site.engines[0].servers[0].listening
    broker.start()
    for engine in site.engines:
        engine.hears(sees("two", Reach.UP), "one sees two")


def test_stopping_does_not_wait_for_the_broker(
    site: Site, broker: rabbitmq.RabbitMQ
) -> None:
    for engine in site.engines:
        engine.listen()
    for daemon in site.agents.values():
        daemon.start()
    site.engines[0].hears(of("one"), "a report")
    broker.kill()
    agents.wait_for(
        lambda: site.agents["one"]._reporter._failing, "the agent notices"
    )
    began = time.monotonic()
    site.agents["one"].stop()
    site.agents["one"].wait()
    for server in site.engines[0].servers:
        server.stop(timeout=2.0)
    assert time.monotonic() - began < 15
    broker.start()


def fanout_queues(broker: rabbitmq.RabbitMQ) -> dict[str, int]:
    prefix = f"{observations.TOPIC}_fanout"
    return {
        name: count
        for name, count in broker.queues().items()
        if name.startswith(prefix)
    }


def test_with_no_engine_nothing_is_kept(
    site: Site, broker: rabbitmq.RabbitMQ
) -> None:
    daemon = site.agents["one"]
    daemon.start()
    agents.wait_for(
        lambda: daemon._reporter.health()[0], "reports leave"
    )
    assert fanout_queues(broker) == {}
    engine = site.engines[0]
    engine.listen()
    engine.hears(of("one"), "a report")
    engine.stop()
    # The exchange went with its last queue; the next engine makes it anew.
    late = site.engines[1]
    late.listen()
    late.hears(of("one"), "a report after the exchange was gone")


def kill_an_engine(broker: rabbitmq.RabbitMQ, ttl: int) -> str:
    """Let an engine listen, kill it, and return the queue it left."""
    process = subprocess.Popen(
        [sys.executable, "-m", listening.__name__, broker.url, str(ttl)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        (name,) = fanout_queues(broker)
    finally:
        process.kill()
        process.communicate(timeout=WAIT)
    return name


def test_the_queue_of_a_dead_engine_goes_away(
    site: Site, broker: rabbitmq.RabbitMQ
) -> None:
    name = kill_an_engine(broker, ttl=4)
    daemon = site.agents["one"]
    daemon.start()
    agents.wait_for(
        lambda: fanout_queues(broker).get(name, 0) > 0, "reports pile up"
    )
    agents.wait_for(
        lambda: name not in fanout_queues(broker), "the queue is gone"
    )
    assert daemon.checks()["reports"][0]


def test_a_policy_bounds_what_a_dead_engine_leaves_behind(
    site: Site, broker: rabbitmq.RabbitMQ
) -> None:
    broker.control(
        "set_policy",
        "aacloud-observations",
        r"^aacloud\.observations_fanout_",
        '{"message-ttl": 10000, "max-length": 3}',
        "--apply-to",
        "queues",
    )
    try:
        name = kill_an_engine(broker, ttl=60)
        client = observations.ObservationClient(
            messaging.init(options(broker)), keys.ring()
        )
        daemon = site.agents["one"]
        for _ in range(10):
            client.report(daemon._reporter.compose())
        assert fanout_queues(broker) == {name: 3}
        broker.control("delete_queue", name)
    finally:
        broker.control("clear_policy", "aacloud-observations")
