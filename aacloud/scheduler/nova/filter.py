# SPDX-License-Identifier: Apache-2.0
"""``HAGroupFilter``: rules of HA groups at every birth and move of a server.

In nova.conf of nova-scheduler (the filter last, since it is the dearest)::

    [filter_scheduler]
    available_filters = nova.scheduler.filters.all_filters
    available_filters = aacloud.scheduler.nova.filter.HAGroupFilter
    enabled_filters = <those that are enabled now>,HAGroupFilter
    weight_classes = nova.scheduler.weights.all_weighers,
        aacloud.scheduler.nova.weigher.HAGroupWeigher

    [scheduler]
    # not fewer than there are hosts, or half the cloud may stay unseen
    max_placement_results = 10000

and, where they shall differ from the defaults, options of
``[aacloud_scheduler]``. The scheduler hint ``ha_group=<name or id>``, also
several times, makes a new server a member.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import threading
from typing import Any

from nova.scheduler import filters
from oslo_config import cfg

from aacloud.scheduler.nova import bus
from aacloud.scheduler.nova import deciding
from aacloud.scheduler.nova import occupancy
from aacloud.scheduler.nova import settings
from aacloud.scheduler.nova import snapshot_client

_lock = threading.Lock()
_decider: deciding.Decider | None = None


def decider() -> deciding.Decider:
    """The one of this process, which filter and weigher share."""
    global _decider
    if _decider is None:
        with _lock:
            if _decider is None:
                conf = cfg.CONF
                _decider = deciding.Decider(
                    snapshot_client.SnapshotClient(
                        lambda: settings.read(conf),
                        lambda: bus.connect(conf)),
                    occupancy.NovaOccupancy())
    return _decider


def use(made: deciding.Decider | None) -> deciding.Decider | None:
    """Put another one in its place; return the one before."""
    global _decider
    with _lock:
        before, _decider = _decider, made
    return before


class HAGroupFilter(filters.BaseHostFilter):
    """Lets a member of HA groups go where their rules are kept."""

    #: A rebuild in place moves nothing.
    RUN_ON_REBUILD = False

    #: Each server of one request is judged, after those before it.
    run_filter_once_per_request = False

    def filter_all(
        self, filter_obj_list: Iterable[Any], spec_obj: Any,
    ) -> Sequence[Any]:
        """Return the HostStates that the server may go to; never raises."""
        if not isinstance(filter_obj_list, list):
            filter_obj_list = list(filter_obj_list)
        return decider().passing(filter_obj_list, spec_obj)

    def host_passes(self, host_state: Any, filter_properties: Any) -> bool:
        """Whether a server may go to one host; never raises."""
        return bool(decider().passing([host_state], filter_properties))
