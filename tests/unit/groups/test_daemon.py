# SPDX-License-Identifier: Apache-2.0
"""The daemon as a whole: over a bus in memory, with real threads."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time
import uuid

from oslo_config import cfg
import oslo_messaging
from oslo_messaging import conffixture
import pytest

from aacloud.core import groups as core_groups
from aacloud.core import rules
from aacloud.db import groups as stores
from aacloud.db import inspections
from aacloud.db import plans as plan_stores
from aacloud.groups import daemon as daemons
from aacloud.rpc import groups as rpc_groups
from aacloud.rpc import groups_server
from aacloud.rpc import messaging
from aacloud.rpc import snapshot as snapshots
from tests.unit.core import builders
from tests.unit.db import worlds
from tests.unit.failover import virtual_time
from tests.unit.groups import scripted_cloud
from tests.unit.groups import stage as stages

DEADLINE = 60.0
S1, S2, S3 = (str(uuid.UUID(int=number)) for number in (1, 2, 3))


class Place:
    """What daemons of one test share: the cloud, the bus, the database."""

    def __init__(self, path, monkeypatch):
        self.path = path
        self.time = virtual_time.VirtualTime(time.monotonic())
        self.cloud = scripted_cloud.ScriptedCloud(
            self.time, builders.cloud())
        self.cloud.takes_s = 0.2
        self.daemons: list[daemons.GroupsDaemon] = []
        monkeypatch.setattr(
            daemons.nova.NovaCloud, "from_conf", lambda conf: self.cloud)
        self.projects = stages.ScriptedProjects()
        monkeypatch.setattr(
            daemons.cloud_projects.Projects, "from_conf",
            lambda conf: self.projects)
        conf = self.configuration("test")
        self.database = worlds.engine.Database(conf)
        self.store = stores.Groups(self.database)
        self.plans = plan_stores.Plans(self.database)
        self.transport = messaging.init(conf)
        self.api = rpc_groups.GroupsClient(self.transport)
        self.scheduler = snapshots.SnapshotClient(self.transport)
        conf.set_override("control_exchange", "nova")
        self.nova = oslo_messaging.Notifier(
            oslo_messaging.get_notification_transport(conf),
            publisher_id="nova", driver="messaging",
            topics=["versioned_notifications"])

    def configuration(self, member: str) -> cfg.ConfigOpts:
        conf = stages.configuration(
            inspect_interval=1.0, reconcile_interval=10.0)
        conffixture.ConfFixture(conf)
        conf.set_override("transport_url", "fake://")
        conf.set_override(
            "driver", ["noop"], "oslo_messaging_notifications")
        conf.set_override(
            "backend_url", f"file://{self.path}", "aacloud_coordination")
        conf.set_override("lease", 3, "aacloud_coordination")
        conf.set_override("member_id", member, "aacloud_coordination")
        worlds.options.set_defaults(
            conf, connection=f"sqlite:///{self.path / 'aacloud.sqlite'}")
        conf.set_override("sqlite_synchronous", False, "database")
        return conf

    def daemon(self, member: str) -> daemons.GroupsDaemon:
        made = daemons.GroupsDaemon(self.configuration(member))
        self.daemons.append(made)
        made.start()
        self.eventually(lambda: all(
            well for name, (well, _) in made.checks().items()))
        return made

    def eventually(self, so: Callable[[], object]) -> None:
        """Wait until it is so; the cloud goes on meanwhile."""
        pause = threading.Event()
        until = time.monotonic() + DEADLINE
        while not so():
            assert time.monotonic() < until, [
                daemon.checks() for daemon in self.daemons]
            self.time.go_to(time.monotonic())
            pause.wait(0.02)

    def group(self, *texts, mode=rules.GroupMode.REPORT, members=()):
        return self.store.create(
            "web", "p", by="ann", mode=mode,
            rules=[rules.parse_rule(text) for text in texts],
            members=dict.fromkeys(members, "p"))

    def told(self, event_type: str, **data: object) -> None:
        self.nova.info({}, event_type, {"nova_object.data": data})


@pytest.fixture
def place(tmp_path, monkeypatch, database_file):
    made = Place(tmp_path, monkeypatch)
    yield made
    for daemon in made.daemons:
        daemon.stop()
    made.database.dispose()
    made.transport.cleanup()


def leads(daemon):
    return daemon.checks()["engine"] == (True, "leads")


def test_from_birth_to_death(place):
    daemon = place.daemon("one")
    place.eventually(lambda: leads(daemon))
    group = place.group("spread:host")
    place.cloud.born(S1, "dc1-r1-h1", "web")
    place.told(
        "scheduler.select_destinations.start", instance_uuid=S1,
        project_id="p", scheduler_hints={"ha_group": ["web"]})
    place.eventually(lambda: S1 in place.store.members())
    # A scheduler learns of it at once.
    snapshot = place.scheduler.get_snapshot(None, 10.0)
    assert [one.members for one in snapshot.groups] == [{S1}]
    place.scheduler.ack("sched:1", snapshot.revision)
    place.eventually(lambda: place.api.wait_acked(snapshot.revision, 2.0))
    assert place.api.inspect([group.id])[group.id].places == {
        S1: ("dc1-r1-h1",)}
    assert place.api.resolve_group("web", "p") == group.id
    del place.cloud.servers[S1]
    place.told("instance.delete.end", uuid=S1, tenant_id="p")
    place.eventually(lambda: not place.store.members())


def test_a_change_is_heard_and_inspected(place):
    daemon = place.daemon("one")
    heard = threading.Event()
    place.cloud.born(S1, "dc1-r1-h1")
    place.cloud.born(S2, "dc1-r1-h1")
    group = place.group("spread:host", members=(S1,))
    daemon._catalogue.refresh()
    other = groups_server.changed_server(
        place.transport, lambda revision: heard.set(), name="scheduler")
    other.start()
    assert other.wait_listening(DEADLINE)
    joined = place.store.add_members(group.id, {S2: "p"}, by="ann")
    place.api.changed(joined.record.group.revision)
    assert heard.wait(DEADLINE)
    kept = inspections.Inspections(place.database)
    place.eventually(lambda: [
        one.state for one in kept.list([group.id])] == ["violating"])
    other.stop()


def test_another_engine_goes_on(place):
    one = place.daemon("one")
    place.eventually(lambda: leads(one))
    two = place.daemon("two")
    assert two.checks()["engine"] == (True, "stands by")
    for server in (S1, S2, S3):
        place.cloud.born(server, "dc1-r1-h1")
    group = place.group(
        "spread:host", mode=rules.GroupMode.REPAIR, members=(S1, S2, S3))
    place.cloud.takes_s = 2.0
    place.eventually(lambda: place.cloud.live)
    one.stop()
    place.eventually(lambda: leads(two))
    place.eventually(lambda: [
        plan.state for plan in place.plans.list()] == [
            core_groups.PlanState.DONE])
    moved = [server for server, _from, _to in place.cloud.live]
    assert len(moved) == len(set(moved)) == 2
    report = place.api.inspect([group.id])[group.id]
    assert report.state == "compliant"
    # Whoever is asked for a plan, the leader makes it.
    plan = place.api.repair(group.id, dry_run=True, by="ann")
    assert plan.steps == ()


def test_it_is_reloaded_and_stopped(place):
    daemon = place.daemon("one")
    daemon.reload()
    stopped = threading.Thread(target=daemon.wait, daemon=True)
    stopped.start()
    daemon.stop()
    stopped.join(DEADLINE)
    assert not stopped.is_alive()
    assert daemon.checks()["engine"] == (False, "it does not run")
