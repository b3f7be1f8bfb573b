# SPDX-License-Identifier: Apache-2.0
"""Small JSON files that survive the agent, written whole or not at all."""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from typing import Any

LOG = logging.getLogger(__name__)

MAX_BYTES = 4 * 1024 * 1024


class StateFile:
    """One file of the agent's under ``state_path``.

    :param directory: made when it is missing
    :param name: what it holds, ``peers`` for instance
    :param host: the host it is about: agents may share a directory
    """

    def __init__(self, directory: str, name: str, host: str) -> None:
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", host)
        self._directory = directory
        self.path = os.path.join(directory, f"agent-{safe}-{name}.json")

    def load(self) -> dict[str, Any] | None:
        """Return what was saved; None when there is nothing to use."""
        try:
            with open(self.path, encoding="utf-8") as source:
                content = json.loads(source.read(MAX_BYTES))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            LOG.warning(
                "Ignoring %s, it cannot be read: %s. It will be written anew",
                self.path,
                error,
            )
            return None
        if not isinstance(content, dict):
            LOG.warning(
                "Ignoring %s, it holds no object. It will be written anew",
                self.path,
            )
            return None
        return content

    def save(self, content: dict[str, Any]) -> bool:
        """Replace the file; trouble is logged, and False returned."""
        temporary = None
        try:
            os.makedirs(self._directory, mode=0o750, exist_ok=True)
            handle, temporary = tempfile.mkstemp(
                dir=self._directory, prefix=".agent-", suffix=".tmp"
            )
            with os.fdopen(handle, "w", encoding="utf-8") as target:
                json.dump(content, target, sort_keys=True)
                target.flush()
                os.fsync(target.fileno())
            os.replace(temporary, self.path)
        except OSError as error:
            LOG.warning(
                "Cannot write %s: %s. The agent goes on without it; check "
                "[aacloud_agent] state_path",
                self.path,
                error.strerror or error,
            )
            if temporary is not None:
                _remove(temporary)
            return False
        return True


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        LOG.debug("Could not remove %s", path)
