# SPDX-License-Identifier: Apache-2.0
"""Engines that die by SIGKILL at a chosen place of their journal.

Such an engine is the real one, started by a launcher which kills the whole
process group right before or right after a given state is written.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import json
import pathlib

from tests.lab import process
from tests.lab.plan import Node
from tests.lab.services import aacloud
from tests.lab.services.base import Service
from tests.lab.state import State

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
#: Those of ``aacloud.core.groups``: of a plan, and of a step in it.
PLAN_STATES = (
    "draft", "awaiting-approval", "approved", "running", "paused", "done",
    "stopped", "failed", "expired",
)  # fmt: skip
STEP_STATES = (*SERVER_STATES, "skipped")


@dataclasses.dataclass(frozen=True)
class Engine:
    """A kind of engine; there is one of it in each data centre.

    :ivar name: of the service
    :ivar fault: the name of the fault that arms it
    :ivar make: the service on a node, as it is delivered
    :ivar states: what its journal writes: (of what, the states)
    """

    name: str
    fault: str
    make: Callable[[State, Node], Service]
    states: tuple[tuple[str, tuple[str, ...]], ...]


FAILOVER = Engine(
    "aacloud-failover", "engine-crash", aacloud.engine,
    (("an incident", INCIDENT_STATES), ("a server in it", SERVER_STATES)))
GROUPS = Engine(
    "aacloud-groups", "groups-crash", aacloud.groups,
    (("a repair plan", PLAN_STATES), ("a step of it", STEP_STATES)))
ENGINES = (FAILOVER, GROUPS)


class PointError(ValueError):
    """There is no such place to crash at; the text says which there are."""


def check_point(point: str, engine: Engine = FAILOVER) -> str:
    """Return the point, ``before:STATE`` or ``after:STATE``.

    :raises PointError: it is neither
    """
    when, _, state = point.partition(":")
    known = {one for _what, states in engine.states for one in states}
    if when not in WHEN or state not in known:
        told = " or of ".join(
            f"{what} ({', '.join(states)})" for what, states in engine.states
        )
        raise PointError(
            f"no point {point!r}; it is before:STATE or after:STATE, with a "
            f"STATE of {told}"
        )
    return point


@dataclasses.dataclass(frozen=True)
class Crash:
    """A crash that has happened; ``at`` is Unix time."""

    point: str
    at: float


def armed(state: State, dc: str, engine: Engine = FAILOVER) -> pathlib.Path:
    """The file that holds the point at which an engine is to die."""
    return state.fault(f"{engine.fault}.{dc}")


def record(state: State, dc: str, engine: Engine = FAILOVER) -> pathlib.Path:
    """The file in which an engine leaves word of its crash."""
    return state.run("crashes", f"{engine.name}.{dc}.json")


def last(state: State, dc: str, engine: Engine = FAILOVER) -> Crash | None:
    """The crash of the engine since it was last armed."""
    try:
        return Crash(**json.loads(record(state, dc, engine).read_text()))
    except FileNotFoundError:
        return None


def arm(
    state: State, dc: str, point: str, engine: Engine = FAILOVER
) -> None:
    """Let the engine of a DC die at a point; start it anew if need be."""
    check_point(point, engine)
    record(state, dc, engine).unlink(missing_ok=True)
    armed(state, dc, engine).write_text(point)
    make_crashable(state, dc, engine)


def disarm(state: State, dc: str, engine: Engine = FAILOVER) -> None:
    """Have the engine as it is delivered again."""
    armed(state, dc, engine).unlink(missing_ok=True)
    running = _procs(state, dc, engine)
    if is_crashable(state, dc, engine) or not running:
        process.kill(running)
        _service(state, dc, engine).start(state)


def make_crashable(
    state: State, dc: str, engine: Engine = FAILOVER
) -> None:
    """Have the engine run by the launcher; it dies only once it is armed."""
    record(state, dc, engine).parent.mkdir(exist_ok=True)
    if not is_crashable(state, dc, engine):
        process.kill(_procs(state, dc, engine))
        launched(state, dc, engine).start(state)


def is_crashable(
    state: State, dc: str, engine: Engine = FAILOVER
) -> bool:
    """Whether the engine of a DC runs, and by the launcher."""
    # Not by its command line: daemons give themselves titles.
    mark = f"{MARK}={dc}".encode()
    return any(
        mark in pathlib.Path(f"/proc/{proc.pid}/environ").read_bytes()
        for proc in _procs(state, dc, engine)
    )


def launched(state: State, dc: str, engine: Engine = FAILOVER) -> Service:
    """The engine as a service, by the launcher."""
    plain = _service(state, dc, engine)
    return dataclasses.replace(
        plain,
        argv=(
            state.bin("python"), "-m", MODULE, engine.name, *plain.argv[1:]),
        env={**plain.env, MARK: dc},
    )  # fmt: skip


def _service(state: State, dc: str, engine: Engine) -> Service:
    return engine.make(state, state.plan.node(f"{dc}-ha"))


def _procs(state: State, dc: str, engine: Engine) -> list[process.Proc]:
    table = process.by_service(process.scan(str(state.dir)))
    return table[_service(state, dc, engine).key]
