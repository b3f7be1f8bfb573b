# SPDX-License-Identifier: Apache-2.0
"""What is not done: in shadow mode, disarmed, and to local disks."""

from __future__ import annotations

import pytest

from tests.lab import servers
from tests.lab.suite import truths
from tests.lab.suite.stage import NOTICED
from tests.lab.suite.stage import Stage


def _ha(stage: Stage, *words: str) -> None:
    done = stage.lab.exec(["openstack", "ha", *words], check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.mode("shadow")
def test_shadow_mode_disarming_and_local_disks(stage: Stage) -> None:
    """Two hosts die. For the one only a plan is told until it is armed; then
    a server on a local disk is held. The other one is disarmed."""
    lab, look = stage.lab, stage.look
    victim, disarmed = stage.host("dc1"), stage.host("dc2")
    crew = stage.crew(victim, 3)
    local = stage.crew(victim, 1, "lab.local")
    left = stage.crew(disarmed, 2)
    (held,) = local.ids
    stage.ready()
    _ha(stage, "failover", "disarm", "--host", disarmed,
        "--reason", "it is being serviced")  # fmt: skip

    stage.crash(victim)
    stage.crash(disarmed)
    incident = stage.incident_of(victim)
    stage.until(incident, {"shadowed"}, NOTICED)
    lab.wait(
        f"host {disarmed} is held dead",
        lambda: look.hosts()[disarmed]["state"] == "dead", NOTICED)
    story = " ".join(one["text"] for one in look.events(incident))
    assert f"Would power off {victim}" in story
    assert "3 servers to evacuate, 1 held (local-disk)" in story

    def anything() -> list[str]:
        found = []
        if look.incident(incident)["state"] != "shadowed":
            found.append(stage.story(incident))
        for host in (victim, disarmed):
            service = look.computes()[host]
            if service["forced_down"] or service["status"] != "enabled":
                found.append(f"{host} was touched in Nova: {service}")
        return found

    before = stage.since
    stage.since = truths.Before(
        before.guests, before.evacuations, before.incidents | {incident})
    stage.keep_quiet(5, died=(victim, disarmed), more=anything)
    assert (lab.power(victim), lab.power(disarmed)) == ("On", "On")

    _ha(stage, "failover", "arm", "--reason", "it goes live")
    stage.done(incident, "partial")
    stage.check_recovered(incident, crew)
    record = look.records(incident)[held]
    assert (record["state"], record["reason_code"]) == (
        "manual", "local-disk"), record
    assert "comes back with the host" in record["reason"]
    assert lab.disks(held) == local.disks[held]
    assert not look.evacuations_of(held)
    assert not look.incidents(host=disarmed, open="true")
    assert lab.power(disarmed) == "On"
    assert not any(look.evacuations_of(server) for server in left.ids)

    stage.switch_on(victim)
    stage.switch_on(disarmed)
    stage.returned(incident)
    lab.wait(
        "the server on the local disk runs again",
        lambda: lab.guests().get(held) == (victim,), 60)
    lab.wait(
        "it is ACTIVE",
        lambda: servers.listed(lab)[held]["status"] == "ACTIVE", 60)
    assert lab.disks(held) == local.disks[held]
    stage.check_recovered(incident, crew)
    for server in left.ids:
        lab.wait(
            f"server {server} runs on {disarmed} again",
            lambda server=server: lab.guests().get(server) == (disarmed,),
            60)
