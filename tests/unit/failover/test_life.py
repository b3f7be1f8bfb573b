# SPDX-License-Identifier: Apache-2.0
"""The life of an incident, from the death of a host to its return."""

from __future__ import annotations

from tests.unit.failover import stage as stages
from tests.unit.failover.stage import HOST
from tests.unit.failover.stage import State


def test_a_host_dies_and_comes_back(stage):
    uuids = stages.with_servers(stage, 6)
    stage.engine().lead()
    stage.run_for(3)
    stage.kill(HOST)
    stage.run(stage.is_in(State.RETURN_WAIT))
    stage.all_went_once(*uuids)
    assert stage.fencer.orders == [HOST]
    compute = stage.cloud.computes[HOST]
    assert compute.forced_down
    assert compute.disabled_reason == f"aacloud incident {stage.incident().id}"
    assert {r.state.value for r in stage.servers().values()} == {"verified"}
    stage.run_for(5)
    assert "power the host on" in stage.waits()
    stage.power_on(HOST)
    stage.run(stage.is_in(State.RETURNED))
    assert not compute.forced_down
    assert compute.disabled_reason is None
