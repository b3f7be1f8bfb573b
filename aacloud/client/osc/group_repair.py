# SPDX-License-Identifier: Apache-2.0
"""``openstack ha group``: inspected, imported, repaired."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from aacloud.client import errors
from aacloud.client import groups as groups_client
from aacloud.client.osc import base
from aacloud.client.osc import group
from aacloud.client.osc import group_texts
from aacloud.client.osc import texts

JSON = dict[str, Any]

NO_REASON = "no reason was given"


class InspectGroup(base.Lister):
    """Inspect HA server groups now: how each rule is kept, and why not.

    Looks in Nova where the members are; nothing is moved. Ends with 0 when
    all groups are compliant (or as good as they can be while a data centre
    is lost), with 3 when one is violated or cannot be kept, and with 4 when
    it is not known.
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha group inspect web\n"
        "  openstack ha group inspect --all -f json\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "group",
            metavar="<group>",
            nargs="*",
            help="the names or the ids of groups",
        )
        parser.add_argument(
            "--all",
            action="store_true",
            help="all groups of the project",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        client = self.client.groups
        if bool(parsed_args.group) == parsed_args.all:
            raise errors.ClientError("name groups, or give --all")
        wanted = (
            client.list()
            if parsed_args.all
            else [client.find(text) for text in parsed_args.group]
        )
        self._found = [client.inspect(one["id"]) for one in wanted]
        columns: tuple[str, ...] = (
            "Group",
            "Group state",
            *group_texts.FINDING_COLUMNS,
        )
        if parsed_args.formatter != "table":
            columns = (*columns, "Hindrance", "Inspected", "Age", "Sought")
        rows: list[tuple[Any, ...]] = []
        for found in self._found:
            rows += _rows(found, machine=parsed_args.formatter != "table")
        return columns, rows

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Any],
    ) -> int:
        """Print the findings; people are told below how old they are."""
        status = super().produce_output(parsed_args, column_names, data)
        if parsed_args.formatter == "table":
            for found in self._found:
                self.app.stdout.write(
                    f"{found['group']['name']}: "
                    f"{group_texts.read_line(found['report'])}\n"
                )
        return int(status or 0)

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; return the exit status of the worst group."""
        status = int(super().run(parsed_args) or 0)
        return status or group_texts.exit_status(
            found["group"] for found in self._found
        )


def _rows(found: JSON, *, machine: bool) -> list[tuple[Any, ...]]:
    """Return a row a rule of an inspected group."""
    name, state = found["group"]["name"], found["group"]["state"]
    report = found["report"]
    if not report["rules"]:
        row: tuple[Any, ...] = (name, state, "-", "-", "", "", 0, "-", "")
        rows = [(*row, None) if machine else row]
    elif machine:
        rows = [
            (
                name,
                state,
                finding["rule"]["text"],
                finding["state"],
                finding["counts"],
                finding["limit"],
                finding["excess"],
                finding["least_moves"],
                group_texts.reasons(finding),
                finding.get("hindrance"),
            )
            for finding in report["rules"]
        ]
    else:
        rows = [
            (name, state, *group_texts.finding_row(finding))
            for finding in report["rules"]
        ]
    if machine:
        rows = [
            (
                *row,
                report["inspected_at"],
                report["age_s"],
                report.get("sought_at"),
            )
            for row in rows
        ]
    return rows


class ImportGroup(base.Lister):
    """Make HA server groups of Nova's own server groups.

    Nova goes on to enforce its group; the new one adds rules at rack and
    data centre, joins of running servers, reports and repair. What was
    imported before is left alone.
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha group import "
        "5c6b6a0e-4f9e-4b0e-9d0c-1d7f0c3f4a11\n"
        "  openstack ha group import --all --dry-run\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "native",
            metavar="<server-group>",
            nargs="?",
            help="the id of Nova's server group",
        )
        parser.add_argument(
            "--all",
            action="store_true",
            help="all server groups that you may manage",
        )
        group.add_mode(parser, "default: report")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only tell what would be imported",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        if (parsed_args.native is not None) == parsed_args.all:
            raise errors.ClientError("name a server group, or give --all")
        found = self.client.groups.import_native(
            parsed_args.native,
            mode=parsed_args.mode,
            dry_run=parsed_args.dry_run,
        )
        columns = (
            "Server group",
            "Name",
            "Policy",
            "Rules",
            "Members",
            "Group",
            "Note",
        )
        return columns, [
            (
                native["id"],
                native["name"],
                native["policy"],
                texts.LinesColumn(group_texts.rules(native)),
                len(native["servers"]),
                native["group_id"] or "-",
                native["reason"] or "imported",
            )
            for native in found
        ]


