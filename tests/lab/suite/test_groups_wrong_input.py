# SPDX-License-Identifier: Apache-2.0
"""Wrong input for HA server groups: a clear error, and nothing stored."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import subprocess
import uuid

from tests.lab.suite.grouping import Grouping
from tests.lab.suite.stage import Stage

UNKNOWN = str(uuid.UUID(int=7))


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A command that must be refused.

    :ivar words: behind ``openstack ha group``
    :ivar told: what the error has to name
    """

    words: tuple[str, ...]
    told: tuple[str, ...]


def wrong_ones(kept: str, fresh: str, dc: str, rack: str) -> list[Wrong]:
    """:param kept: the name of a group
    :param fresh: a name that no group has
    :param rack: it is not in the data centre
    """
    create = ("create", fresh)
    return [
        Wrong((*create, "--server", UNKNOWN), (UNKNOWN,)),
        Wrong((*create, "--server", "no-such-server"), ("no-such-server",)),
        Wrong(("add", "server", kept, UNKNOWN), (UNKNOWN,)),
        Wrong(("set", kept, "--rule", "fence:rack:domains=no-such-rack"),
              ("no-such-rack",)),
        Wrong((*create, "--rule", "fence:dc:domains=no-such-dc"),
              ("no-such-dc",)),
        Wrong((*create, "--rule", "spread:galaxy"),
              ("galaxy", "spread:rack:max=1")),
        Wrong((*create, "--rule", f"fence:dc:domains={dc}",
               "--rule", f"fence:rack:domains={rack}"),
              (f"fence:dc:domains={dc}", f"fence:rack:domains={rack}")),
        Wrong((*create, "--window",
               "cron:0 1 30 2 *;duration=1h;tz=Europe/Berlin"),
              ("window", "never")),
        Wrong((*create, "--window", "cron:0 1 * * 6;duration=4h;tz=No/Where"),
              ("No/Where",)),
        Wrong(("window", "set", kept, "cron:0 1 * * *;duration=0s;tz=UTC"),
              ("duration",)),
        Wrong(("show", "no-such-group"), ("no-such-group",)),
    ]  # fmt: skip


def test_wrong_input_is_told_and_stores_nothing(
    stage: Stage, groups: Grouping
) -> None:
    stage.ready()
    kept = groups.make("spread:host")
    name = stage.look.group(kept)["group"]["name"]
    fresh = groups.name()
    dc = stage.lab.plan.hosts[0].dc
    rack = stage.lab.plan.hosts[-1].rack
    before = stage.look.groups(), stage.look.group(kept)

    def run(wrong: Wrong) -> subprocess.CompletedProcess[str]:
        return stage.lab.exec(
            ["openstack", "ha", "group", *wrong.words], check=False,
            timeout=180)

    found = []
    wrongs = wrong_ones(name, fresh, str(dc), str(rack))
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for wrong, done in zip(wrongs, pool.map(run, wrongs), strict=True):
            words = " ".join(wrong.words)
            if done.returncode == 0:
                found.append(f"{words}: accepted: {done.stdout}")
            if "Traceback" in done.stderr:
                found.append(f"{words}: {done.stderr}")
            missing = [one for one in wrong.told if one not in done.stderr]
            if missing:
                found.append(f"{words}: lacks {missing}: {done.stderr}")
    assert not found, "\n".join(found)
    now = stage.look.groups(), stage.look.group(kept)
    for old, new in zip(before[0], now[0], strict=True):
        assert _stored(old) == _stored(new)
    assert _stored(before[1]["group"]) == _stored(now[1]["group"])
    assert now[1]["members"] == []


def _stored(group: dict[str, object]) -> dict[str, object]:
    """A group without what inspections tell of it."""
    return {
        key: group[key] for key in (
            "id", "name", "mode", "rules", "window", "member_count",
            "version", "revision")}
