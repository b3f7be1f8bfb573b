# SPDX-License-Identifier: Apache-2.0
"""An engine of aacloud, which dies at a chosen place of its journal.

The journal's own methods are wrapped, nothing else is changed: once the state
named in the fault's file is to be written, the whole process group gets a
SIGKILL, right before the transaction or right after it.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import json
import os
import pathlib
import signal
import sys
import time
from typing import Any

from aacloud.cmd import failover
from aacloud.cmd import groups
from aacloud.db import journal as journals
from aacloud.db import plans
from tests.lab import crashes
from tests.lab import process
from tests.lab.state import State

Write = Callable[..., Any]


class Trap:
    """Kills this process group at the armed point.

    :param armed: holds the point while there is one
    :param record: told of the crash
    """

    def __init__(self, armed: pathlib.Path, record: pathlib.Path) -> None:
        self._armed = armed
        self._record = record

    def pass_by(self, when: str, states: list[str]) -> None:
        """Die if this is the point; return otherwise."""
        try:
            point = self._armed.read_text()
            if point not in {f"{when}:{state}" for state in states}:
                return
            claimed = self._record.with_suffix(".part")
            # Only one thread can do this.
            self._armed.rename(claimed)
        except FileNotFoundError:
            return
        claimed.write_text(json.dumps({"point": point, "at": time.time()}))
        claimed.rename(self._record)
        os.killpg(0, signal.SIGKILL)

    def around(
        self, write: Write, states_of: Callable[..., list[str]]
    ) -> Write:
        """Wrap a method of the journal.

        :param states_of: given its arguments, the states that it writes
        """

        @functools.wraps(write)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            states = states_of(*args, **kwargs)
            self.pass_by("before", states)
            written = write(*args, **kwargs)
            self.pass_by("after", states)
            return written

        return wrapped


def _opened(_journal: Any, _host: str, *_: Any, **__: Any) -> list[str]:
    return ["detected"]


def _advanced(
    _journal: Any, incident: Any, new_state: Any, *_: Any, **__: Any
) -> list[str]:
    return [] if new_state is incident.state else [new_state.value]


def _put(
    _journal: Any, _incident: Any, records: Any, *_: Any, **__: Any
) -> list[str]:
    return [record.state.value for record in records]


def _updated(_journal: Any, steps: Any, *_: Any, **__: Any) -> list[str]:
    return [
        step.state.value for step in steps
        if step.state is not step.record.state]


def _planned(_plans: Any, _scope: str, steps: Any, **kwargs: Any) -> list[str]:
    return [kwargs["state"].value, *{step.state.value for step in steps}]


#: Engine -> its journal and, of each method that writes, the states.
JOURNALS: dict[str, tuple[type, dict[str, Callable[..., list[str]]]]] = {
    crashes.FAILOVER.name: (journals.Journal, {
        "open_incident": _opened,
        "advance": _advanced,
        "put_servers": _put,
        "update_servers": _updated,
    }),
    crashes.GROUPS.name: (plans.Plans, {
        "create": _planned,
        "advance": _advanced,
        "update_steps": _updated,
    }),
}
PROGRAMS = {
    crashes.FAILOVER.name: failover.main,
    crashes.GROUPS.name: groups.main,
}


def install(trap: Trap, engine: crashes.Engine) -> None:
    """Wrap the journal of an engine."""
    journal, writes = JOURNALS[engine.name]
    for name, states_of in writes.items():
        setattr(journal, name, trap.around(getattr(journal, name), states_of))


def main() -> int:
    """Run the engine that the first argument names, of this node's DC."""
    state = State.load(pathlib.Path(os.environ[process.LAB]))
    dc = os.environ[process.NODE].partition("-")[0]
    engine = {one.name: one for one in crashes.ENGINES}[sys.argv.pop(1)]
    install(Trap(
        crashes.armed(state, dc, engine),
        crashes.record(state, dc, engine)), engine)
    sys.argv[0] = engine.name
    return PROGRAMS[engine.name]()


if __name__ == "__main__":
    sys.exit(main())
