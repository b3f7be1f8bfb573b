# SPDX-License-Identifier: Apache-2.0
"""``aacloud-manage db``: the tables of the incident journal."""

import argparse

from oslo_config import cfg

from aacloud.cmd import errors


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of this noun to its parser."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    sync = verbs.add_parser(
        "sync",
        help="make the tables, or bring them to this release",
        description="Make the tables of [database] connection, or bring "
        "them to this release. Nothing happens when they are already there.",
    )
    sync.set_defaults(action=_sync)
    version = verbs.add_parser(
        "version",
        help="show which revision the tables have",
        description="Show which revision the tables have, and whether this "
        "release can work with them.",
    )
    version.set_defaults(action=_version)


def _sync(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    from aacloud.db import errors as db_errors
    from aacloud.db import migration

    try:
        before = migration.status(conf)
        after = migration.sync(conf)
    except db_errors.DatabaseError as exc:
        raise errors.CommandFailed([str(exc)]) from exc
    if before == after:
        print(f"The tables are current: revision {after.found}")
    else:
        print(
            f"The tables were brought from {before.found or 'nothing'} to "
            f"revision {after.found}"
        )
    return 0


def _version(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    from aacloud.db import errors as db_errors
    from aacloud.db import migration

    try:
        status = migration.status(conf)
    except db_errors.DatabaseError as exc:
        raise errors.CommandFailed([str(exc)]) from exc
    problem = status.problem()
    print(status.found or "no tables")
    if problem is not None:
        raise errors.CommandFailed([problem])
    return 0
