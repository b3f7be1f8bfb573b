# SPDX-License-Identifier: Apache-2.0
"""Room that steps take and give back, whatever order they come in.

Of a host (vCPUs, memory, disk), or of a domain that may hold so many.
"""

from __future__ import annotations

from collections.abc import Sequence


class Claims:
    """Who comes to one place and who leaves it, in the order of the plan.

    A step takes its room when it starts, and gives back that of its source
    when it has ended.
    """

    def __init__(self, free: Sequence[int]) -> None:
        """Begin with the room that is free before the first step.

        :param free: in each dimension; may be negative
        """
        self._free = tuple(free)
        self._came: list[tuple[int, Sequence[int]]] = []
        self._left: list[tuple[int, Sequence[int]]] = []
        #: All steps that come or leave, as bits.
        self.steps = 0

    def come(self, number: int, size: Sequence[int]) -> None:
        """The next step brings this much."""
        self._came.append((number, size))
        self.steps |= 1 << number

    def leave(self, number: int, size: Sequence[int]) -> None:
        """The next step takes this much away."""
        self._left.append((number, size))
        self.steps |= 1 << number

    def holds(self, before: int, befores: Sequence[int]) -> bool:
        """Whether there is room for the last that came.

        It starts when certain others have ended. Those that came before it
        and are not among them have started or not; then has ended what they
        waited for. Exact: when this does not hold, there is an order in
        which there is no room.

        :param before: what has ended when it starts, as bits
        :param befores: the same of each earlier step
        """
        for axis, free in enumerate(self._free):
            left = free - sum(size[axis] for _, size in self._came) + sum(
                size[axis] for number, size in self._left
                if before >> number & 1)
            if left >= 0:
                continue
            givers = [(number, size[axis]) for number, size in self._left
                      if not before >> number & 1]
            takers = [
                (size[axis], [n for n, (number, _) in enumerate(givers)
                              if befores[taker] >> number & 1])
                for taker, size in self._came[:-1]
                if not before >> taker & 1]
            if left + _given([size for _, size in givers], takers) < 0:
                return False
        return True


def _given(
    givers: Sequence[int], takers: Sequence[tuple[int, Sequence[int]]],
) -> int:
    """How much room takers surely find that only they wait for.

    That is a maximum flow from those who leave to those who come: by the
    theorem of flow and cut no choice of takers needs more than they give.

    :param givers: what each gives back
    :param takers: what each takes, and the givers that it waits for
    """
    spare = list(givers)
    flow: list[dict[int, int]] = [{} for _ in takers]

    def take(taker: int, amount: int, seen: set[int]) -> int:
        for giver in takers[taker][1]:
            if giver in seen:
                continue
            seen.add(giver)
            found = min(amount, spare[giver])
            if found:
                spare[giver] -= found
            else:
                # Another one may take from elsewhere.
                for other, taken in enumerate(flow):
                    if other != taker and taken.get(giver):
                        found = take(
                            other, min(amount, taken[giver]), seen)
                        if found:
                            taken[giver] -= found
                            break
            if found:
                flow[taker][giver] = flow[taker].get(giver, 0) + found
                return found
        return 0

    total = 0
    for taker, (wanted, _) in enumerate(takers):
        had = 0
        while had < wanted and (
                found := take(taker, wanted - had, set())):
            had += found
        total += had
    return total
