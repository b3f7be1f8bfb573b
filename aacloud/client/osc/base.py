# SPDX-License-Identifier: Apache-2.0
"""What all commands have in common."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from osc_lib.command import command

from aacloud.client import v1


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


class Command(Speaks, command.Command):
    """A command with an output of its own."""


class Lister(Speaks, command.Lister):
    """A command that lists."""


class ShowOne(Speaks, command.ShowOne):
    """A command that shows one thing."""
