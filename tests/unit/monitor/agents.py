# SPDX-License-Identifier: Apache-2.0
"""Agents on loopback addresses, and what can stand between them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import itertools
import os
import selectors
import socket
import threading
import time

from oslo_config import cfg

from aacloud.conf import agent as agent_conf
from aacloud.core.observations import Observation
from aacloud.core.topology import Vantage
from aacloud.monitor import probe
from aacloud.monitor import udp
from aacloud.rpc import replay
from aacloud.rpc import schema
from aacloud.rpc import signing
from tests import ports
from tests.unit.rpc import keys

WAIT = 20.0

_HOSTS = itertools.count(1)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until ``condition`` holds, or fail after a while."""
    deadline = time.monotonic() + WAIT
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT} s: {what}"
        tick.wait(0.01)


def addresses(*networks: str) -> dict[str, str]:
    """Loopback addresses that no other test of this machine uses."""
    number = next(_HOSTS)
    block = os.getpid() % 240 + 10
    return {
        network: f"127.{block}.{number}.{index}"
        for index, network in enumerate(networks, start=1)
    }


def free_port() -> int:
    """A UDP port that is free on all loopback addresses."""
    return ports.free_port(socket.SOCK_DGRAM, "0.0.0.0")


def conf(port: int, **values: object) -> cfg.ConfigOpts:
    """Options of an agent that probes fast."""
    made = cfg.ConfigOpts()
    agent_conf.register_opts(made)
    made([], project="aacloud", default_config_files=[])
    chosen = {
        "probe_port": port,
        "probe_interval": 0.1,
        "probe_timeout": 0.09,
        "misses_down": 3,
        **values,
    }
    for name, value in chosen.items():
        made.set_override(name, value, group=agent_conf.GROUP)
    return made


class Agent:
    """A udp probe of a host, with real sockets and threads."""

    def __init__(
        self,
        host: str,
        port: int,
        own: dict[str, str],
        ring: signing.KeyRing | None = None,
        **options: object,
    ) -> None:
        self.host = host
        self.addresses = own
        self.probe = udp.UdpProbe(
            probe.ProbeContext(
                conf=conf(port, **options),
                host=host,
                boot_id=replay.make_boot_id(int(time.time() * 1000)),
                addresses=own,
                keys=ring or keys.ring(),
                clock=time.monotonic,
            )
        )

    def watch(self, *targets: schema.PeerTarget) -> None:
        self.probe.retarget(schema.Assignment(targets, version="1"))

    def target(self, **other: str) -> schema.PeerTarget:
        """Itself, as a target of somebody else."""
        return schema.PeerTarget(
            self.host, Vantage.OWN_RACK, {**self.addresses, **other}
        )

    def sees(self, target: str, network: str) -> Observation:
        """What it last found out about a path."""
        (found,) = (
            observation
            for observation in self.probe.collect().observations
            if (observation.target, observation.network) == (target, network)
        )
        return found


@contextlib.contextmanager
def running(*agents: Agent) -> Iterator[None]:
    """Start agents, and stop them at the end."""
    try:
        for agent in agents:
            agent.probe.start()
        yield
    finally:
        for agent in agents:
            agent.probe.stop()


class Wire:
    """A relay between probers and one target, that can lose packets.

    It takes probes at its own address and passes them on to the target from
    there, and the answers back to who asked last.
    """

    def __init__(self, port: int, own: str, target: str) -> None:
        self.address = own
        self.lossy = threading.Event()
        self.passed: list[bytes] = []
        self._target = (target, port)
        self._asker: tuple[str, int] | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((own, port))
        self._socket.setblocking(False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(WAIT)
        self._socket.close()

    def _run(self) -> None:
        selector = selectors.DefaultSelector()
        selector.register(self._socket, selectors.EVENT_READ)
        while not self._stopping.is_set():
            if not selector.select(0.05):
                continue
            data, sender = self._socket.recvfrom(2048)
            if self.lossy.is_set():
                continue
            self.passed.append(data)
            if sender == self._target:
                if self._asker:
                    self._socket.sendto(data, self._asker)
            else:
                self._asker = sender
                self._socket.sendto(data, self._target)
        selector.close()
