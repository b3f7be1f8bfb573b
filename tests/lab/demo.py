# SPDX-License-Identifier: Apache-2.0
"""The demo: a host dies, aacloud brings its servers back, and tells how.

All that is shown of aacloud comes from its own commands. What they say is
then checked against the processes of the guests themselves.
"""

from __future__ import annotations

import datetime
import time

from tests.lab import demo_groups
from tests.lab import servers
from tests.lab.control import Lab
from tests.lab.control import WaitedTooLong
from tests.lab.progress import Progress
from tests.lab.showing import Checks
from tests.lab.showing import show
from tests.lab.showing import title

SERVERS = 24
#: On the host that dies; the others are spread over all other hosts.
ON_VICTIM = 8
PREFIX = "demo-"
DETECTION_LIMIT = 15.0
#: How long what an earlier demo or fault left behind may take to end.
CALM_SECONDS = 60.0


class NotCalm(RuntimeError):
    """Something is still under way in the lab; the text says what."""


def run(lab: Lab, progress: Progress) -> int:
    """Play the demo in a lab that is up; 0 when all of it held.

    :raises NotCalm: something else is under way there; nothing was done.
    """
    checks = Checks()
    victim = lab.hosts[0]
    others = [host for host in lab.hosts if host != victim]
    _await_calm(lab)
    demo_groups.remove(lab)

    title(f"{SERVERS} servers are booted in both data centres")
    servers.delete(lab, prefix=PREFIX)
    placed = [
        (f"{PREFIX}{number:02d}",
         victim if number < ON_VICTIM
         else others[number % len(others)])
        for number in range(SERVERS)
    ]
    booted = servers.boot(lab, placed)
    on_victim = {booted[name] for name, host in placed if host == victim}
    disks = {server: lab.disks(server) for server in booted.values()}
    progress.say(f"{len(booted)} servers run, {len(on_victim)} of them on "
                 f"{victim}")

    title("The topology, and the engine is armed")
    show(lab, "openstack", "ha", "topology", "show")
    armed = show(lab, "openstack", "ha", "failover", "arm",
                 "--reason", "the demo")
    checks.hold("auto-failover is armed", armed == 0)
    try:
        _story(lab, checks, victim, on_victim, booted, disks)
    except WaitedTooLong as error:
        checks.hold(str(error), False)
    if checks.failed:
        print(f"\n{len(checks.failed)} checks failed: "
              f"{'; '.join(checks.failed)}\n"
              f"The logs are in {lab.state.dir / 'logs'}. Auto-failover "
              "stays armed, so that an open incident goes on.")
        return 1
    servers.delete(lab, prefix=PREFIX)
    try:
        demo_groups.run(lab, checks)
    except WaitedTooLong as error:
        checks.hold(str(error), False)
    if checks.failed:
        print(f"\n{len(checks.failed)} checks failed: "
              f"{'; '.join(checks.failed)}\n"
              f"The logs are in {lab.state.dir / 'logs'}.")
        return 1
    title("The engine goes back to shadow mode, as delivered")
    show(lab, "openstack", "ha", "failover", "shadow",
         "--reason", "the demo is over")
    print(f"\nAll of it held, after {progress.seconds:.0f} s. The lab stays "
          "up; 'python3 -m tests.lab down' ends it.")
    return 0


