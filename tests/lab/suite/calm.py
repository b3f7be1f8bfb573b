# SPDX-License-Identifier: Apache-2.0
"""Making the lab calm: what a test may rely on when it begins."""

from __future__ import annotations

from collections.abc import Container
import itertools
import logging
import time

from tests.lab import crashes
from tests.lab import faults
from tests.lab import hosts
from tests.lab import process
from tests.lab import servers
from tests.lab.plan import DCS
from tests.lab.rest import RestError
from tests.lab.suite.looking import answered
from tests.lab.suite.looking import GROUPS_PORT
from tests.lab.suite.looking import Look

LOG = logging.getLogger(__name__)

#: What the names of servers and groups of the tests, and of the demo, begin
#: with.
PREFIX = "lt-"
LEFTOVERS = (PREFIX, "demo-")
SECONDS = 180.0
#: Seconds within which each scheduler asks for the groups again; one that
#: was not heard for much longer is no more.
HEARD = 15.0

#: Incidents in these end by themselves as soon as their host is up.
_EARLY = frozenset({
    "detected", "shadowed", "admitted", "planned", "fencing"})

#: In these one waits for ever when its host has come back meanwhile.
_SENDING = frozenset({"fenced", "forced-down", "evacuating"})


class NotCalm(RuntimeError):
    """The lab did not become calm; the text says what is missing."""


def begin(
    look: Look, *, crashable: Container[crashes.Engine] = ()
) -> None:
    """Mend everything, and start what does not run.

    :param crashable: the engines that are to be run by the launcher
    """
    mended = faults.mend_all(look.lab.state)
    LOG.info("mended: %s", "; ".join(mended) or "nothing")
    _start_missing(look, crashable)
    _boot_fenced(look, {line.rpartition(" ")[2] for line in mended})
    answered(lambda: _give_up(look))


def finish(look: Look, mode: str, keep: Container[str] = ()) -> None:
    """Wait until all is well, and nothing is left of earlier tests.

    :param mode: what auto-failover is then set to for the whole cloud
    :param keep: the ids of servers that are no leftovers
    :raises NotCalm: it does not become so
    """
    until = time.monotonic() + SECONDS
    told: list[str] = []
    while True:
        missing = _missing(look, keep)
        if not missing:
            break
        if missing != told:
            LOG.info("waits for: %s", "; ".join(missing))
            told = missing
        if time.monotonic() > until:
            raise NotCalm(
                f"the lab is not calm after {SECONDS:.0f} s; missing are:\n"
                + "\n".join(f"- {text}" for text in missing))
        time.sleep(0.5)
    _set_modes(look, mode)


def _start_missing(
    look: Look, crashable: Container[crashes.Engine]
) -> None:
    state = look.lab.state
    for dc, engine in itertools.product(DCS, crashes.ENGINES):
        if engine in crashable:
            crashes.make_crashable(state, dc, engine)
        elif crashes.is_crashable(state, dc, engine):
            crashes.disarm(state, dc, engine)
    running = process.by_service(process.scan(str(state.dir)))
    for service in look.lab.services():
        if not running[service.key]:
            LOG.info("starts %s", service.label)
            service.start(state)


def _boot_fenced(look: Look, booted: set[str]) -> None:
    """Boot hosts that were fenced in Nova's eyes, but not in truth."""
    for one in answered(lambda: look.incidents(open="true")) or ():
        if one["state"] not in _EARLY and one["host"] not in booted:
            LOG.info("boots %s", one["host"])
            hosts.power_off(look.lab.state, one["host"])
            hosts.power_on(look.lab.state, one["host"])


def _give_up(look: Look) -> None:
    """Cancel what still wants to send servers away from a host."""
    for one in look.incidents(open="true"):
        told = any(each["command"] == "cancel" for each in one["commands"])
        if one["state"] not in _SENDING or told:
            continue
        LOG.info("gives incident %s of %s up", one["id"], one["host"])
        try:
            look.lab.cloud.post(
                "aacloud-api", f"/incidents/{one['id']}/cancel",
                {"reason": "the lab is made calm"})
        except RestError as error:
            # It has meanwhile gone on by itself.
            if error.status != 409:
                raise


def _missing(look: Look, keep: Container[str]) -> list[str]:
    """What is not calm, in words."""
    try:
        found = [*_processes(look), *_engines(look)]
        found = found or [*_incidents(look), *_hosts(look), *_groups(look)]
        # Only a host that is well again can let go of its guests.
        return found or _servers(look, keep)
    except (RestError, OSError) as error:
        return [str(error)]


