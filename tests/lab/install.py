# SPDX-License-Identifier: Apache-2.0
"""Distribution packages and the virtual environment of the lab."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

from tests.lab import process
from tests.lab.progress import Progress
from tests.lab.services.base import CommandFailed
from tests.lab.state import CHECKOUT
from tests.lab.state import State

PACKAGES = (
    "mariadb-server",
    "rabbitmq-server",
    "etcd-server",
    "iproute2",
    "python3-venv",
)
CONSTRAINTS = CHECKOUT / "tests" / "constraints.txt"
REQUIREMENTS = (
    CHECKOUT / "requirements.txt",
    CHECKOUT / "tests" / "lab" / "requirements.txt",
)
POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = (
    "#!/bin/sh\n"
    "# made by aacloud's lab while it installs packages\n"
    "exit 101\n"
)
STAMP = ".aacloud-lab"


def install(state: State, progress: Progress) -> None:
    """Install what is missing; does nothing when all is there.

    Nor does it while the lab runs on what is installed, even when that is
    no longer what the checkout asks for.
    """
    if process.scan(str(state.dir)):
        if not _current(state):
            progress.say(
                "the checkout asks for other Python packages than the lab "
                "runs on: 'down' and 'up' install them"
            )
        return
    _packages(state, progress)
    _environment(state, progress)
    _checkout(state, progress)


# -- packages ------------------------------------------------------------
def missing_packages() -> list[str]:
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n",
         *PACKAGES],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    present = {
        line.split()[0]
        for line in done.stdout.splitlines()
        if line.split()[1:2] == ["ii"]
    }
    return [name for name in PACKAGES if name not in present]


def drop_policy() -> None:
    """Remove what an installation that was killed left behind: with it no
    package of the machine may start a service."""
    if POLICY.exists() and POLICY.read_text() == POLICY_TEXT:
        POLICY.unlink()


def _packages(state: State, progress: Progress) -> None:
    drop_policy()
    missing = missing_packages()
    if not missing:
        return
    progress.say(f"installing packages: {', '.join(missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    apt = ["apt-get", "-y", "-o", "DPkg::Lock::Timeout=120"]
    ours = not POLICY.exists()
    if ours:
        # The packages must not start services of their own.
        POLICY.write_text(POLICY_TEXT)
        POLICY.chmod(0o755)
    try:
        _logged(state, "apt", [*apt, "update"], env)
        _logged(
            state,
            "apt",
            [*apt, "install", "--no-install-recommends", *missing],
            env,
        )
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)
    progress.say("packages installed")


def _current(state: State) -> bool:
    """Whether the environment is what the checkout asks for."""
    return _read(state.venv / STAMP) == _wanted() and _read(
        state.venv / f"{STAMP}-checkout"
    ) == [checkout_key()]


def _read(stamp: pathlib.Path) -> list[str]:
    return stamp.read_text().splitlines() if stamp.exists() else []


def _wanted() -> list[str]:
    return [sys.version.replace("\n", " "), environment_key()]


# -- virtual environment -------------------------------------------------
def environment_key() -> str:
    """What is to be installed."""
    digest = hashlib.sha256()
    for file in (CONSTRAINTS, *REQUIREMENTS):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _environment(state: State, progress: Progress) -> None:
    stamp = state.venv / STAMP
    found, wanted = _read(stamp), _wanted()
    if found == wanted:
        return
    progress.say("installing Python packages (a minute or two)")
    if found[:1] != wanted[:1]:
        # Half an environment, or one of another Python: begin anew.
        shutil.rmtree(state.venv, ignore_errors=True)
        _logged(
            state, "pip", [sys.executable, "-m", "venv", str(state.venv)]
        )
    pip = [
        state.bin("pip"), "--disable-pip-version-check", "install",
        "--no-compile", "-c", str(CONSTRAINTS),
    ]  # fmt: skip
    for file in REQUIREMENTS:
        pip += ["-r", str(file)]
    _logged(state, "pip", pip)
    # pip compiles on one core; this uses all of them.
    _logged(
        state,
        "pip",
        [state.bin("python"), "-m", "compileall", "-q", "-j", "0",
         str(state.venv / "lib")],
        check=False,
    )  # fmt: skip
    stamp.write_text("\n".join(wanted))
    progress.say("Python packages installed")


def checkout_key() -> str:
    """What an installation of the checkout depends on."""
    digest = hashlib.sha256(str(CHECKOUT).encode())
    digest.update((CHECKOUT / "setup.cfg").read_bytes())
    return digest.hexdigest()


def _checkout(state: State, progress: Progress) -> None:
    stamp = state.venv / f"{STAMP}-checkout"
    if _read(stamp) == [checkout_key()]:
        return
    _logged(
        state,
        "pip",
        [state.bin("pip"), "--disable-pip-version-check", "install",
         "--no-deps", "--no-build-isolation", "-e", str(CHECKOUT)],
    )  # fmt: skip
    stamp.write_text(checkout_key())
    progress.say(f"aacloud installed from {CHECKOUT}")


def _logged(
    state: State,
    name: str,
    argv: list[str],
    env: dict[str, str] | None = None,
    check: bool = True,
) -> None:
    log = state.log(name)
    with open(log, "a") as stream:
        done = subprocess.run(
            argv, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL,
            env=env or {**os.environ, **process.tags(
                str(state.dir), "installation", name
            )},
            timeout=1800,
        )  # fmt: skip
    if check and done.returncode:
        tail = log.read_text(errors="replace").splitlines()[-8:]
        raise CommandFailed(
            "\n".join([f"'{' '.join(argv[:4])} …' failed, see {log}:", *tail])
        )
