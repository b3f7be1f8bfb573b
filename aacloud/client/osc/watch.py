# SPDX-License-Identifier: Apache-2.0
"""``openstack ha incident watch``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import contextlib
import math
import signal
import threading
import types
from typing import Any

from aacloud.client import following
from aacloud.client.osc import base
from aacloud.client.osc import views

#: What a shell says of a program that was interrupted.
INTERRUPTED = 128 + signal.SIGINT


def seconds(text: str) -> float:
    """Return a span of time from the command line, in seconds."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found > 0):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds above 0"
        )
    return found


class Interrupts(contextlib.AbstractContextManager["Interrupts"]):
    """Ends the watching at an interrupt, wherever that comes.

    Python drops a KeyboardInterrupt that is raised while it finalizes an
    object, as it does after each request; so the interrupt is remembered.
    To be entered by the main thread, as Python's signal module demands.
    """

    def __init__(self) -> None:
        self._came = False
        self._before: Callable[..., Any] | int | None = None

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *raised: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, number: int, frame: types.FrameType | None) -> None:
        self._came = True
        raise KeyboardInterrupt

    def wait(self, seconds: float) -> None:
        """Let so many seconds go by.

        :raises KeyboardInterrupt: one came, now or before
        """
        if self._came:
            raise KeyboardInterrupt
        threading.Event().wait(seconds)


class WatchIncident(base.Command):
    """Follow an incident live, until its servers are back.

    Without an id the newest open incident is followed, and when there is
    none, the next one that opens. A restart of the API is waited out.

    Exit status::

      0    the goal of --until is reached
      1    an error
      3    it is reached, but servers are left for the operator
      4    the time of --timeout is over
      5    nothing is recovered: shadow mode, or cancelled
      130  interrupted
    """

    examples = (
        "Examples::\n\n"
        "  openstack ha incident watch\n"
        "  openstack ha incident watch --host dc1-r1-h1 --timeout 300\n"
        "  openstack ha incident watch "
        "3f0c9a52-6d5f-4c3e-9f43-0f0f6b1f3b7a --until returned\n"
        "  openstack ha incident watch -f json | jq .events[].text\n"
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "incident",
            metavar="<incident>",
            nargs="?",
            help="the id of the incident (default: the newest open one)",
        )
        parser.add_argument(
            "--host",
            metavar="<host>",
            help="without an id: the open incident of this host",
        )
        parser.add_argument(
            "--until",
            choices=sorted(following.GOALS),
            default="done",
            help=(
                "fenced: the host is proved off; done: every server is "
                "back or left for the operator (default); returned: the "
                "host serves again"
            ),
        )
        parser.add_argument(
            "--timeout",
            type=seconds,
            metavar="<seconds>",
            help="give up after so long (default: never)",
        )
        parser.add_argument(
            "--interval",
            type=seconds,
            default=1.0,
            metavar="<seconds>",
            help="how often to look (default: 1)",
        )
        parser.add_argument(
            "-f",
            "--format",
            dest="formatter",
            choices=["text", "json"],
            default="text",
            help=(
                "text: live on a terminal, plain lines elsewhere (default); "
                "json: an object a line for each change"
            ),
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        interrupts = Interrupts()
        follower = following.Follower(
            self.client,
            goal=parsed_args.until,
            timeout_s=parsed_args.timeout,
            poll_s=parsed_args.interval,
            wait=interrupts.wait,
        )
        view = views.chosen(parsed_args.formatter, self.app.stdout)
        try:
            with interrupts, view:
                outcome = _follow(follower, view, parsed_args)
        except KeyboardInterrupt:
            self.app.stderr.write(
                "Stopped watching. The incident goes on.\n"
            )
            return INTERRUPTED
        return int(outcome)


def _follow(
    follower: following.Follower,
    view: views.View,
    parsed_args: argparse.Namespace,
) -> following.Outcome:
    incident_id = parsed_args.incident
    if incident_id is None:
        for found in follower.find(parsed_args.host):
            if isinstance(found, following.Silence):
                view.silent(found)
            elif found is None:
                view.nothing(parsed_args.host)
            else:
                incident_id = found
    if incident_id is not None:
        for picture in follower.pictures(incident_id):
            if isinstance(picture, following.Silence):
                view.silent(picture)
            else:
                view.show(picture)
    # Both loops end only when the outcome is known.
    outcome = follower.outcome
    if outcome is None:
        outcome = following.Outcome.TIMED_OUT
    view.end(outcome)
    return outcome


