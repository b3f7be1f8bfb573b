# SPDX-License-Identifier: Apache-2.0
"""What the lab program tells while it works."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO


class Progress:
    """A line a step with the seconds since the start.

    On a terminal a last line shows what is being waited for.
    """

    def __init__(
        self, stream: TextIO | None = None, quiet: bool = False
    ) -> None:
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()
        self._quiet = quiet
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._waiting: list[str] = []

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """One thing is done."""
        if self._quiet:
            return
        with self._lock:
            self._clear()
            print(f"{self.seconds:6.1f} s  {text}", file=self._stream,
                  flush=True)  # fmt: skip
            self._show()

    def wait(self, name: str) -> None:
        """Something is under way."""
        with self._lock:
            self._waiting.append(name)
            self._clear()
            self._show()

    def done(self, name: str) -> None:
        """Something that was under way is no more."""
        with self._lock:
            if name in self._waiting:
                self._waiting.remove(name)
            self._clear()
            self._show()

    def _clear(self) -> None:
        if self._live and not self._quiet:
            self._stream.write("\r\x1b[K")

    def _show(self) -> None:
        if not self._live or self._quiet or not self._waiting:
            return
        text = ", ".join(self._waiting)
        if len(text) > 60:
            text = f"{text[:57]}..."
        self._stream.write(f"{self.seconds:6.1f} s  … {text}")
        self._stream.flush()
