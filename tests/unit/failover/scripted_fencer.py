# SPDX-License-Identifier: Apache-2.0
"""A fencer that reads and switches what the test says."""

from __future__ import annotations

from collections.abc import Callable

from aacloud.core import fences
from tests.unit.failover import virtual_time

OFF = fences.PowerState.OFF
ON = fences.PowerState.ON
UNKNOWN = fences.PowerState.UNKNOWN


class ScriptedFencer:
    """Has the two methods of ``fencing.fencer.Fencer`` that engines use.

    :ivar power: what a controller reads; hosts that are not named are ON
    :ivar dead: hosts whose controller does not answer
    :ivar lying: hosts whose controller takes an order and does nothing
    :ivar orders: hosts that were ordered to be powered off
    :ivar before_order: called right before an order, as late as it can be
    """

    def __init__(self, time: virtual_time.VirtualTime) -> None:
        self.time = time
        self.power: dict[str, fences.PowerState] = {}
        self.dead: set[str] = set()
        self.lying: set[str] = set()
        self.reads: list[str] = []
        self.orders: list[str] = []
        self.takes_s = 0.0
        self.before_order: Callable[[str], None] = lambda host: None
        self.hook: Callable[[str], None] = lambda name: None

    def status(self, host: str) -> tuple[fences.FenceEvidence, ...]:
        self.hook("status")
        self.reads.append(host)
        return (self._read(host),)

    def fence(
        self, host: str, may_act: Callable[[], bool] = lambda: True
    ) -> tuple[fences.FenceEvidence, ...]:
        self.hook("fence")
        found = self._read(host)
        if found.power is not ON:
            return (found,)
        self.time.go_by(self.takes_s)
        self.before_order(host)
        if not may_act():
            return (self._evidence(
                UNKNOWN, "stopped before the order: it may not act"),)
        self.orders.append(host)
        if host not in self.lying:
            self.power[host] = OFF
        return (self._read(host),)

    def _read(self, host: str) -> fences.FenceEvidence:
        if host in self.dead:
            return self._evidence(
                UNKNOWN, f"the BMC of host {host} does not answer")
        return self._evidence(self.power.get(host, ON), "read back")

    def _evidence(
        self, power: fences.PowerState, detail: str
    ) -> fences.FenceEvidence:
        return fences.FenceEvidence(
            driver="redfish", strength="strong", power=power,
            read_at_utc=self.time.utcnow(), detail=detail)
