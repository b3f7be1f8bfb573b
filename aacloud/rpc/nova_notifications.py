# SPDX-License-Identifier: Apache-2.0
"""What Nova and Keystone tell of servers and projects, as few plain facts.

Nova's *versioned* notifications are read (``[notifications]
notification_format`` ``versioned`` or ``both`` in nova.conf). All engines
listen in one pool of their own: each notification is handled by one of them,
and other listeners on the same topic still get theirs. What cannot be handled
now goes back into the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import enum
import logging
import re
from typing import Any
import uuid

import oslo_messaging

from aacloud.rpc import messaging
from aacloud.rpc import metrics
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

#: The hint that makes a server a member at its birth: a group's id or name.
HINT = "ha_group"
#: Notifications that an engine handles at a time.
WORKERS = 4

#: Where Nova tells of servers, unless its control_exchange was changed.
NOVA_EXCHANGE = "nova"
#: Where Keystone tells of projects.
KEYSTONE_EXCHANGE = "keystone"
KEYSTONE_TOPIC = "notifications"


class Fact(str, enum.Enum):
    """What happened."""

    #: The scheduler was asked for a host, with a hint of ours.
    HINTED = "hinted"
    #: A server was made, or could not be made.
    BORN = "born"
    #: A server may be on other hosts than before, or takes other room.
    MOVED = "moved"
    #: A server is no more.
    GONE = "gone"
    #: A project is no more.
    PROJECT_GONE = "project-gone"


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """One notification.

    :ivar subject: uuid of the server, or id of the project
    :ivar project_id: of the server, as far as told
    :ivar hints: ids or names of groups
    :ivar request_id: of the request that led to it
    """

    fact: Fact
    subject: str
    project_id: str | None = None
    hints: tuple[str, ...] = ()
    request_id: str | None = None


_SERVER_FACTS: tuple[tuple[re.Pattern[str], Fact], ...] = (
    (re.compile(r"instance\.create\.(end|error)"), Fact.BORN),
    (re.compile(r"instance\.delete\.end"), Fact.GONE),
    (re.compile(
        r"instance\.(live_migration_(pre|post|post_dest|rollback|"
        r"rollback_dest|abort)|resize|resize_prep|resize_finish|"
        r"resize_confirm|resize_revert|rebuild|shelve|shelve_offload|"
        r"unshelve|soft_delete|restore)\.(end|error)"), Fact.MOVED),
    (re.compile(r"instance\.evacuate"), Fact.MOVED),
)
_SCHEDULED = re.compile(r"scheduler\.select_destinations\.(start|end)")
_PROJECT_GONE = "identity.project.deleted"

#: Nothing else is taken from the queues to be looked at.
_WANTED = (
    r"^(instance\.(create|delete|live_migration_\w+|resize\w*|rebuild|"
    r"shelve\w*|unshelve|soft_delete|restore)\.(start|end|error)"
    r"|instance\.evacuate|scheduler\.select_destinations\.(start|end)"
    r"|identity\.project\.deleted)$")


def parse(event_type: str, payload: object) -> Told | None:
    """Read a notification; None when there is nothing in it for us."""
    if not isinstance(payload, Mapping):
        return None
    if event_type == _PROJECT_GONE:
        return _project_gone(payload)
    data = payload.get("nova_object.data")
    if not isinstance(data, Mapping):
        return None
    if _SCHEDULED.fullmatch(event_type):
        return _hinted(data)
    for pattern, fact in _SERVER_FACTS:
        if pattern.fullmatch(event_type):
            server = _uuid(data.get("uuid"))
            return None if server is None else Told(
                fact, server, _text(data.get("tenant_id")),
                request_id=_text(data.get("request_id")))
    return None


def hinted_groups(hints: object) -> tuple[str, ...]:
    """The groups that scheduler hints name.

    Nova keeps every hint as a list of texts, and shows one of a single text
    as a text; several groups may be named, also in one text with commas.
    """
    value = hints.get(HINT) if isinstance(hints, Mapping) else None
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, Sequence):
        return ()
    return tuple(dict.fromkeys(
        part.strip() for text in value if isinstance(text, str)
        for part in text.split(",") if part.strip()))


def _hinted(data: Mapping[str, Any]) -> Told | None:
    groups = hinted_groups(data.get("scheduler_hints"))
    server = _uuid(data.get("instance_uuid"))
    if not groups or server is None:
        return None
    return Told(
        Fact.HINTED, server, _text(data.get("project_id")), hints=groups)


def _project_gone(payload: Mapping[str, Any]) -> Told | None:
    # In Keystone's basic format, and in CADF.
    project = _text(payload.get("resource_info"))
    target = payload.get("target")
    if project is None and isinstance(target, Mapping):
        project = _text(target.get("id"))
    return None if project is None else Told(Fact.PROJECT_GONE, project)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) < 256 else None


def _uuid(value: object) -> str | None:
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


class NotificationEndpoint:
    """Hands each fact on; what raises is told again later.

    :param handle: is given what was told; an exception means: not now
    :param pause: is called with seconds before something goes back
    """

    filter_rule = oslo_messaging.NotificationFilter(event_type=_WANTED)

    def __init__(
        self,
        handle: Callable[[Told], None],
        pause: Callable[[float], object],
    ) -> None:
        self._handle = handle
        self._pause = pause
        self._pace = rates.LogPace()

    def info(
        self,
        context: object,
        publisher: str,
        event_type: str,
        payload: object,
        metadata: object,
    ) -> oslo_messaging.NotificationResult:
        """Take one notification."""
        told = parse(event_type, payload)
        if told is None:
            metrics.NOVA_NOTIFICATIONS.labels("passed").inc()
            return oslo_messaging.NotificationResult.HANDLED
        try:
            self._handle(told)
        except Exception as error:  # noqa: BLE001 (the queue keeps it)
            metrics.NOVA_NOTIFICATIONS.labels("again").inc()
            held_back = self._pace.due(type(error).__name__)
            if held_back is not None:
                LOG.warning(
                    "The notification %s of %s cannot be handled now and is "
                    "taken again: %s: %s%s", event_type, told.subject,
                    type(error).__name__, error, self._pace.text(held_back))
            self._pause(1.0)
            return oslo_messaging.NotificationResult.REQUEUE
        metrics.NOVA_NOTIFICATIONS.labels("handled").inc()
        return oslo_messaging.NotificationResult.HANDLED

    error = info


#: What RabbitMQ answers to a declaration that differs from the first one.
_OTHER_DURABILITY = "inequivalent arg 'durable' for exchange"


class _Durability:
    """Finds out whether the other service's exchange is durable."""

    def __init__(
        self, name: str, first: bool, queue: Callable[[bool], str],
    ) -> None:
        self.durable = first
        self._name = name
        self._queue = queue
        self._turned = False
        self._pace = rates.LogPace()

    @property
    def queue(self) -> str:
        """What the engines share now."""
        return self._queue(self.durable)

    def failed(self, error: Exception) -> bool:
        """Turn round when that was the reason; True: try again at once."""
        if _OTHER_DURABILITY not in str(error):
            return False
        self.durable = not self.durable
        at_once, self._turned = not self._turned, True
        if not at_once and self._pace.due("queue") is not None:
            # It is refused both ways, and an exchange is one of them. The
            # driver tried the durable queue's otherwise, too.
            LOG.error(
                "%s cannot be heard: the queue %s, or one of its exchanges, "
                "was made by an earlier configuration, and is not durable. "
                "Delete it (rabbitmqctl delete_queue %s); it is made anew",
                self._name, self._queue(True), self._queue(True))
        LOG.info(
            "%s: the exchange is declared %sdurable there; so it is here",
            self._name, "" if self.durable else "not ")
        return at_once


