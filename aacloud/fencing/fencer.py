# SPDX-License-Identifier: Apache-2.0
"""The fencer: power a host off and bring back what proves it.

For each leg of a host's entry: read the state first (a host that is off needs
no order), order the power-off, and read back until it is off. The order's own
answer is worth nothing: controllers answer 200 and do nothing, or 409 because
the host is off already. Nothing here raises for trouble with a controller;
it is told in the evidence, with what the operator can do.
"""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import logging
import threading
import time

from oslo_config import cfg

from aacloud.core import fences
from aacloud.fencing import base
from aacloud.fencing import drivers
from aacloud.fencing import inventory

LOG = logging.getLogger(__name__)

_SILENT_TRIES = 3
"""Attempts at a controller that never answered, within one fencing."""


@dataclasses.dataclass(frozen=True, slots=True)
class FencerTimes:
    """How long the fencer waits, all in seconds.

    :ivar call: for one call to a controller.
    :ivar power_off: from the first order until the host reads back as off.
    :ivar poll: between two readings.
    :ivar again: after which an order that had no effect is given again; the
        last one counts for all that follow.
    """

    call: float = 10.0
    power_off: float = 30.0
    poll: float = 1.0
    again: tuple[float, ...] = (5.0, 10.0, 20.0)


def _always() -> bool:
    return True


