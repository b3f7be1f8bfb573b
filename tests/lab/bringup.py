# SPDX-License-Identifier: Apache-2.0
"""The order of things in ``up`` and ``down``."""

from __future__ import annotations

import time

from tests.lab import network, process, seed, template
from tests.lab.plan import LabPlan
from tests.lab.progress import Progress
from tests.lab.rest import Cloud, RestError
from tests.lab.runner import NotUp, Runner
from tests.lab.services import infra, openstack
from tests.lab.services.base import Service
from tests.lab.state import State


def services(state: State) -> list[Service]:
    """Everything that runs in the lab, hosts included."""
    return [*infra.services(state), *openstack.services(state)]


def configure(state: State) -> None:
    infra.configure(state)
    openstack.configure(state)


def up(state: State, progress: Progress) -> None:
    """Bring everything up that is not."""
    configure(state)
    _network(state, progress)
    fresh = not state.run("cloud-made").exists()
    if fresh:
        if not template.ready(state):
            progress.say("making the databases (once)")
            template.make(state, progress.say)
        template.restore(state)
        state.run("cloud-made").touch()
    Runner(state, services(state), progress).run()
    cloud = Cloud(state)
    seed.create(cloud)
    _computes(state, cloud)
    progress.say("the cloud is up")


def _network(state: State, progress: Progress) -> None:
    if state.plan.loopback:
        return
    mark = state.run("network-made")
    if mark.exists() and set(state.plan.namespaces) <= network.existing():
        return
    process.kill(process.scan(str(state.dir)))
    network.build(state.plan)
    mark.touch()
    progress.say("network namespaces and cables")


def _computes(state: State, cloud: Cloud) -> None:
    """Wait until every compute is up and can be scheduled to."""
    wanted = {node.name for node in state.plan.hosts}
    deadline = time.monotonic() + 60
    missing = wanted
    while missing:
        try:
            found = cloud.get("nova-api", "/os-hypervisors/detail")
            missing = wanted - {
                one["service"]["host"]
                for one in found["hypervisors"]
                if one["state"] == "up"
            }
        except RestError as exc:
            missing, reason = wanted, str(exc)
        else:
            reason = "Nova does not list them as up"
        if missing and time.monotonic() > deadline:
            raise NotUp(
                f"computes missing after 60 s: {', '.join(sorted(missing))}"
                f" ({reason})"
            )
        if missing:
            time.sleep(0.5)


def down(state_dir: str, progress: Progress) -> None:
    """End every process of the lab and take its network away."""
    procs = process.scan(state_dir)
    # Everything goes away with its data: there is nothing to finish.
    process.kill(procs)
    if procs:
        progress.say(f"{len(procs)} processes ended")
    network.remove()


def plan_of(hosts_per_rack: int, loopback: bool) -> LabPlan:
    return LabPlan(hosts_per_rack=hosts_per_rack, loopback=loopback)
