# SPDX-License-Identifier: Apache-2.0
"""What is no death of a host, and so moves no server."""

from __future__ import annotations

import time
from typing import Any

from tests.lab.plan import DCS
from tests.lab.suite import truths
from tests.lab.suite.stage import NOTICED
from tests.lab.suite.stage import Stage

#: As long as the death of a host may take to be found, and something on top.
LOOK_ON = truths.DETECTION + 3.0
#: Until Nova itself takes a nova-compute for down.
NOVA_NOTICES = 60.0


def test_a_dead_service_a_dead_agent_and_a_cut_management_network(
    stage: Stage,
) -> None:
    """Each on a host of its own."""
    lab, look = stage.lab, stage.look
    service, path, agent, both = (
        stage.host("dc1"), stage.host("dc2"), stage.host("dc2"),
        stage.host("dc1"))
    for host in (service, path, agent, both):
        stage.crew(host, 2)
    stage.ready()

    began = time.monotonic()
    lab.fault("compute-kill", service)
    lab.fault("link-cut", path, "management")
    lab.fault("agent-kill", agent)
    lab.fault("agent-kill", both)
    lab.fault("compute-kill", both)

    def told() -> bool:
        hosts = look.hosts()
        return (
            hosts[service]["state"] == "up"
            and "restart it" in reasons(hosts[service])
            and hosts[path]["state"] == "up"
            and hosts[path]["networks"]["management"] == "down"
            and hosts[path]["networks"]["storage"] == "up"
            and all(
                hosts[host]["state"] == "not-sure"
                and "its kernel refuses probes" in reasons(hosts[host])
                and "start aacloud-agent" in reasons(hosts[host])
                for host in (agent, both))
        )

    stage.keep_quiet_until(
        "all four hosts live, and are told what ails them", told, NOTICED)
    stage.keep_quiet_until(
        "Nova takes three of them for down",
        lambda: all(
            look.computes()[host]["state"] == "down"
            for host in (service, path, both)),
        NOVA_NOTICES)
    assert time.monotonic() > began + LOOK_ON
    stage.keep_quiet(3.0)
    assert told()


def reasons(host: dict[str, Any]) -> str:
    return " ".join(host["reasons"])


def test_the_leading_engine_is_cut_off(stage: Stage) -> None:
    """It stops to lead and says why, the other one takes over."""
    lab, look = stage.lab, stage.look
    stage.crew(stage.host("dc1"), 2)
    stage.crew(stage.host("dc2"), 2)
    stage.ready()
    before = look.leader()
    other = DCS[1 - DCS.index(before.dc)]
    node = f"{before.dc}-ha"

    began = time.monotonic()
    lab.fault("link-cut", node, "management")
    lab.wait(
        f"the engine of {other} leads",
        lambda: look.leader().dc == other, truths.TAKEOVER + 5)
    assert not look.leads(before.dc), "two engines lead"

    def says_so() -> bool:
        well, text = look.health(node)
        return not well and "coordination" in text and "sight" in text

    lab.wait("it says that it is not well", says_so, NOTICED)
    lab.wait(
        "it takes itself for the one that is cut off",
        lambda: look.metrics(node).value("aacloud_failover_cut_off") == 1,
        NOTICED)

    def two_leaders() -> list[str]:
        leaders = look.leaders()
        return ["two engines lead"] if len(leaders) > 1 else []

    stage.keep_quiet(
        began + LOOK_ON - time.monotonic(), more=two_leaders)
    lab.mend("link-cut", node, "management")
    lab.wait(
        "it is well again", lambda: look.health(node)[0], 60)
    assert look.leader().epoch == before.epoch + 1
    stage.keep_quiet(3.0, more=two_leaders)
