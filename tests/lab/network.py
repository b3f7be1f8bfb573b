# SPDX-License-Identifier: Apache-2.0
"""Network namespaces, bridges and cables of the lab.

Only namespaces of the lab's own are changed. The namespace of the machine
itself gets no interface, no address and no route.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Sequence
import ctypes
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
from typing import TypeVar

from tests.lab import plan as planning

T = TypeVar("T")
RUN = pathlib.Path("/run/netns")
CLONE_NEWNET = 0x40000000


class NetworkError(RuntimeError):
    """The network could not be made or changed; the text says where."""


def _ip(*arguments: str, feed: str | None = None) -> str:
    done = subprocess.run(
        ["ip", *arguments],
        input=feed,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise NetworkError(
            f"ip {' '.join(arguments)}: {done.stderr.strip()}"
        )
    return done.stdout


def possible() -> str | None:
    """Why namespaces cannot be made here; None when they can."""
    if shutil.which("ip") is None:
        # It will be installed; what it needs of the kernel can be asked.
        done = subprocess.run(
            ["unshare", "--net", "true"],
            capture_output=True,
            text=True,
            timeout=10,
        )
        return done.stderr.strip() or None
    name = f"aalab{os.getpid()}"
    try:
        _ip("netns", "add", name)
    except (OSError, NetworkError) as exc:
        return str(exc)
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "link", "add", "name", "va", "type", "veth", "peer",
            "name", "vb")
        _ip("-n", name, "link", "add", "name", "vc", "type", "bridge")
    except NetworkError as exc:
        return str(exc)
    finally:
        _ip("netns", "del", name)
    return None


def existing(prefix: str) -> set[str]:
    """The namespaces of a lab that are there."""
    if not RUN.is_dir():
        return set()
    return {
        entry
        for entry in os.listdir(RUN)
        if entry.startswith(prefix)
    }


def remove(prefix: str) -> None:
    """Delete every namespace of a lab, and with them every cable."""
    for name in sorted(existing(prefix)):
        _ip("netns", "del", name)


def build(plan: planning.LabPlan) -> None:
    """Make the whole network new."""
    remove(plan.prefix)
    for space in plan.namespaces:
        _ip("netns", "add", space)
    batches: dict[str, list[str]] = collections.defaultdict(list)
    for space in plan.namespaces:
        batches[space].append("link set lo up")
    for dc in planning.DCS:
        space = plan.fabric(dc)
        for net in planning.NETWORKS:
            _bridge(batches[space], f"br-{net}")
            batches[space].append(
                f"address add {plan.gateway(dc, net)}/24 dev br-{net}"
            )
            for rack in planning.RACKS:
                _bridge(batches[space], f"br-{rack}-{net}")
    oob = plan.space(planning.OOB)
    _bridge(batches[oob], "br-oob")
    for host in plan.hosts:
        batches[oob].append(
            f"address add {plan.bmc_address(host.name)}/24 dev br-oob"
        )
    batches[plan.space(planning.WITNESS)].append(
        f"address add {plan.witness_address}/32 dev lo"
    )
    for link in plan.links:
        near, far = link.near, link.far
        batches[far.namespace].append(
            f"link add name {far.interface} type veth peer name "
            f"{near.interface} netns {near.namespace}"
        )
    later: dict[str, list[str]] = collections.defaultdict(list)
    for link in plan.links:
        for port in (link.near, link.far):
            if port.bridge:
                later[port.namespace].append(
                    f"link set {port.interface} master {port.bridge}"
                )
            if port.address:
                later[port.namespace].append(
                    f"address add {port.address} dev {port.interface}"
                )
            later[port.namespace].append(f"link set {port.interface} up")
    for space in plan.namespaces:
        _sysctl(space, space.endswith("-fabric"))
    for step in (batches, later):
        for space, lines in step.items():
            _ip("-n", space, "-batch", "-", feed="\n".join(lines) + "\n")
    for space in plan.routes:
        restore_routes(plan, space)


def _bridge(lines: list[str], name: str) -> None:
    kind = "bridge stp_state 0 forward_delay 0"
    lines.append(f"link add name {name} type {kind}")
    lines.append(f"link set {name} up")


def _sysctl(space: str, router: bool) -> None:
    def write() -> None:
        # /proc/sys/net shows the namespace of the thread that opens it.
        ipv6 = pathlib.Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
        if ipv6.exists():
            ipv6.write_text("1")
        if router:
            pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    inside(space, write)


def restore_routes(plan: planning.LabPlan, space: str) -> None:
    """Set the routes of a namespace (a link that went down took some)."""
    lines = plan.routes.get(space, ())
    if lines:
        _ip(
            "-n", space, "-batch", "-",
            feed="".join(f"route replace {line}\n" for line in lines),
        )


def cut(link: planning.Link) -> None:
    """Unplug a cable."""
    _ip("-n", link.far.namespace, "link", "set", link.far.interface, "down")


def mend(plan: planning.LabPlan, link: planning.Link) -> None:
    """Plug a cable in again."""
    _ip("-n", link.far.namespace, "link", "set", link.far.interface, "up")
    for port in (link.near, link.far):
        if not _reachable_routes(port):
            restore_routes(plan, port.namespace)


def _reachable_routes(port: planning.Port) -> bool:
    # Ports of a bridge carry no routes that could have been lost.
    return port.bridge is not None


def cut_links(plan: planning.LabPlan) -> list[str]:
    """The names of the cables that are unplugged now."""
    down: set[tuple[str, str]] = set()
    for space in {link.far.namespace for link in plan.links}:
        for line in json.loads(_ip("-n", space, "-j", "link", "show")):
            if "UP" not in line["flags"]:
                down.add((space, line["ifname"]))
    return [
        link.name
        for link in plan.links
        if (link.far.namespace, link.far.interface) in down
    ]


# -- being inside --------------------------------------------------------
def prefix(namespace: str | None, user: str | None = None) -> list[str]:
    """What to put before a command to run it in a namespace."""
    words = []
    if namespace:
        words += ["nsenter", f"--net={RUN / namespace}"]
    if user:
        words += [
            "setpriv", f"--reuid={user}", f"--regid={user}",
            "--clear-groups",
        ]
    return words


def inside(namespace: str | None, work: Callable[[], T]) -> T:
    """Run a function in a thread that has entered the namespace."""
    if namespace is None:
        return work()
    outcome: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            _enter(namespace)
            outcome.append(work())
        except BaseException as exc:  # noqa: BLE001 - handed on below
            failure.append(exc)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def _enter(namespace: str) -> None:
    handle = os.open(RUN / namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle, CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), namespace)
    finally:
        os.close(handle)


def dial(
    namespace: str | None, address: tuple[str, int], timeout: float
) -> socket.socket:
    """A TCP connection made from inside a namespace."""
    return inside(
        namespace, lambda: socket.create_connection(address, timeout)
    )


def taken(addresses: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Which of these addresses somebody else listens on already."""
    busy = []
    for address in addresses:
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            busy.append(address)
        finally:
            probe.close()
    return busy
