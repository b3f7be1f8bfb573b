# SPDX-License-Identifier: Apache-2.0
"""The daemon as a whole: wired, started, asked, reloaded, stopped."""

from __future__ import annotations

from collections.abc import Callable
import os
import pathlib
import threading
import time

from oslo_config import cfg
from oslo_messaging import conffixture
import pytest

from aacloud import conf as aacloud_conf
from aacloud.coordination import terms
from aacloud.core import observations
from aacloud.core import topology as topologies
from aacloud.db import api as db_api
from aacloud.failover import engine
from aacloud.fencing import fencer as fencers
from aacloud.rpc import observations as rpc_observations
from aacloud.rpc import replay
from aacloud.rpc import schema
from aacloud.rpc import signing
from tests.unit.core import builders
from tests.unit.db import worlds
from tests.unit.failover import scripted_cloud
from tests.unit.failover import scripted_fencer
from tests.unit.failover import stage as stages
from tests.unit.failover import virtual_time
from tests.unit.failover.stage import HOST
from tests.unit.failover.stage import State
from tests.unit.rpc import keys

INVENTORY = """
hosts:
  {host}: {{driver: noop, address: ""}}
"""
DEADLINE = 60.0


def eventually(so: Callable[[], object], what: str = "") -> None:
    """Wait until it is so."""
    pause = threading.Event()
    until = time.monotonic() + DEADLINE
    while not so():
        assert time.monotonic() < until, what or "it never came"
        pause.wait(0.02)


class Agents:
    """Agents without hosts."""

    def __init__(self):
        self.assigned = stages.peers.assign_targets(builders.cloud())
        self.boot = replay.make_boot_id(1_700_000_000_000)
        self.seq = 0
        self.died = {}

    def reports(self, dead=()):
        """A heartbeat of each that lives."""
        now = time.monotonic()
        for host in dead:
            self.died.setdefault(host, now)
        self.seq += 1
        return [
            schema.Heartbeat(
                observations.Report(
                    observer=observer, boot_id=self.boot,
                    seq=self.seq, interval_s=0.2, received=now,
                    observations=tuple(
                        self.observation(observer, target, network, now)
                        for target in targets
                        for network in observations.NETWORKS)),
                {"management": "10.0.0.1"}, now, time.time())
            for observer, targets in self.assigned.items()
            if observer not in dead]

    def observation(self, observer, target, network, now):
        silent = now - self.died.get(target.host, now)
        up = silent < 0.5
        return observations.Observation(
            observer=observer, target=target.host, network=network,
            vantage=target.vantage, silent_s=silent,
            misses=0 if up else 9,
            reach=observations.Reach.UP if up else observations.Reach.DOWN)


