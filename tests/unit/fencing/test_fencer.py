# SPDX-License-Identifier: Apache-2.0
"""The fencer's own rules, against a controller made of events."""

import datetime
import threading

from oslo_config import cfg
import pytest

from aacloud.conf import fencing as fencing_conf
from aacloud.core import fences
from aacloud.fencing import base
from aacloud.fencing import drivers
from aacloud.fencing import fencer
from aacloud.fencing import inventory

ON, OFF, UNKNOWN = (
    fences.PowerState.ON,
    fences.PowerState.OFF,
    fences.PowerState.UNKNOWN,
)
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
QUICK = fencer.FencerTimes(call=0.2, power_off=0.3, poll=0.01, again=(0.05,))


class Controller:
    """A driver whose chassis is an attribute."""

    name = "made-up"
    strength = "strong"

    def __init__(self, power=ON):
        self.power = power
        self.orders = 0
        self.closed = 0
        self.silent = False
        self.obeys = True
        self.hang = threading.Event()
        self.hang.set()

    def validate(self, target):
        return ()

    def power_state(self, target):
        self.hang.wait(10)
        if self.silent:
            raise base.FenceError(target, "read", "no answer", "Look at it.")
        return fences.FenceEvidence(
            self.name, self.strength, self.power, NOW, "chassis"
        )

    def power_off(self, target):
        self._order(OFF)

    def power_on(self, target):
        self._order(ON)

    def _order(self, power):
        self.orders += 1
        if self.obeys:
            self.power = power

    def close(self, target):
        self.closed += 1


def make(controller, times=QUICK):
    target = base.FenceTarget("h1", "made-up", "there")
    return fencer.Fencer(
        inventory.Inventory({"h1": (target,)}),
        {"made-up": controller},
        times,
        clock=lambda: NOW,
    )


def test_an_unlisted_host_is_told():
    (leg,) = make(Controller()).fence("h7")
    assert (leg.power, leg.strength) == (UNKNOWN, "none")
    assert "not in the fencing inventory" in leg.detail


def test_what_is_open_is_closed():
    controller = Controller()
    make(controller).fence("h1")
    assert controller.closed == 1


def test_a_controller_that_never_answered_is_given_up_soon():
    controller = Controller()
    controller.silent = True
    one = make(controller, fencer.FencerTimes(call=5, power_off=60, poll=0.01))
    (leg,) = one.fence("h1")
    assert leg.power is UNKNOWN
    # It may well have obeyed: the order went out all the same.
    assert controller.orders >= 1


def test_a_controller_that_goes_silent_after_the_order_proves_nothing():
    controller = Controller()

    def power_off(target):
        controller.silent = True

    controller.power_off = power_off
    (leg,) = make(controller).fence("h1")
    assert leg.power is UNKNOWN
    assert "no answer" in leg.detail


def test_may_act_is_asked_before_every_order():
    controller = Controller()
    controller.obeys = False
    answers = iter([True, False])
    (leg,) = make(controller).fence("h1", may_act=lambda: next(answers))
    assert controller.orders == 1
    assert leg.power is UNKNOWN


def test_a_hanging_driver_is_left_behind_and_not_entered_twice():
    controller = Controller()
    controller.hang.clear()
    one = make(controller)
    (first,) = one.fence("h1")
    assert "did not finish an answer" in first.detail
    (second,) = one.fence("h1")
    assert "still hangs" in second.detail
    controller.hang.set()
    thread = next(iter(one._busy.values()))
    thread.join(10)
    # The one that was left behind gave no order when it woke up.
    assert controller.orders == 0
    (third,) = one.fence("h1")
    assert third.power is OFF


def test_a_broken_driver_is_no_proof_and_no_crash():
    controller = Controller()

    def power_state(target):
        raise ZeroDivisionError("oops")

    controller.power_state = power_state
    (leg,) = make(controller).fence("h1")
    assert leg.power is UNKNOWN
    assert "fault of the driver" in leg.detail


def test_noop_proves_nothing_and_says_what_to_do():
    target = base.FenceTarget("h1", "noop")
    one = fencer.Fencer(
        inventory.Inventory({"h1": (target,)}), drivers.load_drivers(1.0)
    )
    (leg,) = one.fence("h1")
    assert (leg.power, leg.strength) == (UNKNOWN, "none")
    assert "confirm the fence" in leg.detail
    assert not fences.prove((leg,), None).proven


def test_a_broken_file_at_reload_keeps_the_old_one(tmp_path):
    path = tmp_path / "fencing.yaml"
    path.write_text("hosts: {h1: {driver: noop}}")
    conf = cfg.ConfigOpts()
    fencing_conf.register_opts(conf)
    conf([], default_config_files=[])
    conf.set_override("inventory_file", str(path), "aacloud_fencing")
    one = fencer.Fencer.from_conf(conf)
    path.write_text("hosts: {h1: {driver: nope}}")
    with pytest.raises(inventory.InventoryError):
        one.reload(conf)
    assert one.hosts.legs("h1")[0].driver == "noop"
    path.write_text("hosts: {h2: {driver: noop}}")
    one.reload(conf)
    assert one.hosts.legs("h1") == ()
