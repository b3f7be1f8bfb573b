# SPDX-License-Identifier: Apache-2.0
"""How ``aacloud-manage`` shows what it found."""

from collections.abc import Mapping
from collections.abc import Sequence
import json
import sys

from rich import box
from rich import console
from rich import table
from rich import text


def print_problems(prog: str, problems: Sequence[str]) -> None:
    """Write problems to standard error, a line each."""
    for problem in problems:
        print(f"{prog}: {problem}", file=sys.stderr)


def print_json(document: object) -> None:
    """Write a document for programs to standard output."""
    print(json.dumps(document, indent=2, sort_keys=True))


def print_table(
    columns: Sequence[str], rows: Sequence[Mapping[str, str]]
) -> None:
    """Write rows for people to standard output."""
    shown = table.Table(
        *columns, box=box.ASCII2, show_lines=False, header_style=""
    )
    for row in rows:
        # As it is: what comes from the cloud is no markup.
        shown.add_row(*(text.Text(row[column]) for column in columns))
    out = console.Console(
        file=sys.stdout, width=None if sys.stdout.isatty() else 200
    )
    out.print(shown)