class Place:
    """What daemons of one test share: files, the cloud, the database."""

    def __init__(
        self, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.path = path
        self.time = virtual_time.VirtualTime(time.monotonic())
        self.cloud = scripted_cloud.ScriptedCloud(
            self.time, builders.cloud())
        self.key_file = keys.write(path / "keys", k1=keys.FIRST)
        self.inventory = path / "fencing.yaml"
        self.inventory.write_text(INVENTORY.format(host=HOST))
        self.agents = Agents()
        self.daemons: list[engine.FailoverDaemon] = []
        monkeypatch.setattr(
            engine.nova.NovaCloud, "from_conf", lambda conf: self.cloud)

    def configuration(self, member: str) -> cfg.ConfigOpts:
        conf = stages.configuration(
            tick=0.1, report_ttl=1.0, heartbeat_timeout=1.0, confirm=0.0,
            nova_fresh=1.0, nova_poll=0.2, request_grace=2.0,
            key_file=str(self.key_file))
        conffixture.ConfFixture(conf)
        conf.set_override("transport_url", "fake://")
        conf.set_override(
            "driver", ["noop"], "oslo_messaging_notifications")
        conf.set_override(
            "inventory_file", str(self.inventory), "aacloud_fencing")
        conf.set_override(
            "backend_url", f"file://{self.path}", "aacloud_coordination")
        conf.set_override("lease", 3, "aacloud_coordination")
        conf.set_override("member_id", member, "aacloud_coordination")
        worlds.options.set_defaults(
            conf, connection=f"sqlite:///{self.path / 'aacloud.sqlite'}")
        conf.set_override("sqlite_synchronous", False, "database")
        return conf

    def daemon(self, member: str = "one") -> engine.FailoverDaemon:
        made = engine.FailoverDaemon(self.configuration(member))
        self.daemons.append(made)
        return made


@pytest.fixture
def place(tmp_path, monkeypatch, file_database):
    made = Place(tmp_path, monkeypatch)
    yield made
    for daemon in made.daemons:
        daemon.stop()


def leads(daemon):
    return daemon.checks()["engine"] == (True, "leads")


class TestConfiguration:
    def test_without_keys_it_does_not_begin(self, place):
        place.key_file.unlink()
        with pytest.raises(aacloud_conf.ConfigurationError, match="keys"):
            place.daemon()

    def test_with_a_broken_inventory_it_does_not_begin(self, place):
        place.inventory.write_text("hosts: [1]")
        with pytest.raises(
            aacloud_conf.ConfigurationError, match="fencing inventory"
        ):
            place.daemon()

    def test_its_name(self, place):
        assert terms.member_id(place.configuration("here")) == "here"
        conf = place.configuration("")
        conf.set_override("member_id", None, "aacloud_coordination")
        assert terms.member_id(conf).endswith(f":{os.getpid()}")


class TestReload:
    def test_all_is_taken_over(self, place):
        daemon = place.daemon()
        keys.write(place.key_file, k2=keys.SECOND)
        place.inventory.write_text(INVENTORY.format(host="dc2-r1-h1"))
        daemon._conf.set_override("concurrency_max", 3, "aacloud_failover")
        daemon._conf.set_override(
            "concurrency_per_destination", 2, "aacloud_failover")
        daemon.reload()
        assert set(daemon._fencer.hosts.targets) == {"dc2-r1-h1"}
        key_id, _mac = daemon._keys.sign(b"x", signing.Purpose.REPORT)
        assert key_id == "k2"
        assert daemon._pace.limits.ceiling == 3
        assert daemon._pace.limits.per_destination == 2
        assert daemon._pace.limits.slots <= 3

    def test_what_is_broken_is_told_and_the_old_one_stays(self, place):
        daemon = place.daemon()
        place.key_file.write_text("k1: short")
        place.inventory.write_text("hosts: {x: {driver: nobodys}}")
        with pytest.raises(aacloud_conf.ConfigurationError) as caught:
            daemon.reload()
        assert len(caught.value.problems) == 2
        assert set(daemon._fencer.hosts.targets) == {HOST}
        key_id, _mac = daemon._keys.sign(b"x", signing.Purpose.REPORT)
        assert key_id == "k1"

    def test_one_that_is_good_is_taken_over_beside_one_that_is_not(
        self, place
    ):
        daemon = place.daemon()
        place.key_file.write_text("")
        place.inventory.write_text(INVENTORY.format(host="dc2-r1-h1"))
        with pytest.raises(aacloud_conf.ConfigurationError) as caught:
            daemon.reload()
        assert len(caught.value.problems) == 1
        assert set(daemon._fencer.hosts.targets) == {"dc2-r1-h1"}


class TestChecks:
    def test_before_it_started(self, place):
        checks = place.daemon().checks()
        assert {name: well for name, (well, _text) in checks.items()} == (
            dict.fromkeys([
                "engine", "coordination", "database", "nova", "messaging",
                "sight"], False))
        assert checks["engine"][1] == "it does not run"
        assert checks["nova"][1] == "Nova was not asked yet"

    def test_when_all_is_well(self, place):
        daemon = place.daemon()
        for report in place.agents.reports():
            daemon._take_heartbeat(report)
        daemon.start()
        eventually(lambda: all(
            well for well, _text in daemon.checks().values()),
            str(daemon.checks()))
        assert daemon.checks()["engine"][1] == "leads"
        assert daemon.checks()["sight"][1] == "clear"
        second = place.daemon("two")
        second.start()
        eventually(
            lambda: second.checks()["engine"] == (True, "stands by"))

    def test_each_trouble_is_told(self, place, monkeypatch):
        place.cloud.script = lambda number, name: (
            scripted_cloud.Fault.UNKNOWN)
        daemon = place.daemon()
        daemon.start()
        eventually(lambda: daemon.checks()["nova"] == (
            False, "services: HTTP 502"))
        monkeypatch.setattr(
            type(daemon._overseer), "last_look_age", lambda self: 77.0)
        well, text = daemon.checks()["engine"]
        assert not well
        assert "77 s ago" in text
        monkeypatch.setattr(daemon._lease, "_trouble", "no route to etcd")
        assert daemon.checks()["coordination"][1] in (
            "no route to etcd", "answers")


def test_reports_come_in_by_the_bus_and_peers_are_told(place):
    daemon = place.daemon()
    daemon.start()
    eventually(lambda: daemon.checks()["messaging"][0])
    eventually(lambda: daemon._world.topology().hosts)
    client = rpc_observations.ObservationClient(
        daemon._transport, daemon._keys)
    sent = place.agents.reports()
    for heartbeat in sent:
        client.report(heartbeat)
    eventually(lambda: all(
        daemon._world.last_life(heartbeat.report.observer)
        for heartbeat in sent))
    # A host is known to live by what others say before it reports itself.
    eventually(lambda: {
        target.host for target in daemon._assign(
            schema.PeersRequest(HOST, {}, "1-x", "n")).targets
    } == {target.host for target in place.agents.assigned[HOST]})
    eventually(lambda: {
        record.name for record in daemon._journal.hosts()
        if record.agent_seen_at} == set(builders.cloud().hosts))


def test_stopped_while_servers_are_moved(place, monkeypatch, file_database):
    """A call hangs while the daemon is told to stop. It ends all the same,
    and the next daemon goes on: nothing is done twice."""
    fencer = scripted_fencer.ScriptedFencer(place.time)
    monkeypatch.setattr(
        fencers.Fencer, "from_conf", lambda conf: fencer)
    monkeypatch.setattr(fencer, "time", RealTime())
    monkeypatch.setattr(engine, "STOP_S", 0.5)
    interface = db_api.Incidents(file_database)
    db_api.Modes(file_database).set(
        topologies.Level.CLOUD, topologies.CLOUD_NAME, stages.Mode.ARMED,
        reason="", by="ann")
    uuids = [f"s{number}" for number in range(6)]
    for uuid in uuids:
        place.cloud.add(uuid, HOST)
    place.cloud.takes_s = 0.3
    hanging, leave = threading.Event(), threading.Event()
    asked = []

    def hook(name):
        place.time.go_to(time.monotonic())
        if name == "evacuate":
            asked.append(name)
            if len(asked) == 3:
                hanging.set()
                leave.wait(DEADLINE)

    place.cloud.hook = hook
    dead: list[str] = []
    done = threading.Event()

    def agents():
        while not done.wait(0.1):
            for heartbeat in place.agents.reports(dead):
                for daemon in place.daemons:
                    daemon._take_heartbeat(heartbeat)

    feeder = threading.Thread(target=agents, daemon=True)
    one, two = place.daemon("one"), place.daemon("two")
    feeder.start()
    try:
        one.start()
        eventually(lambda: leads(one))
        two.start()
        eventually(lambda: two.checks()["sight"][0])
        place.cloud.kill(HOST)
        dead.append(HOST)
        assert hanging.wait(DEADLINE)
        before = time.monotonic()
        one.stop()
        assert time.monotonic() - before < 15.0
        assert not one._thread.is_alive()
        assert one._overseer._workers == {} or not any(
            each.may_act() for each in one._overseer._workers.values())
        leave.set()
        eventually(lambda: leads(two))
        eventually(
            lambda: interface.list(host=HOST)[0].state
            is State.RETURN_WAIT,
            str([e.text for e in interface.events(
                interface.list(host=HOST)[0].id)][-20:]))
    finally:
        leave.set()
        done.set()
        feeder.join(DEADLINE)
    assert sorted(u for u, _host in place.cloud.evacuations) == uuids
    assert all(
        place.cloud.servers[uuid].host != HOST for uuid in uuids)
    assert fencer.orders == [HOST]


class RealTime:
    """For a fencer beside threads."""

    def go_by(self, seconds):
        """Nothing takes time here."""

    def utcnow(self):
        return db_api.utcnow()
