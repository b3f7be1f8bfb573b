# SPDX-License-Identifier: Apache-2.0
"""The IPMI driver and the fencer against pyghmi's own BMC."""

import concurrent.futures
import socket
import time

from aacloud.core import fences
from tests import ports
from tests.functional.fencing import conftest
from tests.functional.fencing.test_redfish import make_fencer
from tests.functional.fencing.test_redfish import OFF
from tests.functional.fencing.test_redfish import ON
from tests.functional.fencing.test_redfish import SHORT
from tests.functional.fencing.test_redfish import UNKNOWN


def power(controller):
    return (controller.directory / "power").read_text()


def test_a_running_host_is_powered_off_and_read_back(ipmi):
    controller = ipmi()
    legs = make_fencer(conftest.ipmi_target(controller.port)).fence("h1")
    assert [(leg.power, leg.strength) for leg in legs] == [(OFF, "strong")]
    assert power(controller) == "off"
    assert fences.prove(legs, None).proven


def test_a_host_that_is_off_gets_no_order(ipmi):
    controller = ipmi(power="off")
    controller.fault("refuse")
    legs = make_fencer(conftest.ipmi_target(controller.port)).fence("h1")
    assert legs[0].power is OFF
    assert "before any order" in legs[0].detail


def test_a_liar_proves_nothing(ipmi):
    controller = ipmi()
    controller.fault("lie")
    legs = make_fencer(
        conftest.ipmi_target(controller.port), times=SHORT
    ).fence("h1")
    assert legs[0].power is ON
    assert not fences.prove(legs, None).proven


def test_a_refused_order_is_told(ipmi):
    controller = ipmi()
    controller.fault("refuse")
    legs = make_fencer(
        conftest.ipmi_target(controller.port), times=SHORT
    ).fence("h1")
    assert legs[0].power is ON
    assert "could not power off" in legs[0].detail
    assert power(controller) == "on"


def test_a_wrong_password_is_told_and_not_shown(ipmi):
    controller = ipmi()
    target = conftest.ipmi_target(controller.port, password="guessed!")
    legs = make_fencer(target).status("h1")
    assert legs[0].power is UNKNOWN
    assert "Check username, password" in legs[0].detail
    assert "guessed!" not in legs[0].detail


def test_nobody_listens(ipmi):
    target = conftest.ipmi_target(ports.free_port(socket.SOCK_DGRAM))
    started = time.monotonic()
    legs = make_fencer(target).status("h1")
    assert time.monotonic() - started < 13.0
    assert legs[0].power is UNKNOWN
    assert "IPMI over LAN" in legs[0].detail


def test_power_on_is_read_back(ipmi):
    controller = ipmi(power="off")
    legs = make_fencer(conftest.ipmi_target(controller.port)).power_on("h1")
    assert legs[0].power is ON
    assert power(controller) == "on"


def test_several_hosts_at_once(ipmi):
    controllers = [ipmi() for _ in range(4)]
    one = make_fencer(
        *(
            conftest.ipmi_target(controller.port, host=f"h{number}")
            for number, controller in enumerate(controllers)
        )
    )
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(one.fence, [f"h{n}" for n in range(4)]))
    assert [legs[0].power for legs in results] == [OFF] * 4
    assert [power(controller) for controller in controllers] == ["off"] * 4
