# SPDX-License-Identifier: Apache-2.0
"""What is raised when the configuration cannot be used."""

from collections.abc import Iterable


class ConfigurationError(Exception):
    """The configuration, or a file that it names, cannot be used.

    A daemon that meets it does not try again: it says what is wrong and ends.

    :param problems: every problem found, a sentence each, that names the
        option or the file and what is wrong with it
    :param message: the text of the exception; the problems, when not given
    """

    def __init__(
        self, problems: Iterable[str], message: str | None = None
    ) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "; ".join(self.problems) if message is None else message
        )
