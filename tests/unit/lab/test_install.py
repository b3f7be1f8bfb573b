# SPDX-License-Identifier: Apache-2.0
"""Nothing is installed under a lab that runs."""

import io
import pathlib

import pytest

from tests.lab import install
from tests.lab import process
from tests.lab.plan import LabPlan
from tests.lab.progress import Progress
from tests.lab.state import State


@pytest.fixture
def state(tmp_path: pathlib.Path) -> State:
    made = State.create(tmp_path, LabPlan())
    made.venv.mkdir()
    return made


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that would be run."""
    ran: list[str] = []

    def note(
        state: State, name: str, argv: list[str], *rest: object, **more: object
    ) -> None:
        ran.append(name)

    monkeypatch.setattr(install, "_logged", note)
    monkeypatch.setattr(install, "missing_packages", list)
    return ran


def stamp(state: State) -> None:
    (state.venv / install.STAMP).write_text("\n".join(install._wanted()))
    (state.venv / f"{install.STAMP}-checkout").write_text(
        install.checkout_key()
    )


def test_a_current_environment_is_left_alone(
    state: State, steps: list[str]
) -> None:
    stamp(state)
    install.install(state, Progress(io.StringIO()))
    assert steps == []


def test_an_old_environment_is_brought_up_to_date(
    state: State, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp(state)
    kept = state.venv / "kept"
    kept.touch()
    monkeypatch.setattr(install, "environment_key", lambda: "newer")
    install.install(state, Progress(io.StringIO()))
    assert "pip" in steps
    assert kept.exists()


def test_half_an_environment_is_begun_anew(
    state: State, steps: list[str]
) -> None:
    left = state.venv / "left-by-a-killed-start"
    left.touch()

    # The real step makes the folder; here it is only noted.
    with pytest.raises(FileNotFoundError):
        install.install(state, Progress(io.StringIO()))
    assert not left.exists()
    assert steps[0] == "pip"


def test_nothing_is_installed_while_the_lab_runs(
    state: State, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp(state)
    monkeypatch.setattr(install, "environment_key", lambda: "newer")
    running = process.Proc(1, str(state.dir), "dc1-ctl", "keystone")
    monkeypatch.setattr(process, "scan", lambda lab=None: [running])
    told = io.StringIO()
    install.install(state, Progress(told))
    assert steps == []
    assert "'down' and 'up' install them" in told.getvalue()
