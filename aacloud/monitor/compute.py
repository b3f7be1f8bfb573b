# SPDX-License-Identifier: Apache-2.0
"""The ``compute`` probe: does nova-compute run on this host?

It only adds facts: ``nova-compute`` is ``up``, ``down`` (it ran since this
agent started, and now does not) or ``unknown``; ``nova-compute-age-s`` is for
how long it has run. The process is looked for under /proc, in the network
namespace of the agent, and from then on only looked at.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time

from aacloud.monitor import probe
from aacloud.rpc import schema

LOG = logging.getLogger(__name__)

#: Seconds between two looks at the process, and between two searches for it.
LOOK_EVERY = 1.0
SEARCH_EVERY = 5.0

_STARTED_FIELD = 19


class ProcessWatch:
    """Finds one process by its command line, and watches it.

    :param pattern: searched for in the command line, arguments joined by
        blanks
    :param proc: where the kernel shows its processes
    """

    def __init__(self, pattern: str, proc: str = "/proc") -> None:
        self._pattern = re.compile(pattern)
        self._proc = proc
        self._namespace = self._link("self")
        self._found: tuple[int, int] | None = None
        self._searched = float("-inf")
        self._ever = False
        self._ticks = os.sysconf("SC_CLK_TCK")

    def look(self, now: float, since_boot: float) -> dict[str, str]:
        """Return the facts.

        :param now: monotonic seconds, for the pace of searches
        :param since_boot: seconds since the kernel started
        """
        if self._found and self._started(self._found[0]) != self._found[1]:
            self._found = None
            self._searched = float("-inf")
        if self._found is None and now - self._searched >= SEARCH_EVERY:
            self._searched = now
            self._found = self._search()
        if self._found is None:
            return {"nova-compute": "down" if self._ever else "unknown"}
        self._ever = True
        age = since_boot - self._found[1] / self._ticks
        return {
            "nova-compute": "up",
            "nova-compute-age-s": f"{max(0.0, age):.1f}",
        }

    def _search(self) -> tuple[int, int] | None:
        """Return (pid, start time) of the oldest process that matches."""
        found = []
        try:
            names = os.listdir(self._proc)
        except OSError as error:
            LOG.warning("Cannot look for nova-compute: %s", error)
            return None
        for name in names:
            if name.isdigit() and self._matches(name):
                started = self._started(int(name))
                if started is not None:
                    found.append((started, int(name)))
        if not found:
            return None
        started, pid = min(found)
        return pid, started

    def _matches(self, name: str) -> bool:
        try:
            with open(f"{self._proc}/{name}/cmdline", "rb") as source:
                line = source.read(4096)
        except OSError:
            return False
        text = line.replace(b"\0", b" ").decode("utf-8", "replace")
        if not self._pattern.search(text):
            return False
        return int(name) != os.getpid() and self._link(name) in (
            None,
            self._namespace,
        )

    def _started(self, pid: int) -> int | None:
        """Return when a process started (ticks); None: it does not run."""
        try:
            with open(f"{self._proc}/{pid}/stat", "rb") as source:
                # The name may hold blanks and brackets; it ends at the last.
                fields = source.read(4096).rpartition(b")")[2].split()
        except OSError:
            return None
        if len(fields) <= _STARTED_FIELD or fields[0] in (b"Z", b"X"):
            return None
        return int(fields[_STARTED_FIELD])

    def _link(self, name: str) -> str | None:
        try:
            return os.readlink(f"{self._proc}/{name}/ns/net")
        except OSError:
            return None


class ComputeProbe:
    """Watches nova-compute in a thread of its own."""

    def __init__(self, context: probe.ProbeContext) -> None:
        self._clock = context.clock
        self._watch = ProcessWatch(
            context.conf.aacloud_agent.compute_process
        )
        self._facts: dict[str, str] = {"nova-compute": "unknown"}
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="compute-probe", daemon=True
        )

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
        """Return the facts."""
        return probe.Findings(facts=self._facts)

    def health(self) -> tuple[bool, str]:
        """Return whether it looks; nova-compute itself may be down."""
        if not self._thread.is_alive():
            return False, "it does not run"
        return True, f"nova-compute is {self._facts['nova-compute']}"

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._facts = self._watch.look(
                    self._clock(), time.clock_gettime(time.CLOCK_BOOTTIME)
                )
            except Exception:
                LOG.exception("Looking for nova-compute failed")
                self._facts = {"nova-compute": "unknown"}
            self._stopping.wait(LOOK_EVERY)
