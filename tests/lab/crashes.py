# SPDX-License-Identifier: Apache-2.0
"""Engines that die by SIGKILL at a chosen place of their journal.

Such an engine is the real one, started by a launcher which kills the whole
process group right before or right after a given state is written.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib

from tests.lab import process
from tests.lab.plan import Node
from tests.lab.services import aacloud
from tests.lab.services.base import Service
from tests.lab.state import State

FAULT = "engine-crash"
MODULE = "tests.lab.runtime.crashing_engine"
#: Tells an engine that was started by the launcher from others.
MARK = "AACLOUD_LAB_CRASHABLE"
WHEN = ("before", "after")
#: Those of ``aacloud.core.incidents``, which the lab program itself cannot
#: import: of an incident, and of a server in it.
INCIDENT_STATES = (
    "detected", "admitted", "planned", "fencing", "fenced", "forced-down",
    "evacuating", "verifying", "done", "partial", "return-wait", "returned",
    "shadowed", "cancelled",
)  # fmt: skip
SERVER_STATES = (
    "pending", "claimed", "requested", "migrating", "landed", "verified",
    "retry", "manual",
)  # fmt: skip


class PointError(ValueError):
    """There is no such place to crash at; the text says which there are."""


def check_point(point: str) -> str:
    """Return the point, ``before:STATE`` or ``after:STATE``.

    :raises PointError: it is neither
    """
    when, _, state = point.partition(":")
    if when not in WHEN or state not in INCIDENT_STATES + SERVER_STATES:
        raise PointError(
            f"no point {point!r}; it is before:STATE or after:STATE, with a "
            f"STATE of an incident ({', '.join(INCIDENT_STATES)}) or of a "
            f"server in it ({', '.join(SERVER_STATES)})"
        )
    return point


@dataclasses.dataclass(frozen=True)
class Crash:
    """A crash that has happened; ``at`` is Unix time."""

    point: str
    at: float


def armed(state: State, dc: str) -> pathlib.Path:
    """The file that holds the point at which an engine is to die."""
    return state.fault(f"{FAULT}.{dc}")


def record(state: State, dc: str) -> pathlib.Path:
    """The file in which an engine leaves word of its crash."""
    return state.run("crashes", f"{dc}.json")


def last(state: State, dc: str) -> Crash | None:
    """The crash of the engine since it was last armed."""
    try:
        return Crash(**json.loads(record(state, dc).read_text()))
    except FileNotFoundError:
        return None


def arm(state: State, dc: str, point: str) -> None:
    """Let the engine of a DC die at a point; start it anew if need be."""
    check_point(point)
    record(state, dc).unlink(missing_ok=True)
    armed(state, dc).write_text(point)
    make_crashable(state, dc)


def disarm(state: State, dc: str) -> None:
    """Have the engine as it is delivered again."""
    armed(state, dc).unlink(missing_ok=True)
    if is_crashable(state, dc) or not _procs(state, dc):
        process.kill(_procs(state, dc))
        _service(state, dc).start(state)


def make_crashable(state: State, dc: str) -> None:
    """Have the engine run by the launcher; it dies only once it is armed."""
    record(state, dc).parent.mkdir(exist_ok=True)
    if not is_crashable(state, dc):
        process.kill(_procs(state, dc))
        launched(state, dc).start(state)


def is_crashable(state: State, dc: str) -> bool:
    """Whether the engine of a DC runs, and by the launcher."""
    # Not by its command line: daemons give themselves titles.
    mark = f"{MARK}={dc}".encode()
    return any(
        mark in pathlib.Path(f"/proc/{proc.pid}/environ").read_bytes()
        for proc in _procs(state, dc)
    )


def launched(state: State, dc: str) -> Service:
    """The engine as a service, by the launcher."""
    plain = _service(state, dc)
    return dataclasses.replace(
        plain,
        argv=(state.bin("python"), "-m", MODULE, *plain.argv[1:]),
        env={**plain.env, MARK: dc},
    )


def _node(state: State, dc: str) -> Node:
    return state.plan.node(f"{dc}-ha")


def _service(state: State, dc: str) -> Service:
    return aacloud.engine(state, _node(state, dc))


def _procs(state: State, dc: str) -> list[process.Proc]:
    table = process.by_service(process.scan(str(state.dir)))
    return table[_service(state, dc).key]
