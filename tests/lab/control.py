# SPDX-License-Identifier: Apache-2.0
"""The lab as an object: what tests and the demo hold on to."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import subprocess
import time
from typing import Any

from tests.lab import bringup
from tests.lab import faults
from tests.lab import hosts
from tests.lab import network
from tests.lab import process
from tests.lab import redfish
from tests.lab.plan import Kind
from tests.lab.plan import LabPlan
from tests.lab.progress import Progress
from tests.lab.rest import Cloud
from tests.lab.services.base import Service
from tests.lab.services.infra import CONTROL
from tests.lab.state import DEFAULT
from tests.lab.state import State


class WaitedTooLong(RuntimeError):
    """Something did not happen in its time; the text says what."""


@dataclasses.dataclass(frozen=True)
class Health:
    """One service as it is found."""

    name: str
    node: str
    pids: tuple[int, ...]
    answers: bool
    paused: bool

    @property
    def word(self) -> str:
        if not self.pids:
            return "dead"
        if self.paused:
            return "paused"
        return "up" if self.answers else "not answering"


@dataclasses.dataclass(frozen=True)
class Status:
    """The whole lab as it is found.

    :ivar guests: server id -> hosts where a process of it runs
    :ivar cut: cables that are unplugged, those of dead hosts left out
    :ivar powered: host -> whether it has power
    """

    services: tuple[Health, ...]
    guests: dict[str, tuple[str, ...]]
    faults: tuple[str, ...]
    cut: tuple[str, ...]
    powered: dict[str, bool]

    @property
    def twice(self) -> dict[str, tuple[str, ...]]:
        """Guests that run more than once."""
        return {
            guest: where
            for guest, where in self.guests.items()
            if len(where) > 1
        }

    @property
    def fit(self) -> bool:
        """Whether all is as ``up`` leaves it."""
        return (
            all(one.word == "up" for one in self.services)
            and all(self.powered.values())
            and not (self.faults or self.cut or self.twice)
        )


class Lab:
    """A lab that is up.

    Where a directory is asked for and none is given, it is that of
    ``AACLOUD_LAB_DIR``, or the usual one.

    :ivar cloud: the REST APIs of the lab, asked as the admin
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.cloud = Cloud(state)

    @staticmethod
    def directory(where: str | os.PathLike[str] | None = None) -> pathlib.Path:
        chosen = where or os.environ.get("AACLOUD_LAB_DIR") or DEFAULT
        return pathlib.Path(chosen).absolute()

    @classmethod
    def open(cls, where: str | os.PathLike[str] | None = None) -> Lab:
        """The lab that is up.

        :raises NoLab: there is none.
        """
        return cls(State.load(cls.directory(where)))

    @classmethod
    def up(
        cls,
        where: str | os.PathLike[str] | None = None,
        plan: LabPlan | None = None,
        progress: Progress | None = None,
    ) -> Lab:
        """Bring a lab up, or make one that is there fit again.

        :raises Refused: it cannot run on this machine.
        :raises NotUp: a service did not come up.
        """
        progress = progress or Progress(quiet=True)
        return cls(bringup.up(cls.directory(where), plan, progress))

    def down(self, purge: bool = False) -> None:
        """End everything; with ``purge`` remove the packages' venv too."""
        bringup.down(self.state.dir, Progress(quiet=True), purge)

    # -- looking ---------------------------------------------------------
    @property
    def plan(self) -> LabPlan:
        return self.state.plan

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(node.name for node in self.plan.hosts)

    def processes(self) -> list[process.Proc]:
        return process.scan(str(self.state.dir))

    def guests(self) -> dict[str, tuple[str, ...]]:
        """Server id -> hosts where a process of it runs (two: twice)."""
        found: dict[str, list[str]] = {}
        for proc in self.processes():
            if proc.guest:
                found.setdefault(proc.guest, []).append(proc.node)
        return {guest: tuple(sorted(at)) for guest, at in found.items()}

    def guests_on(self, host: str) -> set[str]:
        return {
            proc.guest
            for proc in self.processes()
            if proc.guest and proc.node == self.plan.host(host).name
        }

    def disks(self, server: str) -> dict[str, dict[str, str]]:
        """Place -> identity of each disk a server has.

        The place is ``shared`` or the name of a host. A server whose disk
        has another ``identity`` than before was made anew from its image.
        """
        found = {}
        places = {"shared": self.state.dir / "shared"}
        for host in self.hosts:
            places[host] = self.state.dir / "hosts" / host
        for name, place in places.items():
            disk = place / "instances" / server / "disk"
            if disk.exists():
                found[name] = json.loads(disk.read_text())
        return found

    def services(self) -> list[Service]:
        return bringup.services(self.state)

    def status(self) -> Status:
        """Look at everything; takes a second."""
        procs = process.by_service(self.processes())
        powered = {
            host: hosts.powered(self.state, host) for host in self.hosts
        }

        def look(service: Service) -> Health:
            mine = procs[service.key]
            paused = any(proc.paused for proc in mine)
            return Health(
                service.name,
                service.node,
                tuple(sorted(proc.pid for proc in mine)),
                bool(mine) and not paused and service.answers(self.state),
                paused,
            )

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            healths = tuple(pool.map(look, self.services()))
        # The cables of a host that is down are no fault of their own.
        down = [host for host, on in powered.items() if not on]
        down += [
            line.partition(" ")[2]
            for line in faults.active(self.state)
            if line.startswith("host-crash ")
        ]
        cut = [
            name
            for name in (
                [] if self.plan.loopback else network.cut_links(self.plan)
            )
            if name.partition(":")[0] not in down
        ]
        return Status(
            services=healths,
            guests=self.guests(),
            faults=tuple(faults.active(self.state)),
            cut=tuple(cut),
            powered=powered,
        )

    # -- doing -----------------------------------------------------------
    def fault(self, name: str, *arguments: str) -> None:
        """Make a fault, for instance ``fault("host-crash", "dc1-r1-h1")``."""
        faults.make(self.state, name, *arguments)

    def mend(self, name: str | None = None, *arguments: str) -> None:
        """Mend one fault, or all of them and switch every host on."""
        if name is None:
            faults.mend_all(self.state)
        else:
            faults.mend(self.state, name, *arguments)

    def power(self, host: str) -> str:
        """``On`` or ``Off``, as the BMC of the host says."""
        return redfish.power_state(self.state, host)

    def set_power(self, host: str, on: bool) -> None:
        """Press the button, through Redfish."""
        redfish.reset(self.state, host, "On" if on else "ForceOff")

    def command(self, node: str, argv: Sequence[str]) -> list[str]:
        """The command line that runs a command on a node."""
        space = self.state.namespace(self.plan.node(node).name)
        return [*network.prefix(space), *argv]

    def environment(self, node: str) -> dict[str, str]:
        """What a command on a node finds in its environment."""
        clean = process.clean_environment()
        return {
            **{key: os.environ[key] for key in ("TERM", "COLUMNS", "LINES")
               if key in os.environ},
            **clean,
            "PATH": f"{self.state.venv / 'bin'}:{clean['PATH']}",
            "OS_CLIENT_CONFIG_FILE": str(self.state.etc("clouds.yaml")),
            "OS_CLOUD": "lab",
            **process.tags(str(self.state.dir), node, "exec"),
        }  # fmt: skip

    def exec(
        self,
        argv: Sequence[str],
        *,
        node: str = CONTROL,
        timeout: float = 120,
        check: bool = True,
        feed: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a node and catch what it prints.

        :raises subprocess.CalledProcessError: it failed, and ``check``.
        """
        return subprocess.run(
            self.command(node, argv),
            env=self.environment(node),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=check,
            input=feed,
        )

    def openstack(self, *arguments: str, timeout: float = 120) -> Any:
        """The decoded ``-f json`` answer of an openstack command."""
        done = self.exec(
            ["openstack", *arguments, "-f", "json"], timeout=timeout
        )
        return json.loads(done.stdout)

    @staticmethod
    def wait(
        what: str,
        question: Callable[[], Any],
        seconds: float,
        every: float = 0.25,
    ) -> Any:
        """Ask until the answer is true; that answer.

        :raises WaitedTooLong: it was not within so many seconds.
        """
        deadline = time.monotonic() + seconds
        while True:
            answer = question()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise WaitedTooLong(
                    f"{what}: not within {seconds:.0f} s (last: {answer!r})"
                )
            time.sleep(every)


__all__ = ["Health", "Kind", "Lab", "LabPlan", "Status", "WaitedTooLong"]
