# SPDX-License-Identifier: Apache-2.0
"""The module path for WSGI servers, in a process of its own."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

LOOK = """
import sys
sys.argv = ["uwsgi", "--http-socket", ":9090", "--config-file", "/nowhere"]
from aacloud.wsgi import api
from oslo_config import cfg
from falcon import testing
answer = testing.TestClient(api.application).simulate_get("/")
print(answer.status_code, cfg.CONF.aacloud_api.max_limit)
"""


def look(**environ: str) -> subprocess.CompletedProcess[str]:
    """Import the module as a WSGI server would."""
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("OS_AACLOUD")
    }
    return subprocess.run(
        [sys.executable, "-c", LOOK],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def config(tmp_path: pathlib.Path) -> pathlib.Path:
    """A configuration file."""
    path = tmp_path / "one.conf"
    path.write_text(
        "[DEFAULT]\nuse_stderr = true\n"
        f"[database]\nconnection = sqlite:///{tmp_path}/aacloud.sqlite\n"
        "[aacloud_api]\nmax_limit = 11\n"
    )
    return path


def test_files_from_the_environment(
    config: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    later = tmp_path / "two.conf"
    later.write_text("[aacloud_api]\nmax_limit = 22\n")
    done = look(OS_AACLOUD_CONFIG_FILES=f" {config} ;; {later}")
    assert done.stdout == "200 22\n", done.stderr


def test_directory_from_the_environment(
    config: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    directory = tmp_path / "conf.d"
    directory.mkdir()
    (directory / "10.conf").write_text("[aacloud_api]\nmax_limit = 33\n")
    done = look(
        OS_AACLOUD_CONFIG_FILES=str(config),
        OS_AACLOUD_CONFIG_DIR=str(directory),
    )
    assert done.stdout == "200 33\n", done.stderr


def test_file_that_is_missing_is_named() -> None:
    done = look(OS_AACLOUD_CONFIG_FILES="/nonexistent/aacloud.conf")
    assert done.returncode != 0
    assert "/nonexistent/aacloud.conf" in done.stderr


def test_database_that_is_not_configured(tmp_path: pathlib.Path) -> None:
    empty = tmp_path / "empty.conf"
    empty.write_text("")
    done = look(OS_AACLOUD_CONFIG_FILES=str(empty))
    assert done.returncode != 0
    # Where it is said is up to the logging of the configuration.
    assert "[database] connection is not set" in done.stdout + done.stderr
