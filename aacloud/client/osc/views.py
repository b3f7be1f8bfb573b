# SPDX-License-Identifier: Apache-2.0
"""What an incident that is followed looks like."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any
from typing import TextIO

from aacloud.client import following
from aacloud.client.osc import texts

JSON = dict[str, Any]

Outcome = following.Outcome


def ending(outcome: Outcome, last: following.Picture | None) -> str:
    """Return how it ended, in words, and what the operator can do.

    :param last: the last picture of the incident, when there was one
    """
    if last is None:
        return "The time is over and no incident has opened."
    incident = last.incident
    name = f"Incident {incident['id']} of host {incident['host']}"
    state = f"is {incident['state']}"
    if outcome is Outcome.REACHED:
        return f"{name} {state}; {servers_line(last)}."
    if outcome is Outcome.PARTIAL:
        left = [item for item in last.servers if item["state"] == "manual"]
        reasons = "\n".join(
            f"  {item['name']} ({item['id']}): {item['reason']}"
            for item in left
        )
        return (
            f"{name} {state}; {servers_line(last)}. "
            f"{texts.counted(len(left), 'server')} left for you:\n{reasons}"
        )
    if outcome is Outcome.NOT_RECOVERED:
        if incident["state"] == "shadowed":
            return (
                f"{name} is in shadow mode: nothing was done. "
                "'openstack ha failover arm' lets the engine act."
            )
        return f"{name} was cancelled: nothing is recovered."
    waits = incident["waiting"] or "it goes on; watch again"
    return f"The time is over. {name} {state}: {waits}"


def servers_line(picture: following.Picture) -> str:
    """Return one line on the servers of an incident."""
    servers = picture.servers
    if not servers:
        return "no servers are planned for"
    return (
        f"{texts.counted(len(servers), 'server')}: {texts.states(servers)}; "
        f"{texts.downtimes(servers)}"
    )


class View:
    """Something that shows pictures of an incident; a context manager.

    :param stream: where to
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.last: following.Picture | None = None

    def __enter__(self) -> View:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""

    def nothing(self, host: str | None) -> None:
        """There is no open incident yet."""

    def silent(self, silence: following.Silence) -> None:
        """The API did not answer."""

    def show(self, picture: following.Picture) -> None:
        """Show the incident as it is now."""
        self.last = picture

    def end(self, outcome: Outcome) -> None:
        """Show how it ended."""


class Lines(View):
    """Plain lines, each of them once."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._said: dict[str, str] = {}

    def _say(self, text: str) -> None:
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def _say_once(self, topic: str, text: str) -> None:
        """Say a line unless it was the last one of its topic."""
        if self._said.get(topic) != text:
            self._said[topic] = text
            self._say(text)

    def nothing(self, host: str | None) -> None:
        where = f" of host {host}" if host else ""
        self._say_once(
            "nothing", f"No incident{where} is open; waiting for one."
        )

    def silent(self, silence: following.Silence) -> None:
        self._say_once(
            "silence", f"{silence.reason}; asking again until it answers."
        )

    def show(self, picture: following.Picture) -> None:
        super().show(picture)
        if self._said.pop("silence", None):
            self._say("The API answers again.")
        incident = picture.incident
        self._say_once(
            "incident",
            f"Incident {incident['id']}: host {incident['host']}, "
            f"{incident['mode']}, opened {texts.date(incident['opened_at'])}",
        )
        for event in picture.events:
            self._say(texts.event_line(event, incident["opened_at"]))
            if event["text"] == incident["waiting"]:
                self._said["waiting"] = f"Waiting: {event['text']}"
        if picture.servers:
            self._say_once(
                "servers",
                f"{texts.counted(len(picture.servers), 'server')}: "
                f"{texts.states(picture.servers)}",
            )
        if incident["waiting"]:
            self._say_once("waiting", f"Waiting: {incident['waiting']}")

    def end(self, outcome: Outcome) -> None:
        self._say(ending(outcome, self.last))


class JSONLines(View):
    """A JSON object a line: for programs."""

    def _say(self, **content: Any) -> None:
        self.stream.write(f"{json.dumps(content)}\n")
        self.stream.flush()

    def silent(self, silence: following.Silence) -> None:
        self._say(silence=silence.reason)

    def show(self, picture: following.Picture) -> None:
        before = self.last
        super().show(picture)
        if (
            before is None
            or picture.events
            or before.incident != picture.incident
            or before.servers != picture.servers
        ):
            self._say(
                incident=picture.incident,
                servers=list(picture.servers),
                events=list(picture.events),
            )

    def end(self, outcome: Outcome) -> None:
        self._say(
            outcome=outcome.name.lower().replace("_", "-"),
            exit_status=int(outcome),
            message=ending(outcome, self.last),
        )


def chosen(formatter: str, stream: TextIO) -> View:
    """Return the view that fits the format and the stream."""
    if formatter == "json":
        return JSONLines(stream)
    if stream.isatty():
        # rich is heavy, and only a terminal needs it.
        from aacloud.client.osc import live

        return live.Live(stream)
    return Lines(stream)
