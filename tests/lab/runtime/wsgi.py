# SPDX-License-Identifier: Apache-2.0
"""The WSGI application of an API, with a switch that makes it fail.

While the fault file of the service exists, every request is answered 500
and does not reach the application.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import importlib
import os
import pathlib
from typing import Any


def _load() -> Callable[..., Iterable[bytes]]:
    module, _, name = os.environ["AALAB_APPLICATION"].partition(":")
    return getattr(importlib.import_module(module), name)


class Faulty:
    """Answers 500 while the file exists."""

    def __init__(
        self, inner: Callable[..., Iterable[bytes]], file: pathlib.Path
    ) -> None:
        self.inner = inner
        self.file = file

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if self.file.exists():
            body = b"Internal Server Error (made by the lab)\n"
            start_response(
                "500 Internal Server Error",
                [
                    ("Content-Type", "text/plain"),
                    ("Content-Length", str(len(body))),
                ],
            )
            return [body]
        return self.inner(environ, start_response)


application = Faulty(
    _load(),
    pathlib.Path(os.environ["AACLOUD_LAB"])
    / "run"
    / "faults"
    / f"{os.environ['AACLOUD_LAB_SERVICE']}-500",
)
