# SPDX-License-Identifier: Apache-2.0
"""The second part of the demo: a group is formed of servers that run.

Three servers of one rack join a group that wants them apart. The repair moves
the fewest, and a fourth server is born where the rules want it.
"""

from __future__ import annotations

from typing import Any

from tests.lab import servers
from tests.lab.control import Lab
from tests.lab.rest import RestError
from tests.lab.showing import Checks
from tests.lab.showing import show
from tests.lab.showing import title

GROUP = "demo-web"
PREFIX = "demo-web-"
RULES = ("spread:dc:max_skew=1", "spread:host")
#: Two of the three are on one host, and all in one data centre: one move of
#: one of those two mends both rules.
FEWEST = 1
HEADERS = {"OpenStack-API-Version": "aacloud latest"}


def remove(lab: Lab) -> None:
    """Remove what an earlier demo left behind."""
    servers.delete(lab, prefix=PREFIX)
    for group in _groups(lab):
        if group["name"] == GROUP:
            lab.cloud.delete(
                "aacloud-api", f"/groups/{group['id']}", headers=HEADERS)


def run(lab: Lab, checks: Checks) -> None:
    """Form the group, let it be mended, and let a server be born into it.

    :raises WaitedTooLong: something did not happen in its time.
    """
    remove(lab)
    first, second = (
        node.name for node in lab.plan.hosts[:2])
    title(f"Three servers run in one rack: two on {first}, one on {second}")
    names = [f"{PREFIX}{number}" for number in (1, 2, 3)]
    booted = servers.boot(
        lab, list(zip(names, (first, first, second), strict=True)))
    identities = {
        server: lab.disks(server) for server in booted.values()}

    title("They join a group that wants them apart; that never fails")
    create = ["openstack", "ha", "group", "create", GROUP, "--mode", "repair"]
    for rule in RULES:
        create += ["--rule", rule]
    checks.hold("the group is made", show(lab, *create) == 0)
    joined = show(
        lab, "openstack", "ha", "group", "add", "server", GROUP, *names,
        "--wait")
    checks.hold("all three are members, and every scheduler knows",
                joined == 0)
    show(lab, "openstack", "ha", "group", "show", GROUP)
    inspected = show(lab, "openstack", "ha", "group", "inspect", GROUP)
    checks.hold("the inspection tells that it is broken by its exit status",
                inspected != 0)

    title("The repair: first what would be done, then done")
    show(lab, "openstack", "ha", "group", "repair", GROUP, "--dry-run")
    checks.hold(
        "a dry run moves nothing",
        {servers.host_of(one) for one in _mine(lab).values()}
        == {first, second})
    show(lab, "openstack", "ha", "group", "repair", GROUP, "--approve",
         "--reason", "the demo")
    plan = _approved_plan(lab)
    lab.wait("the plan is carried out",
             lambda: _plan(lab, plan)["state"] not in _GOES_ON, 180, 0.5)
    show(lab, "openstack", "ha", "plan", "show", plan)
    checks.hold("the plan is done", _plan(lab, plan)["state"] == "done",
                _plan(lab, plan)["state"])
    migrated = sum(
        migration["migration_type"] == "live-migration"
        and migration["status"] == "completed"
        for server in booted.values()
        for migration in _migrations(lab, server))
    checks.hold(f"{FEWEST} server was moved, not more", migrated == FEWEST,
                f"{migrated} live migrations")
    guests = lab.guests()
    checks.hold(
        "each runs in exactly one place, on the disk that it had",
        all(len(guests.get(server, ())) == 1
            and lab.disks(server) == identities[server]
            for server in booted.values()))
    checks.hold(
        "the group is as its rules want it",
        show(lab, "openstack", "ha", "group", "inspect", GROUP) == 0)

    title("A fourth server is born into the group, by a scheduler hint")
    fourth = _born(lab, f"{PREFIX}4")
    used = {
        servers.host_of(one) for one in _mine(lab).values()
        if one["id"] != fourth["id"]}
    host = servers.host_of(fourth)
    place = lab.plan.host(host)
    counts = [lab.plan.host(name).dc for name in used]
    checks.hold("it is on a host of its own", host not in used, host)
    checks.hold(
        "it is in the data centre with fewer members",
        counts.count(place.dc) == 1, f"{place.dc}")
    lab.wait("it is a member of the group",
             lambda: fourth["id"] in _members(lab), 60)
    checks.hold(
        "the group is as its rules want it, with four",
        show(lab, "openstack", "ha", "group", "inspect", GROUP) == 0)
    show(lab, "openstack", "ha", "group", "show", GROUP)
    remove(lab)


_GOES_ON = frozenset({
    "draft", "awaiting-approval", "approved", "running", "paused"})


def _groups(lab: Lab) -> list[dict[str, Any]]:
    try:
        return lab.cloud.get(
            "aacloud-api", "/groups?all_projects=true", headers=HEADERS
        )["groups"]
    except RestError as error:
        if error.status == 404:
            return []
        raise


def _group(lab: Lab) -> dict[str, Any]:
    return next(one for one in _groups(lab) if one["name"] == GROUP)


def _members(lab: Lab) -> set[str]:
    group = lab.cloud.get(
        "aacloud-api", f"/groups/{_group(lab)['id']}", headers=HEADERS)
    return {member["id"] for member in group["members"]}


def _mine(lab: Lab) -> dict[str, Any]:
    return {
        server: one for server, one in servers.listed(lab).items()
        if one["name"].startswith(PREFIX)}


def _approved_plan(lab: Lab) -> str:
    found = lab.cloud.get(
        "aacloud-api", f"/plans?group_id={_group(lab)['id']}",
        headers=HEADERS)["plans"]
    # The engine takes the approval over a moment later.
    return next(plan["id"] for plan in found if plan["state"] != "draft")


def _plan(lab: Lab, plan: str) -> dict[str, Any]:
    return lab.cloud.get(
        "aacloud-api", f"/plans/{plan}", headers=HEADERS)["plan"]


def _migrations(lab: Lab, server: str) -> list[dict[str, Any]]:
    return lab.cloud.get(
        "nova-api", f"/os-migrations?instance_uuid={server}")["migrations"]


def _born(lab: Lab, name: str) -> dict[str, Any]:
    """Boot a server wherever the scheduler wants it, with the hint."""
    image = lab.cloud.get(
        "glance", f"/images?name={servers.IMAGE}")["images"][0]["id"]
    made = lab.cloud.post("nova-api", "/servers", {
        "server": {
            "name": name, "imageRef": image, "flavorRef": "lab.tiny",
            "networks": "none",
        },
        "os:scheduler_hints": {"ha_group": GROUP},
    })["server"]["id"]

    def active() -> dict[str, Any] | None:
        seen = servers.listed(lab).get(made)
        if seen and seen["status"] == "ERROR":
            raise servers.BootFailed(
                f"{name}: {seen.get('fault', {}).get('message', 'ERROR')}")
        return seen if seen and seen["status"] == "ACTIVE" else None

    return lab.wait(f"{name} is ACTIVE", active, 120, 0.5)
