# SPDX-License-Identifier: Apache-2.0
"""The one pin file holds everything that the project installs."""

import pathlib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
import pytest

from tests.lab.state import CHECKOUT

FILES = (
    "requirements.txt",
    "test-requirements.txt",
    "doc/requirements.txt",
    "tests/functional/requirements.txt",
    "tests/lab/requirements.txt",
)


def read(file: pathlib.Path) -> list[Requirement]:
    lines = (
        line.partition("#")[0].strip()
        for line in file.read_text().splitlines()
    )
    return [
        Requirement(line)
        for line in lines
        if line and not line.startswith("-")
    ]


def pins() -> dict[str, str]:
    found = {}
    for pin in read(CHECKOUT / "tests" / "constraints.txt"):
        (specifier,) = pin.specifier
        assert specifier.operator == "==", pin
        found[canonicalize_name(pin.name)] = specifier.version
    return found


@pytest.mark.parametrize("name", FILES)
def test_each_requirement_has_a_pin_that_satisfies_it(name: str) -> None:
    have = pins()
    for wanted in read(CHECKOUT / name):
        version = have.get(canonicalize_name(wanted.name))
        assert version is not None, f"{wanted} has no pin"
        assert wanted.specifier.contains(version, prereleases=True), (
            f"{wanted} is pinned to {version}"
        )
