# SPDX-License-Identifier: Apache-2.0
"""What keeps the engine from acting."""

from __future__ import annotations

import enum


class Mode(str, enum.Enum):
    """What auto-failover may do in a domain.

    ARMED: act. SHADOW: decide, tell, do nothing. DISARMED: the kill switch,
    do not even open an incident.
    """

    ARMED = "armed"
    SHADOW = "shadow"
    DISARMED = "disarmed"
