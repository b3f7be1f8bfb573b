# SPDX-License-Identifier: Apache-2.0
"""What a demo prints: titles, commands with what they say, checks."""

from __future__ import annotations

import dataclasses
import subprocess

from tests.lab.control import Lab
from tests.lab.services.infra import CONTROL


@dataclasses.dataclass
class Checks:
    """What must hold, and whether it did."""

    failed: list[str] = dataclasses.field(default_factory=list)

    def hold(self, what: str, truth: bool, found: str = "") -> None:
        mark = "ok  " if truth else "FAIL"
        print(f"  [{mark}] {what}{f' ({found})' if found else ''}",
              flush=True)
        if not truth:
            self.failed.append(what)


def title(text: str) -> None:
    print(f"\n== {text}", flush=True)


def show(lab: Lab, *command: str, timeout: float = 120) -> int:
    """Run a command as the operator would, and let it be seen."""
    print(f"$ {' '.join(command)}", flush=True)
    return subprocess.run(
        lab.command(CONTROL, command), env=lab.environment(CONTROL),
        timeout=timeout,
    ).returncode
