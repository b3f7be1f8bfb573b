# SPDX-License-Identifier: Apache-2.0
"""Versioned notifications out: ``aacloud.incident.<state>`` and
``aacloud.group.<state>``.

The payload is ``{"name", "namespace", "version", "data"}``; a minor version
adds keys to ``data``, a major one changes or removes them. They leave in a
thread of their own: an engine never waits for whoever listens.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import datetime
import logging
import queue
import threading
from typing import Any

from oslo_context import context as oslo_context
import oslo_messaging

from aacloud.core import incidents
from aacloud.rpc import messaging
from aacloud.rpc import metrics
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

INCIDENT_VERSION = "1.0"
GROUP_VERSION = "1.0"

#: Notifications that may wait while messaging is down.
QUEUE_SIZE = 1000

_Event = tuple[str, str, dict[str, Any], oslo_context.RequestContext]


def incident_payload(incident: incidents.Incident) -> dict[str, Any]:
    """Return the versioned payload of an incident."""
    return {
        "name": "Incident",
        "namespace": "aacloud",
        "version": INCIDENT_VERSION,
        "data": {
            "id": incident.id,
            "kind": incident.kind,
            "host": incident.host,
            "state": incident.state.value,
            "mode": incident.mode.value,
            "opened_at": _time(incident.opened_at),
            "detected_at": _time(incident.detected_at),
            "updated_at": _time(incident.updated_at),
            "closed_at": _time(incident.closed_at),
            "waiting": incident.waiting,
            "verdict": dict(incident.verdict),
            "proof": None if incident.proof is None else dict(incident.proof),
            "summary": dict(incident.summary),
            "request_id": incident.request_id,
        },
    }


def _time(moment: datetime.datetime | None) -> str | None:
    if moment is None:
        return None
    utc = moment.astimezone(datetime.timezone.utc)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Notifier:
    """Tells the world what happens, without ever waiting for it.

    While messaging is down, up to :data:`QUEUE_SIZE` notifications wait; the
    oldest are dropped beyond that, and counted.

    :param transport: of :func:`messaging.init_notifications`
    :param host: names the sender: ``publisher_id`` is ``aacloud:<host>``
    """

    def __init__(
        self,
        transport: messaging.NotificationTransport,
        *,
        host: str,
    ) -> None:
        self._notifier = oslo_messaging.Notifier(
            transport,
            publisher_id=f"aacloud:{host}",
            serializer=messaging.ContextSerializer(),
            # Until the bus is back: only the thread below waits.
            retry=-1,
        )
        self._waiting: queue.Queue[_Event] = queue.Queue(QUEUE_SIZE)
        self._stopping = threading.Event()
        self._pace = rates.LogPace()
        self._thread = threading.Thread(
            target=self._run, name="notifier", daemon=True
        )

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Send what waits, and end; gives up after ``timeout`` seconds."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _put(self, event: _Event) -> None:
        while True:
            try:
                self._waiting.put_nowait(event)
                return
            except queue.Full:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        try:
            self._waiting.get_nowait()
        except queue.Empty:
            return
        metrics.NOTIFICATIONS.labels("dropped").inc()
        if self._pace.due("dropped") is not None:
            LOG.warning(
                "Notifications are dropped: messaging was down for too long"
            )

    def _run(self) -> None:
        while True:
            try:
                event = self._waiting.get(timeout=0.5)
            except queue.Empty:
                if self._stopping.is_set():
                    return
                continue
            self._send(*event)

    def _send(
        self,
        priority: str,
        event_type: str,
        payload: dict[str, Any],
        context: oslo_context.RequestContext,
    ) -> None:
        send: Callable[..., None] = getattr(self._notifier, priority)
        try:
            send(context, event_type, payload)
            metrics.NOTIFICATIONS.labels("sent").inc()
        except Exception:
            metrics.NOTIFICATIONS.labels("failed").inc()
            LOG.exception("The notification %s was not sent", event_type)


class IncidentNotifier(Notifier):
    """Tells how incidents go on."""

    def incident(self, incident: incidents.Incident) -> None:
        """Tell that an incident is in the state it is in now."""
        error = incident.state is incidents.IncidentState.PARTIAL
        context = oslo_context.RequestContext(
            request_id=incident.request_id, overwrite=False
        )
        self._put((
            "error" if error else "info",
            f"aacloud.incident.{incident.state.value}",
            incident_payload(incident),
            context,
        ))


class GroupNotifier(Notifier):
    """Tells how server groups stand, when that changes."""

    def group(
        self, state: str, data: Mapping[str, Any], *, bad: bool
    ) -> None:
        """Tell that a group is in another state than before.

        :param data: what is known of the group and its rules, JSON-able
        :param bad: somebody should look at it
        """
        self._put((
            "error" if bad else "info",
            f"aacloud.group.{state}",
            {
                "name": "GroupState",
                "namespace": "aacloud",
                "version": GROUP_VERSION,
                "data": {**data, "state": state},
            },
            oslo_context.RequestContext(overwrite=False),
        ))
