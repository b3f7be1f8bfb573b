# SPDX-License-Identifier: Apache-2.0
"""Whether a lab can run on this machine, asked before anything is touched."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil

from tests.lab import network
from tests.lab.plan import LabPlan
from tests.lab.plan import PORTS

GIB = 1024**3
#: Free memory that the cloud takes without hosts, and for each host.
BASE_MEMORY = 2.5 * GIB
HOST_MEMORY = 0.3 * GIB
#: Free disk for packages, environment, databases and the template.
DISK = 4 * GIB
FAMILIES = ("debian", "ubuntu")


class Refused(RuntimeError):
    """The lab cannot run here; one sentence says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """What matters of a machine.

    :ivar system: ID and ID_LIKE of /etc/os-release
    :ivar memory: bytes that programs can still have
    :ivar disk: free bytes where the lab lives
    :ivar installed: whether packages and environment are there already
    :ivar taken: addresses that the lab wants and somebody else has
    """

    root: bool
    system: tuple[str, ...]
    memory: int
    disk: int
    installed: bool = False
    taken: tuple[tuple[str, int], ...] = ()


NOT_ROOT = (
    "the lab makes network namespaces, starts daemons and installs "
    "packages: run it as root (sudo python3 -m tests.lab …)"
)


def require_root() -> None:
    """:raises Refused: this is not root."""
    if os.geteuid():
        raise Refused(NOT_ROOT)


def refusal(facts: Facts, plan: LabPlan) -> str | None:
    """Why the lab cannot run, in one sentence; None when it can."""
    if not facts.root:
        return NOT_ROOT
    if not set(facts.system) & set(FAMILIES):
        name = " ".join(facts.system) or "unknown"
        return (
            "the lab installs Debian packages and knows Debian and Ubuntu "
            f"only, and this system is {name}"
        )
    need = BASE_MEMORY + HOST_MEMORY * len(plan.hosts)
    if facts.memory < need:
        return (
            f"the lab with {len(plan.hosts)} hosts needs about "
            f"{need / GIB:.1f} GiB of free memory and there are "
            f"{facts.memory / GIB:.1f} GiB: free some or use fewer hosts "
            "(--hosts-per-rack 1)"
        )
    disk = DISK / 4 if facts.installed else DISK
    if facts.disk < disk:
        return (
            f"the lab needs about {disk / GIB:.0f} GiB of free disk and "
            f"there are {facts.disk / GIB:.1f} GiB: free some or choose "
            "another place with --dir"
        )
    if facts.taken:
        address, port = facts.taken[0]
        more = len(facts.taken) - 1
        others = f" (and {more} more of its addresses)" if more else ""
        return (
            f"somebody listens on {address} port {port} already{others}: "
            "end that program, or run where network namespaces can be made"
        )
    return None


def parse_os_release(text: str) -> tuple[str, ...]:
    """The words of ID and ID_LIKE."""
    words: list[str] = []
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name in ("ID", "ID_LIKE"):
            words.extend(value.strip().strip('"').split())
    return tuple(words)


def parse_meminfo(text: str) -> int:
    """MemAvailable in bytes."""
    for line in text.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def look(where: pathlib.Path, plan: LabPlan, running: bool) -> Facts:
    """The facts of this machine.

    :param running: processes of this very lab are there already
    """
    release = pathlib.Path("/etc/os-release")
    parent = where
    while not parent.exists():
        parent = parent.parent
    wanted = [] if running or not plan.loopback else addresses(plan)
    return Facts(
        root=os.geteuid() == 0,
        system=parse_os_release(
            release.read_text() if release.exists() else ""
        ),
        # What this lab itself holds already is not missing.
        memory=2**62 if running else parse_meminfo(
            pathlib.Path("/proc/meminfo").read_text()
        ),
        disk=shutil.disk_usage(parent).free,
        installed=(where / "venv").is_dir(),
        taken=tuple(network.taken(wanted)),
    )  # fmt: skip


def addresses(plan: LabPlan) -> list[tuple[str, int]]:
    """Every address the lab listens on (loopback mode)."""
    control = plan.node("dc1-ctl").mgmt
    found = [
        (control, PORTS[name])
        for name in (
            "mariadb", "rabbitmq", "keystone", "placement", "glance",
            "neutron", "nova-api", "aacloud-api",
        )
    ]  # fmt: skip
    for node in ("dc1-ctl", "dc2-ctl", "witness"):
        for name in ("etcd", "etcd-peer"):
            found.append((plan.node(node).mgmt, PORTS[name]))
    for host in plan.hosts:
        found.append((plan.bmc_address(host.name), PORTS["bmc"]))
        found.append((host.mgmt, PORTS["aacloud-health"]))
    return found
