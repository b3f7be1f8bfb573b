# SPDX-License-Identifier: Apache-2.0
"""``openstack ha incident``, all but ``watch``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from cliff.formatters import table as tables
from osc_lib.cli import format_columns

from aacloud.client.osc import base
from aacloud.client.osc import texts

JSON = dict[str, Any]

STATES = (
    "detected",
    "shadowed",
    "admitted",
    "planned",
    "fencing",
    "fenced",
    "forced-down",
    "evacuating",
    "verifying",
    "done",
    "partial",
    "return-wait",
    "returned",
    "cancelled",
)


class ListIncident(base.Lister):
    """List incidents, the newest first."""

    examples = (
        "Examples::\n\n"
        "  openstack ha incident list --open\n"
        "  openstack ha incident list --host dc1-r1-h1 -f json\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--host", metavar="<host>", help="only incidents of this host"
        )
        parser.add_argument(
            "--state",
            choices=STATES,
            metavar="<state>",
            help=f"only incidents in this state: {', '.join(STATES)}",
        )
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--open",
            action="store_true",
            default=None,
            help="only incidents that are open",
        )
        which.add_argument(
            "--closed",
            dest="open",
            action="store_false",
            help="only incidents that are closed",
        )
        parser.add_argument(
            "--limit",
            type=int,
            metavar="<number>",
            help="not more than so many (the API's default is 100)",
        )
        parser.add_argument(
            "--marker",
            metavar="<incident>",
            help="those after this one, the last of the page before",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        incidents = self.client.incidents(
            host=parsed_args.host,
            state=parsed_args.state,
            is_open=parsed_args.open,
            limit=parsed_args.limit,
            marker=parsed_args.marker,
        )
        columns = (
            "ID",
            "Host",
            "State",
            "Mode",
            "Opened",
            "Closed",
            "Waits for",
        )
        return columns, [
            (
                incident["id"],
                incident["host"],
                incident["state"],
                incident["mode"],
                texts.date(incident["opened_at"]),
                texts.date(incident["closed_at"]),
                incident["waiting"] or "-",
            )
            for incident in incidents
        ]


def _add_incident(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "incident", metavar="<incident>", help="the id of the incident"
    )


class ShowIncident(base.ShowOne):
    """Show an incident: verdict, proof, timeline, and each server's downtime.

    Formats other than "table" have the events and the servers as lists, with
    all their keys.
    """

    examples = (
        "Example::\n\n"
        "  openstack ha incident show 3f0c9a52-6d5f-4c3e-9f43-0f0f6b1f3b7a\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_incident(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        client = self.client
        self._incident = client.incident(parsed_args.incident)
        self._servers = client.servers(parsed_args.incident)
        self._events = client.events(parsed_args.incident)
        shown: dict[str, Any] = dict(self._incident)
        for key in ("verdict", "proof", "summary"):
            if shown[key] is not None:
                shown[key] = format_columns.DictColumn(shown[key])
        shown["commands"] = format_columns.ListDictColumn(shown["commands"])
        shown["servers"] = format_columns.ListDictColumn(self._servers)
        shown["events"] = format_columns.ListDictColumn(self._events)
        return tuple(shown), tuple(shown.values())

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Sequence[Any],
    ) -> int:
        if parsed_args.formatter != "table" or parsed_args.columns:
            return int(
                super().produce_output(parsed_args, column_names, data) or 0
            )
        fields = fields_for_people(self._incident)
        self.formatter.emit_one(
            tuple(fields), tuple(fields.values()), self.app.stdout, parsed_args
        )
        self.app.stdout.write("\nTimeline (UTC, seconds since it opened)\n")
        for event in self._events:
            line = texts.event_line(event, self._incident["opened_at"])
            self.app.stdout.write(f"  {line}\n")
        if not self._servers:
            self.app.stdout.write("\nNo servers are planned for yet.\n")
            return 0
        self.app.stdout.write(
            f"\n{texts.counted(len(self._servers), 'server')}: "
            f"{texts.states(self._servers)}; "
            f"{texts.downtimes(self._servers)}\n"
        )
        tables.TableFormatter().emit_list(
            SERVER_COLUMNS,
            [server_row(server) for server in self._servers],
            self.app.stdout,
            parsed_args,
        )
        return 0


SERVER_COLUMNS = (
    "Server",
    "Name",
    "State",
    "From",
    "To",
    "Tries",
    "Down since",
    "Downtime",
    "Reason",
)


def server_row(server: JSON) -> tuple[str, ...]:
    """Return a server of an incident as a row for people."""
    return (
        server["id"],
        server["name"],
        server["state"],
        server["source"],
        server["destination"] or "-",
        str(server["tries"]),
        texts.clock(server["down_since"]),
        texts.duration(server["downtime_s"]),
        server["reason"] or "",
    )


def fields_for_people(incident: JSON) -> dict[str, str]:
    """Return what a person wants to know of an incident first."""
    verdict, proof = incident["verdict"], incident["proof"]
    lasted = "-"
    if incident["closed_at"] is not None:
        lasted = texts.duration(
            texts.seconds_between(
                incident["opened_at"], incident["closed_at"]
            )
        )
    fields = {
        "id": incident["id"],
        "host": incident["host"],
        "state": incident["state"],
        "mode": incident["mode"],
        "opened_at": texts.date(incident["opened_at"]),
        "closed_at": texts.date(incident["closed_at"]),
        "lasted": lasted,
        "waits_for": incident["waiting"] or "-",
        "verdict": _reasons(verdict),
        "proof": "none yet" if proof is None else _reasons(proof),
        "commands": "\n".join(
            f"{texts.date(item['at'])} {item['command']} by {item['by']}: "
            f"{item['reason']}"
            for item in incident["commands"]
        ),
        "request_id": incident["request_id"] or "-",
    }
    for key, value in incident["summary"].items():
        fields[f"summary: {key}"] = _brief(value)
    return fields


def _brief(value: Any) -> str:
    """Return a value of the summary in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {inner}" for key, inner in value.items())
    return "-" if value is None else str(value)


