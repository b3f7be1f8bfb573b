# SPDX-License-Identifier: Apache-2.0
"""HA server groups while what they stand on fails: they become true again."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import time

from tests.lab import servers
from tests.lab.plan import DCS
from tests.lab.rest import RestError
from tests.lab.services import infra
from tests.lab.suite.attacker import Bus
from tests.lab.suite.grouping import Grouping
from tests.lab.suite.grouping import TOLD
from tests.lab.suite.looking import GROUPS_PORT
from tests.lab.suite.stage import Stage

#: The queue of the pool that all group engines share.
QUEUE = "aacloud-groups"
#: Looks, a second apart, at an empty queue.
QUIET = 4
#: For a join that is tried again and again through a restart.
JOINED = 150.0


def engines_down(stage: Stage) -> None:
    for dc in DCS:
        stage.lab.fault("groups-kill", dc)


def engines_up(stage: Stage) -> None:
    for dc in DCS:
        stage.lab.mend("groups-kill", dc)
    await_engines(stage)


def await_engines(stage: Stage) -> None:
    look = stage.look

    def well() -> bool:
        return len(look.group_leaders()) == 1 and all(
            look.health(f"{dc}-ha", GROUPS_PORT)[0] for dc in DCS)

    def asked() -> bool:
        try:
            return well()
        except (RestError, OSError):
            return False

    stage.lab.wait("both group engines are well", asked, TOLD, 0.5)


def drop_all(stage: Stage) -> int:
    """Take away what Nova has told, until it tells nothing more."""
    bus = Bus(stage.lab)
    dropped = [bus.purge(QUEUE)]

    def no_more() -> bool:
        dropped.append(bus.purge(QUEUE))
        return len(dropped) > QUIET and not any(dropped[-QUIET:])

    stage.lab.wait("Nova tells nothing more", no_more, TOLD, 1.0)
    bus.close()
    return sum(dropped)


def test_rabbitmq_restarts_during_joins(
    stage: Stage, groups: Grouping
) -> None:
    hosts = list(stage.lab.hosts)
    # Two a host, on half of the hosts.
    ids = groups.born(8, hint={}, hosts=hosts[:4])
    stage.ready()
    group = groups.make("spread:host", members=ids[:1])
    refused: list[str] = []

    def join(server: str) -> None:
        until = time.monotonic() + JOINED
        while True:
            try:
                stage.look.tell(
                    f"/groups/{group}/servers", {"servers": [server]})
                return
            except RestError as error:
                # Only: not now.
                if error.status not in (0, 500, 502, 503, 504) or (
                    time.monotonic() > until
                ):
                    raise
                assert error.status in (0, 503), error
                refused.append(str(error))
                time.sleep(0.2)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        joins = [pool.submit(join, server) for server in ids[1:4]]
        restart = pool.submit(stage.lab.fault, "rabbitmq-restart")
        joins += [pool.submit(join, server) for server in ids[4:]]
        restart.result()
        for one in joins:
            one.result()

    # A join that was answered with an error may have been stored before.
    assert groups.members(group) == set(ids)
    await_engines(stage)

    def known() -> bool:
        with contextlib.suppress(RestError):
            return groups.join(group, ids[0])["waited"]["acked"]
        return False

    stage.lab.wait("every scheduler knows the members", known, TOLD, 1.0)
    groups.await_state(group, {"violating"})
    assert sum(groups.excess(group).values()) == 4


def test_dropped_notifications_are_healed(
    stage: Stage, groups: Grouping
) -> None:
    old = groups.born(2, hint={}, hosts=[stage.lab.hosts[0]])
    stage.ready()
    group = groups.make("spread:host:max=2", members=old)
    engines_down(stage)
    born = groups.born(3, hint={"ha_group": group})
    stage.lab.cloud.delete("nova-api", f"/servers/{old[1]}")
    stage.lab.wait(
        "Nova has forgotten the server",
        lambda: old[1] not in servers.listed(stage.lab), TOLD)
    dropped = drop_all(stage)
    assert dropped >= len(born) + 1, f"only {dropped} notifications dropped"
    assert groups.members(group) == set(old)

    engines_up(stage)
    members = [old[0], *born]
    groups.await_members(group, members)
    healed = sum(
        stage.look.group_metrics(dc).value(
            "aacloud_groups_healed_total", what=what)
        for dc in DCS for what in ("joined", "forgotten"))
    assert healed == 4
    origins = {
        one["id"]: one["origin"]
        for one in stage.look.group(group)["members"]}
    assert {origins[one] for one in born} == {"hint"}
    # Without engines no scheduler knows what another one places: that is
    # seen now, as it is.
    on_hosts = collections.Counter(groups.places(members).values())
    excess = sum(max(0, count - 2) for count in on_hosts.values())
    groups.await_state(group, {"violating" if excess else "compliant"})
    assert groups.excess(group) == {"spread:host:max=2": excess}


def test_births_without_engines(stage: Stage, groups: Grouping) -> None:
    """The snapshot holds; what nobody could know is looked at later."""
    taken = list(stage.lab.hosts[:6])
    old = groups.born(len(taken), hint={}, hosts=taken)
    stage.ready()
    group = groups.make("spread:host", members=old)
    engines_down(stage)

    # One after another: no scheduler knows what another one places.
    first = groups.born(1, hint={"ha_group": group})
    assert set(groups.places(first).values()) <= set(stage.lab.hosts[6:])
    # This group is made now, and no scheduler can have heard of it.
    unheard = stage.look.tell("/groups", {
        "name": groups.name(), "rules": ["spread:dc:max_skew=1"]})
    unheard = unheard["group"]["id"]
    passed = groups.born(1, hint={"ha_group": unheard})

    engines_up(stage)
    groups.await_members(group, [*old, *first])
    groups.await_members(unheard, passed)

    def checked() -> list[str]:
        return infra.sql(
            stage.lab.state,
            "SELECT reason FROM aacloud.fail_opens WHERE checked_at IS NOT "
            f"NULL AND server = '{passed[0]}'").split()

    assert "hint-not-asked" in stage.lab.wait(
        "what passed is inspected", checked, TOLD, 1.0)
    groups.await_state(group, {"compliant"})
    groups.await_state(unheard, {"compliant"})
    assert not any(groups.excess(group).values())
    # The last free host is the only one that is left, and is found.
    last = groups.born(1, hint={"ha_group": group})
    assert len(set(groups.places([*old, *first, *last]).values())) == 8
