# SPDX-License-Identifier: Apache-2.0
"""Nova's exchange is durable, aacloud's own is not, on a real RabbitMQ."""

from __future__ import annotations

import queue
import threading

import oslo_messaging
import pytest

from aacloud.rpc import messaging
from aacloud.rpc import nova_notifications
from tests.functional.groups import place as places

SERVER = places.server_id(0)


@pytest.mark.parametrize("durable", [True, False])
def test_its_notifications_are_heard(
    place: places.Place, durable: bool
) -> None:
    exchange = f"nova-durable-{durable}"
    topic = f"notifications-durable-{durable}"
    nova = place.configuration("nova")
    nova.set_override("control_exchange", exchange)
    messaging.set_rabbit_defaults(nova)
    nova.set_override(
        "amqp_durable_queues", durable, group=messaging.RABBIT_GROUP)
    transport = messaging.init_notifications(nova)
    notifier = oslo_messaging.Notifier(
        transport, publisher_id="nova", driver="messaging", topics=[topic],
        retry=3)
    notifier.info({}, "instance.update", {})

    own = place.configuration("own")
    messaging.init_notifications(own)
    heard: queue.Queue[str] = queue.Queue()
    listeners = nova_notifications.listeners(
        lambda durable: messaging.listening_transport(own, durable=durable),
        lambda told: heard.put(told.subject), threading.Event().wait,
        topics=[topic], pool=f"pool-{durable}", exchange=exchange)
    for each in listeners:
        each.start()
        assert each.wait_listening(places.DEADLINE)
    notifier.info({}, "instance.delete.end", {
        "nova_object.data": {"uuid": SERVER}})
    assert heard.get(timeout=places.DEADLINE) == SERVER
    for each in listeners:
        each.stop()
    transport.cleanup()