def _reasons(details: JSON) -> str:
    """Return the reasons of a verdict or proof, one a line."""
    reasons = details.get("reasons")
    if isinstance(reasons, list):
        return "\n".join(str(reason) for reason in reasons)
    return "\n".join(f"{key}: {value}" for key, value in details.items())


class _Command(base.ShowOne):
    """Ask something of an incident."""

    def answer(
        self, incident: JSON, reason: str, follows: str
    ) -> tuple[Sequence[str], Iterable[Any]]:
        """Return what was done and what follows."""
        shown = {
            "id": incident["id"],
            "host": incident["host"],
            "state": incident["state"],
            "reason": reason,
            "follows": follows,
        }
        return tuple(shown), tuple(shown.values())


class ConfirmFenced(_Command):
    """Confirm that the host of an incident is powered off.

    The engine takes your word for the proof of the fence and evacuates. If
    the host still runs, its servers run twice and destroy their disks: look
    at the machine, or pull its plug, before you confirm.
    """

    examples = (
        "Example::\n\n"
        "  openstack ha incident confirm-fenced "
        "3f0c9a52-6d5f-4c3e-9f43-0f0f6b1f3b7a \\\n"
        "    --reason 'both power cords pulled, rack 4, J. Doe'\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_incident(parser)
        parser.add_argument(
            "--reason",
            metavar="<text>",
            required=True,
            help="how you know; it is kept with the incident",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        incident = self.client.confirm_fenced(
            parsed_args.incident, parsed_args.reason
        )
        return self.answer(
            incident,
            parsed_args.reason,
            "the engine forces the host down in Nova and evacuates its "
            f"servers; see 'openstack ha incident watch {incident['id']}'",
        )


class CancelIncident(_Command):
    """Give an incident up: nothing more is moved away from its host.

    Until its host is fenced, the incident just closes. After that, as long as
    it is fenced, forced-down or evacuating, servers under way are followed to
    their end; the others stay where they are and are left to you; then the
    host may return. No new incident opens for the host before it has shown
    life again.
    """

    examples = (
        "Example::\n\n"
        "  openstack ha incident cancel "
        "3f0c9a52-6d5f-4c3e-9f43-0f0f6b1f3b7a \\\n"
        "    --reason 'we repair it by hand'\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_incident(parser)
        parser.add_argument(
            "--reason",
            metavar="<text>",
            required=True,
            help="why; it is kept with the incident",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        incident = self.client.cancel(
            parsed_args.incident, parsed_args.reason
        )
        return self.answer(
            incident, parsed_args.reason, after_cancel(incident)
        )


def after_cancel(incident: JSON) -> str:
    """Return what follows when an incident in this state was cancelled."""
    if incident["state"] in ("forced-down", "evacuating"):
        return (
            "nothing more is sent: servers under way are followed to their "
            f"end, the others stay on {incident['host']}; then the host may "
            "return. See 'openstack ha incident watch "
            f"{incident['id']} --until returned'"
        )
    return (
        "the engine closes the incident with its next turn, and opens no "
        "new one for the host before it has shown life again"
    )