def _processes(look: Look) -> list[str]:
    running = process.by_service(look.lab.processes())
    return [
        f"{service.label} does not run"
        for service in look.lab.services()
        if not running[service.key]
    ] + [
        f"host {host} has no power"
        for host in look.lab.hosts
        if not hosts.powered(look.lab.state, host)
    ]


def _engines(look: Look) -> list[str]:
    found = []
    for dc in DCS:
        well, text = look.health(f"{dc}-ha")
        if not well:
            found.append(f"the engine of {dc} is not well: {text}")
        well, text = look.health(f"{dc}-ha", GROUPS_PORT)
        if not well:
            found.append(f"the group engine of {dc} is not well: {text}")
    for what, leaders in (
        ("engine", look.leaders()), ("group engine", look.group_leaders())
    ):
        if len(leaders) != 1:
            found.append(f"one {what} has to lead, now: {leaders or 'none'}")
    return found or [
        f"scheduler {name} has not asked for groups for {age:.0f} s"
        for name, age in look.schedulers().items()
        if HEARD < age < SECONDS]


def _incidents(look: Look) -> list[str]:
    _give_up(look)
    is_open = look.incidents(open="true")
    if any(one["state"] not in _EARLY for one in is_open):
        # An incident whose host was fenced is only ended while armed.
        _set_modes(look, "armed")
    return [
        f"incident {one['id']} of {one['host']} is {one['state']}"
        f" ({one['waiting'] or 'goes on'})"
        for one in is_open
    ]


def _groups(look: Look) -> list[str]:
    """Plans and groups of earlier tests, which are ended and removed."""
    is_open = look.plans(open="true")
    for plan in is_open:
        if all(order["command"] != "stop" for order in plan["orders"]):
            try:
                look.stop_plan(plan["id"])
            except RestError as error:
                # It has meanwhile come to its end.
                if error.status != 409:
                    raise
    left = [
        group for group in look.groups()
        if group["name"].startswith(LEFTOVERS)]
    for group in left:
        try:
            look.remove_group(group["id"])
        except RestError as error:
            if error.status != 404:
                raise
    return [
        f"plan {plan['id']} is {plan['state']}"
        f" ({plan['waiting'] or 'goes on'})" for plan in is_open
    ] + [f"group {group['name']} is still there" for group in left]


def _hosts(look: Look) -> list[str]:
    found = []
    computes = look.computes()
    known = look.hosts()
    for host in look.lab.hosts:
        service = computes.get(host)
        seen = known.get(host)
        if service is None or seen is None:
            found.append(f"host {host} is not known")
            continue
        if service["forced_down"]:
            found.append(f"host {host} is forced down")
        if service["status"] != "enabled":
            found.append(f"host {host} is disabled")
        if service["state"] != "up":
            found.append(f"nova-compute of host {host} is down for Nova")
        if seen["state"] != "up":
            found.append(f"host {host} is {seen['state']}: {seen['reasons']}")
        bad = {
            name: word for name, word in seen["networks"].items()
            if word != "up"}
        if bad or not seen["networks"]:
            found.append(f"host {host} on its networks: {bad or 'unknown'}")
        nova = seen["nova"]
        if nova.get("state") != "up" or nova.get("forced_down"):
            found.append(f"host {host} in the eyes of the engine: {nova}")
    return found


def _servers(look: Look, keep: Container[str]) -> list[str]:
    """Leftovers of earlier tests, which are deleted."""
    listed = servers.listed(look.lab)
    left = {
        server: one for server, one in listed.items()
        if one["name"].startswith(LEFTOVERS) and server not in keep}
    for server, one in left.items():
        if one["OS-EXT-STS:task_state"] != "deleting":
            try:
                look.lab.cloud.delete("nova-api", f"/servers/{server}")
            except RestError as error:
                if error.status != 404:
                    raise
    if left:
        return [f"{len(left)} servers of an earlier test are still there"]
    stray = [
        proc for proc in look.lab.processes()
        if proc.guest and proc.guest not in listed]
    if stray:
        LOG.warning("guests of no server are ended: %s", stray)
        process.kill(stray)
    return []


def _set_modes(look: Look, mode: str) -> None:
    for one in look.modes():
        if one["level"] != "cloud":
            look.unset_mode(one["level"], one["name"])
    look.set_mode("cloud", "cloud", mode)
