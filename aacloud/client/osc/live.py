# SPDX-License-Identifier: Apache-2.0
"""An incident on a terminal: events above, moves and progress below."""

from __future__ import annotations

from typing import Any
from typing import TextIO

import rich.console
import rich.live
import rich.markup
import rich.progress_bar
import rich.table
import rich.text

from aacloud.client import following
from aacloud.client.osc import texts
from aacloud.client.osc import views

JSON = dict[str, Any]

_COLOURS = {
    "verified": "green",
    "manual": "red",
    "retry": "yellow",
    "pending": "dim",
}
#: Lines of the terminal that are not for servers: head, bar, wait, frame.
_OTHER_LINES = 9
_SETTLED = frozenset({"verified", "manual"})


class Live(views.View):
    """The view for a terminal.

    :param stream: the terminal
    :param console: rich's own, for tests
    """

    def __init__(
        self, stream: TextIO, console: rich.console.Console | None = None
    ) -> None:
        super().__init__(stream)
        self._console = console or rich.console.Console(
            file=stream, highlight=False
        )
        self._live = rich.live.Live(
            console=self._console, auto_refresh=False, transient=True
        )
        self._silence: str | None = None
        self._started = False

    def close(self) -> None:
        self._live.stop()

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._live.start()

    def _note(self, text: str, style: str) -> None:
        self._start()
        self._live.update(rich.text.Text(text, style=style), refresh=True)

    def nothing(self, host: str | None) -> None:
        where = f" of host {host}" if host else ""
        self._note(f"No incident{where} is open; waiting for one.", "dim")

    def silent(self, silence: following.Silence) -> None:
        self._start()
        self._silence = (
            f"{silence.reason}; asking again in "
            f"{texts.duration(silence.next_s)}"
        )
        if self.last is None:
            self._note(self._silence, "yellow")
        else:
            self._live.update(self._drawn(self.last), refresh=True)

    def show(self, picture: following.Picture) -> None:
        self._start()
        first = self.last is None
        super().show(picture)
        self._silence = None
        incident = picture.incident
        if first:
            self._console.print(
                f"[bold]Incident {incident['id']}[/bold]: host "
                f"[bold]{rich.markup.escape(incident['host'])}[/bold], "
                f"{incident['mode']}, opened "
                f"{texts.date(incident['opened_at'])}"
            )
        for event in picture.events:
            self._console.print(
                rich.text.Text(
                    texts.event_line(event, incident["opened_at"]),
                    style="dim" if event["server_id"] else "",
                )
            )
        self._live.update(self._drawn(picture), refresh=True)

    def end(self, outcome: views.Outcome) -> None:
        self._live.stop()
        style = "green" if outcome is views.Outcome.REACHED else "red"
        if self.last is not None and self.last.servers:
            self._console.print(self._table(self.last, whole=True))
        self._console.print(
            rich.text.Text(views.ending(outcome, self.last), style=style)
        )

    def _drawn(
        self, picture: following.Picture
    ) -> rich.console.RenderableType:
        incident, servers = picture.incident, picture.servers
        parts: list[rich.console.RenderableType] = [
            rich.text.Text.assemble("State: ", (incident["state"], "bold"))
        ]
        if servers:
            settled = sum(item["state"] in _SETTLED for item in servers)
            grid = rich.table.Table.grid(padding=(0, 1))
            grid.add_row(
                rich.progress_bar.ProgressBar(
                    total=len(servers), completed=settled, width=40
                ),
                f"{settled}/{len(servers)} servers settled "
                f"({texts.states(servers)})",
            )
            parts += [grid, self._table(picture, whole=False)]
        if incident["waiting"]:
            parts.append(
                rich.text.Text(
                    f"Waiting: {incident['waiting']}", style="yellow"
                )
            )
        if self._silence:
            parts.append(rich.text.Text(self._silence, style="yellow"))
        return rich.console.Group(*parts)

    def _table(
        self, picture: following.Picture, *, whole: bool
    ) -> rich.table.Table:
        """Return the servers, those on the way first.

        :param whole: all of them; else as many as the terminal has room for
        """
        table = rich.table.Table(box=None, pad_edge=False)
        for column in ("Server", "State", "From", "To", "Tries", "Downtime"):
            table.add_column(column, overflow="ellipsis", no_wrap=True)
        rows = list(picture.servers)
        if not whole:
            rows.sort(key=_urgency)
            del rows[max(3, self._console.height - _OTHER_LINES) :]
        for server in rows:
            colour = _COLOURS.get(server["state"], "cyan")
            table.add_row(
                rich.markup.escape(server["name"]),
                f"[{colour}]{server['state']}[/{colour}]",
                rich.markup.escape(server["source"]),
                rich.markup.escape(server["destination"] or "-"),
                str(server["tries"]),
                texts.duration(server["downtime_s"]),
            )
        hidden = len(picture.servers) - len(rows)
        if hidden:
            table.add_row(f"[dim]… and {hidden} more[/dim]")
        return table


def _urgency(server: JSON) -> tuple[int, str]:
    """Sort servers: on the way, left for the operator, done, to come."""
    order = ("manual", "verified", "pending")
    state = server["state"]
    # A state that only a later service knows is taken for a move.
    rank = 1 + order.index(state) if state in order else 0
    return rank, server["name"]
