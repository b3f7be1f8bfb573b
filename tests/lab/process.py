# SPDX-License-Identifier: Apache-2.0
"""Starting, finding and ending the processes of a lab.

There is no supervisor. Each process carries the name of its lab, node and
service in its environment and is found again through ``/proc``, so nothing
is lost when the program that started it was killed.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
import pathlib
import resource
import signal
import subprocess
import time

LAB = "AACLOUD_LAB"
NODE = "AACLOUD_LAB_NODE"
SERVICE = "AACLOUD_LAB_SERVICE"
GUEST = "AACLOUD_LAB_GUEST"
GUEST_SERVICE = "guest"
_START = '"$@" </dev/null >>"$AACLOUD_LAB_LOG" 2>&1 & echo $!'


class StartError(RuntimeError):
    """A process could not be started; the text says which and why."""


@dataclasses.dataclass(frozen=True)
class Proc:
    """A living process of a lab."""

    pid: int
    lab: str
    node: str
    service: str
    guest: str | None = None
    paused: bool = False


def parse_environ(raw: bytes) -> dict[str, str]:
    """The lab's own variables out of a ``/proc/PID/environ``."""
    found = {}
    for item in raw.split(b"\0"):
        name, sep, value = item.partition(b"=")
        if sep and name.startswith(b"AACLOUD_LAB"):
            found[name.decode()] = value.decode(errors="replace")
    return found


def parse_state(stat: str) -> str:
    """The state letter of a ``/proc/PID/stat`` (names may hold ')')."""
    return stat.rpartition(")")[2].split()[0]


def scan(
    lab: str | None = None, proc: pathlib.Path = pathlib.Path("/proc")
) -> list[Proc]:
    """Every living process of the lab in a directory (or of any lab)."""
    found = []
    for entry in os.listdir(proc):
        if not entry.isdigit():
            continue
        one = look(int(entry), proc)
        if one is not None and (lab is None or one.lab == lab):
            found.append(one)
    return found


def look(
    pid: int, proc: pathlib.Path = pathlib.Path("/proc")
) -> Proc | None:
    """What the process is to a lab; None when it is nothing or dead."""
    base = proc / str(pid)
    try:
        tags = parse_environ(_environ(base))
        if LAB not in tags or NODE not in tags:
            return None
        state = parse_state((base / "stat").read_text())
    except OSError:
        return None
    if state in "ZX":
        return None
    return Proc(
        pid=pid,
        lab=tags[LAB],
        node=tags[NODE],
        service=tags.get(SERVICE, ""),
        guest=tags.get(GUEST),
        paused=state == "T",
    )


def tags(lab: str, node: str, service: str) -> dict[str, str]:
    """The variables that make a process findable."""
    return {LAB: lab, NODE: node, SERVICE: service}


def _environ(base: pathlib.Path) -> bytes:
    """The environment of a process, also of one that is just being started.

    In the middle of an exec the file is empty for a moment. Kernel threads
    and zombies have an empty one for good, and no executable.
    """
    for _ in range(5):
        raw = (base / "environ").read_bytes()
        if raw:
            return raw
        os.readlink(base / "exe")
        time.sleep(0.002)
    return b""


def clean_environment() -> dict[str, str]:
    """What every process of the lab starts from: nothing of the caller."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
        "/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/root",
        # Process titles must not overwrite the variables above.
        "SPT_NOENV": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
    }


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    log: pathlib.Path,
    cwd: str = "/",
) -> int:
    """Start a process that outlives the caller; its pid.

    A shell in between hands it to init at once, so that a long-lived
    caller never has to reap it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    done = subprocess.run(
        ["/bin/sh", "-c", _START, "sh", *argv],
        env={**env, "AACLOUD_LAB_LOG": str(log)},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=30,
    )
    if done.returncode:
        raise StartError(
            f"could not start {argv[0]}: {done.stderr.strip()}"
        )
    return int(done.stdout)


def send(procs: Iterable[Proc], number: signal.Signals) -> None:
    """Signal processes; those already gone do not matter."""
    for proc in procs:
        try:
            os.kill(proc.pid, number)
        except ProcessLookupError:
            continue


def gone(procs: Iterable[Proc], seconds: float) -> list[Proc]:
    """Wait for processes to end; those still there at the deadline."""
    deadline = time.monotonic() + seconds
    left = list(procs)
    while True:
        # look() and not kill(0): a pid may be a zombie or another process
        left = [p for p in left if same(look(p.pid), p)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def same(now: Proc | None, before: Proc) -> bool:
    return now is not None and (now.node, now.service, now.guest) == (
        before.node,
        before.service,
        before.guest,
    )


def kill(procs: Sequence[Proc], seconds: float = 10.0) -> None:
    """SIGKILL and wait; a process that stays is an error.

    :raises StartError: a process did not die.
    """
    send(procs, signal.SIGKILL)
    left = gone(procs, seconds)
    if left:
        raise StartError(
            "still alive after SIGKILL: "
            + ", ".join(f"{p.service} on {p.node} ({p.pid})" for p in left)
        )


def end(procs: Sequence[Proc], grace: float) -> None:
    """SIGTERM, then SIGKILL for those that need longer than the grace."""
    send(procs, signal.SIGTERM)
    send(procs, signal.SIGCONT)
    left = gone(procs, grace)
    if left:
        kill(left)


def by_service(procs: Iterable[Proc]) -> dict[tuple[str, str], list[Proc]]:
    """(node, service) -> its processes."""
    table: dict[tuple[str, str], list[Proc]] = collections.defaultdict(list)
    for proc in procs:
        table[proc.node, proc.service].append(proc)
    return table