class RepairGroup(base.Lister):
    """Plan the fewest moves that mend a group, or all groups.

    Without an option, and with --dry-run, the moves are only shown; the plan
    is kept as a draft. With --approve the plan is carried out: the one that
    waits for the group, or else a new one. Its moves are live migrations,
    one a host at a time, each checked again right before it starts, and only
    in the window of the group. With --all and --approve the plan is for the
    window with the most broken groups; ask once more for the next one.
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha group repair web --dry-run\n"
        "  openstack ha group repair web --approve --reason 'checked'\n"
        "  openstack ha group repair --all --dry-run -f json\n"
        "  openstack ha group repair --approve "
        "0b7f9b5e-5a43-4f0b-8a5a-8a0c8f0f3c55\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "group",
            metavar="<group>",
            nargs="?",
            help=(
                "the name or the id of the group; with --approve also the "
                "id of a plan"
            ),
        )
        parser.add_argument(
            "--all",
            action="store_true",
            help="all groups together (administrators only)",
        )
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--dry-run",
            action="store_true",
            help="only show the plan; it is kept as a draft (the default)",
        )
        how.add_argument(
            "--approve",
            action="store_true",
            help="let the moves begin, in the window of the group",
        )
        parser.add_argument(
            "--reason",
            metavar="<text>",
            default=NO_REASON,
            help="why; it is kept with the plan",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        if (parsed_args.group is not None) == parsed_args.all:
            raise errors.ClientError("name a group, or give --all")
        self._lines: list[str] = []
        if parsed_args.approve:
            return self._approved(parsed_args)
        plan = self.client.plans.create(self._scope(parsed_args), dry_run=True)
        self._lines = [
            group_texts.plan_line(plan),
            *group_texts.left_lines(plan),
        ]
        if plan["id"] and plan["steps"]:
            self._lines.append(
                "nothing is moved; to carry it out: 'openstack ha plan "
                f"approve {plan['id']}'"
            )
        return group_texts.STEP_COLUMNS, group_texts.preview_rows(plan)

    def _scope(self, parsed_args: argparse.Namespace) -> str | None:
        if parsed_args.all:
            return None
        found: str = self.client.groups.find(parsed_args.group)["id"]
        return found

    def _approved(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        """Approve a plan and return its steps."""
        plans = self.client.plans
        plan_id = self._plan_named(parsed_args.group)
        if plan_id is None:
            scope = self._scope(parsed_args)
            waiting = [
                plan
                for plan in plans.list(
                    group_id=scope, state="awaiting-approval"
                )
                if plan["group_id"] == scope
            ]
            plan_id = waiting[0]["id"] if waiting else None
            if plan_id is None:
                made = plans.create(scope, dry_run=False)
                self._lines = [
                    group_texts.plan_line(made),
                    *group_texts.left_lines(made),
                ]
                plan_id = made["id"]
                if plan_id is None or not made["steps"]:
                    return group_texts.STEP_COLUMNS, []
        found = plans.get(plan_id)
        if found["plan"]["state"] in ("draft", "awaiting-approval"):
            plans.command(plan_id, "approve", parsed_args.reason)
        self._lines.append(
            f"plan {plan_id} is approved; see 'openstack ha plan show "
            f"{plan_id}'"
        )
        return group_texts.STEP_COLUMNS, [
            group_texts.step_row(step) for step in found["steps"]
        ]

    def _plan_named(self, text: str | None) -> str | None:
        """Return the id of the plan that is meant, if one is."""
        if text is None or not groups_client.is_id(text):
            return None
        try:
            found: str = self.client.plans.get(text)["plan"]["id"]
        except errors.NotFound:
            return None
        return found

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Any],
    ) -> int:
        status = int(
            super().produce_output(parsed_args, column_names, data) or 0
        )
        # Programs read the table alone.
        if parsed_args.formatter == "table":
            for line in self._lines:
                self.app.stdout.write(f"{line}\n")
        return status
