# SPDX-License-Identifier: Apache-2.0
"""Reading Nova again and again."""

from __future__ import annotations

import threading

import pytest

from aacloud.failover import watcher
from aacloud.failover import world as worlds
from tests.unit.core import builders
from tests.unit.db import worlds as deadlines
from tests.unit.failover import scripted_cloud
from tests.unit.failover import virtual_time
from tests.unit.failover.scripted_cloud import Fault

HOST = "dc1-r1-h1"


@pytest.fixture
def time():
    return virtual_time.VirtualTime()


@pytest.fixture
def cloud(time):
    return scripted_cloud.ScriptedCloud(time, builders.cloud())


@pytest.fixture
def world(time):
    return worlds.World(time.monotonic(), time.clock())


@pytest.fixture
def watch(time, cloud, world):
    return watcher.CloudWatcher(
        cloud, world, services_every=2.0, topology_every=30.0,
        clock=time.clock())


def test_services_each_time_and_aggregates_now_and_then(
    time, cloud, world, watch
):
    assert watch.trouble == "Nova was not asked yet"
    for _ in range(20):
        time.go_by(watch.look())
    assert cloud.count("services") == 20
    assert cloud.count("aggregates") == 2
    assert watch.trouble is None
    assert set(world.topology().hosts) == set(builders.cloud().hosts)
    assert world.service(HOST).state == "up"


def test_a_topology_without_hosts_is_read_again_at_once(
    time, cloud, watch
):
    cloud.topology = builders.cloud(dcs=0)
    for _ in range(5):
        time.go_by(watch.look())
    assert cloud.count("aggregates") == 5


def test_it_asks_a_silent_nova_less_and_less_often(
    time, cloud, world, watch, caplog
):
    watch.look()
    cloud.script = lambda number, name: Fault.UNKNOWN
    pauses = []
    for _ in range(6):
        pauses.append(watch.look())
        time.go_by(pauses[-1])
    assert pauses == [2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
    assert watch.trouble == "services: HTTP 502"
    assert caplog.text.count("Nova cannot be read") == 1
    # What is known stays, and grows old.
    assert world.service(HOST) is not None
    cloud.script = lambda number, name: None
    assert watch.look() == 2.0
    assert watch.trouble is None
    cloud.script = lambda number, name: Fault.UNKNOWN
    assert watch.look() == 2.0


def test_it_is_quicker_than_what_nova_said_grows_old():
    from aacloud.failover import overseer

    assert watcher.LONGEST_PAUSE + 5.0 < overseer.NOVA_TTL


def test_a_slow_answer_makes_nobody_look_younger(
    time, cloud, world, watch, monkeypatch
):
    cloud.kill(HOST)
    watch.look()
    time.go_by(5.0)
    real = cloud.services

    def services():
        found = real()
        time.go_by(10.0)
        return found

    monkeypatch.setattr(cloud, "services", services)
    watch.look()
    seen = world.view(
        time.now, store_ok=True, lease_ok=True, dead_since={},
        known_agents=frozenset(), nova_ttl=60.0).nova_services[HOST]
    # What it shows was true when it was asked for.
    assert seen.last_seen_age_s == 15.0


def test_a_pause_that_was_wished_longer(time, cloud, world):
    watch = watcher.CloudWatcher(
        cloud, world, services_every=17.0, topology_every=30.0,
        clock=time.clock())
    cloud.script = lambda number, name: Fault.UNKNOWN
    assert [watch.look() for _ in range(3)] == [17.0, 17.0, 17.0]


def test_services_are_kept_when_the_aggregates_cannot_be_read(
    time, cloud, world, watch
):
    cloud.script = lambda number, name: (
        Fault.UNKNOWN if name == "aggregates" else None)
    watch.look()
    assert world.service(HOST).state == "up"
    assert watch.trouble == "aggregates: HTTP 502"
    assert world.topology().hosts == {}


def test_an_error_that_nobody_thought_of(
    time, cloud, watch, monkeypatch, caplog
):
    def broken():
        raise ZeroDivisionError("a fault of a library")

    monkeypatch.setattr(cloud, "services", broken)
    for _ in range(5):
        time.go_by(watch.look())
    assert watch.trouble == "ZeroDivisionError: a fault of a library"
    assert caplog.text.count("Traceback") == 1


def test_the_thread_can_be_woken_and_ends(time, cloud, world):
    watch = watcher.CloudWatcher(
        cloud, world, services_every=deadlines.DEADLINE,
        topology_every=30.0)
    looks = [threading.Event() for _ in range(3)]

    def hook(name):
        if name == "services":
            looks[min(cloud.count("services"), 3) - 1].set()

    cloud.hook = hook
    watch.start()
    assert looks[0].wait(deadlines.DEADLINE)
    watch.look_now()
    assert looks[1].wait(deadlines.DEADLINE)
    watch.stop(deadlines.DEADLINE)
    assert not watch._thread.is_alive()
    assert not looks[2].is_set()
