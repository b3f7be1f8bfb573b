# SPDX-License-Identifier: Apache-2.0
"""The whole agent against an engine's end, over an in-process bus."""

from collections.abc import Iterator
import pathlib
import queue
import time

import oslo_messaging
import pytest

from aacloud.conf import agent as agent_conf
from aacloud.conf import errors
from aacloud.core.observations import Reach
from aacloud.core.topology import Vantage
from aacloud.monitor import agent
from aacloud.rpc import messaging
from aacloud.rpc import observations
from aacloud.rpc import peers
from aacloud.rpc import replay
from aacloud.rpc import schema
from tests.unit.monitor import agents
from tests.unit.rpc import bus
from tests.unit.rpc import keys

WAIT = 20


def make(
    path: pathlib.Path, name: str, own: dict[str, str], /, **values: object
) -> agent.AgentDaemon:
    """An agent of the host ``name`` on the in-process bus."""
    conf = bus.conf()
    agent_conf.register_opts(conf)
    key_file = path / "keys"
    if not key_file.exists():
        keys.write(key_file, k1=keys.FIRST)
    chosen: dict[str, object] = {
        "host": name,
        "state_path": str(path / "state"),
        "key_file": str(key_file),
        "probe_interval": 0.1,
        "probe_timeout": 0.09,
        "misses_down": 3,
        "report_interval": 0.1,
        "probes": ["udp", "compute"],
        **{f"{net}_address": ip for net, ip in own.items()},
        **values,
    }
    for option, value in chosen.items():
        conf.set_override(option, value, group=agent_conf.GROUP)
    conf.set_override("transport_url", "fake://")
    return agent.AgentDaemon(conf)


class Engine:
    """Keeps the reports, and tells everybody to probe everybody."""

    def __init__(self, transport: messaging.RPCTransport) -> None:
        ring = keys.ring()
        self.reports: queue.Queue[schema.Heartbeat] = queue.Queue()
        self.hosts: dict[str, dict[str, str]] = {}
        self._servers = (
            observations.ObservationServer(
                transport, ring, self.reports.put, name="engine"
            ),
            peers.peers_server(
                transport,
                peers.PeersEndpoint(ring, self.assign),
                name="engine",
            ),
        )

    def assign(self, request: schema.PeersRequest) -> schema.Assignment:
        return schema.Assignment(
            targets=tuple(
                schema.PeerTarget(host, Vantage.OTHER_RACK, own)
                for host, own in self.hosts.items()
                if host != request.host
            ),
            version="1",
            refresh_s=1.0,
        )

    def start(self) -> None:
        for server in self._servers:
            server.start()
        for server in self._servers:
            assert server.wait_listening(WAIT)

    def stop(self) -> None:
        for server in self._servers:
            server.stop(WAIT)

    def hears(self, observer: str, target: str, reach: Reach) -> None:
        """Wait for a report that says so on each network."""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            report = self.reports.get(timeout=WAIT).report
            seen = {
                o.reach for o in report.observations if o.target == target
            }
            if report.observer == observer and seen == {reach}:
                return
        pytest.fail(f"{observer} does not say that {target} is {reach}")


@pytest.fixture
def engine() -> Iterator[Engine]:
    transport = oslo_messaging.get_rpc_transport(bus.conf(), url="fake://")
    made = Engine(transport)
    yield made
    made.stop()
    transport.cleanup()


@pytest.fixture
def port() -> int:
    return agents.free_port()


def test_agents_are_told_their_peers_and_report_a_death(
    tmp_path: pathlib.Path, engine: Engine, port: int
) -> None:
    own = {
        name: agents.addresses("management", "storage")
        for name in ("one", "two")
    }
    engine.hosts = own
    engine.start()
    daemons = {
        name: make(
            tmp_path, name, place, probe_port=port, refused_probe="ignore"
        )
        for name, place in own.items()
    }
    for daemon in daemons.values():
        daemon.start()
    try:
        engine.hears("one", "two", Reach.UP)
        engine.hears("two", "one", Reach.UP)
        agents.wait_for(
            lambda: all(well for well, _ in daemons["one"].checks().values()),
            "all checks are well",
        )
        assert set(daemons["one"].checks()) == {
            "probe-udp",
            "probe-compute",
            "reports",
            "peers",
        }
        daemons["two"].stop()
        daemons["two"].wait()
        engine.hears("one", "two", Reach.DOWN)
    finally:
        for daemon in daemons.values():
            daemon.stop()


