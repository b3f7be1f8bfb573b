# SPDX-License-Identifier: Apache-2.0
"""The hint that makes a new server a member, read as the engine reads it."""

from __future__ import annotations

import types

import pytest

from aacloud.rpc import nova_notifications
from aacloud.scheduler.nova import deciding


@pytest.mark.parametrize("hint", [
    ["web"], ["web", "db"], ["web,db"], [" web , db ", "web"], ["web,,db,"],
    "web", [",", " "], []])
def test_filter_and_engine_read_the_same(hint):
    hints = {"ha_group": hint}
    found, missing = deciding._hinted(
        None, types.SimpleNamespace(scheduler_hints=hints, project_id="p"))
    assert found == []
    assert tuple(missing) == nova_notifications.hinted_groups(hints)
