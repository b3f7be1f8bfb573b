# SPDX-License-Identifier: Apache-2.0
"""The words of a verdict on hosts and networks."""

from __future__ import annotations

import enum


class HostState(str, enum.Enum):
    """What is held true of a host.

    UP: it shows life. DEAD: proved silent from several places. NOT_SURE:
    neither, and nothing destructive may be done.
    """

    UP = "up"
    DEAD = "dead"
    NOT_SURE = "not-sure"


class NetworkState(str, enum.Enum):
    """What is held true of one host's path on one network."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"
