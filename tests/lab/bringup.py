# SPDX-License-Identifier: Apache-2.0
"""The order of things in ``up`` and ``down``."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools
import pathlib
import shutil
import time

from tests.lab import faults
from tests.lab import install
from tests.lab import network
from tests.lab import preflight
from tests.lab import process
from tests.lab import seed
from tests.lab import template
from tests.lab.plan import LabPlan
from tests.lab.plan import prefix_of
from tests.lab.progress import Progress
from tests.lab.rest import Cloud
from tests.lab.rest import RestError
from tests.lab.runner import NotUp
from tests.lab.runner import Runner
from tests.lab.services import aacloud
from tests.lab.services import bmc
from tests.lab.services import infra
from tests.lab.services import openstack
from tests.lab.services.base import Job
from tests.lab.services.base import Service
from tests.lab.state import DEFAULT
from tests.lab.state import locked
from tests.lab.state import NoLab
from tests.lab.state import remove_cloud
from tests.lab.state import State

_KEEP_LOGS = ("apt.log", "pip.log")


def services(state: State) -> list[Service]:
    """Everything that runs in the lab, hosts included."""
    return [
        *infra.services(state),
        *openstack.services(state),
        *aacloud.services(state),
        bmc.service(state),
    ]


def up(
    where: pathlib.Path, plan: LabPlan | None, progress: Progress
) -> State:
    """Bring everything up that is not.

    :param plan: how big it shall be; None for the size it has, or the usual
    :raises Refused: it cannot run here.
    """
    preflight.require_root()
    plan = _choose(where, _made(where), plan)
    running = bool(process.scan(str(where)))
    if not (plan.loopback or running):
        reason = network.possible()
        if reason is not None:
            progress.say(f"no network namespaces here ({reason})")
            plan = dataclasses.replace(plan, loopback=True)
    text = preflight.refusal(preflight.look(where, plan, running), plan)
    if text is not None:
        raise preflight.Refused(text)
    with locked(where):
        before = _made(where)
        if before is None:
            _clean(where, progress.say)
        elif _fit(before):
            progress.say("the lab is up already")
            return before
        state = State.create(where, plan)
        install.install(state, progress)
        _bring_up(state, progress)
    return state


def _made(where: pathlib.Path) -> State | None:
    """The lab of which at least the databases are made."""
    try:
        state = State.load(where)
    except NoLab:
        return None
    return state if state.run("cloud-made").exists() else None


def _choose(
    where: pathlib.Path, before: State | None, plan: LabPlan | None
) -> LabPlan:
    if before is None:
        plan = plan or LabPlan()
        return dataclasses.replace(
            plan, prefix=prefix_of(str(where), DEFAULT)
        )
    has = before.plan
    if plan is None or (plan.hosts_per_rack, plan.loopback) == (
        has.hosts_per_rack,
        has.loopback,
    ):
        return has
    raise preflight.Refused(
        f"the lab in {before.dir} has {has.hosts_per_rack} hosts a rack"
        f"{' in loopback mode' if has.loopback else ''}: end it with 'down' "
        "before you bring up another one"
    )


def _clean(where: pathlib.Path, say: Callable[[str], None]) -> None:
    """Take away what one cloud left, even half of one."""
    install.drop_policy()
    procs = process.scan(str(where))
    # Everything goes away with its data: there is nothing to finish.
    process.kill(procs)
    if procs:
        say(f"{len(procs)} processes ended")
    prefix = prefix_of(str(where), DEFAULT)
    spaces = network.existing(prefix)
    network.remove(prefix)
    if spaces:
        say(f"{len(spaces)} network namespaces removed")
    if remove_cloud(where):
        say("data of the cloud removed")


def _fit(state: State) -> bool:
    procs = process.by_service(process.scan(str(state.dir)))
    if faults.active(state) or not all(
        procs[service.key] for service in services(state)
    ):
        return False
    if not state.plan.loopback and network.cut_links(state.plan):
        return False
    return all(service.answers(state) for service in services(state))


def _bring_up(state: State, progress: Progress) -> None:
    if state.plan.loopback:
        progress.say(
            "loopback mode: these faults are missing: "
            + ", ".join(faults.missing(state))
        )
    made = state.run("cloud-made")
    if not made.exists():
        for log in (state.dir / "logs").glob("*.log"):
            if log.name not in _KEEP_LOGS:
                log.unlink()
    configure(state)
    _network(state, progress)
    if not made.exists():
        if not template.ready(state):
            progress.say("making the databases (once)")
            template.make(state, progress.say)
        template.restore(state)
        made.touch()
    for line in faults.mend_all(state):
        progress.say(f"mended: {line}")
    cloud = Cloud(state)
    Runner(
        state, [*services(state), *_jobs(state, cloud, progress)], progress
    ).run()
    _watched(state, cloud)
    progress.say("the cloud is up")


def _jobs(state: State, cloud: Cloud, progress: Progress) -> list[Job]:
    def topology() -> None:
        _computes(state, cloud, progress.say)
        aacloud.apply_topology(state)

    return [
        Job("flavors and image", functools.partial(seed.create, cloud),
            after=("nova-api", "glance")),
        Job("topology", topology,
            after=("nova-compute", "nova-api", "aacloud-api")),
    ]  # fmt: skip


def configure(state: State) -> None:
    infra.configure(state)
    openstack.configure(state)
    aacloud.configure(state)


def _network(state: State, progress: Progress) -> None:
    if state.plan.loopback:
        return
    mark = state.run("network-made")
    if mark.exists() and set(state.plan.namespaces) <= network.existing(
        state.plan.prefix
    ):
        return
    process.kill(process.scan(str(state.dir)))
    network.build(state.plan)
    mark.touch()
    progress.say("network namespaces and cables")


def _computes(
    state: State, cloud: Cloud, say: Callable[[str], None]
) -> None:
    """Wait until every compute is up and can be scheduled to.

    One that is forced down stays so: that is a state of the cloud, which
    aacloud or its operator ends.
    """
    wanted = {node.name for node in state.plan.hosts}
    deadline = time.monotonic() + 60
    missing = wanted
    while missing:
        try:
            # From 2.88 on this asks each compute for its uptime.
            found = cloud.get(
                "nova-api",
                "/os-hypervisors/detail",
                headers={"OpenStack-API-Version": "compute 2.53"},
            )
            services = cloud.get(
                "nova-api", "/os-services?binary=nova-compute"
            )["services"]
            forced = {one["host"] for one in services if one["forced_down"]}
            missing = wanted - {
                one["service"]["host"]
                for one in found["hypervisors"]
                if one["state"] == "up" or one["service"]["host"] in forced
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
    for host in sorted(forced & wanted):
        say(
            f"{host} is forced down in Nova; when no incident is open for "
            f"it: openstack compute service set --up {host} nova-compute"
        )


def _watched(state: State, cloud: Cloud) -> None:
    """Wait until aacloud knows every host and sees it up."""
    wanted = {node.name for node in state.plan.hosts}
    deadline = time.monotonic() + 60
    while True:
        try:
            found = cloud.get("aacloud-api", "/hosts")["hosts"]
            missing = wanted - {
                host["name"] for host in found if host["state"] == "up"
            }
            reason = "its API does not show them as up"
        except RestError as exc:
            missing, reason = wanted, str(exc)
        if not missing:
            return
        if time.monotonic() > deadline:
            raise NotUp(
                "aacloud does not watch "
                f"{', '.join(sorted(missing))} after 60 s ({reason})"
            )
        time.sleep(0.5)


def down(where: pathlib.Path, progress: Progress, purge: bool) -> None:
    """End every process of the lab and take its network and data away.

    Works on whatever is left of one, too.
    """
    preflight.require_root()
    if not where.exists():
        return
    with locked(where):
        _clean(where, progress.say)
        if purge:
            shutil.rmtree(where)
            progress.say(f"{where} removed")
