# SPDX-License-Identifier: Apache-2.0
"""What fits where: free capacity while a plan grows."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import heapq

from aacloud.core.recovery.views import DestinationView
from aacloud.core.recovery.views import ServerView


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Size:
    """What a server takes from a destination."""

    ram_mb: int
    vcpus: int
    disk_gb: int

    def __add__(self, other: Size) -> Size:
        return Size(self.ram_mb + other.ram_mb, self.vcpus + other.vcpus,
                    self.disk_gb + other.disk_gb)


def size_of(server: ServerView) -> Size:
    """A server's size as Placement counts it."""
    flavor = server.flavor
    root = 0 if server.image_ref is None else flavor.root_gb
    swap_gb = -(-flavor.swap_mb // 1024)
    return Size(flavor.ram_mb, flavor.vcpus,
                root + flavor.ephemeral_gb + swap_gb)


@dataclasses.dataclass(slots=True)
class Slot:
    """A destination and what the plan has put there so far."""

    view: DestinationView
    ram_mb: int
    vcpus: int
    disk_gb: int
    planned: int = 0

    @classmethod
    def of(cls, view: DestinationView) -> Slot:
        return cls(view, view.ram_mb_free, view.vcpus_free,
                   view.disk_gb_free)

    def fits(self, size: Size) -> bool:
        return (size.ram_mb <= self.ram_mb and size.vcpus <= self.vcpus
                and size.disk_gb <= self.disk_gb)

    def take(self, size: Size, count: int = 1) -> None:
        self.ram_mb -= size.ram_mb
        self.vcpus -= size.vcpus
        self.disk_gb -= size.disk_gb
        self.planned += count

    def key(self) -> tuple[int, int, int, str]:
        """The smaller the better: equal numbers first, then free RAM.

        Even numbers matter most: what Nova does on one destination it does
        one after the other, and slower the more servers there are.
        """
        return (self.planned, self.view.running, -self.ram_mb,
                self.view.host)


class Ranking:
    """The slots that hold servers of one size, the best ones first.

    A heap whose entries go stale when a slot is used; they are put right
    when they come up. Slots that became full for this size drop out.
    """

    def __init__(self, slots: Iterable[Slot], size: Size) -> None:
        self._size = size
        self._slots = {
            slot.view.host: slot for slot in slots if slot.fits(size)}
        self._heap = [slot.key() for slot in self._slots.values()]
        heapq.heapify(self._heap)

    def best(self, count: int, barred: Mapping[str, str]) -> list[Slot]:
        """Up to ``count`` slots, best first, none of them barred."""
        found: list[Slot] = []
        back: list[tuple[int, int, int, str]] = []
        for key, slot in self._fresh():
            back.append(key)
            if slot.view.host not in barred:
                found.append(slot)
                if len(found) == count:
                    break
        for key in back:
            heapq.heappush(self._heap, key)
        return found

    def _fresh(self) -> Iterator[tuple[tuple[int, int, int, str], Slot]]:
        while self._heap:
            key = heapq.heappop(self._heap)
            slot = self._slots[key[-1]]
            if not slot.fits(self._size):
                continue
            now = slot.key()
            if now == key:
                yield key, slot
            else:
                heapq.heappush(self._heap, now)
