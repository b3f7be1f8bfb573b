# SPDX-License-Identifier: Apache-2.0
"""How an action of ``aacloud-manage`` ends when not all is well."""

from collections.abc import Iterable


class CommandFailed(Exception):
    """Something failed, or problems were found; exit status 1.

    :param problems: what is wrong and what to do, a sentence each
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))
