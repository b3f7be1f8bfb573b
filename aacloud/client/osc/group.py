# SPDX-License-Identifier: Apache-2.0
"""``openstack ha group``: made, listed, shown, changed, deleted."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from cliff.formatters import table as tables
from osc_lib.cli import format_columns

from aacloud.client.osc import base
from aacloud.client.osc import group_texts
from aacloud.client.osc import names
from aacloud.client.osc import texts
from aacloud.client.osc import trees

JSON = dict[str, Any]

RULE_HELP = (
    "such as spread:host, spread:rack:max=1:require, "
    "spread:dc:max_skew=1:prefer, together:dc or fence:dc:domains=dc1; may "
    "be given several times, all rules hold together"
)


def add_group(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a group."""
    parser.add_argument(
        "group", metavar="<group>", help="the name or the id of the group"
    )


def add_mode(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--mode``.

    :param default: what happens without it, for the help
    """
    parser.add_argument(
        "--mode",
        choices=group_texts.MODES,
        help=(
            "off: stored only; report: inspected; enforce: kept at every new "
            "placement and move; repair: also mended by migrations in the "
            f"window ({default})"
        ),
    )


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add ``--wait``."""
    parser.add_argument(
        "--wait",
        action="store_true",
        help="wait until all schedulers work with it, at most some seconds",
    )


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add ``--strict``."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help=(
            "refuse, and store nothing, when a required rule would be broken "
            "by where the servers are"
        ),
    )


def joined(answer: JSON) -> tuple[Sequence[str], Iterable[Any]]:
    """Return what came of a join as fields."""
    group = answer["group"]
    shown: dict[str, Any] = {
        "id": group["id"],
        "name": group["name"],
        "mode": group["mode"],
        "rules": texts.LinesColumn(group_texts.rules(group)),
        "members": group["member_count"],
        "joined": format_columns.ListColumn(answer["joined"]),
        "already": format_columns.ListColumn(answer["already"]),
        "state": answer["state"],
        "follows": texts.LinesColumn(group_texts.joined_lines(answer)),
        "plan": format_columns.DictColumn(answer["plan"])
        if answer["plan"]
        else None,
        "revision": group["revision"],
        "waited": format_columns.DictColumn(answer["waited"])
        if answer["waited"]
        else None,
    }
    return tuple(shown), tuple(shown.values())


class Joining(base.ShowOne):
    """A command whose output tells what came of a join."""

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Sequence[Any],
    ) -> int:
        """Leave out for people what "follows" says in words."""
        if parsed_args.formatter == "table" and not parsed_args.columns:
            kept = [
                (name, value)
                for name, value in zip(column_names, data, strict=True)
                if name not in ("plan", "waited")
            ]
            column_names = [name for name, _ in kept]
            data = [value for _, value in kept]
        return int(
            super().produce_output(parsed_args, column_names, data) or 0
        )


class CreateGroup(Joining):
    """Create an HA server group, with servers if some are named.

    The servers may run; they stay where they are. The output says how the
    group stands, and which moves would mend it. Rules that no placement can
    keep together are refused with an example.
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha group create web --rule spread:rack:max=1:require\n"
        "  openstack ha group create db --rule spread:host "
        "--rule spread:dc:max_skew=1 \\\n"
        "    --server db-1 --server db-2 --server db-3 --mode repair "
        "--wait\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "name", metavar="<name>", help="unique in the project"
        )
        parser.add_argument(
            "--rule",
            metavar="<rule>",
            action="append",
            default=[],
            help=RULE_HELP,
        )
        add_mode(parser, "default: enforce")
        parser.add_argument(
            "--server",
            metavar="<server>",
            action="append",
            default=[],
            help=(
                "a server that joins, by name or id; may be given several "
                "times"
            ),
        )
        parser.add_argument(
            "--window",
            metavar="<window>",
            help="see 'openstack ha group window set --help'",
        )
        parser.add_argument(
            "--project",
            metavar="<project>",
            help="whose it is to be (administrators only)",
        )
        add_strict(parser)
        add_wait(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        manager = self.app.client_manager
        properties: JSON = {
            "mode": parsed_args.mode,
            "rules": parsed_args.rule,
            "window": parsed_args.window,
            "servers": [
                names.server_id(manager, server)
                for server in parsed_args.server
            ],
            "strict": parsed_args.strict,
            "wait": parsed_args.wait,
        }
        if parsed_args.project is not None:
            properties["project_id"] = names.project_id(
                manager, parsed_args.project
            )
        return joined(
            self.client.groups.create(parsed_args.name, **properties)
        )


class ListGroup(base.Lister):
    """List HA server groups with how each was found last."""

    examples = (
        "Examples::\n\n"
        "  openstack ha group list\n"
        "  openstack ha group list --all-projects --state violating -f json\n"
        "  openstack ha group list --server web-1\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument(
            "--all-projects",
            action="store_true",
            default=None,
            help="the groups of all projects (operators only)",
        )
        whose.add_argument(
            "--project",
            metavar="<project>",
            help="the groups of this project (operators only)",
        )
        parser.add_argument(
            "--server",
            metavar="<server>",
            help="only groups that this server is in",
        )
        parser.add_argument(
            "--state",
            choices=group_texts.STATES,
            help="only groups in this state",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        manager = self.app.client_manager
        project, server = parsed_args.project, parsed_args.server
        groups = self.client.groups.list(
            all_projects=parsed_args.all_projects,
            project_id=project and names.project_id(manager, project),
            server_id=server and names.server_id(manager, server),
            state=parsed_args.state,
        )
        several = parsed_args.all_projects or project
        columns = (
            "ID",
            "Name",
            *(["Project"] if several else []),
            "Mode",
            "State",
            "Members",
            "Rules",
            "Inspected",
        )
        return columns, [
            (
                group["id"],
                group["name"],
                *([group["project_id"]] if several else []),
                group["mode"],
                group["state"],
                group["member_count"],
                texts.LinesColumn(group_texts.rules(group)),
                texts.date(group["inspected_at"]),
            )
            for group in groups
        ]


class ShowGroup(base.ShowOne):
    """Show an HA server group: rules, state, and its members drawn.

    The members are drawn by data centre, rack and host. Names of domains
    that you may not know are replaced by others such as rack-1. What is
    shown was found at the last inspection; "openstack ha group inspect"
    looks again. Formats other than "table" have the members and the report
    with all their keys.
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha group show web\n"
        "  openstack ha group show web -f json\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_group(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        groups = self.client.groups
        found = groups.find(parsed_args.group)
        self._shown = groups.get(found["id"])
        shown = dict(self._shown["group"])
        shown["rules"] = texts.LinesColumn(group_texts.rules(shown))
        shown["members"] = format_columns.ListDictColumn(
            self._shown["members"]
        )
        shown["report"] = (
            format_columns.DictColumn(self._shown["report"])
            if self._shown["report"]
            else None
        )
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
        group, report = self._shown["group"], self._shown["report"]
        out = self.app.stdout
        fields = group_texts.for_people(group, report)
        self.formatter.emit_one(
            tuple(fields), tuple(fields.values()), out, parsed_args
        )
        members = self._shown["members"]
        out.write(f"\n{texts.counted(len(members), 'member')}\n")
        for line in trees.members(members, trees.strokes(out)):
            out.write(f"{line}\n")
        if report is None:
            out.write(
                "\nIt was not inspected yet: 'openstack ha group inspect'.\n"
            )
            return 0
        if report["rules"]:
            out.write("\nRules\n")
            tables.TableFormatter().emit_list(
                group_texts.FINDING_COLUMNS,
                [group_texts.finding_row(one) for one in report["rules"]],
                out,
                parsed_args,
            )
        return 0


