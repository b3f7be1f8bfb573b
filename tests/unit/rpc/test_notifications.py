# SPDX-License-Identifier: Apache-2.0
import dataclasses
import datetime
import queue
from typing import Any

import oslo_messaging
import pytest

from aacloud.core import incidents
from aacloud.core.brakes import Mode
from aacloud.rpc import notifications
from tests.unit.rpc import bus

WAIT = 20
NOW = datetime.datetime(2026, 5, 4, 3, 2, 1, 500000, datetime.timezone.utc)
INCIDENT = incidents.Incident(
    id="0b5c5d0a-0000-4000-8000-000000000001",
    host="dc1-r1-h1",
    state=incidents.IncidentState.FORCED_DOWN,
    mode=Mode.ARMED,
    version=4,
    epoch=2,
    opened_at=NOW,
    updated_at=NOW,
    waiting="the BMC does not answer",
    request_id="req-0b5c5d0a-0000-4000-8000-000000000001",
)


class Listener:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: queue.Queue[tuple[Any, ...]] = queue.Queue()

    def info(self, *args: Any) -> None:
        self.heard.put(("info", *args))

    def error(self, *args: Any) -> None:
        self.heard.put(("error", *args))


def test_an_incident_is_told_with_a_versioned_payload() -> None:
    conf = bus.conf()
    conf.set_override(
        "driver", ["messagingv2"], group="oslo_messaging_notifications"
    )
    transport = oslo_messaging.get_notification_transport(conf, url="fake://")
    listener = Listener()
    server = oslo_messaging.get_notification_listener(
        transport,
        [oslo_messaging.Target(topic="notifications")],
        [listener],
        executor="threading",
    )
    server.start()
    notifier = notifications.IncidentNotifier(transport, host="dc1-ha")
    notifier.start()
    notifier.incident(INCIDENT)
    partial = incidents.IncidentState.PARTIAL
    notifier.incident(dataclasses.replace(INCIDENT, state=partial))
    told = [listener.heard.get(timeout=WAIT) for _ in range(2)]
    by_event = {entry[3]: entry for entry in told}
    level, context, publisher, event, payload, _meta = by_event[
        "aacloud.incident.forced-down"
    ]
    assert (level, publisher) == ("info", "aacloud:dc1-ha")
    assert event == "aacloud.incident.forced-down"
    assert payload["name"] == "Incident"
    assert payload["version"] == "1.0"
    assert payload["data"]["host"] == "dc1-r1-h1"
    assert payload["data"]["waiting"] == "the BMC does not answer"
    assert payload["data"]["opened_at"] == "2026-05-04T03:02:01.500000Z"
    assert payload["data"]["closed_at"] is None
    assert context["request_id"] == INCIDENT.request_id
    assert by_event["aacloud.incident.partial"][0] == "error"
    notifier.stop(WAIT)
    server.stop()
    server.wait()
    transport.cleanup()


def test_telling_never_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notifications, "QUEUE_SIZE", 3)
    transport = oslo_messaging.get_notification_transport(
        bus.conf(), url="fake://"
    )
    notifier = notifications.IncidentNotifier(transport, host="dc1-ha")
    for _ in range(10):
        notifier.incident(INCIDENT)
    assert "are dropped" in caplog.text
    assert notifier._waiting.qsize() == 3
    notifier.stop()
    transport.cleanup()
