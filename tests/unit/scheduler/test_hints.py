# SPDX-License-Identifier: Apache-2.0
"""The hint that makes a new server a member, read as the engine reads it."""

from __future__ import annotations

import types

import pytest

from aacloud.rpc import nova_notifications
from aacloud.scheduler.nova import wanted


@pytest.mark.parametrize("hint", [
    ["web"], ["web", "db"], ["web,db"], [" web , db ", "web"], ["web,,db,"],
    "web", [",", " "], []])
def test_filter_and_engine_read_the_same(hint):
    hints = {"ha_group": hint}
    found, missing = wanted.by_hints(
        None, types.SimpleNamespace(scheduler_hints=hints, project_id="p"))
    assert found == []
    assert tuple(missing) == nova_notifications.hinted_groups(hints)


class Unset:
    """A request without the field: Nova's objects raise an error of theirs.
    """

    scheduler_hints = {"ha_group": ["web"]}
    project_id = "p"

    @property
    def ignore_hosts(self):
        raise NotImplementedError("Cannot load 'ignore_hosts'")


@pytest.mark.parametrize(("hosts", "missing"), [
    (None, ("web",)), ([], ("web",)), (["h1"], ())])
def test_hints_count_unless_it_is_a_move(hosts, missing):
    spec = types.SimpleNamespace(
        scheduler_hints={"ha_group": ["web"]}, project_id="p",
        ignore_hosts=hosts)
    assert wanted.wanted(None, "s", spec).missing == missing
    assert wanted.wanted(None, "s", Unset()).missing == ("web",)
