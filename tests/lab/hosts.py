# SPDX-License-Identifier: Apache-2.0
"""Compute hosts as machines: they crash, lose power and start again."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import fcntl
import os

from tests.lab import network
from tests.lab import process
from tests.lab.services import aacloud
from tests.lab.services import openstack
from tests.lab.services.base import Service
from tests.lab.state import State

#: Faults of a host that are over when it boots.
ENDED_BY_BOOT = ("host-crash", "compute-kill", "agent-kill")


def services(state: State, host: str) -> list[Service]:
    """What starts on a host when it boots."""
    node = state.plan.host(host)
    return [
        openstack.compute(state, node),
        aacloud.agent(state, node),
    ]


def powered(state: State, host: str) -> bool:
    """Whether the machine has power; a crashed one has."""
    return not state.run("power", f"{host}.off").exists()


@contextlib.contextmanager
def _one_at_a_time(state: State, host: str) -> Iterator[None]:
    with open(state.run("power", f"{host}.lock"), "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def crash(state: State, host: str) -> None:
    """Stop everything that runs on the host, guests too, at once.

    The cables go first: a dead kernel says no good-byes, so its peers must
    not get any either.
    """
    with _one_at_a_time(state, host):
        _stop(state, host)


def _stop(state: State, host: str) -> None:
    if not state.plan.loopback:
        for link in state.plan.node_links(host):
            network.cut(link)
    while True:
        # A process may start another one while it is being ended.
        procs = [
            proc
            for proc in process.scan(str(state.dir))
            if proc.node == host
        ]
        if not procs:
            return
        process.kill(procs)


def power_off(state: State, host: str) -> None:
    """Take the power away; returns when nothing runs there any more."""
    with _one_at_a_time(state, host):
        _stop(state, host)
        state.run("power", f"{host}.off").touch()


def power_on(state: State, host: str) -> None:
    """Give power and start what starts at boot; does not wait for it.

    A host that has power stays as it is: pressing the button of a machine
    that hangs does not mend it.
    """
    with _one_at_a_time(state, host):
        if powered(state, host):
            return
        state.run("power", f"{host}.off").unlink()
        for name in ENDED_BY_BOOT:
            state.fault(f"{name}.{host}").unlink(missing_ok=True)
        if not state.plan.loopback:
            cut = {
                fault.partition(".")[2]
                for fault in os.listdir(state.run("faults"))
                if fault.startswith("link-cut.")
            }
            for link in state.plan.node_links(host):
                if link.name not in cut:
                    network.mend(state.plan, link)
        for service in services(state, host):
            service.start(state)
