# SPDX-License-Identifier: Apache-2.0
"""Tests in the lab: real faults, and what aacloud must do or leave alone.

They run in the lab's own virtual environment, one after another, each in a
calm lab. What holds is asked of Nova, of the guests' processes and of
aacloud's API, never of aacloud alone.
"""

from __future__ import annotations

import os
import pathlib
import subprocess

from tests.lab import process
from tests.lab.control import Lab
from tests.lab.services.base import CommandFailed
from tests.lab.state import CHECKOUT

HERE = pathlib.Path(__file__).parent


def run(
    lab: Lab, *, everything: bool = False, chosen: str | None = None
) -> int:
    """Run the tests in a lab that is up; pytest's exit status.

    :param everything: also the tests that continuous integration leaves out
    :param chosen: an expression as for pytest's ``-k``
    :raises CommandFailed: the lab was installed without pytest
    """
    if not (lab.state.venv / "bin" / "pytest").exists():
        raise CommandFailed(
            "pytest is missing among the lab's Python packages: run 'down' "
            "and 'up', which installs what has become needed"
        )
    argv = [
        lab.state.bin("python"), "-m", "pytest",
        str(HERE.relative_to(CHECKOUT)),
        "-p", "no:cacheprovider", "-v", "--tb", "short",
        "--durations", "0", "--durations-min", "1",
    ]  # fmt: skip
    if everything:
        argv.append("--all")
    if chosen is not None:
        argv += ["-k", chosen]
    clean = process.clean_environment()
    env = {
        **clean,
        **{key: os.environ[key] for key in ("TERM", "COLUMNS", "LINES")
           if key in os.environ},
        "PATH": f"{lab.state.venv / 'bin'}:{clean['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AACLOUD_LAB_DIR": str(lab.state.dir),
    }  # fmt: skip
    return subprocess.run(argv, cwd=CHECKOUT, env=env).returncode
