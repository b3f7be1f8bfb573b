# SPDX-License-Identifier: Apache-2.0
"""YAML files are read strictly."""

import pathlib

import pytest

from aacloud import conf as aacloud_conf
from aacloud.conf import documents


def written(directory: pathlib.Path, data: bytes) -> str:
    path = directory / "file.yaml"
    path.write_bytes(data)
    return str(path)


def test_plain_values(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, b"a: {b: [1, two]}\nc: &x {d: 1}\ne: *x\n")
    assert documents.read_yaml(path) == {
        "a": {"b": [1, "two"]},
        "c": {"d": 1},
        "e": {"d": 1},
    }


def test_merged_keys_are_no_duplicates(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, b"a: &x {k: 1}\nb: {<<: *x, k: 2}\n")
    assert documents.read_yaml(path) == {"a": {"k": 1}, "b": {"k": 2}}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a: 1\nb: 2\na: 3\n", "line 3, column 1: the key 'a' stands twice"),
        (b"x:\n  a: {b: 1, b: 2}\n", "line 2, column 13: the key 'b'"),
        (b"a: [1\n", "line 2, column 1: "),
        (b"a: !!python/object:os.system {}\n", "could not determine"),
        (b"a: \xff\n", "cannot be read"),
        (b"? [a]\n: 1\n", "unhashable"),
    ],
)
def test_refused(tmp_path: pathlib.Path, data: bytes, says: str) -> None:
    path = written(tmp_path, data)
    with pytest.raises(aacloud_conf.ConfigurationError) as refused:
        documents.read_yaml(path)
    (problem,) = refused.value.problems
    assert problem.startswith(path)
    assert says in problem


def test_missing(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "none.yaml")
    with pytest.raises(
        aacloud_conf.ConfigurationError, match="No such file or directory"
    ):
        documents.read_yaml(path)
