# SPDX-License-Identifier: Apache-2.0
"""The samples under etc/aacloud are those of the options and policies."""

import difflib
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

SAMPLES = {
    "aacloud.conf.sample": (
        "oslo-config-generator",
        "etc/aacloud/config-generator.conf",
    ),
    "policy.yaml.sample": (
        "oslopolicy-sample-generator",
        "etc/aacloud/policy-generator.conf",
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_is_current(name: str, tmp_path: pathlib.Path) -> None:
    program, config = SAMPLES[name]
    made = tmp_path / name
    subprocess.run(
        [
            pathlib.Path(sys.executable).parent / program,
            "--config-file",
            config,
            "--output-file",
            made,
        ],
        cwd=ROOT,
        check=True,
        timeout=120,
    )
    committed = ROOT / "etc" / "aacloud" / name
    difference = "".join(
        difflib.unified_diff(
            committed.read_text("utf-8").splitlines(keepends=True),
            made.read_text("utf-8").splitlines(keepends=True),
            "committed",
            "generated",
        )
    )
    assert not difference, f"run 'tox -e genconfig'\n{difference}"
