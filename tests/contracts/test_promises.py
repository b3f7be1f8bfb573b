# SPDX-License-Identifier: Apache-2.0
"""What the operator's manual promises names code and tests that are there."""

from __future__ import annotations

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
PROMISES = ROOT / "doc/source/operations/promises.rst"
_NAMED = re.compile(r"``([^`]+)``")


def _named() -> tuple[set[str], set[str], set[str]]:
    """Paths, bare file names and names of tests that the manual gives."""
    lines = re.findall(
        r"^\* (?:Code|Tests):.*(?:\n  .*)*", PROMISES.read_text("utf-8"),
        re.MULTILINE)
    words = [word for line in lines for word in _NAMED.findall(line)]
    files = {word for word in words if word.endswith(".py")}
    return (
        {word for word in files if "/" in word} | {
            word for word in words if word.endswith("tests/lab")},
        {word for word in files if "/" not in word},
        {word for word in words if word.startswith("test_")} - files,
    )


def test_the_files_that_are_named_exist() -> None:
    paths, names, _ = _named()
    assert len(paths) > 10
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    there = {
        path.name for top in ("aacloud", "tests")
        for path in (ROOT / top).rglob("*.py")}
    assert sorted(names - there) == []


def test_the_tests_that_are_named_exist() -> None:
    _, _, tests = _named()
    assert len(tests) > 5
    there = {
        found
        for path in (ROOT / "tests").rglob("test_*.py")
        for found in re.findall(
            r"^ *def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)}
    assert sorted(tests - there) == []


def test_every_promise_names_its_test() -> None:
    text = PROMISES.read_text("utf-8")
    promises = re.split(r"^(Never .+)\n=+$", text, flags=re.MULTILINE)[1:]
    assert len(promises) > 10
    for title, body in zip(promises[::2], promises[1::2], strict=True):
        assert "* Code:" in body, title
        assert "* Tests:" in body, title


def test_no_incident_powers_a_host_on() -> None:
    """Nothing in the engine switches on: neither a call nor a reference."""
    for path in sorted((ROOT / "aacloud/failover").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            assert not (
                isinstance(node, ast.Attribute) and node.attr == "power_on"
            ), f"{path}:{node.lineno}"
