# SPDX-License-Identifier: Apache-2.0
"""What an engine knows of its own leadership."""

from __future__ import annotations

import os
import socket
import typing

from oslo_config import cfg


def member_id(conf: cfg.ConfigOpts) -> str:
    """The name of this engine among the others."""
    return (
        conf.aacloud_coordination.member_id
        or f"{socket.gethostname()}:{os.getpid()}"
    )


class Lease(typing.Protocol):
    """What is asked of the leader lease."""

    def valid(self) -> bool:
        """Whether this engine may act as the leader right now."""

    @property
    def trouble(self) -> str | None:
        """Why the coordination service cannot be used, or None."""

    def resign(self, reason: str) -> None:
        """Give the leadership back and campaign anew."""


class Term:
    """The epoch that this engine leads with; None while it does not."""

    def __init__(self) -> None:
        self.epoch: int | None = None
