# SPDX-License-Identifier: Apache-2.0
"""``openstack ha host``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from osc_lib.cli import format_columns

from aacloud.client.osc import base
from aacloud.client.osc import texts

NETWORKS = ("management", "tenant", "storage")


class ListHost(base.Lister):
    """List the hosts: what the engine holds each for.

    A host is up, dead or not-sure. Nothing is ever done to a host that is
    not held dead.
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha host list --dc dc1\n"
        "  openstack ha host list --state dead -f json\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--dc", metavar="<dc>", help="only hosts of this data centre"
        )
        parser.add_argument(
            "--rack", metavar="<rack>", help="only hosts of this rack"
        )
        parser.add_argument(
            "--state",
            choices=["up", "dead", "not-sure"],
            help="only hosts in this state",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        hosts = self.client.hosts(
            dc=parsed_args.dc,
            rack=parsed_args.rack,
            state=parsed_args.state,
        )
        columns = (
            "Name",
            "DC",
            "Rack",
            "State",
            *(network.capitalize() for network in NETWORKS),
            "Nova",
            "Mode",
            "Agent seen",
            "Incident",
        )
        return columns, [
            (
                host["name"],
                host["dc"],
                host["rack"],
                host["state"],
                *(host["networks"].get(name, "-") for name in NETWORKS),
                nova_words(host["nova"]),
                host["mode"],
                texts.date(host["agent_seen_at"]),
                host["incident_id"] or "-",
            )
            for host in hosts
        ]


def nova_words(said: dict[str, Any]) -> str:
    """Return what Nova says of a compute service in a few words."""
    words = [str(said.get("state", "-"))]
    words += [key for key in ("forced_down", "disabled") if said.get(key)]
    return ", ".join(words).replace("_", "-")


class ShowHost(base.ShowOne):
    """Show one host: its state, and the reasons for it."""

    examples = (
        "Example::\n\n"
        "  openstack ha host show dc1-r1-h1\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "host", metavar="<host>", help="the name of the host in Nova"
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        host = self.client.host(parsed_args.host)
        for key in ("reasons", "mode_reasons"):
            host[key] = texts.LinesColumn(host[key])
        for key in ("addresses", "networks", "nova"):
            host[key] = format_columns.DictColumn(host[key])
        return tuple(host), tuple(host.values())