class Fencer:
    """Fences hosts. Thread-safe; one attempt at a time for each host."""

    def __init__(
        self,
        hosts: inventory.Inventory,
        known: Mapping[str, base.FenceDriver],
        times: FencerTimes | None = None,
        clock: base.Clock = base.utcnow,
    ) -> None:
        self._hosts = hosts
        self._drivers = known
        self._times = times or FencerTimes()
        self._clock = clock
        self._lock = threading.Lock()
        self._busy: dict[tuple[str, str, str], threading.Thread] = {}

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> "Fencer":
        """Make it from ``[aacloud_fencing]``; raise InventoryError."""
        section = conf.aacloud_fencing
        known = drivers.load_drivers(section.timeout)
        return cls(
            inventory.load(section.inventory_file, known),
            known,
            _times(conf),
        )

    def reload(self, conf: cfg.ConfigOpts) -> None:
        """Read times and inventory anew (SIGHUP).

        Raises InventoryError when the file is broken; the old one stays.
        """
        self._times = _times(conf)
        self._hosts = inventory.load(
            conf.aacloud_fencing.inventory_file, self._drivers
        )

    @property
    def hosts(self) -> inventory.Inventory:
        """The inventory in use."""
        return self._hosts

    def status(self, host: str) -> tuple[fences.FenceEvidence, ...]:
        """Read the power state on every leg; change nothing. Blocks."""
        return self._on_legs(host, self._read_leg, _always, "read")

    def fence(
        self, host: str, may_act: Callable[[], bool] = _always
    ) -> tuple[fences.FenceEvidence, ...]:
        """Power the host off on every leg at once; return the evidence.

        Blocks for at most about ``power_off`` + 2 * ``call`` seconds (run it
        in a thread of its own). ``may_act`` is asked right before each order:
        a leader that lost its place must switch nothing. Never raises for
        trouble with a controller.
        """
        return self._on_legs(host, self._off_leg, may_act, "power off")

    def power_on(
        self, host: str, may_act: Callable[[], bool] = _always
    ) -> tuple[fences.FenceEvidence, ...]:
        """Power a host on again, after the same rules. Blocks."""
        return self._on_legs(host, self._on_leg, may_act, "power on")

    # -- legs ---------------------------------------------------------------

    def _on_legs(
        self,
        host: str,
        work: Callable[["_Leg"], fences.FenceEvidence],
        may_act: Callable[[], bool],
        step: str,
    ) -> tuple[fences.FenceEvidence, ...]:
        targets = self._hosts.legs(host)
        if not targets:
            LOG.warning("Host %s is not in the fencing inventory", host)
            return (
                self._unknown(
                    "none",
                    "none",
                    f"host {host} is not in the fencing inventory: add it,"
                    " or make sure that it is off and confirm the fence",
                ),
            )
        legs = [self._start(target, work, may_act) for target in targets]
        budget = self._times.power_off + 2 * self._times.call
        until = time.monotonic() + budget
        evidence = []
        for leg in legs:
            result = leg.wait(until)
            if result is None:
                # It may hang in a call for ever; it must order nothing later.
                leg.stop.set()
                result = self._unknown(
                    leg.target.driver,
                    leg.driver.strength,
                    f"{leg.target.driver} of host {host} at"
                    f" {leg.target.address}: could not {step}: the"
                    f" controller did not finish an answer in {budget:g} s."
                    " Check that it has power, or restart it.",
                )
            LOG.info("Fence leg of host %s: %s", host, result.detail)
            evidence.append(result)
        return tuple(evidence)

    def _start(
        self,
        target: base.FenceTarget,
        work: Callable[["_Leg"], fences.FenceEvidence],
        may_act: Callable[[], bool],
    ) -> "_Leg":
        leg = _Leg(target, self._drivers[target.driver], may_act)
        key = (target.host, target.driver, target.address)
        with self._lock:
            earlier = self._busy.get(key)
            if earlier is not None and earlier.is_alive():
                leg.result = self._unknown(
                    target.driver,
                    leg.driver.strength,
                    f"an earlier call to {target.driver} of host"
                    f" {target.host} at {target.address} still hangs: check"
                    " that the controller has power, or restart it",
                )
                leg.done.set()
                return leg
            thread = threading.Thread(
                target=self._run,
                args=(leg, work),
                name=f"fence-{target.host}-{target.driver}",
                daemon=True,
            )
            self._busy[key] = thread
            thread.start()
        return leg

    def _run(
        self, leg: "_Leg", work: Callable[["_Leg"], fences.FenceEvidence]
    ) -> None:
        try:
            result = work(leg)
        except base.FenceError as error:
            result = self._unknown(
                leg.target.driver, leg.driver.strength, str(error)
            )
        except Exception as error:
            LOG.exception(
                "The fencing driver %s failed on host %s",
                leg.target.driver,
                leg.target.host,
            )
            result = self._unknown(
                leg.target.driver,
                leg.driver.strength,
                f"{leg.target.driver} of host {leg.target.host} at"
                f" {leg.target.address} failed: {type(error).__name__}:"
                f" {error}. This is a fault of the driver: see the log.",
            )
        finally:
            leg.driver.close(leg.target)
        leg.result = result
        leg.done.set()

    def _read_leg(self, leg: "_Leg") -> fences.FenceEvidence:
        return leg.driver.power_state(leg.target)

    def _off_leg(self, leg: "_Leg") -> fences.FenceEvidence:
        return self._drive(
            leg, fences.PowerState.OFF, leg.driver.power_off, "power off"
        )

    def _on_leg(self, leg: "_Leg") -> fences.FenceEvidence:
        return self._drive(
            leg, fences.PowerState.ON, leg.driver.power_on, "power on"
        )

    def _drive(
        self,
        leg: "_Leg",
        wanted: fences.PowerState,
        order: Callable[[base.FenceTarget], None],
        step: str,
    ) -> fences.FenceEvidence:
        """Order until the state that is read back is the wanted one."""
        times = self._times
        seen, trouble = self._look(leg)
        if seen is not None and seen.power is wanted:
            return _add(seen, "so it was before any order")
        if leg.driver.strength == "none":
            return seen or self._unknown(
                leg.target.driver, leg.driver.strength, trouble
            )
        started = time.monotonic()
        orders = 0
        silent = 0 if seen is not None else 1
        order_at = started
        while True:
            now = time.monotonic()
            if now >= order_at or leg.stop.is_set():
                if leg.stop.is_set() or not leg.may_act():
                    return self._unknown(
                        leg.target.driver,
                        leg.driver.strength,
                        f"stopped before the order to {step} host"
                        f" {leg.target.host}: this engine may no longer act",
                    )
                order_at = now + times.again[
                    min(orders, len(times.again) - 1)
                ]
                orders += 1
                try:
                    order(leg.target)
                except base.FenceError as error:
                    # Refused or lost: only the state that is read counts.
                    trouble = str(error)
                    order_at = min(order_at, now + times.poll * 2**orders)
                    LOG.warning("%s", error)
            fresh, why = self._look(leg)
            if fresh is not None:
                seen, silent = fresh, 0
                if seen.power is wanted:
                    return _add(
                        seen,
                        f"read back {time.monotonic() - started:.1f} s after"
                        f" the first order ({orders} given)",
                    )
            else:
                trouble, silent, seen = why, silent + 1, None
            waited = time.monotonic() - started
            if waited >= times.power_off or silent >= _SILENT_TRIES:
                break
            leg.stop.wait(times.poll * max(1, silent))
        if seen is None:
            return self._unknown(
                leg.target.driver, leg.driver.strength, trouble
            )
        return _add(
            seen,
            f"still so {waited:.0f} s after the order to {step} ({orders}"
            f" given){': ' + trouble if trouble else ''}. Do not trust this"
            " controller: switch the host by hand, then confirm the fence.",
        )

    def _look(
        self, leg: "_Leg"
    ) -> tuple[fences.FenceEvidence | None, str]:
        try:
            return leg.driver.power_state(leg.target), ""
        except base.FenceError as error:
            return None, str(error)

    def _unknown(
        self, driver: str, strength: fences.Strength, detail: str
    ) -> fences.FenceEvidence:
        return fences.FenceEvidence(
            driver=driver,
            strength=strength,
            power=fences.PowerState.UNKNOWN,
            read_at_utc=self._clock(),
            detail=detail,
        )


class _Leg:
    """One attempt on one leg, and where its thread leaves the result."""

    __slots__ = ("done", "driver", "may_act", "result", "stop", "target")

    def __init__(
        self,
        target: base.FenceTarget,
        driver: base.FenceDriver,
        may_act: Callable[[], bool],
    ) -> None:
        self.target = target
        self.driver = driver
        self.may_act = may_act
        self.result: fences.FenceEvidence | None = None
        self.stop = threading.Event()
        self.done = threading.Event()

    def wait(self, until: float) -> fences.FenceEvidence | None:
        """Return the result; None when there is none by then (monotonic)."""
        self.done.wait(max(0.0, until - time.monotonic()))
        return self.result if self.done.is_set() else None


def _add(
    evidence: fences.FenceEvidence, text: str
) -> fences.FenceEvidence:
    return dataclasses.replace(
        evidence, detail=f"{evidence.detail}, {text}"
    )


def _times(conf: cfg.ConfigOpts) -> FencerTimes:
    section = conf.aacloud_fencing
    return FencerTimes(
        call=section.timeout,
        power_off=section.power_off_timeout,
        poll=section.poll,
    )
