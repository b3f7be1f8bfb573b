# SPDX-License-Identifier: Apache-2.0
"""One dry run at a time for a project.

It reads the whole cloud and keeps the solver busy, and anybody who sees a
group may ask for one.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import threading


class Busy(Exception):
    """A dry run is being made for the same project already."""


class DryRuns:
    """The dry runs that are being made. Safe for threads."""

    def __init__(self) -> None:
        self._projects: set[str | None] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def turn(self, project_id: str | None) -> Iterator[None]:
        """Make a dry run for a project.

        :raises Busy: another one is under way
        """
        with self._lock:
            if project_id in self._projects:
                raise Busy(
                    "a dry run is being made for this project: ask again "
                    "when that has been answered, in some seconds")
            self._projects.add(project_id)
        try:
            yield
        finally:
            with self._lock:
                self._projects.discard(project_id)
