# SPDX-License-Identifier: Apache-2.0
"""What the engine stands on fails: while all is well, and mid-way."""

from __future__ import annotations

from collections.abc import Callable
import concurrent.futures
import dataclasses

import pytest

from tests.lab.plan import DCS
from tests.lab.suite import truths
from tests.lab.suite.stage import Stage

#: Seconds for which Nova's API answers 500.
SICK = 20.0
VERY_SICK = 60.0
#: Until agents, engines and computes have found a restarted service again.
RECONNECTED = 90.0


def test_rabbitmq_and_mariadb_restart_while_all_is_well(
    stage: Stage,
) -> None:
    lab, look = stage.lab, stage.look
    stage.crew(stage.host("dc1"), 2)
    stage.crew(stage.host("dc2"), 2)
    stage.ready()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        restarts = [
            pool.submit(lab.fault, name)
            for name in ("rabbitmq-restart", "mariadb-restart")]
        while not all(restart.done() for restart in restarts):
            stage.keep_quiet(1.0)
        for restart in restarts:
            restart.result()

    def well() -> bool:
        return len(look.leaders()) == 1 and all(
            look.health(f"{dc}-ha")[0] for dc in DCS
        ) and all(host["state"] == "up" for host in look.hosts().values())

    stage.keep_quiet_until(
        "both engines and all hosts are well", well, RECONNECTED)
    # What was not heard meanwhile must not be held against anybody.
    stage.keep_quiet(truths.DETECTION / 2)


@dataclasses.dataclass(frozen=True)
class Outage:
    """Something that fails during an evacuation.

    :ivar at: the state of the incident at which it begins
    """

    at: str
    happen: Callable[[Stage], None]


def _restart(name: str) -> Callable[[Stage], None]:
    return lambda stage: stage.lab.fault(name)


def _nova_is_sick(seconds: float) -> Callable[[Stage], None]:
    def happen(stage: Stage) -> None:
        stage.lab.fault("nova-api-500")
        stage.holds(
            seconds, lambda: True, "only time passes while Nova is sick")
        stage.lab.mend("nova-api-500")

    return happen


def _leader_is_cut_off(stage: Stage) -> None:
    leads = stage.look.leader()
    stage.lab.fault("link-cut", f"{leads.dc}-ha", "management")
    _other_leads(stage, leads.dc)


def _leader_stands_still(stage: Stage) -> None:
    """It goes on where it stood, once the other one is through with it."""
    leads = stage.look.leader()
    stage.lab.fault("engine-pause", leads.dc)
    _other_leads(stage, leads.dc)
    stage.lab.mend("engine-pause", leads.dc)


def _other_leads(stage: Stage, dc: str) -> None:
    stage.lab.wait(
        f"another engine than that of {dc} leads",
        lambda: stage.look.leader().dc != dc, truths.TAKEOVER + 5)


def _everything(stage: Stage) -> None:
    """One after the other, all of it before the servers are through."""
    _restart("mariadb-restart")(stage)
    _nova_is_sick(SICK)(stage)


long = pytest.mark.long


@pytest.mark.parametrize(
    "outage",
    [
        pytest.param(
            Outage("evacuating", _everything), id="mariadb-then-nova-500"),
        pytest.param(
            Outage("evacuating", _restart("rabbitmq-restart")),
            id="rabbitmq"),
        pytest.param(
            Outage("planned", _restart("rabbitmq-restart")),
            id="rabbitmq-before-the-fence", marks=long),
        pytest.param(
            Outage("evacuating", _restart("mariadb-restart")),
            id="mariadb", marks=long),
        pytest.param(
            Outage("planned", _restart("mariadb-restart")),
            id="mariadb-before-the-fence", marks=long),
        pytest.param(
            Outage("evacuating", _nova_is_sick(VERY_SICK)),
            id="nova-500-for-a-minute", marks=long),
        pytest.param(
            Outage("detected", _nova_is_sick(SICK)),
            id="nova-500-from-the-detection-on", marks=long),
        pytest.param(
            Outage("evacuating", _leader_is_cut_off),
            id="leader-cut-off", marks=long),
        pytest.param(
            Outage("evacuating", _leader_stands_still),
            id="leader-stands-still", marks=long),
    ],
)  # fmt: skip
def test_an_outage_mid_way(stage: Stage, outage: Outage) -> None:
    """Each server ends in one place, after one evacuation."""
    victim = stage.host()
    crew = stage.crew(victim, 8)
    stage.ready()

    stage.crash(victim)
    incident = stage.incident_of(victim)
    reached = stage.past(incident, outage.at, 60)
    assert reached["state"] not in ("done", "return-wait"), (
        "the servers were through before anything failed")
    outage.happen(stage)
    stage.done(incident)
    stage.check_recovered(incident, crew)