class _Change(base.ShowOne):
    """Change a group."""

    def changed(
        self, parsed_args: argparse.Namespace, changes: JSON
    ) -> tuple[Sequence[str], Iterable[Any]]:
        """Send the changes, and return the group as fields."""
        groups = self.client.groups
        found = groups.find(parsed_args.group)
        if getattr(parsed_args, "wait", False):
            changes["wait"] = True
        answer = groups.update(found["id"], changes)
        group = answer["group"]
        shown: dict[str, Any] = {
            key: group[key] for key in ("id", "name", "mode")
        }
        shown["rules"] = texts.LinesColumn(group_texts.rules(group))
        shown["window"] = group["window"]
        shown["next_window"] = group_texts.opening(group)
        shown["state"] = group["state"]
        shown["version"] = group["version"]
        shown["revision"] = group["revision"]
        if answer["waited"] is not None:
            shown["waited"] = texts.LinesColumn(
                group_texts.waited_lines(answer)
            )
        return tuple(shown), tuple(shown.values())


class SetGroup(_Change):
    """Change an HA server group: its name, its mode, its rules.

    No server is moved by this; in the mode repair the engine mends the group
    in its window.
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha group set web --mode repair\n"
        "  openstack ha group set web --rule spread:dc:max_skew=1\n"
        "  openstack ha group set web --no-rule --rule together:dc --wait\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_group(parser)
        parser.add_argument("--name", metavar="<name>", help="the new name")
        add_mode(parser, "default: as it is")
        parser.add_argument(
            "--rule",
            metavar="<rule>",
            action="append",
            default=[],
            help=f"a rule to add, {RULE_HELP}",
        )
        parser.add_argument(
            "--no-rule",
            action="store_true",
            help="remove all rules it has, before those of --rule are added",
        )
        parser.add_argument(
            "--version",
            type=int,
            metavar="<number>",
            help="refuse the change when the group has another version",
        )
        add_wait(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        changes: JSON = {
            key: getattr(parsed_args, key)
            for key in ("name", "mode", "version")
            if getattr(parsed_args, key) is not None
        }
        if parsed_args.no_rule:
            changes["rules"] = parsed_args.rule
        elif parsed_args.rule:
            changes["add_rules"] = parsed_args.rule
        return self.changed(parsed_args, changes)


class UnsetGroup(_Change):
    """Remove rules of an HA server group, or its window."""

    examples = (
        "Examples::\n\n"
        "  openstack ha group unset web --rule spread:dc:max_skew=1\n"
        "  openstack ha group unset web --window\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_group(parser)
        parser.add_argument(
            "--rule",
            metavar="<rule>",
            action="append",
            default=[],
            help=(
                "a rule to remove, as 'openstack ha group show' writes it; "
                "may be given several times"
            ),
        )
        parser.add_argument(
            "--window", action="store_true", help="remove its own window"
        )
        add_wait(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        changes: JSON = {}
        if parsed_args.rule:
            changes["remove_rules"] = parsed_args.rule
        if parsed_args.window:
            changes["window"] = None
        return self.changed(parsed_args, changes)


class DeleteGroup(base.Command):
    """Delete HA server groups; their servers stay where they are."""

    examples = (
        "Example::\n\n"
        "  openstack ha group delete web db\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "group",
            metavar="<group>",
            nargs="+",
            help="the names or the ids of the groups",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        groups = self.client.groups
        for found in [groups.find(text) for text in parsed_args.group]:
            groups.delete(found["id"])
