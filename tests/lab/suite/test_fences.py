# SPDX-License-Identifier: Apache-2.0
"""No proof, no evacuation."""

from __future__ import annotations

import pytest

from tests.lab.rest import RestError
from tests.lab.suite import truths
from tests.lab.suite.stage import NOTICED
from tests.lab.suite.stage import Stage

#: Until the engine has tried the BMC for long enough to say that it waits.
WAITS = 120.0
#: Between two tries at a BMC.
RETRY = 60.0


def _tells_what_to_do(incident: dict[str, str]) -> bool:
    told = incident["waiting"] or ""
    return all(
        words in told
        for words in (
            f"no proof that host {incident['host']} is off", "BMC",
            f"confirm-fenced {incident['id']}"))


def test_a_dead_bmc_is_waited_for(stage: Stage) -> None:
    """Two hosts die, and neither BMC answers. One is mended, for the other
    one an operator speaks."""
    lab, look = stage.lab, stage.look
    mended, confirmed = stage.host("dc1"), stage.host("dc2")
    crews = [stage.crew(mended, 3), stage.crew(confirmed, 3)]
    stage.ready()
    for host in (mended, confirmed):
        lab.fault("bmc-dead", host)
    for host in (mended, confirmed):
        stage.crash(host)

    one, other = (stage.incident_of(h) for h in (mended, confirmed))
    for incident in (one, other):
        stage.until(incident, {"fencing"}, WAITS, also=_tells_what_to_do)
    assert not set(look.evacuations()) - stage.since.evacuations
    assert not any(
        look.computes()[host]["forced_down"] for host in (mended, confirmed))

    lab.mend("bmc-dead", mended)
    done = lab.exec([
        "openstack", "ha", "incident", "confirm-fenced", other,
        "--reason", "the cords are pulled"])
    assert "the cords are pulled" in done.stdout
    stage.past(other, "fenced", RETRY)
    stage.past(one, "fenced", RETRY)
    for incident, crew in zip((one, other), crews, strict=True):
        stage.done(incident)
        stage.check_recovered(incident, crew)
    assert look.incident(one)["proof"]["legs"][0]["driver"] == "redfish"
    assert look.incident(other)["proof"]["legs"][0]["driver"] == "operator"

    late = lab.exec([
        "openstack", "ha", "incident", "confirm-fenced", other,
        "--reason", "once more"], check=False)
    assert late.returncode == 1
    assert look.incident(other)["state"] in late.stderr


def test_a_host_that_answers_is_not_off_whatever_its_bmc_says(
    stage: Stage,
) -> None:
    """It is cut off on all networks, then answers on the storage network,
    and its BMC says Off all the time it runs."""
    lab, look = stage.lab, stage.look
    victim = stage.host("dc1")
    crew = stage.crew(victim, 2)
    stage.ready()
    lab.fault("bmc-dead", victim)
    networks = ("management", "tenant", "storage")
    for name in networks:
        lab.fault("link-cut", victim, name)
    incident = stage.incident_of(victim)
    stage.until(incident, {"fencing"}, NOTICED)

    lab.mend("link-cut", victim, "storage")
    lab.wait(
        "it answers on the storage network",
        lambda: look.hosts()[victim]["networks"]["storage"] == "up", NOTICED)
    lab.fault("bmc-lying", victim)
    lab.mend("bmc-dead", victim)
    lab.wait(
        "the BMC says Off", lambda: _power(stage, victim) == "Off", 15)
    stage.until(
        incident, {"fencing"}, WAITS,
        also=lambda now: "showed life" in (now["waiting"] or ""))

    def wrong() -> list[str]:
        state = look.incident(incident)["state"]
        return [] if state == "fencing" else [stage.story(incident)]

    before = stage.since
    stage.since = truths.Before(
        before.guests, before.evacuations, before.incidents | {incident})
    stage.keep_quiet(15, more=wrong)
    assert lab.guests_on(victim) == crew.ids
    assert not look.computes()[victim]["forced_down"]

    for name in networks[:2]:
        lab.mend("link-cut", victim, name)
    stage.until(incident, {"cancelled"}, 60)
    stage.keep_quiet(3)


@pytest.mark.long
def test_a_host_that_only_answers_on_storage_is_left_alone(
    stage: Stage,
) -> None:
    """Its guests may still write, and its BMC lies."""
    lab, look = stage.lab, stage.look
    victim = stage.host("dc2")
    stage.crew(victim, 2)
    stage.ready()
    lab.fault("bmc-lying", victim)
    for name in ("management", "tenant"):
        lab.fault("link-cut", victim, name)
    stage.keep_quiet(truths.DETECTION + 3)
    told = look.hosts()[victim]
    assert told["state"] == "not-sure"
    assert "may still write" in " ".join(told["reasons"])


def _power(stage: Stage, host: str) -> str | None:
    try:
        return stage.lab.power(host)
    except RestError:
        return None
