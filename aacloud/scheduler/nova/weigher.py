# SPDX-License-Identifier: Apache-2.0
"""``HAGroupWeigher``: prefers hosts that break fewer rules of HA groups.

See ``filter`` for the lines of nova.conf.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nova.scheduler import weights

from aacloud.scheduler.nova import filter as group_filter


class HAGroupWeigher(weights.BaseHostWeigher):
    """Weighs by the graded penalty of all rules of all groups together.

    Nova scales the weights of one request to 0…1; so one weigher speaks for
    all rules, and counts more than all of Nova's together.
    """

    def __init__(self) -> None:
        super().__init__()
        self._nothing: list[float] = []
        self._multiplier = 0.0

    def weight_multiplier(self, host_state: Any) -> float:
        """The same for all hosts; asked for each of them."""
        return self._multiplier

    def weigh_objects(
        self, weighed_obj_list: Sequence[Any], weight_properties: Any,
    ) -> Sequence[float]:
        """Return a weight for each host, 0 the best; never raises."""
        decider = group_filter.decider()
        self._multiplier = decider.weight_multiplier
        penalties = decider.penalties(
            _States(weighed_obj_list), weight_properties)
        if penalties is None:
            nothing = self._nothing
            if len(nothing) != len(weighed_obj_list):
                nothing = self._nothing = [0.0] * len(weighed_obj_list)
            return nothing
        return [-penalty for penalty in penalties]

    def _weigh_object(self, obj: Any, weight_properties: Any) -> float:
        penalties = group_filter.decider().penalties(
            [obj], weight_properties)
        return 0.0 if penalties is None else -penalties[0]


class _States(Sequence[Any]):
    """The HostStates in a list of weighed objects, not copied until read."""

    def __init__(self, weighed: Sequence[Any]) -> None:
        self._weighed = weighed

    def __len__(self) -> int:
        return len(self._weighed)

    def __getitem__(self, item: Any) -> Any:
        return self._weighed[item].obj

    def __iter__(self) -> Any:
        return (one.obj for one in self._weighed)
