# SPDX-License-Identifier: Apache-2.0
"""``aacloud-manage fencing``: whether each host could be fenced."""

import argparse
from collections.abc import Iterable
from concurrent import futures
from typing import TYPE_CHECKING

from oslo_config import cfg

from aacloud.cmd import errors
from aacloud.cmd import output

if TYPE_CHECKING:
    from aacloud.fencing import fencer as fencers

COLUMNS = ("Host", "Driver", "Power", "Strength", "Detail")

#: Controllers are slow and there are many.
PARALLEL = 16


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of this noun to its parser."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    check = verbs.add_parser(
        "check",
        help="read the power state of hosts through every fence",
        description="Read the power state of hosts through every fence leg "
        "of [aacloud_fencing] inventory_file. Nothing is switched.",
    )
    check.add_argument(
        "hosts",
        nargs="*",
        metavar="HOST",
        help="the hosts to check (default: all of the inventory)",
    )
    check.add_argument(
        "-f",
        "--format",
        choices=("table", "json"),
        default="table",
        help="how to show the result (default: %(default)s)",
    )
    check.set_defaults(action=_check)


def _check(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    from aacloud.fencing import fencer as fencers
    from aacloud.fencing import inventory

    try:
        fencer = fencers.Fencer.from_conf(conf)
    except inventory.InventoryError as exc:
        raise errors.CommandFailed(exc.problems) from exc
    hosts = args.hosts or sorted(fencer.hosts.targets)
    if not hosts:
        raise errors.CommandFailed(
            [f"{conf.aacloud_fencing.inventory_file} lists no host"]
        )
    rows = list(_legs(fencer, hosts))
    if args.format == "json":
        output.print_json(
            [
                {name.lower(): value for name, value in row.items()}
                for row in rows
            ]
        )
    else:
        output.print_table(COLUMNS, rows)
    unread = sorted({row["Host"] for row in rows if row["Power"] == "unknown"})
    if unread:
        raise errors.CommandFailed(
            (
                f"the power state of {name} cannot be read: if it were dead, "
                "nothing could prove that it is off"
            )
            for name in unread
        )
    return 0


def _legs(
    fencer: "fencers.Fencer", hosts: Iterable[str]
) -> Iterable[dict[str, str]]:
    with futures.ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        found = [(host, pool.submit(fencer.status, host)) for host in hosts]
        for host, evidence in found:
            for leg in evidence.result():
                yield {
                    "Host": host,
                    "Driver": leg.driver,
                    "Power": leg.power.value,
                    "Strength": leg.strength,
                    "Detail": leg.detail,
                }
