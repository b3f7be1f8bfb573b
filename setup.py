# SPDX-License-Identifier: Apache-2.0
"""Hand the packaging over to pbr; the metadata is in setup.cfg."""

import configparser
import os
import pathlib
import subprocess

import setuptools

HERE = pathlib.Path(__file__).resolve().parent


def name_the_version() -> None:
    """Give pbr a version where it cannot find one.

    pbr reads the version from git or from an sdist's PKG-INFO. An unpacked
    archive of the repository has neither, and git refuses a checkout that
    belongs to another user; the version of setup.cfg is used then.
    """
    if "PBR_VERSION" in os.environ or (HERE / "PKG-INFO").exists():
        return
    try:
        subprocess.run(
            ["git", "rev-parse", "--git-dir"],
            cwd=HERE,
            check=True,
            capture_output=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        metadata = configparser.ConfigParser()
        metadata.read(HERE / "setup.cfg", encoding="utf-8")
        os.environ["PBR_VERSION"] = metadata["metadata"]["version"]


name_the_version()
setuptools.setup(
    setup_requires=["pbr>=6.1.1"],
    pbr=True,
)
