# SPDX-License-Identifier: Apache-2.0
"""What all commands have in common."""

from __future__ import annotations

import argparse
from typing import Any
from typing import TYPE_CHECKING

from osc_lib.command import command

from aacloud.client import v1


def _keeping_lines(base: Any) -> Any:
    """Return a help formatter that wraps paragraphs but no examples.

    :param base: the formatter to build on
    """

    class Help(base):
        def _fill_text(self, text: str, width: int, indent: str) -> str:
            # "::" announces an example in the documentation that is made
            # of the same texts.
            return "\n\n".join(
                paragraph
                if paragraph.startswith(" ")
                else super(Help, self)._fill_text(paragraph, width, indent)
                for paragraph in text.replace("::\n", ":\n").split("\n\n")
            )

    return Help


class Speaks:
    """Has the client of the API, and examples at the end of its help."""

    #: Shown at the end of the help.
    examples = ""

    if TYPE_CHECKING:
        app: Any

    @property
    def client(self) -> v1.Client:
        """The client of the API."""
        found: v1.Client = self.app.client_manager.ha
        return found

    def get_epilog(self) -> str:
        """Return the end of the help."""
        return self.examples

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser, whose help keeps the lines of examples."""
        parent: Any = super()
        parser: argparse.ArgumentParser = parent.get_parser(prog_name)
        parser.formatter_class = _keeping_lines(parser.formatter_class)
        return parser


class Command(Speaks, command.Command):
    """A command with an output of its own."""


class Lister(Speaks, command.Lister):
    """A command that lists."""


class ShowOne(Speaks, command.ShowOne):
    """A command that shows one thing."""
