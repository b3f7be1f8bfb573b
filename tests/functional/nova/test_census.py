# SPDX-License-Identifier: Apache-2.0
"""The whole cloud, read from real Nova and Placement."""

import pytest

from aacloud.clouds import errors
from tests.functional.nova import nova_in_process


class TestCensus(nova_in_process.NovaCase):
    """Everything is in it, or nothing is said."""

    compute_driver = "fake.FakeLiveMigrateDriver"
    hosts = ("h1", "h2", "h3")

    def setUp(self):
        super().setUp()
        self.addCleanup(self.calm)

    def group(self, **rules):
        return self.admin_api.api_post(
            "/os-server-groups",
            {
                "server_group": {
                    "name": "g", "policy": "anti-affinity", "rules": rules,
                }
            },
        ).body["server_group"]["id"]

    def hinted(self, host):
        made = self.admin_api.api_post(
            "/servers",
            {
                "server": {
                    "name": "hinted",
                    "imageRef": nova_in_process.IMAGE,
                    "flavorRef": "http://localhost/1",
                    "networks": "none",
                    "host": host,
                    "availability_zone": "nova",
                },
                "os:scheduler_hints": {"ha_group": "db"},
            },
        ).body["server"]["id"]
        self.until(lambda: self.cloud.server(made).vm_state == "active")
        return made

    def test_servers_and_groups_over_many_pages(self):
        self.flags(max_limit=2, group="api")
        groups = [self.group(max_server_per_host=2), self.group()]
        groups.append(self.group())
        grouped = [
            *self.boot("h1", group=groups[0]),
            *self.boot("h2", group=groups[0]),
        ]
        loners = self.boot("h3", count=2)
        hinted = self.hinted("h1")
        self.admin_api.post_server_action(loners[0], {"lock": None})
        before = len(self.sickness.requests)
        found = {one.uuid: one for one in self.cloud.servers_all()}
        # Three pages of servers, the groups one by one, the cells twice.
        assert len(self.sickness.requests) - before <= 12
        assert set(found) == {*grouped, *loners, hinted}
        assert {one.host for one in found.values()} == {"h1", "h2", "h3"}
        group = found[grouped[0]].server_group
        assert (group.id, group.policy, group.max_per_host) == (
            groups[0], "anti-affinity", 2,
        )
        assert group.hosts == {grouped[0]: "h1", grouped[1]: "h2"}
        assert found[loners[0]].locked and not found[loners[1]].locked
        assert found[loners[0]].server_group is None
        assert found[loners[0]].availability_zone is None
        assert found[hinted].availability_zone == "nova"
        assert found[hinted].hints == {"ha_group": ["db"]}
        assert (found[hinted].flavor.vcpus, found[hinted].flavor.ram_mb) == (
            1, 512,
        )
        listed = {one.id: one for one in self.cloud.server_groups()}
        assert set(listed) == set(groups)
        assert set(listed[groups[0]].members) == set(grouped)

        alone = self.cloud.server_in_full(grouped[1])
        assert alone.server_group.hosts == group.hosts
        assert self.cloud.server_in_full(hinted).hints == {
            "ha_group": ["db"]
        }
        assert self.cloud.server_in_full(loners[1]).server_group is None

    def test_migrations_under_way_and_what_they_hold(self):
        before = self.cloud.capacity(self.hosts)
        assert set(before) == {"h1", "h2", "h3"}
        assert before["h1"].up and before["h1"].enabled
        assert before["h1"].zone == "nova"
        uuid, other = self.boot("h1", count=2)
        self.cloud.disable("h3", "maintenance")
        assert self.cloud.unfinished_migrations() == ()
        self.cloud.live_migrate(uuid, "h2")
        self.until(
            lambda: [m.status for m in self.cloud.unfinished_migrations()]
            == ["running"]
        )
        (one,) = self.cloud.unfinished_migrations()
        assert (one.server, one.source, one.dest, one.is_live) == (
            uuid, "h1", "h2", True,
        )
        held = self.cloud.capacity(["h1", "h2", "h9"])
        assert set(held) == {"h1", "h2"}
        # It holds its memory on both ends.
        for host, servers in (("h1", 2), ("h2", 1)):
            assert before[host].ram_mb_free - held[host].ram_mb_free == (
                servers * 512
            )
            assert before[host].vcpus_free - held[host].vcpus_free == servers
        assert not self.cloud.capacity(["h3"])["h3"].enabled
        assert not self.cloud.hosts_now()["h3"].enabled
        self.until(lambda: self.cloud.unfinished_migrations() == ())
        assert self.cloud.server(uuid).host == "h2"
        after = self.cloud.capacity(self.hosts)
        assert before["h1"].vcpus_free - after["h1"].vcpus_free == 1
        assert self.cloud.server(other).host == "h1"

    def test_a_cell_that_is_down_makes_all_unknown(self):
        self.boot("h1")
        with self.cell_down():
            for read in (
                self.cloud.servers_all, self.cloud.unfinished_migrations,
            ):
                with pytest.raises(errors.CloudUnknown, match="cell"):
                    read()
            assert self.cloud.hosts_now() == {}
        assert len(self.cloud.servers_all()) == 1

    def test_a_page_that_is_missing_makes_all_unknown(self):
        self.flags(max_limit=1, group="api")
        self.boot("h1", count=2)
        self.sickness.fault("GET", "/servers/detail", "500", times=1)
        with pytest.raises(errors.CloudUnknown):
            self.cloud.servers_all()
        assert len(self.cloud.servers_all()) == 2
