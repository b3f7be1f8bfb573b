# SPDX-License-Identifier: Apache-2.0
"""What a service of the lab is, and how to see that it is up."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import pathlib
import subprocess

from tests.lab import network
from tests.lab import process
from tests.lab import rest
from tests.lab.state import CHECKOUT
from tests.lab.state import State


class CommandFailed(RuntimeError):
    """A command of the set-up ended with an error; the text holds it."""


def run(
    argv: Sequence[str],
    *,
    feed: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> str:
    """Run a command to its end; what it printed.

    :raises CommandFailed: it failed or took longer than ``timeout`` seconds.
    """
    try:
        done = subprocess.run(
            argv, input=feed, capture_output=True, text=True,
            timeout=timeout, env=env,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CommandFailed(
            f"'{' '.join(argv)}' did not end within {timeout:.0f} s"
        ) from None
    if done.returncode:
        text = (done.stderr or done.stdout).strip()[-800:]
        raise CommandFailed(f"'{' '.join(argv)}' failed: {text}")
    return done.stdout


@dataclasses.dataclass(frozen=True)
class Service:
    """One process (with its children) on one node.

    :ivar after: names of services that must be up first; a name stands for
        all services of that name, ``name@node`` for one of them
    :ivar address: TCP address it listens on once it is up
    :ivar path: where it answers HTTP (any status below 500) once it is up
    :ivar ready: a further question asked when the above hold; it is given
        the Unix time of the start, 0 when the process was there before
    :ivar before: work to be done before each start
    :ivar user: user to run as, root when None
    """

    name: str
    node: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    after: tuple[str, ...] = ()
    address: tuple[str, int] | None = None
    path: str | None = None
    ready: Callable[[float], bool] | None = None
    before: Callable[[], object] | None = None
    user: str | None = None
    seconds: float = 180.0

    @property
    def key(self) -> tuple[str, str]:
        return self.node, self.name

    @property
    def label(self) -> str:
        return f"{self.name}@{self.node}"

    def log(self, state: State) -> pathlib.Path:
        return state.log(f"{self.name}.{self.node}")

    def start(self, state: State) -> int:
        """Start it; its pid."""
        if self.before is not None:
            self.before()
        env = {
            **process.clean_environment(),
            "PYTHONPATH": str(CHECKOUT),
            **self.env,
            **process.tags(str(state.dir), self.node, self.name),
        }
        words = network.prefix(state.namespace(self.node), self.user)
        pid = process.spawn(
            [*words, *self.argv], env=env, log=self.log(state)
        )
        state.run("pids", self.label).write_text(f"{pid}\n")
        return pid

    def answers(self, state: State, since: float = 0.0) -> bool:
        """Whether it does its work; its process is looked at elsewhere.

        :param since: Unix time of its start, when it was just started
        """
        space = state.namespace(self.node)
        try:
            if self.path is not None:
                host, port = self.address or ("", 0)
                status, _, _ = rest.request(
                    space, "GET", f"http://{host}:{port}{self.path}",
                    timeout=5,
                )
                if status >= 500:
                    return False
            elif self.address is not None:
                network.dial(space, self.address, 2).close()
        except (OSError, rest.RestError):
            return False
        return self.ready is None or self.ready(since)


@dataclasses.dataclass(frozen=True)
class Job:
    """Work that is done once between the starts of services."""

    label: str
    work: Callable[[], None]
    after: tuple[str, ...] = ()


def ini(sections: Mapping[str, Mapping[str, object]]) -> str:
    """An oslo.config file; a tuple is an option given several times."""
    lines = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        for name, value in options.items():
            values = value if isinstance(value, tuple) else (value,)
            lines.extend(f"{name} = {one}" for one in values)
        lines.append("")
    return "\n".join(lines)
