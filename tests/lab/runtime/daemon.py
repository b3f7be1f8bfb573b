# SPDX-License-Identifier: Apache-2.0
"""Starts a Python daemon without collecting garbage while it imports.

There is none yet, and looking for it takes a fifth of the start. Use it as
``python -m tests.lab.runtime.daemon MODULE:FUNCTION [ARGUMENT…]``.
"""

from __future__ import annotations

from collections.abc import Callable
import gc
import importlib
import sys

gc.disable()


def load(name: str) -> Callable[[], object]:
    """The function, imported."""
    module, _, function = name.partition(":")
    found: Callable[[], object] = getattr(
        importlib.import_module(module), function
    )
    return found


def settle() -> None:
    """Collect garbage from now on, but not what was imported."""
    gc.freeze()
    gc.enable()


def main() -> None:
    name = sys.argv.pop(1)
    sys.argv[0] = name.partition(":")[0]
    function = load(name)
    settle()
    function()


if __name__ == "__main__":
    main()
