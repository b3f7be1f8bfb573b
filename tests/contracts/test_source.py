# SPDX-License-Identifier: Apache-2.0
"""What every source file must keep to."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

#: A file that grows beyond this wants to become two.
MOST_LINES = 500

#: Names that say nothing about what is inside.
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}

#: What core/ may import besides the standard library: solvers.
SOLVERS = {"ortools"}

LICENCE = "# SPDX-License-Identifier: Apache-2.0"


def sources() -> list[pathlib.Path]:
    """Return the Python files of the project, relative to its root.

    Without git (an unpacked archive) all files of the packages are taken.
    """
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "*.py"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        paths = [pathlib.Path(name) for name in listed.split("\0") if name]
    except (OSError, subprocess.SubprocessError):
        paths = [
            path.relative_to(ROOT)
            for top in ("aacloud", "tests")
            for path in (ROOT / top).rglob("*.py")
        ]
    return sorted(path for path in paths if (ROOT / path).exists())


def name_of(path: pathlib.Path) -> str:
    return path.as_posix()


def test_there_are_sources() -> None:
    assert pathlib.Path("aacloud/__init__.py") in sources()


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_file(path: pathlib.Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) <= MOST_LINES, (
        f"{path} has {len(lines)} lines, {MOST_LINES} are the limit: "
        "split it by what it does"
    )
    names = {path.stem, *path.parent.parts}
    assert not names & FORBIDDEN_NAMES, (
        f"{path}: name the module after what it does"
    )
    assert not lines or LICENCE in lines[:3], (
        f"{path} does not begin with {LICENCE!r}"
    )


@pytest.mark.parametrize(
    "path",
    [path for path in sources() if path.parts[:2] == ("aacloud", "core")],
    ids=name_of,
)
def test_core_imports_the_standard_library_alone(path: pathlib.Path) -> None:
    allowed = {*sys.stdlib_module_names, *SOLVERS}
    foreign = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported = [node.module or ""]
        else:
            continue
        foreign |= {
            name
            for name in imported
            if name.split(".")[0] not in allowed
            and not name.startswith("aacloud.core")
        }
    assert not foreign, f"{path} imports {sorted(foreign)}"
