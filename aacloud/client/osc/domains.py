# SPDX-License-Identifier: Apache-2.0
"""The options that name a domain."""

from __future__ import annotations

import argparse


def add_domain_options(
    parser: argparse.ArgumentParser, default: str
) -> None:
    """Add ``--host``, ``--rack`` and ``--dc``, of which one may be given.

    :param default: what no option means, for the help
    """
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--host",
        metavar="<host>",
        help=f"only this host (default: {default})",
    )
    group.add_argument("--rack", metavar="<rack>", help="only this rack")
    group.add_argument("--dc", metavar="<dc>", help="only this data centre")


def domain_of(parsed_args: argparse.Namespace) -> tuple[str, str]:
    """Return the level and the name of the domain that the options name."""
    for level in ("host", "rack", "dc"):
        name = getattr(parsed_args, level)
        if name is not None:
            return level, name
    return "cloud", "cloud"


def described(level: str, name: str) -> str:
    """Return a domain in words."""
    return "the whole cloud" if level == "cloud" else f"{level} {name}"
