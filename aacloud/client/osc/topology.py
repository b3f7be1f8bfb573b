# SPDX-License-Identifier: Apache-2.0
"""``openstack ha topology``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from aacloud.client.osc import base
from aacloud.client.osc import texts
from aacloud.client.osc import trees

JSON = dict[str, Any]


class ShowTopology(base.Lister):
    """Show the data centres, their racks and their hosts.

    Draws a tree; --flat, and any other format than "table", has a row for
    each host.
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha topology show\n"
        "  openstack ha topology show -f json\n"
        "  openstack ha topology show --flat --sort-column State\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--flat",
            action="store_true",
            help="a table with a row for each host instead of a tree",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        self._dcs = self.client.topology()["dcs"]
        columns = ("DC", "Rack", "Host", "State", "Mode", "Instance disks")
        return columns, [
            (
                dc["name"],
                rack["name"],
                host["name"],
                host["state"],
                host["mode"],
                host["instance_disks"],
            )
            for dc in self._dcs
            for rack in dc["racks"]
            for host in rack["hosts"]
        ]

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Any],
    ) -> int:
        as_table = parsed_args.formatter != "table" or parsed_args.flat
        if as_table or parsed_args.columns or parsed_args.sort_columns:
            return int(
                super().produce_output(parsed_args, column_names, data) or 0
            )
        for line in tree(self._dcs, trees.strokes(self.app.stdout)):
            self.app.stdout.write(f"{line}\n")
        return 0


def tree(dcs: Sequence[JSON], strokes: Sequence[str]) -> Iterator[str]:
    """Draw the topology, a line for each domain.

    :param strokes: see ``trees.DRAWN``
    """
    hosts = [
        host for dc in dcs for rack in dc["racks"] for host in rack["hosts"]
    ]
    if not hosts:
        yield (
            "The topology is empty: no host has a data centre and a rack "
            "yet, or no engine has run ('aacloud-manage topology apply')."
        )
        return
    racks = sum(len(dc["racks"]) for dc in dcs)
    yield (
        f"cloud: {texts.counted(len(dcs), 'data centre')}, "
        f"{texts.counted(racks, 'rack')}, "
        f"{texts.counted(len(hosts), 'host')} ({texts.states(hosts)}; "
        f"{texts.states(hosts, 'mode')})"
    )
    width = max(len(host["name"]) for host in hosts)
    for dc, dc_stroke, dc_line in trees.branches(dcs, strokes):
        yield f"{dc_stroke}{dc['name']}"
        inside = trees.branches(dc["racks"], strokes)
        for rack, rack_stroke, rack_line in inside:
            yield f"{dc_line}{rack_stroke}{rack['name']}"
            for host, stroke, _ in trees.branches(rack["hosts"], strokes):
                yield (
                    f"{dc_line}{rack_line}{stroke}{host['name']:<{width}}  "
                    f"{host['state']:<8}  {host['mode']:<8}  "
                    f"{host['instance_disks']} disks"
                )
