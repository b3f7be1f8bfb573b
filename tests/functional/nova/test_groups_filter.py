# SPDX-License-Identifier: Apache-2.0
"""The filter and the weigher inside a real nova-scheduler."""

import collections
import threading

from nova import context as nova_context
from nova import objects
import prometheus_client
import pytest
from sqlalchemy import event

from aacloud.core.topology import Host
from aacloud.core.topology import Topology
from aacloud.scheduler.nova import deciding
from aacloud.scheduler.nova import filter as group_filter
from aacloud.scheduler.nova import occupancy
from aacloud.scheduler.nova import settings
from aacloud.scheduler.nova import snapshot_client
from tests.functional.nova import nova_in_process
from tests.unit.scheduler import stage

# After the choice of threads that nova_in_process makes.
from nova.tests.functional.api import client  # isort: skip

#: Two hosts a rack, two racks a data centre.
HOSTS = {
    "h1": ("r1", "dc1"), "h2": ("r1", "dc1"), "h3": ("r2", "dc1"),
    "h4": ("r2", "dc1"), "h5": ("r3", "dc2"), "h6": ("r4", "dc2"),
}
RACK = {host: place[0] for host, place in HOSTS.items()}
DC = {host: place[1] for host, place in HOSTS.items()}


def fail_open(reason):
    return prometheus_client.REGISTRY.get_sample_value(
        "aacloud_scheduler_fail_open_total", {"reason": reason}) or 0.0


class Reading(occupancy.NovaOccupancy):
    """Remembers what the cells told."""

    def __init__(self):
        self.readings = []

    def read(self, servers, timeout_s):
        found = super().read(servers, timeout_s)
        self.readings.append(found)
        return found


class Microversion:
    def __init__(self, api, version):
        self.api, self.version = api, version

    def __enter__(self):
        self.before = self.api.microversion
        if self.version:
            self.api.microversion = self.version

    def __exit__(self, *args):
        self.api.microversion = self.before


class FilterCase(nova_in_process.NovaCase):
    hosts = tuple(HOSTS)

    def setUp(self):
        self.flags(
            available_filters=[
                "nova.scheduler.filters.all_filters",
                "aacloud.scheduler.nova.filter.HAGroupFilter"],
            enabled_filters=[
                "ComputeFilter", "ServerGroupAntiAffinityFilter",
                "HAGroupFilter"],
            weight_classes=[
                "nova.scheduler.weights.all_weighers",
                "aacloud.scheduler.nova.weigher.HAGroupWeigher"],
            group="filter_scheduler")
        self.engine = stage.Engine(cloud=Topology(hosts={
            name: Host(name, *place) for name, place in HOSTS.items()}))
        self.client = snapshot_client.SnapshotClient(
            lambda: settings.Settings(poll_interval=30.0, first_wait=10.0),
            lambda: self.engine)
        self.reading = Reading()
        before = group_filter.use(
            deciding.Decider(self.client, self.reading))
        self.addCleanup(group_filter.use, before)
        self.addCleanup(self.client.stop)
        super().setUp()
        self.project = self.api_fixture.project_id

    def group(self, name, *texts, members=(), **extra):
        self.engine.set(stage.group(
            name, *texts, members=members, project=self.project, **extra))
        self.client.view()
        self.engine.push()
        self.until(lambda: (
            self.client.view().index.revision == self.engine.revision))

    def join(self, name, *servers):
        one = self.engine.groups[f"id-{name}"]
        self.group(
            name, *map(stage.rules.format_rule, one.rules),
            members={*one.members, *servers})

    def ask(self, *hints, count=1, **extra):
        document = {
            "server": {
                "name": "s", "imageRef": nova_in_process.IMAGE,
                "flavorRef": "http://localhost/1", "networks": "none",
                "min_count": count, "max_count": count,
                "return_reservation_id": True, **extra},
            "os:scheduler_hints": {"ha_group": list(hints)}}
        return self.admin_api.api_post(
            "/servers", document).body["reservation_id"]

    def settled(self, reservation, count):
        found = []

        def done():
            found[:] = self.admin_api.api_get(
                f"/servers/detail?reservation_id={reservation}"
            ).body["servers"]
            return len(found) == count and all(
                one["status"] in ("ACTIVE", "ERROR") for one in found)

        self.until(done)
        return found

    def born(self, *hints, count=1, **extra):
        found = self.settled(self.ask(*hints, count=count, **extra), count)
        assert {one["status"] for one in found} == {"ACTIVE"}, found
        return [one["id"] for one in found]

    def unborn(self, *hints, count=1, **extra):
        found = self.settled(self.ask(*hints, count=count, **extra), count)
        return {one["status"] for one in found} == {"ERROR"}

    def host_of(self, uuid):
        return self.cloud.server(uuid).host

    def where(self, uuids, level=None):
        return collections.Counter(
            self.host_of(uuid) if level is None else level[self.host_of(uuid)]
            for uuid in uuids)

    def act(self, uuid, action, version=None, **body):
        with Microversion(self.admin_api, version):
            self.admin_api.post_server_action(uuid, {action: body or None})

    def status(self, uuid, *wanted):
        self.until(lambda: self.admin_api.get_server(
            uuid)["status"] in wanted)
        self.until(lambda: self.cloud.server(uuid).task_state is None)


