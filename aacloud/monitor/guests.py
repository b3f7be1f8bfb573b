# SPDX-License-Identifier: Apache-2.0
"""The ``guests`` probe: which guests run on this host, by their processes.

A host that comes back after an evacuation must run none of the guests that
Nova places elsewhere; this tells the engine. It needs no libvirt, which may
be the very thing that is broken: the processes themselves are looked at.

Facts: ``guests`` is their number, and ``guest.<uuid>`` is ``runs`` for each.
They are told every few seconds, not with every report.
"""

from __future__ import annotations

import logging
import os
import re
import threading

from aacloud.monitor import probe
from aacloud.rpc import schema

LOG = logging.getLogger(__name__)

#: Seconds between two looks at the processes.
LOOK_EVERY = 5.0
#: More are not told one by one; the host then is not known to be clean.
MOST = schema.MAX_FACTS - 100


def find_guests(
    pattern: re.Pattern[str], proc: str = "/proc"
) -> tuple[str, ...]:
    """The uuids of the guests whose processes run in our network namespace.

    :param pattern: searched in command lines; its group 1 is the uuid
    :param proc: where the kernel shows its processes
    :raises OSError: the processes cannot be listed
    """
    own = _namespace(proc, "self")
    found = set()
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        try:
            with open(f"{proc}/{name}/cmdline", "rb") as source:
                line = source.read(32768)
        except OSError:
            continue
        match = pattern.search(
            line.replace(b"\0", b" ").decode("utf-8", "replace"))
        if match and _namespace(proc, name) in (None, own):
            found.add(match.group(1))
    return tuple(sorted(found))


def _namespace(proc: str, name: str) -> str | None:
    try:
        return os.readlink(f"{proc}/{name}/ns/net")
    except OSError:
        return None


class GuestsProbe:
    """Looks for the processes of guests in a thread of its own."""

    def __init__(self, context: probe.ProbeContext) -> None:
        self._pattern = re.compile(context.conf.aacloud_agent.guest_process)
        self._guard = threading.Lock()
        self._facts: dict[str, str] = {}
        self._trouble: str | None = "it has not looked yet"
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="guests-probe", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(1.0)

    def retarget(self, assignment: schema.Assignment) -> None:
        """Nothing: it looks at this host only."""

    def reload(self) -> None:
        """Nothing: it has no mutable option."""

    def collect(self) -> probe.Findings:
        """Return the facts, once for each look."""
        with self._guard:
            facts, self._facts = self._facts, {}
        return probe.Findings(facts=facts)

    def health(self) -> tuple[bool, str]:
        """Return whether it can look."""
        if not self._thread.is_alive():
            return False, "it does not run"
        return self._trouble is None, self._trouble or "it looks"

    def _run(self) -> None:
        while not self._stopping.is_set():
            facts = self._look()
            with self._guard:
                self._facts = facts
            self._stopping.wait(LOOK_EVERY)

    def _look(self) -> dict[str, str]:
        try:
            found = find_guests(self._pattern)
        except OSError as error:
            if self._trouble != str(error):
                LOG.warning("The guests cannot be looked for: %s", error)
            self._trouble = str(error)
            return {}
        self._trouble = None
        facts = {"guests": str(len(found))}
        if len(found) <= MOST:
            facts.update({f"guest.{uuid}": "runs" for uuid in found})
        return facts