def test_the_first_reports_say_who_and_where(
    tmp_path: pathlib.Path, engine: Engine, port: int
) -> None:
    own = agents.addresses("management", "tenant", "storage")
    engine.start()
    daemon = make(tmp_path, "one", own, probe_port=port)
    daemon.start()
    try:
        first = engine.reports.get(timeout=WAIT)
    finally:
        daemon.stop()
    assert first.addresses == own
    assert first.report.observer == "one"
    assert first.report.facts["nova-compute"] in ("unknown", "up", "down")
    assert replay.boot_stamp(first.report.boot_id) is not None
    assert abs(first.report.received - time.monotonic()) < WAIT


def test_probing_goes_on_without_a_bus(
    tmp_path: pathlib.Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_kwargs: object) -> None:
        raise oslo_messaging.MessageDeliveryFailure("no bus")

    own = agents.addresses("management")
    other = agents.Agent("two", port, agents.addresses("management"))
    monkeypatch.setattr(
        observations.ObservationClient, "report", broken
    )
    monkeypatch.setattr(
        peers.PeersClient,
        "peers",
        lambda *_: schema.Assignment((other.target(),), "1"),
    )
    daemon = make(tmp_path, "one", own, probe_port=port)
    other.watch(
        schema.PeerTarget("one", Vantage.OWN_RACK, own)
    )
    with agents.running(other):
        daemon.start()
        try:
            agents.wait_for(
                lambda: other.sees("one", "management").reach is Reach.UP,
                "it answers",
            )
            agents.wait_for(
                lambda: daemon._reporter.compose().report.observations[0]
                .reach
                is Reach.UP,
                "it probes",
            )
            assert daemon.checks()["reports"][0] is False
        finally:
            daemon.stop()
    monkeypatch.setattr(peers.PeersClient, "peers", broken)
    again = make(tmp_path, "one", own, probe_port=port)
    other = agents.Agent("two", port, other.addresses)
    with agents.running(other):
        again.start()
        try:
            agents.wait_for(
                lambda: again._reporter.compose().report.observations[0]
                .reach
                is Reach.UP,
                "it probes the peers it remembers",
            )
        finally:
            again.stop()


def test_reload_takes_new_keys_and_keeps_the_old_if_they_are_wrong(
    tmp_path: pathlib.Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    own = agents.addresses("management")
    daemon = make(tmp_path, "one", own, probe_port=port)
    path = tmp_path / "keys"
    keys.write(path, k2=keys.SECOND, k1=keys.FIRST)
    daemon.reload()
    assert daemon._keys.key_ids == ("k2", "k1")
    path.write_text("nonsense\n")
    daemon.reload()
    assert daemon._keys.key_ids == ("k2", "k1")
    assert "The old keys stay in use" in caplog.text
    daemon.stop()


@pytest.mark.parametrize(
    ("own", "values", "wanted"),
    [
        ({}, {}, "management_address, tenant_address and storage_address"),
        (
            {"management": "127.0.0.9", "tenant": "127.0.0.9"},
            {},
            "are both 127.0.0.9",
        ),
        ({"management": "127.0.0.9"}, {"host": "a\nb"}, "host must have"),
        ({"management": "127.0.0.9"}, {"host": ""}, "host must have"),
        ({"management": "127.0.0.9"}, {"probes": ["x"]}, "x cannot be used"),
        (
            {"management": "127.0.0.9"},
            {"key_file": "/nowhere/keys"},
            "/nowhere/keys cannot be used: No such file",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_at_the_start(
    tmp_path: pathlib.Path,
    own: dict[str, str],
    values: dict[str, object],
    wanted: str,
) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        make(tmp_path, "one", own, **values)
    assert wanted in str(caught.value)
