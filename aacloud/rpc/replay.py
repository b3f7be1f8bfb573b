# SPDX-License-Identifier: Apache-2.0
"""Refusing what was seen before: windows per sender and life of a sender.

A sender numbers what it sends, and names its *boot*: one life of its agent.
A boot id starts with a time stamp, so that a later life can be told from an
earlier one; a recording of an earlier life is then refused for ever.
"""

from __future__ import annotations

import collections
from collections.abc import Hashable
import enum
import os
import re

WINDOW = 64

_BOOT_ID = re.compile(r"([0-9a-f]{12})-[0-9a-f]{16}\Z")


class Seen(enum.Enum):
    """What the window says of a (boot, sequence number)."""

    NEW = "new"
    REPLAYED = "replayed"
    STALE_BOOT = "stale-boot"
    BAD_BOOT = "bad-boot"


def make_boot_id(stamp_ms: int) -> str:
    """Name a new life: a stamp in milliseconds that only ever grows."""
    return f"{stamp_ms:012x}-{os.urandom(8).hex()}"


def boot_stamp(boot_id: str) -> int | None:
    """Return the stamp (ms) of a boot id, None when it is not one."""
    match = _BOOT_ID.match(boot_id)
    return int(match.group(1), 16) if match else None


class _Life:
    __slots__ = ("boot_id", "mask", "stamp", "top")

    def __init__(self, boot_id: str, stamp: int, top: int) -> None:
        self.boot_id = boot_id
        self.stamp = stamp
        self.top = top
        self.mask = 1


class ReplayTable:
    """The newest boot of each sender, and which numbers of it were seen.

    Not locked: it belongs to one thread.

    :param size: how many senders are remembered; the one not heard for
        longest is forgotten first. Only authenticated senders may be put
        in, else anybody could make it forget.
    :param window: how far behind the newest number a late one may come; 1
        accepts growing numbers only
    """

    def __init__(self, size: int, window: int = WINDOW) -> None:
        self._size = size
        self._window = window
        self._lives: collections.OrderedDict[Hashable, _Life] = (
            collections.OrderedDict()
        )

    def __len__(self) -> int:
        return len(self._lives)

    def boot_of(self, sender: Hashable) -> str | None:
        """Return the newest boot id known of a sender."""
        life = self._lives.get(sender)
        return life.boot_id if life else None

    def seed(self, sender: Hashable, boot_id: str) -> None:
        """Remember a boot from an earlier time; its numbers start anew."""
        stamp = boot_stamp(boot_id)
        life = self._lives.get(sender)
        if stamp is not None and (life is None or life.stamp < stamp):
            self._lives[sender] = _Life(boot_id, stamp, -1)

    def see(self, sender: Hashable, boot_id: str, seq: int) -> Seen:
        """Note a number and say whether it may be taken."""
        life = self._lives.get(sender)
        if life is None or life.boot_id != boot_id:
            return self._new_life(sender, life, boot_id, seq)
        self._lives.move_to_end(sender)
        ahead = seq - life.top
        if ahead > 0:
            kept = (1 << self._window) - 1
            shifted = life.mask << ahead if ahead < self._window else 0
            life.mask = (shifted | 1) & kept
            life.top = seq
            return Seen.NEW
        behind = -ahead
        if behind >= self._window or life.mask >> behind & 1:
            return Seen.REPLAYED
        life.mask |= 1 << behind
        return Seen.NEW

    def _new_life(
        self, sender: Hashable, life: _Life | None, boot_id: str, seq: int
    ) -> Seen:
        stamp = boot_stamp(boot_id)
        if stamp is None:
            return Seen.BAD_BOOT
        if life is not None and stamp <= life.stamp:
            return Seen.STALE_BOOT
        self._lives[sender] = _Life(boot_id, stamp, seq)
        self._lives.move_to_end(sender)
        while len(self._lives) > self._size:
            self._lives.popitem(last=False)
        return Seen.NEW