def queue_name(pool: str, exchange: str, durable: bool) -> str:
    """The queue that the engines share.

    A queue is as durable as its exchange, and stays what it was made as. So
    its name tells that: when the other service declares its exchange anew,
    the queue that was made for the one before is in nobody's way.
    """
    return "-".join((
        pool, *(() if exchange == NOVA_EXCHANGE else (exchange,)),
        *(("durable",) if durable else ())))


def listeners(
    transport: Callable[[bool], messaging.NotificationTransport],
    handle: Callable[[Told], None],
    pause: Callable[[float], object],
    *,
    topics: Sequence[str],
    pool: str,
    durable: bool = False,
    exchange: str = NOVA_EXCHANGE,
    keystone_topics: Sequence[str] = (KEYSTONE_TOPIC,),
) -> tuple[messaging.BackgroundServer, ...]:
    """Return the listeners, one for each service; start and stop them.

    :param transport: makes one; is told whether the exchange is durable
    :param handle: is called by several threads
    :param topics: of Nova's versioned notifications
    :param pool: all engines name the same: they share one copy of all
    :param durable: what is tried first; the other is tried when the service
        has declared its exchange otherwise
    :param keystone_topics: of Keystone's
    """

    def made(
        name: str, exchange: str, topics: Sequence[str]
    ) -> messaging.BackgroundServer:
        found = _Durability(
            name, durable, lambda durable: queue_name(pool, exchange, durable))
        targets = [
            oslo_messaging.Target(topic=topic, exchange=exchange)
            for topic in topics]

        def make() -> oslo_messaging.MessageHandlingServer:
            return oslo_messaging.get_notification_listener(
                transport(found.durable), targets,
                [NotificationEndpoint(handle, pause)],
                executor="threading", allow_requeue=True,
                pool=found.queue)

        return messaging.BackgroundServer(
            name, make, workers=WORKERS, failed=found.failed)

    return (
        made("Nova's notifications", exchange, topics),
        made("Keystone's notifications", KEYSTONE_EXCHANGE, keystone_topics),
    )