class TestBirths(FilterCase):
    def test_born_into_a_group_one_after_the_other(self):
        self.group("g", "spread:rack", "spread:dc:max_skew=1")
        made = [self.born("g")[0] for _ in range(4)]
        assert self.where(made, DC) == {"dc1": 2, "dc2": 2}
        assert set(self.where(made, RACK).values()) == {1}
        # The engine has not heard of any of them.
        assert self.engine.groups["id-g"].members == frozenset()
        assert self.unborn("g")
        self.join("g", *made)
        assert self.unborn("g")
        assert not self.client._unrecorded

    def test_many_at_once_in_one_request(self):
        self.group("g", "spread:rack:max=2", "spread:host",
                   "spread:dc:max_skew=2")
        made = self.born("id-g", count=6)
        assert set(self.where(made).values()) == {1}
        assert max(self.where(made, RACK).values()) == 2
        assert len(self.reading.readings) == 1
        assert self.unborn("g", count=2)

    def test_many_at_once_in_requests_of_their_own(self):
        self.group("g", "spread:host")
        asked = []
        threads = [
            threading.Thread(target=lambda: asked.append(self.ask("g")))
            for _ in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(60)
        made = [one for reservation in asked
                for one in self.settled(reservation, 1)]
        placed = [one["id"] for one in made if one["status"] == "ACTIVE"]
        assert len(placed) == 6
        assert set(self.where(placed).values()) == {1}

    def test_a_fence_and_a_preference(self):
        self.group("f", "fence:dc:domains=dc2")
        self.group("p", "spread:rack:prefer")
        made = [self.born("f", "p")[0] for _ in range(3)]
        assert self.where(made, DC) == {"dc2": 3}
        # Two racks, one each; the third one may break the preference.
        assert sorted(self.where(made, RACK).values()) == [1, 2]

    def test_hints_that_mean_nothing(self):
        self.group("g", "spread:rack")
        assert self.unborn("nobody")
        self.engine.set(stage.group(
            "late", "fence:rack:domains=r4", project=self.project))
        # Not pushed: the scheduler asks.
        assert self.where(self.born("late")) == {"h6": 1}

    def test_it_reads_each_cell_once_and_nothing_for_others(self):
        made = self.boot("h1", count=2)
        self.group("g", "spread:rack", members=made)
        statements = self.statements()
        self.boot("h2")
        assert not statements and not self.reading.readings
        self.act(made[0], "os-migrateLive", "2.30", host="h5",
                 block_migration="auto")
        self.until(lambda: self.host_of(made[0]) == "h5")
        assert len(statements) == 1

    def statements(self):
        """What the filter asks the cell from now on."""
        statements = []
        main = self.cell_mappings["cell1"]
        with nova_context.target_cell(
            nova_context.get_admin_context(), main,
        ) as context:
            from nova.db.main import api
            engine = api.get_engine(context=context)

        def heard(conn, cursor, statement, *args):
            if "FROM instances LEFT OUTER JOIN migrations" in statement:
                statements.append(statement)

        event.listen(engine, "before_cursor_execute", heard)
        self.addCleanup(
            event.remove, engine, "before_cursor_execute", heard)
        return statements

    def test_one_that_waits_for_its_turn_reads_once_too(self):
        member = self.boot("h1")
        self.group("g", "spread:rack", members=member)
        statements = self.statements()
        queue = group_filter.decider()._recent._in_turn
        arrived, go_on = threading.Event(), threading.Event()
        read = self.reading.read

        def slow(servers, timeout_s):
            if not arrived.is_set():
                arrived.set()
                assert go_on.wait(60)
            return read(servers, timeout_s)

        self.reading.read = slow
        first = self.ask("g")
        assert arrived.wait(60)
        second = self.ask("g")
        # It stands behind the first one, which has no host yet.
        self.until(lambda: len(queue) == 2)
        assert not statements
        go_on.set()
        made = [self.settled(one, 1)[0] for one in (first, second)]
        assert {one["status"] for one in made} == {"ACTIVE"}
        racks = self.where([*member, *(one["id"] for one in made)], RACK)
        assert set(racks.values()) == {1}
        assert len(statements) == 2, "one each"
        # It was fresh: the first one was in it already, or is counted.
        assert len(self.reading.readings) == 2

    def test_nova_groups_hold_besides(self):
        native = self.admin_api.api_post("/os-server-groups", {
            "server_group": {"name": "n", "policy": "anti-affinity"},
        }).body["server_group"]["id"]
        self.group("f", "fence:rack:domains=r1")
        document = {"group": native, "ha_group": "f"}
        made = []
        for _ in range(3):
            made.append(self.admin_api.api_post("/servers", {
                "server": {
                    "name": "s", "imageRef": nova_in_process.IMAGE,
                    "flavorRef": "http://localhost/1", "networks": "none"},
                "os:scheduler_hints": document}).body["server"]["id"])
            self.until(lambda: self.admin_api.get_server(
                made[-1])["status"] in ("ACTIVE", "ERROR"))
        assert self.where(made[:2]) == {"h1": 1, "h2": 1}
        assert self.admin_api.get_server(made[2])["status"] == "ERROR"


class TestMoves(FilterCase):
    def setUp(self):
        super().setUp()
        self.flags(allow_resize_to_same_host=False)

    def test_live_migrations(self):
        one, other, third = (
            self.boot(host)[0] for host in ("h1", "h3", "h5"))
        self.group("g", "spread:rack", members=[one, other, third])
        # To a rack that holds another one: refused with an explicit host.
        with pytest.raises(client.OpenStackApiException, match="No valid"):
            self.act(one, "os-migrateLive", "2.30", host="h4",
                     block_migration="auto")
        assert self.host_of(one) == "h1"
        self.status(one, "ACTIVE")
        self.act(one, "os-migrateLive", "2.30", host="h6",
                 block_migration="auto")
        self.until(lambda: self.host_of(one) == "h6")
        self.status(one, "ACTIVE")
        # Without a host: r1 is free again, and its own rack.
        self.act(other, "os-migrateLive", "2.30", host=None,
                 block_migration="auto")
        self.until(lambda: self.host_of(other) != "h3")
        assert RACK[self.host_of(other)] in ("r1", "r2")

    def test_a_cold_migration_counts_at_both_ends_until_confirmed(self):
        one, other = self.boot("h1")[0], self.boot("h5")[0]
        self.group(
            "g", "spread:rack", "fence:dc:domains=dc1,dc2",
            members=[one, other])
        self.act(one, "migrate", "2.56", host="h3")
        self.status(one, "VERIFY_RESIZE")
        place = occupancy.NovaOccupancy().read([one], 10).seen[one].place()
        assert sorted(place) == ["h1", "h3"]
        # r1 and r2 are both taken now.
        (new,) = self.born("g")
        assert RACK[self.host_of(new)] == "r4"
        assert self.unborn("g")
        self.act(one, "confirmResize")
        self.status(one, "ACTIVE")
        place = occupancy.NovaOccupancy().read([one], 10).seen[one].place()
        assert place == ("h3",)
        assert RACK[self.host_of(self.born("g")[0])] == "r1"

    def test_a_resize(self):
        one, other = self.boot("h1")[0], self.boot("h3")[0]
        self.group(
            "g", "spread:rack", "fence:dc:domains=dc1",
            members=[one, other])
        self.act(one, "resize", flavorRef="2")
        self.status(one, "VERIFY_RESIZE")
        assert self.host_of(one) == "h2"

    def test_shelved_and_back(self):
        one, other = self.boot("h1")[0], self.boot("h2")[0]
        self.group("g", "spread:rack", "fence:dc:domains=dc1",
                   members=[one, other])
        self.flags(shelved_offload_time=0)
        self.act(one, "shelve")
        self.status(one, "SHELVED_OFFLOADED")
        assert occupancy.NovaOccupancy().read(
            [one], 10).seen[one].place() == ()
        self.act(one, "unshelve")
        self.status(one, "ACTIVE")
        assert RACK[self.host_of(one)] == "r2"

    def test_an_evacuation_relaxes_the_spread_and_holds_the_fence(self):
        servers = [self.boot(host)[0] for host in ("h1", "h2", "h3", "h4")]
        self.group("g", "spread:host", "fence:dc:domains=dc1",
                   members=servers)
        self.kill("h1")
        self.admin_api.post_server_action(servers[0], {"evacuate": {}})
        self.until(lambda: self.host_of(servers[0]) != "h1")
        assert DC[self.host_of(servers[0])] == "dc1"

    def test_an_evacuation_prefers_what_keeps_the_rule(self):
        servers = [self.boot(host)[0] for host in ("h1", "h3", "h5")]
        self.group("g", "spread:rack", members=servers)
        self.kill("h1")
        self.kill("h2")
        self.admin_api.post_server_action(servers[0], {"evacuate": {}})
        self.until(lambda: self.host_of(servers[0]) == "h6")

    def test_an_evacuation_that_was_left_behind_relaxes_nothing(self):
        one, other, third = (
            self.boot(host)[0] for host in ("h1", "h3", "h5"))
        self.group("g", "spread:rack", members=[one, other, third])
        # As a conductor leaves it that dies before it asks for a host.
        self.left_behind(one, "h2", "h4")
        place = occupancy.NovaOccupancy().read([one], 10).seen[one]
        assert (place.place(), place.evacuated) == (("h1",), False)
        with pytest.raises(client.OpenStackApiException, match="No valid"):
            self.act(one, "os-migrateLive", "2.30", host="h4",
                     block_migration="auto")
        self.status(one, "ACTIVE")
        assert self.host_of(one) == "h1"
        # Nor does it count for the others where it might have gone.
        self.act(other, "os-migrateLive", "2.30", host="h4",
                 block_migration="auto")
        self.until(lambda: self.host_of(other) == "h4")

    def left_behind(self, uuid, source, dest):
        with nova_context.target_cell(
            nova_context.get_admin_context(), self.cell_mappings["cell1"],
        ) as context:
            objects.Migration(
                context, instance_uuid=uuid, status="accepted",
                source_compute=source, source_node=source,
                dest_compute=dest, migration_type="evacuation").create()

    def test_a_server_that_left_is_free(self):
        self.group("g", "spread:host")
        (one,) = self.born("g")
        self.join("g", one)
        others = [self.boot(host)[0] for host in HOSTS]
        self.group("g", "spread:host", members=others)
        target = "h5" if self.host_of(one) != "h5" else "h6"
        self.act(one, "os-migrateLive", "2.30", host=target,
                 block_migration="auto")
        self.until(lambda: self.host_of(one) == target)


class TestUnknown(FilterCase):
    def test_a_cell_that_is_down(self):
        made = self.boot("h1")
        with self.cell_down():
            found = occupancy.NovaOccupancy().read(made, 5)
        assert not found.complete and not found.seen
        found = occupancy.NovaOccupancy().read(made, 5)
        assert found.complete and found.seen[made[0]].host == "h1"

    def test_the_database_fails_and_servers_are_born(self):
        self.group("g", "spread:rack:max=1")
        before = fail_open("occupancy")
        self.reading.read = None
        (made,) = self.born("g")
        assert self.host_of(made)
        assert fail_open("occupancy") == before + 1
        self.client._wake.set()
        self.until(lambda: self.engine.records)
        _, server, groups, reason = self.engine.records[0]
        assert (server, groups, reason) == (made, ("id-g",), "occupancy")

    def test_aggregates_tell_where_hosts_stand(self):
        self.engine.cloud = Topology(hosts={})
        for key, level in (("aacloud:rack", RACK), ("aacloud:dc", DC)):
            for name in sorted(set(level.values())):
                made = self.cloud.create_aggregate(name, {key: name})
                for host in HOSTS:
                    if level[host] == name:
                        self.cloud.add_to_aggregate(made.id, host)
        self.group("g", "spread:rack")
        made = self.born("g", count=4)
        assert set(self.where(made, RACK).values()) == {1}
        assert self.unborn("g")

    def test_the_classes_are_what_nova_loads(self):
        manager = self.scheduler_service.manager.host_manager
        names = [type(one).__name__ for one in manager.enabled_filters]
        assert names[-1] == "HAGroupFilter"
        assert "HAGroupWeigher" in [
            type(one).__name__ for one in manager.weighers]
