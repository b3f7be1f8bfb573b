# SPDX-License-Identifier: Apache-2.0
"""The Redfish driver and the fencer against sushy-tools' emulator."""

import socket
import time

import pytest

from aacloud.core import fences
from aacloud.fencing import base
from aacloud.fencing import drivers
from aacloud.fencing import fencer
from aacloud.fencing import inventory
from tests import ports
from tests.functional.fencing import conftest

ON, OFF, UNKNOWN = (
    fences.PowerState.ON,
    fences.PowerState.OFF,
    fences.PowerState.UNKNOWN,
)
TIMES = fencer.FencerTimes(call=3.0, power_off=5.0, poll=0.2)
SHORT = fencer.FencerTimes(call=3.0, power_off=2.0, poll=0.2, again=(0.8, 9))


def make_fencer(*targets, times=TIMES):
    legs = {}
    for target in targets:
        legs[target.host] = (*legs.get(target.host, ()), target)
    return fencer.Fencer(
        inventory.Inventory(legs), drivers.load_drivers(times.call), times
    )


@pytest.mark.parametrize("auth", ["auto", "basic"])
def test_a_running_host_is_powered_off_and_read_back(redfish, auth):
    controller = redfish()
    target = conftest.redfish_target(controller.port, options={"auth": auth})
    before = base.utcnow()
    legs = make_fencer(target).fence("h1")
    assert [(leg.power, leg.strength) for leg in legs] == [(OFF, "strong")]
    assert legs[0].read_at_utc >= before
    assert fences.prove(legs, None).proven
    assert controller.resets == 1
    assert "1 given" in legs[0].detail


def test_a_host_that_is_off_gets_no_order(redfish):
    controller = redfish(power="Off")
    legs = make_fencer(conftest.redfish_target(controller.port)).fence("h1")
    assert legs[0].power is OFF
    assert controller.resets == 0


def test_the_system_is_chosen_by_id_and_must_be_when_there_are_two(redfish):
    controller = redfish(systems=2)
    vague = make_fencer(conftest.redfish_target(controller.port)).status("h1")
    assert vague[0].power is UNKNOWN
    assert "Set options.system_id" in vague[0].detail
    for system_id in (
        conftest.OTHER_SYSTEM,
        f"/redfish/v1/Systems/{conftest.OTHER_SYSTEM}",
    ):
        exact = make_fencer(
            conftest.redfish_target(
                controller.port, options={"system_id": system_id}
            )
        )
        assert exact.fence("h1")[0].power is OFF
    # The neighbour behind the same controller still runs.
    neighbour = make_fencer(
        conftest.redfish_target(
            controller.port, options={"system_id": conftest.SYSTEM}
        )
    )
    assert neighbour.status("h1")[0].power is ON


def test_a_wrong_password_is_told_and_not_shown(redfish):
    controller = redfish()
    target = conftest.redfish_target(controller.port, password="guessed!")
    legs = make_fencer(target).fence("h1")
    assert legs[0].power is UNKNOWN
    assert "Check username and password" in legs[0].detail
    assert "h1" in legs[0].detail and target.address in legs[0].detail
    assert "guessed!" not in legs[0].detail + repr(target)
    assert controller.resets == 0


def test_a_liar_proves_nothing(redfish):
    controller = redfish()
    controller.fault("lie")
    legs = make_fencer(
        conftest.redfish_target(controller.port), times=SHORT
    ).fence("h1")
    assert legs[0].power is ON
    assert "still so" in legs[0].detail
    assert not fences.prove(legs, None).proven
    # The order is given again, not once for all.
    assert controller.resets == 2


@pytest.mark.parametrize("fault", ["409", "500"])
def test_a_refused_order_is_told_and_proves_nothing(redfish, fault):
    controller = redfish()
    controller.fault(fault)
    legs = make_fencer(
        conftest.redfish_target(controller.port), times=SHORT
    ).fence("h1")
    assert legs[0].power is ON
    assert f"returned code {fault}" in legs[0].detail
    assert not fences.prove(legs, None).proven
    assert controller.resets >= 2


def test_only_the_state_counts_not_the_answer(redfish):
    controller = redfish()
    controller.fault("refuse-but-obey")
    legs = make_fencer(conftest.redfish_target(controller.port)).fence("h1")
    assert legs[0].power is OFF


def test_on_its_way_off_is_not_off(redfish):
    controller = redfish(power="Off")
    controller.fault("on-its-way")
    legs = make_fencer(conftest.redfish_target(controller.port)).status("h1")
    assert legs[0].power is ON
    assert "PoweringOff" in legs[0].detail


def test_a_controller_that_recovers_is_asked_again(redfish):
    controller = redfish()
    controller.fault("500-all")
    one = make_fencer(conftest.redfish_target(controller.port))
    first = one.fence("h1")
    assert first[0].power is UNKNOWN
    assert "The controller refused or failed" in first[0].detail
    controller.fault("")
    assert one.fence("h1")[0].power is OFF


def test_connection_refused_is_unknown_soon():
    port = ports.free_port(socket.SOCK_STREAM)
    started = time.monotonic()
    legs = make_fencer(conftest.redfish_target(port)).fence("h1")
    assert time.monotonic() - started < 3.0
    assert legs[0].power is UNKNOWN
    assert legs[0].strength == "strong"
    assert "Connection refused. Check that the" in legs[0].detail
    assert not fences.prove(legs, None).proven


def test_a_hanging_controller_is_unknown_in_bounded_time(redfish):
    controller = redfish()
    controller.fault("hang")
    times = fencer.FencerTimes(call=0.5, power_off=1.0, poll=0.1)
    one = make_fencer(
        conftest.redfish_target(controller.port), times=times
    )
    started = time.monotonic()
    legs = one.fence("h1")
    assert time.monotonic() - started < 4.0
    assert legs[0].power is UNKNOWN


def test_a_socket_that_never_accepts_is_unknown_in_bounded_time():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        times = fencer.FencerTimes(call=0.5, power_off=1.0, poll=0.1)
        target = conftest.redfish_target(listener.getsockname()[1])
        started = time.monotonic()
        legs = make_fencer(target, times=times).fence("h1")
        assert time.monotonic() - started < 4.0
    assert legs[0].power is UNKNOWN


def test_a_deposed_leader_orders_nothing(redfish):
    controller = redfish()
    legs = make_fencer(conftest.redfish_target(controller.port)).fence(
        "h1", may_act=lambda: False
    )
    assert legs[0].power is UNKNOWN
    assert "may no longer act" in legs[0].detail
    assert controller.resets == 0


def test_power_on_is_read_back(redfish):
    controller = redfish(power="Off")
    one = make_fencer(conftest.redfish_target(controller.port))
    assert one.power_on("h1")[0].power is ON
    assert one.status("h1")[0].power is ON


def test_one_dead_leg_does_not_hide_the_other(redfish):
    controller = redfish()
    dead = conftest.redfish_target(ports.free_port(socket.SOCK_STREAM))
    legs = make_fencer(
        dead, conftest.redfish_target(controller.port)
    ).fence("h1")
    assert [leg.power for leg in legs] == [UNKNOWN, OFF]
    assert fences.prove(legs, None).proven
