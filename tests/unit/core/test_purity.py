# SPDX-License-Identifier: Apache-2.0
"""core imports the standard library, solvers and itself; reads no clock."""

from __future__ import annotations

import ast
import dataclasses
import pathlib
import sys

import pytest

import aacloud.core
from aacloud.core import incidents
from aacloud.core import verdicts

ROOT = pathlib.Path(aacloud.core.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
#: What would make a decision depend on more than its arguments.
IMPURE = frozenset({
    "logging", "os", "pathlib", "random", "secrets", "socket", "subprocess",
    "threading", "time", "uuid"})
#: Solver libraries: they compute, and know of nothing else.
SOLVERS = frozenset({"ortools"})


def imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(node.module or "")
    return found


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module_is_pure(path):
    tree = ast.parse(path.read_text())
    for name in imports(tree):
        top = name.split(".")[0]
        assert name.startswith("aacloud.core") or top in SOLVERS or (
            top in sys.stdlib_module_names and top not in IMPURE), name
    called = {
        node.func.attr for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)}
    assert not called & {"now", "utcnow", "today", "monotonic"}


def test_records_are_frozen():
    for kind in (incidents.Incident, incidents.ServerRecord,
                 incidents.Event, verdicts.HostVerdict, verdicts.WorldView):
        assert dataclasses.fields(kind)
        assert kind.__dataclass_params__.frozen
        assert "__slots__" in vars(kind)
