# SPDX-License-Identifier: Apache-2.0
"""Where an engine can be made to crash, and that it does there."""

import json
import pathlib
import subprocess
import sys

import pytest

from aacloud.core import groups
from aacloud.core import incidents
from tests.lab import crashes
from tests.lab import faults
from tests.lab.plan import LabPlan
from tests.lab.state import CHECKOUT
from tests.lab.state import State

#: Two processes of a group; the journal of the second one is wrapped.
PROGRAM = """
import os, pathlib, sys, types
from tests.lab.runtime import crashing_engine
armed, record, point = sys.argv[1:]
trap = crashing_engine.Trap(pathlib.Path(armed), pathlib.Path(record))
child = os.fork()
if child:
    os.waitpid(child, 0)
    print("the parent outlived it")
else:
    def states_of(*states):
        return list(states)
    write = trap.around(lambda *states: print("wrote", *states, flush=True),
                        states_of)
    write("planned")
    write("fencing", "pending")
    write("fenced")
    print("nothing happened", flush=True)
"""


def test_the_states_are_those_of_the_engine() -> None:
    assert set(crashes.INCIDENT_STATES) == {
        state.value for state in incidents.IncidentState}
    assert set(crashes.SERVER_STATES) == {
        state.value for state in incidents.ServerState}
    assert set(crashes.PLAN_STATES) == {
        state.value for state in groups.PlanState}
    assert set(crashes.STEP_STATES) == {
        state.value for state in groups.StepState}


@pytest.mark.parametrize(
    ("fault", "point"),
    [
        ("engine-crash", "fenced"),
        ("engine-crash", "during:fenced"),
        ("engine-crash", "after:dead"),
        ("engine-crash", "after:skipped"),
        ("groups-crash", "before:fenced"),
    ],
)
def test_other_points_are_refused(
    fault: str, point: str, tmp_path: pathlib.Path
) -> None:
    state = State.create(tmp_path, LabPlan())
    with pytest.raises(faults.FaultError, match="before:STATE"):
        faults.make(state, fault, "dc1", point)
    assert faults.active(state) == []


@pytest.mark.parametrize(
    ("point", "wrote"),
    [
        ("before:fencing", ["planned"]),
        ("before:pending", ["planned"]),
        ("after:fencing", ["planned", "fencing pending"]),
    ],
)
def test_the_whole_group_dies_at_the_point(
    point: str, wrote: list[str], tmp_path: pathlib.Path
) -> None:
    armed, record = tmp_path / "armed", tmp_path / "dc1.json"
    armed.write_text(point)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, armed, record, point],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=60,
        start_new_session=True,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    assert done.stdout.splitlines() == [f"wrote {line}" for line in wrote]
    assert json.loads(record.read_text())["point"] == point
    assert not armed.exists()
