# SPDX-License-Identifier: Apache-2.0
"""What must hold, checked against processes, disks and Nova's records."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import time

from tests.lab import servers
from tests.lab.suite.looking import answered
from tests.lab.suite.looking import Look

#: Within this time a host that is dead must be found dead, seconds.
DETECTION = 15.0
#: Within this time another engine must lead, seconds.
TAKEOVER = 10.0

Disks = dict[str, dict[str, dict[str, str]]]


@dataclasses.dataclass(frozen=True)
class Before:
    """The cloud before something was done to it.

    :ivar guests: the processes of all guests: (server, host, pid)
    :ivar evacuations: the ids of all evacuations that Nova knows of
    :ivar incidents: the ids of all incidents
    """

    guests: frozenset[tuple[str, str, int]]
    evacuations: frozenset[int]
    incidents: frozenset[str]


def processes(look: Look) -> frozenset[tuple[str, str, int]]:
    return frozenset(
        (proc.guest, proc.node, proc.pid)
        for proc in look.lab.processes()
        if proc.guest
    )


def remember(look: Look) -> Before:
    """Take down what there is now."""
    return Before(
        processes(look),
        frozenset(look.evacuations()),
        frozenset(one["id"] for one in look.incidents(limit="1000")),
    )


def changes(
    look: Look, before: Before, died: Iterable[str] = ()
) -> list[str]:
    """What has happened to the servers since; nothing is expected.

    :param died: hosts whose guests were killed by the fault itself
    """
    found = []
    now = processes(look)
    dead = set(died)
    for server, host, _pid in sorted(before.guests - now):
        if host not in dead:
            found.append(f"the guest {server} on {host} ended")
    for server, host, _pid in sorted(now - before.guests):
        found.append(f"a guest {server} was started on {host}")
    for number, one in (answered(look.evacuations) or {}).items():
        if number not in before.evacuations:
            found.append(
                f"server {one['instance_uuid']} is evacuated from "
                f"{one['source_compute']} to {one['dest_compute']}")
    for one in answered(lambda: look.incidents(limit="1000")) or ():
        if one["id"] not in before.incidents:
            found.append(
                f"incident {one['id']} of host {one['host']} was opened: "
                f"{one['verdict'].get('reasons')}")
    return found


def keep_quiet(
    look: Look,
    before: Before,
    seconds: float,
    *,
    died: Iterable[str] = (),
    more: Callable[[], list[str]] = list,
) -> None:
    """Look on for so long that all the time nothing happens.

    :param more: what else must not happen, as texts of what has
    """
    dead = tuple(died)
    until = time.monotonic() + seconds
    while True:
        found = changes(look, before, dead) + more()
        assert not found, found
        if time.monotonic() > until:
            return
        time.sleep(0.5)


def disks(look: Look, ids: Iterable[str]) -> Disks:
    return {server: look.lab.disks(server) for server in ids}


def each_once(
    look: Look, ids: Iterable[str], victim: str, before: Disks
) -> None:
    """Each server runs elsewhere, in one place, after one evacuation, from
    the disk that it had."""
    wrong = []
    guests = look.lab.guests()
    now = servers.listed(look.lab)
    for server in sorted(ids):
        where = guests.get(server, ())
        nova = servers.host_of(now[server])
        moved = look.evacuations_of(server)
        told = [
            (one["id"], one["status"], one["dest_compute"]) for one in moved]
        if len(where) != 1:
            wrong.append(f"{server} runs on {where or 'no host'}")
        if where == (victim,):
            wrong.append(f"{server} still runs on {victim}")
        if where != (nova,):
            wrong.append(f"{server} runs on {where}, Nova says {nova}")
        if now[server]["status"] != "ACTIVE":
            wrong.append(f"{server} is {now[server]['status']}")
        if len(moved) != 1:
            wrong.append(f"{server} has {len(moved)} evacuations: {told}")
        if look.lab.disks(server) != before[server]:
            wrong.append(f"the disk of {server} was made anew")
    assert not wrong, wrong


def nowhere_twice(look: Look) -> None:
    """No guest runs on two hosts at the same time."""
    twice = {
        guest: where
        for guest, where in look.lab.guests().items()
        if len(where) > 1
    }
    assert not twice, twice
