# SPDX-License-Identifier: Apache-2.0
"""What is read of Nova's and Keystone's notifications, and what is not."""

from __future__ import annotations

import queue
import threading
import types

import oslo_messaging
import pytest

from aacloud.rpc import nova_notifications
from tests.unit.rpc import bus

Fact = nova_notifications.Fact

SERVER = "178b0921-8f85-4257-88b6-2e743b5a975c"
DEADLINE = 30


def instance(**more):
    return {
        "nova_object.name": "InstanceActionPayload",
        "nova_object.namespace": "nova",
        "nova_object.version": "1.9",
        "nova_object.data": {
            "uuid": SERVER, "tenant_id": "p", "host": "h1",
            "request_id": "req-1", **more},
    }


def scheduled(hints):
    return {
        "nova_object.name": "RequestSpecPayload",
        "nova_object.namespace": "nova",
        "nova_object.version": "1.1",
        "nova_object.data": {
            "instance_uuid": SERVER, "project_id": "p", "num_instances": 2,
            "scheduler_hints": hints},
    }


@pytest.mark.parametrize("event_type, fact", [
    ("instance.create.end", Fact.BORN),
    ("instance.create.error", Fact.BORN),
    ("instance.delete.end", Fact.GONE),
    ("instance.live_migration_post.end", Fact.MOVED),
    ("instance.live_migration_post_dest.end", Fact.MOVED),
    ("instance.live_migration_rollback.end", Fact.MOVED),
    ("instance.resize_finish.end", Fact.MOVED),
    ("instance.resize_revert.end", Fact.MOVED),
    ("instance.evacuate", Fact.MOVED),
    ("instance.rebuild.end", Fact.MOVED),
    ("instance.unshelve.end", Fact.MOVED),
    ("instance.shelve_offload.end", Fact.MOVED),
])
def test_what_happens_to_servers(event_type, fact):
    told = nova_notifications.parse(event_type, instance())
    assert told == nova_notifications.Told(
        fact, SERVER, "p", request_id="req-1")


@pytest.mark.parametrize("event_type", [
    "instance.update", "instance.create.start", "instance.delete.start",
    "instance.power_off.end", "compute.exception", "service.update"])
def test_what_is_of_no_concern(event_type):
    assert nova_notifications.parse(event_type, instance()) is None


@pytest.mark.parametrize("hints, groups", [
    ({"ha_group": ["web"]}, ("web",)),
    ({"ha_group": ["web", "db"], "group": ["x"]}, ("web", "db")),
    ({"ha_group": "web, db,web"}, ("web", "db")),
    ({"group": ["x"]}, ()),
    ({"ha_group": []}, ()),
    ({"ha_group": [1, " "]}, ()),
    (None, ()),
    ("text", ()),
])
def test_hints(hints, groups):
    assert nova_notifications.hinted_groups(hints) == groups
    told = nova_notifications.parse(
        "scheduler.select_destinations.start", scheduled(hints))
    assert told == (nova_notifications.Told(
        Fact.HINTED, SERVER, "p", hints=groups) if groups else None)


@pytest.mark.parametrize("payload", [
    {"resource_info": "p1"},
    {"typeURI": "http://schemas.dmtf.org/cloud/audit/1.0/event",
     "target": {"id": "p1", "typeURI": "data/security/project"}},
])
def test_deleted_projects(payload):
    told = nova_notifications.parse("identity.project.deleted", payload)
    assert told == nova_notifications.Told(Fact.PROJECT_GONE, "p1")


@pytest.mark.parametrize("payload", [
    None, [], "x", {}, {"nova_object.data": None},
    {"nova_object.data": {"uuid": "no uuid"}},
    {"nova_object.data": {"uuid": 7}}, {"target": {"id": 5}},
])
@pytest.mark.parametrize("event_type", [
    "instance.create.end", "scheduler.select_destinations.end",
    "identity.project.deleted"])
def test_what_is_not_understood_is_passed_over(event_type, payload):
    assert nova_notifications.parse(event_type, payload) is None


def notifier(transport, topic, **kwargs):
    return oslo_messaging.Notifier(
        transport, publisher_id="nova-compute:h1", driver="messaging",
        topics=[topic], **kwargs)


