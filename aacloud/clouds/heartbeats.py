# SPDX-License-Identifier: Apache-2.0
"""How long a nova-compute has been silent, by the clock of one process."""

from __future__ import annotations

import dataclasses
import threading

from aacloud.clouds import views
from aacloud.core import verdicts


class Heartbeats:
    """Follows the time stamp of each service; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[verdicts.NovaServiceView, float]] = {}

    def view(
        self, service: views.Json, now: float
    ) -> verdicts.NovaServiceView:
        """Return what Nova says of a service, read at ``now`` (monotonic).

        Disabling or forcing down a service writes its stamp too. That is a
        sign of life of the one who did it, not of the host: such an advance
        is not counted, the next one is.
        """
        read = verdicts.NovaServiceView(
            state="up" if service["state"] == "up" else "down",
            disabled=service["status"] == "disabled",
            forced_down=bool(service["forced_down"]),
            disabled_reason=service["disabled_reason"],
            stamp=service["updated_at"],
        )
        host = str(service["host"])
        with self._lock:
            before, at = self._seen.get(host, (None, now))
            if before is not None and _switches(before) != _switches(read):
                before = dataclasses.replace(before, stamp=read.stamp)
            found = verdicts.follow_service(read, before, now - at)
            self._seen[host] = (found, now)
        return found


def _switches(
    service: verdicts.NovaServiceView,
) -> tuple[bool, bool, str | None]:
    return service.disabled, service.forced_down, service.disabled_reason
