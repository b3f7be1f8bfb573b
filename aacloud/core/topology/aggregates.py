# SPDX-License-Identifier: Apache-2.0
"""Topology as Nova's host aggregates carry it."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Aggregate:
    """One of Nova's host aggregates.

    :ivar id: Nova's id; None for one that is still to be made.
    """

    id: int | None
    name: str
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    availability_zone: str | None = None
