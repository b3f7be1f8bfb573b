# SPDX-License-Identifier: Apache-2.0
"""``openstack ha group``: servers join and leave, windows and quotas."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from aacloud.client.osc import base
from aacloud.client.osc import group
from aacloud.client.osc import group_texts
from aacloud.client.osc import names
from aacloud.client.osc import texts

JSON = dict[str, Any]


def _add_servers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "server",
        metavar="<server>",
        nargs="+",
        help="the names or the ids of the servers",
    )


class AddServer(group.Joining):
    """Let servers join an HA server group, running ones too.

    A join never fails because of where the servers are: the output says how
    the group stands with them, and which moves would mend it. From then on
    the rules hold at every further placement and move of them. Servers that
    are in the group already stay in it.
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha group add server web web-1 web-2\n"
        "  openstack ha group add server web web-3 --strict --wait\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        group.add_group(parser)
        _add_servers(parser)
        group.add_strict(parser)
        group.add_wait(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        manager = self.app.client_manager
        servers = [
            names.server_id(manager, server) for server in parsed_args.server
        ]
        groups = self.client.groups
        found = groups.find(parsed_args.group)
        return group.joined(
            groups.join(
                found["id"],
                servers,
                strict=parsed_args.strict,
                wait=parsed_args.wait,
            )
        )


class RemoveServer(base.ShowOne):
    """Let servers leave an HA server group; it always succeeds."""

    examples = (
        "Example::\n\n"
        "  openstack ha group remove server web web-2\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        group.add_group(parser)
        _add_servers(parser)
        group.add_wait(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        groups = self.client.groups
        found = groups.find(parsed_args.group)
        inside = {
            member["name"]: member["id"]
            for member in groups.get(found["id"])["members"]
        }
        # A member that Nova has deleted meanwhile can still be named.
        servers = [
            inside.get(server)
            or names.server_id(self.app.client_manager, server)
            for server in parsed_args.server
        ]
        left: list[str] = []
        absent: list[str] = []
        lines: list[str] = []
        answer: JSON = {"group": found}
        for number, server in enumerate(servers, start=1):
            # The last change is the one to wait for.
            last = parsed_args.wait and number == len(servers)
            answer = groups.leave(found["id"], server, wait=last)
            (left if answer["left"] else absent).append(server)
            lines = group_texts.waited_lines(answer)
        shown: dict[str, Any] = {
            "id": found["id"],
            "name": found["name"],
            "left": texts.LinesColumn(left),
            "not_members": texts.LinesColumn(absent),
            "members": answer["group"]["member_count"],
            "revision": answer["group"]["revision"],
        }
        if lines:
            shown["waited"] = texts.LinesColumn(lines)
        return tuple(shown), tuple(shown.values())


class _Window(base.ShowOne):
    """Have to do with the window of a group."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        group.add_group(parser)
        return parser

    def shown(self, found: JSON) -> tuple[Sequence[str], Iterable[Any]]:
        """Return the window of a group as fields."""
        fields = {
            "id": found["id"],
            "name": found["name"],
            "mode": found["mode"],
            "window": found["window"],
            "next": group_texts.opening(found),
            "opens_at": found["window_opens_at"],
            "closes_at": found["window_closes_at"],
        }
        return tuple(fields), tuple(fields.values())

    def set_to(
        self, parsed_args: argparse.Namespace, window: str | None
    ) -> tuple[Sequence[str], Iterable[Any]]:
        """Store a window and return it."""
        groups = self.client.groups
        found = groups.find(parsed_args.group)
        answer = groups.update(found["id"], {"window": window})
        return self.shown(answer["group"])


class ShowWindow(_Window):
    """Show when a group may be repaired, and when that is next."""

    examples = (
        "Example::\n\n"
        "  openstack ha group window show web\n"
    )

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        return self.shown(self.client.groups.find(parsed_args.group))


class SetWindow(_Window):
    """Set when a group may be repaired.

    A window opens by a cron line of five fields or by a rule of RFC 5545,
    stays open for its duration, and follows the clocks of its time zone. A
    move is begun only when it will end before the window closes.
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha group window set web "
        "'cron:0 1 * * 6;duration=4h;tz=Europe/Berlin'\n"
        "  openstack ha group window set web \\\n"
        "    'rrule:FREQ=WEEKLY;BYDAY=SA,SU;BYHOUR=1;duration=90m;tz=UTC'\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "window", metavar="<window>", help="when; see the examples"
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        return self.set_to(parsed_args, parsed_args.window)


class UnsetWindow(_Window):
    """Remove the window of a group: the configured one holds again."""

    examples = (
        "Example::\n\n"
        "  openstack ha group window unset web\n"
    )

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        return self.set_to(parsed_args, None)


def _quota(quota: JSON) -> tuple[Sequence[str], Iterable[Any]]:
    fields = {
        "project_id": quota["project_id"],
        "groups": quota["groups"]["limit"],
        "groups_used": quota["groups"]["used"],
        "members": quota["members"]["limit"],
        "members_used": quota["members"]["used"],
    }
    return tuple(fields), tuple(fields.values())


class ShowQuota(base.ShowOne):
    """Show how many groups and members a project may have, and has.

    The limit -1 means any number. A server counts in each of its groups.
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha group quota show\n"
        "  openstack ha group quota show shop -f json\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "project",
            metavar="<project>",
            nargs="?",
            help="the name or the id of the project (default: your own)",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        manager = self.app.client_manager
        project = (
            names.own_project_id(manager)
            if parsed_args.project is None
            else names.project_id(manager, parsed_args.project)
        )
        return _quota(self.client.groups.quota(project))


def _limit(text: str) -> int | None:
    """Return a limit: a number, or "default"."""
    if text == "default":
        return None
    try:
        found = int(text)
    except ValueError:
        found = -2
    if found < -1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no limit: give a number, -1 for any number, or "
            "'default'"
        )
    return found


class SetQuota(base.ShowOne):
    """Set how many groups and members a project may have.

    What is there already stays.
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha group quota set shop --groups 100 --members 2000\n"
        "  openstack ha group quota set shop --groups default --members -1\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "project",
            metavar="<project>",
            help="the name or the id of the project",
        )
        for what in ("groups", "members"):
            parser.add_argument(
                f"--{what}",
                metavar="<number>",
                type=_limit,
                required=True,
                help=(
                    f"how many {what}; -1: any number; 'default': as many as "
                    "the configuration says"
                ),
            )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Any]]:
        project = names.project_id(
            self.app.client_manager, parsed_args.project
        )
        changes = {
            what: getattr(parsed_args, what) for what in ("groups", "members")
        }
        return _quota(self.client.groups.set_quota(project, changes))
