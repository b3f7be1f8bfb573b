# SPDX-License-Identifier: Apache-2.0
"""What setup.cfg promises is there."""

import configparser
import pathlib
import pkgutil
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def entry_points() -> list[tuple[str, str, str]]:
    """Return (group, name, target) of every entry point of setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return [
        (group, *re.split(r"\s*=\s*", line, maxsplit=1))
        for group, lines in parser["entry_points"].items()
        for line in lines.strip().splitlines()
    ]


def test_there_are_entry_points() -> None:
    groups = {group for group, _, _ in entry_points()}
    assert {"console_scripts", "oslo.config.opts"} <= groups


@pytest.mark.parametrize(
    ("group", "name", "target"),
    entry_points(),
    ids=lambda value: value.rsplit(".", 1)[-1],
)
def test_entry_point(group: str, name: str, target: str) -> None:
    assert callable(pkgutil.resolve_name(target)) or ":" not in target
