# SPDX-License-Identifier: Apache-2.0
"""The one directory a lab lives in, and what is written down there."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import secrets
import shutil

from tests.lab import plan as planning

DEFAULT = "/var/lib/aacloud-lab"
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
#: What belongs to one cloud and goes away with it.
CLOUD_PARTS = ("data", "shared", "hosts", "run", "etc")


class LabBusy(RuntimeError):
    """Another program is changing the lab."""


class NoLab(RuntimeError):
    """There is no lab in this directory."""


@dataclasses.dataclass(frozen=True)
class State:
    """Where everything of a lab is."""

    dir: pathlib.Path
    plan: planning.LabPlan
    secret: str

    @classmethod
    def create(cls, where: pathlib.Path, plan: planning.LabPlan) -> State:
        """Write the plan down; a plan that is there already is kept."""
        where.mkdir(parents=True, exist_ok=True)
        secret = where / "secret"
        if not secret.exists():
            handle = os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600)
            with open(handle, "w") as stream:
                stream.write(secrets.token_hex(12))
        state = cls(where, plan, secret.read_text().strip())
        for part in ("logs", "cache", *CLOUD_PARTS):
            (where / part).mkdir(exist_ok=True)
        for part in ("faults", "power", "pids", "ready"):
            (where / "run" / part).mkdir(exist_ok=True)
        write(
            where / "run" / "plan.json", json.dumps(dataclasses.asdict(plan))
        )
        return state

    @classmethod
    def load(cls, where: pathlib.Path) -> State:
        """:raises NoLab: no lab was brought up in this directory."""
        try:
            text = (where / "run" / "plan.json").read_text()
            secret = (where / "secret").read_text().strip()
        except FileNotFoundError:
            raise NoLab(
                f"no lab is up in {where}; start one with "
                "'python3 -m tests.lab up'"
            ) from None
        return cls(where, planning.LabPlan(**json.loads(text)), secret)

    # -- places ----------------------------------------------------------
    @property
    def venv(self) -> pathlib.Path:
        return self.dir / "venv"

    def bin(self, name: str) -> str:
        return str(self.venv / "bin" / name)

    def etc(self, *parts: str) -> pathlib.Path:
        return self.dir.joinpath("etc", *parts)

    def data(self, *parts: str) -> pathlib.Path:
        return self.dir.joinpath("data", *parts)

    def run(self, *parts: str) -> pathlib.Path:
        return self.dir.joinpath("run", *parts)

    def log(self, name: str) -> pathlib.Path:
        return self.dir / "logs" / f"{name}.log"

    def fault(self, name: str) -> pathlib.Path:
        return self.run("faults", name)

    def namespace(self, node: str) -> str | None:
        """The namespace of a node; None where the lab has none."""
        if self.plan.loopback:
            return None
        return self.plan.space(self.plan.node(node).name)



def remove_cloud(where: pathlib.Path) -> bool:
    """Remove what belongs to one cloud; packages and template stay."""
    there = [part for part in CLOUD_PARTS if (where / part).exists()]
    for part in there:
        shutil.rmtree(where / part, ignore_errors=True)
    return bool(there)


@contextlib.contextmanager
def locked(where: pathlib.Path) -> Iterator[None]:
    """Only one program at a time changes the lab in a directory.

    :raises LabBusy: somebody else holds it.
    """
    where.mkdir(parents=True, exist_ok=True)
    with open(where / "lock", "w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabBusy(
                f"another 'tests.lab' is changing the lab in {where}; "
                "wait for it or end it first"
            ) from None
        yield


def write(path: pathlib.Path, text: str, mode: int = 0o644) -> bool:
    """Write a file whole or not at all; whether it changed."""
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text)
    scratch.chmod(mode)
    scratch.replace(path)
    return True
