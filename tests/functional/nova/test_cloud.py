# SPDX-License-Identifier: Apache-2.0
"""The port to the cloud against real Nova and Placement."""

import datetime
import time

import pytest

from aacloud.clouds import errors
from aacloud.core import topology as topologies
from tests.functional.nova import nova_in_process

EARLIER = datetime.timedelta(hours=1)


def utcnow():
    return datetime.datetime.now(datetime.timezone.utc)


def topology_of(hosts):
    return topologies.Topology(
        {
            host: topologies.Host(host, f"r{host[-1]}", "dc1", "shared")
            for host in hosts
        }
    )


class TestCloud(nova_in_process.NovaCase):
    """Reading and switching."""

    hosts = ("h1", "h2", "h3")

    def test_hosts_and_their_capacity(self):
        before = self.cloud.services()
        assert set(before) == {"h1", "h2", "h3"}
        assert before["h1"].state == "up"
        assert not before["h1"].disabled and not before["h1"].forced_down
        server = self.boot("h2", count=2)[0]
        found = {
            one.host: one
            for one in self.cloud.destinations(topology_of(self.hosts))
        }
        assert set(found) == {"h1", "h2", "h3"}
        assert found["h1"].ram_mb_free - found["h2"].ram_mb_free == 2 * 512
        assert found["h1"].vcpus_free - found["h2"].vcpus_free == 2
        assert found["h1"].disk_gb_free - found["h2"].disk_gb_free == 2
        assert (found["h2"].rack, found["h2"].dc) == ("r2", "dc1")
        assert found["h2"].availability_zone == "nova"
        assert found["h2"].up and found["h2"].enabled
        # A host that the topology lacks is no destination.
        assert len(self.cloud.destinations(topology_of(["h1"]))) == 1

        self.cloud.force_down("h3", True, disabled_reason="incident 7")
        after = self.cloud.services()["h3"]
        assert (after.state, after.forced_down, after.disabled) == (
            "down", True, True,
        )
        assert after.disabled_reason == "incident 7"
        down = {
            one.host: one
            for one in self.cloud.destinations(topology_of(self.hosts))
        }["h3"]
        assert not down.up and not down.enabled

        view = self.cloud.server(server)
        assert (view.host, view.vm_state, view.task_state) == (
            "h2", "active", None,
        )
        assert view.power_state == "running"
        assert (view.flavor.vcpus, view.flavor.ram_mb) == (1, 512)
        assert view.image_ref and view.volumes == ()
        assert view.availability_zone is None
        assert {one.uuid for one in self.cloud.servers_on("h2")} == set(
            self.booted
        )
        assert self.cloud.servers_on("h1") == ()
        with pytest.raises(errors.CloudNotFound, match="no nova-compute"):
            self.cloud.servers_on("h9")

    def test_switches_can_be_repeated_and_keep_what_others_said(self):
        self.cloud.disable("h1", "maintenance of rack 1")
        self.cloud.force_down("h1", True, disabled_reason="incident 7")
        self.cloud.force_down("h1", True, disabled_reason="incident 7")
        service = self.cloud.services()["h1"]
        assert service.forced_down
        assert service.disabled_reason == "maintenance of rack 1"
        self.cloud.force_down("h1", False)
        self.cloud.force_down("h1", False)
        self.cloud.enable("h1")
        self.cloud.enable("h1")
        service = self.cloud.services()["h1"]
        assert not service.forced_down and not service.disabled
        self.cloud.disable("h1", "x" * 300)
        assert self.cloud.services()["h1"].disabled_reason == "x" * 255

    def test_aggregates(self):
        made = self.cloud.create_aggregate("a", {"aacloud:dc": "dc1"})
        self.cloud.add_to_aggregate(made.id, "h1")
        self.cloud.add_to_aggregate(made.id, "h1")
        self.cloud.set_aggregate_metadata(made.id, {"aacloud:rack": "r1"})
        (seen,) = self.cloud.aggregates()
        assert seen.hosts == ("h1",)
        assert seen.metadata == {"aacloud:dc": "dc1", "aacloud:rack": "r1"}
        self.cloud.remove_from_aggregate(made.id, "h1")
        self.cloud.remove_from_aggregate(made.id, "h1")
        assert self.cloud.aggregates()[0].hosts == ()
        with pytest.raises(errors.CloudRefused, match="409"):
            self.cloud.create_aggregate("a", {})
        with pytest.raises(errors.CloudNotFound):
            self.cloud.add_to_aggregate(made.id, "h9")

    def test_server_groups(self):
        group = self.admin_api.api_post(
            "/os-server-groups",
            {
                "server_group": {
                    "name": "g",
                    "policy": "anti-affinity",
                    "rules": {"max_server_per_host": 2},
                }
            },
        ).body["server_group"]["id"]
        (one,) = self.boot("h1", group=group)
        (other,) = self.boot("h2", group=group)
        (loner,) = self.boot("h1")
        grouped = {
            server.uuid: server.server_group
            for server in self.cloud.with_groups(self.cloud.servers_on("h1"))
        }
        assert grouped[loner] is None
        assert grouped[one].policy == "anti-affinity"
        assert grouped[one].max_per_host == 2
        assert grouped[one].hosts == {one: "h1", other: "h2"}
        assert self.cloud.with_groups(()) == ()

    def test_stop_and_start(self):
        (uuid,) = self.boot("h1")
        self.cloud.stop(uuid)
        self.until(lambda: self.cloud.server(uuid).vm_state == "stopped")
        self.cloud.start(uuid)
        self.until(lambda: self.cloud.server(uuid).vm_state == "active")

    def test_an_evacuation_and_its_traces(self):
        (uuid,) = self.boot("h1")
        since = utcnow() - EARLIER
        with pytest.raises(errors.CloudRefused) as refused:
            self.cloud.evacuate(uuid, "h2")
        assert refused.value.code == 400
        assert "in use" in refused.value.message
        with pytest.raises(errors.CloudNotFound, match="h9"):
            self.cloud.evacuate(uuid, "h9")
        self.kill("h1")
        assert self.cloud.evacuation_traces(uuid, since) == ()
        assert self.cloud.migrations("h1", since) == ()

        bound = self.cloud.bound("req-" + uuid)
        request_id = bound.evacuate(uuid, "h2")
        assert request_id.startswith("req-")
        sent = self.sickness.requests[-1]
        assert sent[0] == "POST"
        assert sent[2] == "req-" + uuid
        assert sent[3] == "compute 2.94"
        (trace,) = self.cloud.evacuation_traces(uuid, since)
        assert trace.started_at_utc > since
        assert self.cloud.evacuation_traces(uuid, utcnow() + EARLIER) == ()
        (migration,) = self.cloud.migrations("h1", since)
        assert (migration.server, migration.dest) == (uuid, "h2")
        assert self.cloud.migrations("h1", utcnow() + EARLIER) == ()
        self.until(
            lambda: self.cloud.migrations(
                "h1", since, evacuations_only=True
            )[0].status == "done"
        )
        assert self.cloud.server(uuid).host == "h2"
        assert self.cloud.server(uuid).vm_state == "active"

    def test_a_migration_just_accepted_is_seen(self):
        # With changes-since Nova would not show it: nobody updated it yet.
        (uuid,) = self.boot("h1")
        self.kill("h1")
        with self.conductor_asleep():
            self.cloud.evacuate(uuid, "h2")
            (migration,) = self.cloud.migrations("h1", utcnow() - EARLIER)
            assert migration.status == "accepted"
            assert migration.updated_at_utc is None

    def test_lists_longer_than_a_page(self):
        self.flags(max_limit=2, group="api")
        uuids = self.boot("h1", count=5)
        assert {one.uuid for one in self.cloud.servers_on("h1")} == set(uuids)
        assert len(self.cloud.destinations(topology_of(self.hosts))) == 3
        self.kill("h1")
        for uuid in uuids:
            self.cloud.evacuate(uuid, "h2")
        found = self.cloud.migrations("h1", utcnow() - EARLIER)
        assert {one.server for one in found} == set(uuids)

    def test_a_cell_that_is_down_is_unknown_not_empty(self):
        (uuid,) = self.boot("h1")
        with self.cell_down():
            assert self.cloud.services() == {}
            with pytest.raises(errors.CloudUnknown, match="cell"):
                self.cloud.servers_on("h1")
            with pytest.raises(errors.CloudUnknown, match="cell"):
                self.cloud.server(uuid)
            with pytest.raises(errors.CloudUnknown):
                self.cloud.evacuation_traces(uuid, utcnow() - EARLIER)
            with pytest.raises(errors.CloudUnknown, match="cell"):
                self.cloud.force_down("h1", True)
        assert self.cloud.server(uuid).host == "h1"

    def test_what_is_no_answer_is_unknown(self):
        (uuid,) = self.boot("h1")
        for kind in ("500", "lost", "refused", "garbage"):
            self.sickness.fault("GET", "/servers/", kind)
            with pytest.raises(errors.CloudUnknown):
                self.cloud.server(uuid)
            with pytest.raises(errors.CloudUnknown):
                self.cloud.servers_on("h1")
            self.sickness.heal()
        self.sickness.fault("PUT", "/os-services", "500")
        with pytest.raises(errors.CloudUnknown) as unknown:
            self.cloud.force_down("h1", True)
        assert unknown.value.sent
        self.sickness.heal()
        assert self.cloud.server(uuid).host == "h1"
        with pytest.raises(errors.CloudNotFound):
            self.cloud.server("3f2b8d0a-9d0c-4f6e-8f53-5a6f6f1d0001")

    def test_a_hanging_api_ends_in_time(self):
        self.session.timeout = 0.5
        self.sickness.fault("GET", "/os-services", "hang")
        started = time.monotonic()
        with pytest.raises(errors.CloudUnknown) as unknown:
            self.cloud.services()
        assert time.monotonic() - started < 5
        assert unknown.value.sent