def test_each_notification_reaches_one_of_the_pool():
    options = bus.conf()
    options.set_override("control_exchange", "nova")
    transport = oslo_messaging.get_notification_transport(
        options, url="fake://")
    got: queue.Queue[str] = queue.Queue()
    listeners = [
        each for _ in range(2) for each in nova_notifications.listeners(
            lambda durable: transport, lambda told: got.put(told.subject),
            threading.Event().wait, topics=["versioned_notifications"],
            pool="aacloud-groups")]
    for each in listeners:
        each.start()
        assert each.wait_listening(DEADLINE)
    sender = notifier(transport, "versioned_notifications")
    servers = [f"{number:08d}{SERVER[8:]}" for number in range(20)]
    for server in servers:
        sender.info({}, "instance.update", instance(uuid=server))
        sender.info({}, "instance.delete.end", instance(uuid=server))
    sender.error({}, "instance.create.error", instance())
    found = [got.get(timeout=DEADLINE) for _ in range(21)]
    assert sorted(found) == sorted([*servers, SERVER])
    for each in listeners:
        each.stop()
    assert got.empty()
    transport.cleanup()


def test_an_exchange_of_another_durability(monkeypatch):
    """RabbitMQ refuses to declare it otherwise than it is."""
    tried = []

    def get(transport, *args, **kwargs):
        tried.append(transport)
        if transport is False:
            raise RuntimeError(
                "Exchange.declare: (406) PRECONDITION_FAILED - inequivalent "
                "arg 'durable' for exchange 'nova' in vhost '/'")
        return oslo_messaging.get_notification_listener(
            oslo_messaging.get_notification_transport(
                bus.conf(), url="fake://"), *args, **kwargs)

    made = nova_notifications.listeners(
        lambda durable: durable, lambda told: None, threading.Event().wait,
        topics=["versioned_notifications"], pool="aacloud-groups")
    monkeypatch.setattr(
        nova_notifications, "oslo_messaging", types.SimpleNamespace(
            **{**vars(oslo_messaging), "get_notification_listener": get}))
    for each in made:
        each.start()
        assert each.wait_listening(DEADLINE)
        each.stop()
    assert sorted(tried) == [False, False, True, True]


def test_the_queue_is_named_by_its_durability():
    assert [
        nova_notifications.queue_name("aacloud-groups", exchange, durable)
        for exchange in ("nova", "keystone") for durable in (False, True)
    ] == [
        "aacloud-groups", "aacloud-groups-durable",
        "aacloud-groups-keystone", "aacloud-groups-keystone-durable"]


def test_a_queue_in_the_way_is_named_and_not_asked_for_at_once(
    monkeypatch, caplog,
):
    tried = []

    def get(transport, *args, pool, **kwargs):
        tried.append((transport, pool))
        if len(tried) == 4:
            stop.set()
        raise RuntimeError(
            "Exchange.declare: (406) PRECONDITION_FAILED - inequivalent "
            "arg 'durable' for exchange 'nova' in vhost '/'")

    stop = threading.Event()
    made, _keystone = nova_notifications.listeners(
        lambda durable: durable, lambda told: None, stop.wait,
        topics=["versioned_notifications"], pool="aacloud-groups")
    monkeypatch.setattr(
        nova_notifications, "oslo_messaging", types.SimpleNamespace(
            **{**vars(oslo_messaging), "get_notification_listener": get}))
    made.start()
    assert stop.wait(DEADLINE)
    made.stop()
    # Once it turns round at once; then it is only tried again.
    assert tried[:4] == [
        (False, "aacloud-groups"), (True, "aacloud-groups-durable"),
        (False, "aacloud-groups"), (True, "aacloud-groups-durable")]
    assert "rabbitmqctl delete_queue aacloud-groups-durable" in caplog.text
    assert "RabbitMQ has it with other properties" in caplog.text


def test_what_cannot_be_handled_goes_back():
    pauses = []
    answers = iter([RuntimeError("not now"), None])

    def handle(told):
        error = next(answers)
        if error:
            raise error

    endpoint = nova_notifications.NotificationEndpoint(
        handle, pauses.append)

    def tell():
        return endpoint.info(
            {}, "nova", "instance.delete.end", instance(), {})

    assert tell() is oslo_messaging.NotificationResult.REQUEUE
    assert pauses == [1.0]
    assert tell() is oslo_messaging.NotificationResult.HANDLED
