# SPDX-License-Identifier: Apache-2.0
"""``openstack ha plan``: repair plans."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from cliff.formatters import table as tables
from osc_lib.cli import format_columns

from aacloud.client.osc import base
from aacloud.client.osc import group_texts
from aacloud.client.osc import texts

JSON = dict[str, Any]

NO_REASON = "no reason was given"

STATES = (
    "draft",
    "awaiting-approval",
    "approved",
    "running",
    "paused",
    "done",
    "stopped",
    "failed",
    "expired",
)

STEP_COLUMNS = (
    "Step",
    "Server",
    "Name",
    "State",
    "From",
    "To",
    "After",
    "Verified",
    "Reason",
)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="<plan>", help="the id of the plan")


def step_row(step: JSON) -> tuple[str, ...]:
    """Return a step as a row for people."""
    return (
        str(step["number"]),
        step["server_id"] or group_texts.ANOTHER,
        step["server_name"] or "-",
        step["state"],
        step["source"],
        step["destination"] or "-",
        ", ".join(map(str, step["after"])) or "-",
        texts.date(step["verified_at"]),
        step["reason"] or "",
    )


class ListPlan(base.Lister):
    """List repair plans, the newest first."""

    examples = (
        "Examples::\n\n"
        "  openstack ha plan list --open\n"
        "  openstack ha plan list --group web --state done -f json\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--group",
            metavar="<group>",
            help="only plans for this group alone",
        )
        parser.add_argument(
            "--state",
            choices=STATES,
            metavar="<state>",
            help=f"only plans in this state: {', '.join(STATES)}",
        )
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--open",
            action="store_true",
            default=None,
            help="only plans that are open",
        )
        which.add_argument(
            "--closed",
            dest="open",
            action="store_false",
            help="only plans that have ended",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        wanted = parsed_args.group
        plans = self.client.plans.list(
            group_id=wanted and self.client.groups.find(wanted)["id"],
            state=parsed_args.state,
            is_open=parsed_args.open,
        )
        columns = (
            "ID",
            "For",
            "State",
            "Groups",
            "Created",
            "Closed",
            "Waits for",
        )
        return columns, [
            (
                plan["id"],
                plan["group_id"] or "all groups",
                plan["state"],
                len(plan["group_ids"]),
                texts.date(plan["created_at"]),
                texts.date(plan["closed_at"]),
                plan["waiting"] or "-",
            )
            for plan in plans
        ]


class ShowPlan(base.ShowOne):
    """Show a repair plan: its moves, how far they are, and its story.

    Formats other than "table" have the steps and the events as lists, with
    all their keys.
    """

    examples = (
        "Example::\n\n"
        "  openstack ha plan show 0b7f9b5e-5a43-4f0b-8a5a-8a0c8f0f3c55\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_plan(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        plans = self.client.plans
        found = plans.get(parsed_args.plan)
        self._plan, self._steps = found["plan"], found["steps"]
        self._events = plans.events(parsed_args.plan)
        shown: dict[str, Any] = dict(self._plan)
        shown["summary"] = format_columns.DictColumn(shown["summary"])
        shown["orders"] = format_columns.ListDictColumn(shown["orders"])
        shown["steps"] = format_columns.ListDictColumn(self._steps)
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
        fields = for_people(self._plan)
        out = self.app.stdout
        self.formatter.emit_one(
            tuple(fields), tuple(fields.values()), out, parsed_args
        )
        out.write("\nStory (UTC, seconds since it was made)\n")
        for event in self._events:
            line = texts.event_line(event, self._plan["created_at"])
            out.write(f"  {line}\n")
        if not self._steps:
            out.write("\nIt has no steps: there is nothing to move.\n")
            return 0
        out.write(
            f"\n{texts.counted(len(self._steps), 'step')}: "
            f"{texts.states(self._steps)}\n"
        )
        tables.TableFormatter().emit_list(
            STEP_COLUMNS,
            [step_row(step) for step in self._steps],
            out,
            parsed_args,
        )
        return 0


def for_people(plan: JSON) -> dict[str, str]:
    """Return what a person wants to know of a plan first."""
    fields = {
        "id": plan["id"],
        "for": plan["group_id"] or "all groups",
        "groups": texts.listed(plan["group_ids"]) or "none",
        "state": plan["state"],
        "waits_for": plan["waiting"] or "-",
        "window": plan["window"] or "any time",
        "created_at": texts.date(plan["created_at"]),
        "created_by": plan["created_by"],
        "expires_at": texts.date(plan["expires_at"]),
        "closed_at": texts.date(plan["closed_at"]),
        "orders": "\n".join(
            f"{texts.date(item['at'])} {item['command']} by {item['by']}: "
            f"{item['reason']}"
            for item in plan["orders"]
        ),
    }
    for key, value in plan["summary"].items():
        shown = value
        if isinstance(value, list):
            shown = "\n".join(map(str, value)) or "none"
        fields[f"summary: {key}"] = "-" if shown is None else str(shown)
    return fields


class _Command(base.ShowOne):
    """Ask something of a plan."""

    command = ""
    follows = ""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_plan(parser)
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
        plan = self.client.plans.command(
            parsed_args.plan, self.command, parsed_args.reason
        )
        shown = {
            "id": plan["id"],
            "state": plan["state"],
            "reason": parsed_args.reason,
            "follows": self.follows,
        }
        return tuple(shown), tuple(shown.values())


class ApprovePlan(_Command):
    """Approve a repair plan: its moves begin, in its window."""

    command = "approve"
    follows = (
        "the engine begins its moves in the window, each checked again right "
        "before it starts; see 'openstack ha plan show'"
    )
    examples = (
        "Example::\n\n"
        "  openstack ha plan approve 0b7f9b5e-5a43-4f0b-8a5a-8a0c8f0f3c55 "
        "--reason 'looked at'\n"
    )


class PausePlan(_Command):
    """Pause a repair plan: no further move begins.

    Moves under way are followed to their end.
    """

    command = "pause"
    follows = "no further move begins; moves under way go on to their end"
    examples = (
        "Example::\n\n"
        "  openstack ha plan pause 0b7f9b5e-5a43-4f0b-8a5a-8a0c8f0f3c55\n"
    )


class ResumePlan(_Command):
    """Resume a repair plan that was paused."""

    command = "resume"
    follows = "the engine goes on with it in its window"
    examples = (
        "Example::\n\n"
        "  openstack ha plan resume 0b7f9b5e-5a43-4f0b-8a5a-8a0c8f0f3c55\n"
    )


class StopPlan(_Command):
    """Stop a repair plan for good.

    Moves under way are followed to their end, the others are left out. What
    was moved stays where it is.
    """

    command = "stop"
    follows = (
        "moves under way go on to their end, the others are left out; what "
        "was moved stays"
    )
    examples = (
        "Example::\n\n"
        "  openstack ha plan stop 0b7f9b5e-5a43-4f0b-8a5a-8a0c8f0f3c55 "
        "--reason 'the hosts are needed'\n"
    )
