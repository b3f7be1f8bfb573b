# SPDX-License-Identifier: Apache-2.0
"""Nova's exchange is durable or not, whatever aacloud's own is, on a real
RabbitMQ; and it may be made anew the other way."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import queue
import threading
import time
from typing import Any

import kombu
import oslo_messaging
import pytest

from aacloud.rpc import messaging
from aacloud.rpc import nova_notifications
from tests.functional.groups import place as places

SERVER = places.server_id(0)


@contextlib.contextmanager
def channel(place: places.Place) -> Iterator[Any]:
    """A way to do in RabbitMQ what an operator does."""
    url = place.broker.url.replace("rabbit:", "amqp:")
    with kombu.Connection(url) as connection:
        yield connection.default_channel


@contextlib.contextmanager
def nova(
    place: places.Place, exchange: str, topic: str, *, durable: bool,
) -> Iterator[Callable[[str], None]]:
    """Nova, which has declared its exchange; tells of a server's end."""
    conf = place.configuration("nova")
    conf.set_override("control_exchange", exchange)
    messaging.set_rabbit_defaults(conf)
    conf.set_override(
        "amqp_durable_queues", durable, group=messaging.RABBIT_GROUP)
    transport = messaging.init_notifications(conf)
    notifier = oslo_messaging.Notifier(
        transport, publisher_id="nova", driver="messaging", topics=[topic],
        retry=3)
    notifier.info({}, "instance.update", {})
    yield lambda server: notifier.info({}, "instance.delete.end", {
        "nova_object.data": {"uuid": server}})
    transport.cleanup()


@contextlib.contextmanager
def listening(
    place: places.Place, exchange: str, topic: str, *, first: bool,
    stuck: Callable[[], None] = lambda: None,
) -> Iterator[queue.Queue[str]]:
    """An engine's listeners, and what they heard.

    :param stuck: is called once they were started
    """
    own = place.configuration("own")
    messaging.init_notifications(own)
    heard: queue.Queue[str] = queue.Queue()
    listeners = nova_notifications.listeners(
        lambda durable: messaging.listening_transport(own, durable=durable),
        lambda told: heard.put(told.subject), threading.Event().wait,
        topics=[topic], pool=f"pool-{exchange}", exchange=exchange,
        durable=first)
    for each in listeners:
        each.start()
    stuck()
    for each in listeners:
        assert each.wait_listening(places.DEADLINE)
    yield heard
    for each in listeners:
        each.stop()


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_its_notifications_are_heard(
    place: places.Place, durable: bool, first: bool,
) -> None:
    name = f"nova-durable-{durable}-{first}"
    with (
        nova(place, name, f"told-{name}", durable=durable) as tell,
        listening(place, name, f"told-{name}", first=first) as heard,
    ):
        tell(SERVER)
        assert heard.get(timeout=places.DEADLINE) == SERVER
    found = {
        each for each in place.broker.queues() if each.startswith(
            f"pool-{name}-{name}")}
    if durable or not first:
        # Else the driver itself falls back, and the name stays.
        assert found == {
            nova_notifications.queue_name(f"pool-{name}", name, durable)}


@pytest.mark.parametrize("durable", [True, False])
def test_its_exchange_is_made_anew(
    place: places.Place, durable: bool
) -> None:
    """What was made for the one before stays, and is in nobody's way."""
    name, before = f"nova-again-{durable}", f"told-before-{durable}"
    with (
        nova(place, name, before, durable=not durable) as tell,
        listening(place, name, before, first=False) as heard,
    ):
        tell(SERVER)
        assert heard.get(timeout=places.DEADLINE) == SERVER
    with channel(place) as made:
        made.exchange_delete(name)
    other, topic = places.server_id(1), f"told-again-{durable}"
    with (
        nova(place, name, topic, durable=durable) as tell,
        listening(place, name, topic, first=False) as heard,
    ):
        tell(other)
        assert heard.get(timeout=places.DEADLINE) == other


@pytest.mark.parametrize("durable", [True, False])
def test_a_queue_that_is_in_the_way_is_named(
    place: places.Place, durable: bool, caplog: pytest.LogCaptureFixture,
) -> None:
    """It is heard as soon as an operator has deleted that queue."""
    name = f"nova-left-{durable}"
    left = nova_notifications.queue_name(f"pool-{name}", name, durable)
    with channel(place) as made:
        made.queue_declare(left, durable=not durable, auto_delete=False)

    def named() -> None:
        place.eventually(lambda: any(
            left in text and "delete" in text.lower()
            for text in caplog.messages))
        with channel(place) as made:
            made.queue_delete(left)

    with (
        nova(place, name, f"told-{name}", durable=durable) as tell,
        listening(
            place, name, f"told-{name}", first=durable, stuck=named,
        ) as heard,
    ):
        tell(SERVER)
        assert heard.get(timeout=places.DEADLINE) == SERVER


def test_a_policy_ends_the_queue_that_nobody_reads(
    place: places.Place,
) -> None:
    """Not while engines listen; and they make it anew."""
    name, expires = "nova-expires", 2.0
    shared = nova_notifications.queue_name(f"pool-{name}", name, False)
    place.broker.control(
        "set_policy", name, f"^{shared}$",
        f'{{"expires":{int(expires * 1000)}}}', "--apply-to", "queues")
    with nova(place, name, f"told-{name}", durable=False) as tell:
        with listening(place, name, f"told-{name}", first=False) as heard:
            began = time.monotonic()
            place.eventually(
                lambda: time.monotonic() - began > 2 * expires)
            tell(SERVER)
            assert heard.get(timeout=places.DEADLINE) == SERVER
        place.eventually(lambda: shared not in place.broker.queues())
        tell(places.server_id(1))
        with listening(place, name, f"told-{name}", first=False) as heard:
            tell(SERVER)
            assert heard.get(timeout=places.DEADLINE) == SERVER
    place.broker.control("clear_policy", name)
