# SPDX-License-Identifier: Apache-2.0
"""The openstack command in a process that has imported it already."""

from __future__ import annotations

from collections.abc import Mapping
import os
import pathlib
import sys

from openstackclient import shell


def run(
    arguments: list[str],
    environ: Mapping[str, str],
    out: pathlib.Path,
    err: pathlib.Path,
) -> None:
    """Run the command and leave the process with its exit status.

    :param out: where its output goes
    :param err: where its errors go
    """
    os.environ.clear()
    os.environ.update(environ)
    encoding = environ.get("PYTHONIOENCODING", "utf-8")
    with (
        out.open("w", encoding=encoding) as sys.stdout,
        err.open("w", encoding=encoding) as sys.stderr,
    ):
        status = shell.main(arguments)
    # Nothing that the parent set up is torn down here.
    os._exit(status)
