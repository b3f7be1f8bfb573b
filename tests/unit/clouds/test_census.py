# SPDX-License-Identifier: Apache-2.0
"""Lists that change while they are read are complete, or unknown."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from aacloud.clouds import capacity
from aacloud.clouds import census
from aacloud.clouds import errors
from aacloud.core import migrations

SERVICE = {"host": "h1", "id": 1, "status": "enabled", "state": "up"}


class Api:
    """Answers in pages; ``after`` is called after each request."""

    def __init__(self, groups=(), size=3):
        self.groups = list(groups)
        self.size = size
        self.rows = []
        self.services = [SERVICE]
        self.after = lambda: None

    def capped(self, version):
        return version

    def read(self, version, path, key, what, query=None):
        if path == "/os-services":
            return list(self.services)
        assert path == "/os-server-groups"
        start = query["offset"]
        page = self.groups[start:start + self.size]
        self.after()
        return [
            {"id": name, "policy": "affinity", "members": [], "rules": {}}
            for name in page
        ]

    def pages(self, version, path, key, what, query, marker):
        found = [
            row for row in self.rows if row["status"] == query["status"]
        ]
        self.after()
        return iter(found)


def read(api):
    return census.Census(api, None)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("count", range(7))
def test_groups_are_listed_to_the_last(count, size):
    names = [f"g{n}" for n in range(count)]
    found = read(Api(names, size)).server_groups()
    assert [one.id for one in found] == names


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("gone", range(9))
def test_a_group_deleted_meanwhile_never_hides_another(size, gone):
    api = Api([f"g{n}" for n in range(9)], size)
    stays = {f"g{n}" for n in range(9)} - {f"g{gone}"}
    left = [True]

    def delete():
        if left:
            left.pop()
            api.groups.remove(f"g{gone}")

    api.after = delete
    try:
        found = {one.id for one in read(api).server_groups()}
    except errors.CloudUnknown as unknown:
        assert "deleted while" in str(unknown)
    else:
        assert stays <= found


@given(
    starts=st.lists(st.integers(0, 8), min_size=1, max_size=5),
    steps=st.lists(
        st.lists(st.integers(0, 2), min_size=5, max_size=5), min_size=9,
        max_size=9,
    ),
)
def test_a_migration_that_goes_on_meanwhile_is_not_missed(starts, steps):
    """Whatever is under way at the begin and at the end is found."""
    order = (*migrations.UNFINISHED, "completed")
    at = list(starts)
    api = Api()
    asked = []

    def show():
        api.rows = [
            {
                "id": n, "uuid": f"m{n}", "instance_uuid": f"s{n}",
                "source_compute": "h1", "dest_compute": "h2",
                "status": order[place], "migration_type": "live-migration",
                "created_at": "2026-01-01T00:00:00", "updated_at": None,
            }
            for n, place in enumerate(at)
        ]

    def go_on():
        for n in range(len(at)):
            at[n] = min(at[n] + steps[len(asked)][n], len(order) - 1)
        asked.append(True)
        show()

    show()
    api.after = go_on
    found = {one.id for one in read(api).unfinished_migrations()}
    still = {n for n, place in enumerate(at) if place < len(order) - 1}
    assert still <= found


def test_a_host_of_a_cell_that_is_down_makes_it_unknown():
    api = Api()
    api.services.append({"host": "h2", "status": "UNKNOWN"})
    with pytest.raises(errors.CloudUnknown, match="cell of host h2"):
        read(api).unfinished_migrations()


def test_a_host_without_any_memory_left_is_full():
    found = census._capacity(
        {"h1", "h2", "h3"},
        {
            "h1": {**SERVICE, "zone": "az1"},
            "h2": {**SERVICE, "host": "h2", "forced_down": True},
        },
        [
            {"id": "a", "service": {"host": "h1"}, "running_vms": 4},
            {"id": "b", "service": {"host": "h2"}},
        ],
        {"b": capacity.Free(4, 512, None)},
    )
    assert set(found) == {"h1", "h2"}
    full, free = found["h1"], found["h2"]
    assert (full.vcpus_free, full.ram_mb_free, full.disk_gb_free) == (0, 0, 0)
    assert (full.up, full.zone, full.running) == (True, "az1", 4)
    assert (free.vcpus_free, free.disk_gb_free, free.up) == (
        4, capacity.PLENTY, False,
    )
