# SPDX-License-Identifier: Apache-2.0
"""Why something waits, told once and not again with other numbers."""

from __future__ import annotations

import re

# What differs between two texts that say the same: ids of requests and
# objects, and numbers.
_VARYING = re.compile(
    r"(?:req-)?[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}"
    r"|0x[0-9a-f]+|\d+(?:\.\d+)?")


def same_reason(one: str, other: str) -> bool:
    """Whether two texts say the same, ids and numbers aside."""
    return _VARYING.sub("#", one) == _VARYING.sub("#", other)
