# SPDX-License-Identifier: Apache-2.0
"""``openstack ha failover``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aacloud.client import errors
from aacloud.client.osc import base
from aacloud.client.osc import domains
from aacloud.client.osc import texts

JSON = dict[str, Any]

NO_REASON = "no reason was given"

#: What follows once hosts have a mode.
CONSEQUENCES: Mapping[str, str] = {
    "armed": (
        "when {hosts} dies, it is fenced and its servers are evacuated "
        "without a question"
    ),
    "shadow": (
        "when {hosts} dies, an incident tells what would be done; nothing "
        "is done"
    ),
    "disarmed": "when {hosts} dies, nothing is done and no incident opens",
}


def following(effective: Sequence[JSON]) -> list[str]:
    """Return what follows for hosts from their modes, a line each mode."""
    found = []
    for mode, text in CONSEQUENCES.items():
        names = [host["host"] for host in effective if host["mode"] == mode]
        if len(names) == 1:
            found.append(text.format(hosts=names[0]))
        elif names:
            found.append(
                text.format(hosts=f"one of these {len(names)} hosts")
                + f": {texts.listed(names)}"
            )
    return found or ["no host is in it yet"]


def acted_upon(
    incidents: Sequence[JSON], effective: Sequence[JSON]
) -> list[str]:
    """Return what arming does to incidents that are open in shadow mode."""
    armed = {host["host"] for host in effective if host["mode"] == "armed"}
    return [
        f"incident {incident['id']} of host {incident['host']} is open in "
        "shadow mode: it begins anew, and the host is fenced if it is dead"
        for incident in incidents
        if incident["host"] in armed
    ]


def others(modes: JSON, wanted: str) -> list[str]:
    """Return the domains of the cloud that have another mode.

    Names a data centre or a rack instead of its hosts when all of them
    have the same one.

    :param modes: what the API tells of all modes
    :param wanted: the mode that is left out
    """
    return [
        f"{domains.described(level, name)}: {mode}"
        for level, name, mode in _grouped(modes["effective"])
        if mode != wanted
    ]


def _grouped(hosts: Sequence[JSON]) -> list[tuple[str, str, str]]:
    """Return (level, name, mode) of the widest domains of one mode."""
    found = []
    for dc in sorted({host["dc"] for host in hosts}):
        in_dc = [host for host in hosts if host["dc"] == dc]
        if len({host["mode"] for host in in_dc}) == 1:
            found.append(("dc", dc, in_dc[0]["mode"]))
            continue
        for rack in sorted({host["rack"] for host in in_dc}):
            in_rack = [host for host in in_dc if host["rack"] == rack]
            if len({host["mode"] for host in in_rack}) == 1:
                found.append(("rack", rack, in_rack[0]["mode"]))
                continue
            found += [("host", host["host"], host["mode"]) for host in in_rack]
    return found


class _SetMode(base.ShowOne):
    """Give a domain a mode."""

    mode = ""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        domains.add_domain_options(parser, "the whole cloud")
        parser.add_argument(
            "--reason",
            metavar="<text>",
            default=NO_REASON,
            help="why; it is kept with the setting",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        client = self.client
        level, name = domains.domain_of(parsed_args)
        answer = client.set_mode(level, name, self.mode, parsed_args.reason)
        setting, previous = answer["mode"], answer["previous"]
        follows = following(answer["effective"])
        if self.mode == "armed":
            follows += acted_upon(
                client.incidents(state="shadowed"), answer["effective"]
            )
        shown: dict[str, Any] = {
            "domain": domains.described(level, name),
            "mode": setting["mode"],
            "before": previous["mode"] if previous else "inherited",
            "reason": setting["reason"],
            "set_by": setting["set_by"],
            "set_at": setting["set_at"],
            "follows": texts.LinesColumn(follows),
        }
        if self.mode == "armed":
            shown["not_armed"] = texts.LinesColumn(
                others(client.modes(), "armed")
            )
        return tuple(shown), tuple(shown.values())


class ArmFailover(_SetMode):
    """Arm a domain: hosts that die are fenced and evacuated.

    A domain inside a disarmed one stays disarmed. What is not armed
    afterwards is listed as "not_armed". An incident that is open in shadow
    mode begins anew, and is acted upon.
    """

    mode = "armed"
    examples = (
        "Examples::\n\n"
        "  openstack ha failover arm --reason 'rollout is over'\n"
        "  openstack ha failover arm --rack dc1-r2\n"
    )


class DisarmFailover(_SetMode):
    """Disarm a domain: the kill switch, nothing is done in it.

    It wins over any setting inside the domain. Of a recovery under way
    nothing more is sent; what Nova does already goes on.
    """

    mode = "disarmed"
    examples = (
        "Examples::\n\n"
        "  openstack ha failover disarm --reason 'network works tonight'\n"
        "  openstack ha failover disarm --dc dc2 --reason 'generator test'\n"
    )


class ShadowFailover(_SetMode):
    """Put a domain into shadow mode: decide and tell, do nothing."""

    mode = "shadow"
    examples = (
        "Example::\n\n"
        "  openstack ha failover shadow --host dc1-r1-h1 --reason 'on trial'\n"
    )


class InheritFailover(base.ShowOne):
    """Remove the mode of a domain: it inherits that of its enclosing one.

    A cloud without a mode is in shadow mode.
    """

    examples = (
        "Example::\n\n"
        "  openstack ha failover inherit --host dc1-r1-h1\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        domains.add_domain_options(parser, "the whole cloud")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        client = self.client
        level, name = domains.domain_of(parsed_args)
        client.reset_mode(level, name)
        modes = client.modes()
        shown: dict[str, Any] = {
            "domain": domains.described(level, name),
            "mode": "inherited",
            "follows": texts.LinesColumn(
                following(_inside(modes["effective"], level, name))
            ),
        }
        return tuple(shown), tuple(shown.values())


class ShowFailover(base.Lister):
    """Show the modes: what is set, and what follows for each host."""

    examples = (
        "Examples::\n\n"
        "  openstack ha failover show\n"
        "  openstack ha failover show --dc dc1 -f json\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        domains.add_domain_options(parser, "everything")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        modes = self.client.modes()
        level, name = domains.domain_of(parsed_args)
        hosts = _inside(modes["effective"], level, name)
        if not hosts and level != "cloud":
            raise errors.ClientError(
                f"the topology knows no {domains.described(level, name)}; "
                "see 'openstack ha topology show'"
            )
        columns = (
            "Level",
            "Domain",
            "Set",
            "Effective",
            "Why",
            "Set by",
            "Set at",
        )
        return columns, _rows(modes["modes"], hosts, level)


def _inside(
    effective: Sequence[JSON], level: str, name: str
) -> list[JSON]:
    """Return the hosts of a domain."""
    if level == "cloud":
        return list(effective)
    return [host for host in effective if host[level] == name]


_LEVELS = ("cloud", "dc", "rack", "host")


def _rows(
    settings: Sequence[JSON], hosts: Sequence[JSON], widest: str
) -> list[tuple[str, ...]]:
    """Return a row for each domain, and for settings of lost domains."""
    left = {(item["level"], item["name"]): item for item in settings}
    rows = []
    for level in _LEVELS[_LEVELS.index(widest) :]:
        names = (
            ["cloud"]
            if level == "cloud"
            else sorted({host[level] for host in hosts})
        )
        for name in names:
            inside = _inside(hosts, level, name)
            setting = left.pop((level, name), None)
            rows.append(_row(level, name, setting, inside))
    if widest == "cloud":
        for (level, name), setting in left.items():
            rows.append(_row(level, name, setting, []))
    return rows


def _row(
    level: str, name: str, setting: JSON | None, inside: Sequence[JSON]
) -> tuple[str, ...]:
    modes = {host["mode"] for host in inside}
    if not inside:
        effective = "no hosts"
    elif len(modes) == 1:
        (effective,) = modes
    else:
        effective = texts.states(inside, "mode")
    why = ""
    if setting is not None:
        why = setting["reason"]
    elif level == "host":
        why = "; ".join(inside[0]["reasons"])
    return (
        level,
        name,
        setting["mode"] if setting else "-",
        effective,
        why,
        setting["set_by"] if setting else "-",
        texts.date(setting["set_at"]) if setting else "-",
    )
