# SPDX-License-Identifier: Apache-2.0
"""``aacloud-manage``: what an operator does to set aacloud up."""

import argparse
from collections.abc import Sequence
import logging
import os
import sys

from oslo_config import cfg

from aacloud import conf as aacloud_conf
from aacloud import version
from aacloud.cmd import errors
from aacloud.cmd import output
from aacloud.cmd.actions import database
from aacloud.cmd.actions import fencing
from aacloud.cmd.actions import topology

PROG = "aacloud-manage"

EXAMPLES = """\
examples:
  Make the tables, or bring them to this release:
    aacloud-manage db sync
  Show what a topology file would change, then change it:
    aacloud-manage topology apply --dry-run topology.yaml
    aacloud-manage topology apply topology.yaml
  Look for hosts without a place, or with two:
    aacloud-manage topology check
  Read the power state of two hosts through their fences:
    aacloud-manage fencing check dc1-r1-h1 dc2-r1-h1

The exit status is 0 when all is well, 1 when something failed or a problem
was found, 2 after a wrong use.
"""

NOUNS = (
    ("db", database, "the tables of the incident journal"),
    ("topology", topology, "racks and data centres"),
    ("fencing", fencing, "the fences of the hosts"),
)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog=PROG,
        description="Set aacloud up and check it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=version.version_string()
    )
    parser.add_argument(
        "--config-file",
        action="append",
        default=[],
        metavar="PATH",
        help="a file to read instead of /etc/aacloud/aacloud.conf; may be "
        "given several times, the last one wins",
    )
    parser.add_argument(
        "--config-dir",
        action="append",
        default=[],
        metavar="DIR",
        help="a directory whose *.conf files are read after the files",
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        help="log everything, and show where an error comes from",
    )
    nouns = parser.add_subparsers(dest="noun", metavar="NOUN", required=True)
    for name, module, text in NOUNS:
        module.add_to(nouns.add_parser(name, help=text, description=text))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    args = make_parser().parse_args(argv)
    logging.basicConfig(
        level=logging.DEBUG if args.debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    sources = [f"--config-file={path}" for path in args.config_file]
    sources += [f"--config-dir={path}" for path in args.config_dir]
    conf = cfg.ConfigOpts()
    aacloud_conf.register_opts(conf)
    try:
        aacloud_conf.parse_args(sources, PROG, conf=conf)
        status = int(args.action(args, conf))
        sys.stdout.flush()
        return status
    except (aacloud_conf.ConfigurationError, errors.CommandFailed) as exc:
        output.print_problems(PROG, exc.problems)
    except BrokenPipeError:
        # Whoever read it has seen enough. Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        output.print_problems(
            PROG, ["stopped: nobody reads what it prints"])
    except KeyboardInterrupt:
        output.print_problems(PROG, ["stopped"])
    except Exception as exc:
        if args.debug:
            raise
        logging.getLogger(__name__).debug("failed", exc_info=True)
        output.print_problems(
            PROG,
            [f"failed: {type(exc).__name__}: {exc}", "--debug shows where"],
        )
    return 1