def _story(
    lab: Lab,
    checks: Checks,
    victim: str,
    on_victim: set[str],
    booted: dict[str, str],
    disks: dict[str, dict[str, dict[str, str]]],
) -> None:
    title(f"Host {victim} dies: all its processes are killed, its cables "
          "unplugged")
    died_at = datetime.datetime.now(datetime.timezone.utc)
    lab.fault("host-crash", victim)
    began = time.monotonic()
    checks.hold("its guests are dead", not lab.guests_on(victim))
    incident = lab.wait(
        f"an incident of {victim}", lambda: _open_incident(lab, victim), 60)
    opened = datetime.datetime.fromisoformat(incident["opened_at"])
    detection = (opened - died_at).total_seconds()

    watched = show(lab, "openstack", "ha", "incident", "watch",
                   incident["id"], "--until", "done", "--timeout", "300",
                   timeout=360)
    recovered = time.monotonic() - began
    checks.hold(f"the host was found dead within {DETECTION_LIMIT:.0f} s",
                detection <= DETECTION_LIMIT, f"{detection:.1f} s")
    checks.hold("the incident ended well", watched == 0)

    title("The timeline")
    show(lab, "openstack", "ha", "incident", "show", incident["id"])
    _check_servers(lab, checks, victim, on_victim, booted, disks)
    told = lab.cloud.get(
        "aacloud-api", f"/incidents/{incident['id']}")["incident"]
    proof = told["proof"] or {}
    checks.hold("the fence was proved", bool(proof.get("proven")),
                "; ".join(proof.get("reasons", ()))[:120])
    checks.hold("the BMC says Off", lab.power(victim) == "Off")
    print(f"\nDied {died_at:%H:%M:%S}, detected after {detection:.1f} s, "
          f"all {len(on_victim)} servers back after {recovered:.1f} s in "
          "all.")

    title(f"Host {victim} is powered on through its BMC")
    lab.mend("host-crash", victim)
    lab.set_power(victim, True)
    returned = show(lab, "openstack", "ha", "incident", "watch",
                    incident["id"], "--until", "returned", "--timeout",
                    "240", timeout=300)
    checks.hold("the host returned to service", returned == 0)
    show(lab, "openstack", "ha", "host", "list")
    checks.hold("no guest runs on it that was evacuated",
                not (lab.guests_on(victim) & on_victim))
    service = _service(lab, victim)
    checks.hold(
        "Nova schedules on it again",
        (service["state"], service["status"], service["forced_down"])
        == ("up", "enabled", False))
    status = lab.status()
    checks.hold("the cloud is healthy", status.fit)


def _await_calm(lab: Lab) -> None:
    """Wait until no incident is open and every host takes servers."""
    try:
        lab.wait("calm", lambda: not _under_way(lab), CALM_SECONDS, 1.0)
    except WaitedTooLong as error:
        found = _under_way(lab)
        if found:
            raise NotCalm(
                f"the demo needs a calm lab, and here {'; '.join(found)}. End "
                "that, or begin afresh: python3 -m tests.lab down"
            ) from error


def _under_way(lab: Lab) -> list[str]:
    found = [
        f"incident {one['id']} of host {one['host']} is {one['state']}"
        for one in lab.cloud.get(
            "aacloud-api", "/incidents?open=true")["incidents"]]
    for host in lab.hosts:
        service = _service(lab, host)
        if service["forced_down"]:
            found.append(f"host {host} is forced down")
        elif (service["state"], service["status"]) != ("up", "enabled"):
            found.append(
                f"nova-compute of host {host} is {service['state']} and "
                f"{service['status']}")
    return found


def _open_incident(lab: Lab, host: str) -> dict[str, str] | None:
    answer = lab.cloud.get(
        "aacloud-api", f"/incidents?host={host}&open=true")
    return answer["incidents"][0] if answer["incidents"] else None


def _service(lab: Lab, host: str) -> dict[str, object]:
    answer = lab.cloud.get(
        "nova-api", f"/os-services?binary=nova-compute&host={host}")
    return answer["services"][0]


def _check_servers(
    lab: Lab,
    checks: Checks,
    victim: str,
    on_victim: set[str],
    booted: dict[str, str],
    disks: dict[str, dict[str, dict[str, str]]],
) -> None:
    title("What the processes say, not the database")
    guests = lab.guests()
    now = servers.listed(lab)
    mine = {server: guests.get(server, ()) for server in booted.values()}
    checks.hold(
        f"each of the {len(mine)} servers runs, and in one place",
        all(len(where) == 1 for where in mine.values()))
    checks.hold(
        "each runs where Nova says",
        all(where == (servers.host_of(now[server]),)
            for server, where in mine.items()))
    checks.hold(
        "all are ACTIVE",
        all(now[server]["status"] == "ACTIVE" for server in mine))
    checks.hold(
        f"the {len(on_victim)} servers left {victim}, the others stayed",
        all((victim in mine[server]) is False for server in mine)
        and all(len(servers.evacuations(lab, server)) == 1
                for server in on_victim))
    checks.hold(
        "no disk was made anew",
        all(lab.disks(server) == disks[server] for server in mine))
