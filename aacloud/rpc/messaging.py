# SPDX-License-Identifier: Apache-2.0
"""oslo.messaging, wired once: transport, context, clients and servers."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import logging
import threading
from typing import Any
from typing import TypeAlias

from oslo_config import cfg
from oslo_context import context as oslo_context
import oslo_messaging
from oslo_messaging import opts as messaging_opts

from aacloud.conf import errors

LOG = logging.getLogger(__name__)

RPCTransport: TypeAlias = oslo_messaging.transport.RPCTransport
NotificationTransport: TypeAlias = (
    oslo_messaging.transport.NotificationTransport
)

RABBIT_GROUP = "oslo_messaging_rabbit"

#: RabbitMQ has what was to be declared, and with other properties.
_DIFFERS = "PRECONDITION_FAILED"

_UNUSABLE = (
    oslo_messaging.InvalidTransportURL,
    oslo_messaging.DriverLoadFailure,
)

#: What a service that must notice and mend a broken bus within seconds needs
#: of the RabbitMQ driver. These are defaults only: a value in the
#: configuration file wins. The driver's own defaults reconnect after up to
#: 30 s, notice a cut connection after 60 s, and keep what a dead engine did
#: not fetch for half an hour.
RABBIT_DEFAULTS: dict[str, Any] = {
    "heartbeat_timeout_threshold": 10,
    "heartbeat_rate": 3,
    "kombu_reconnect_delay": 0.2,
    "rabbit_retry_interval": 1,
    "rabbit_retry_backoff": 0,
    "rabbit_interval_max": 1,
    "rabbit_transient_queues_ttl": 60,
    "kombu_missing_consumer_retry_timeout": 5,
}


class ContextSerializer(oslo_messaging.NoOpSerializer):
    """JSON-able values as they are, and the request's context beside."""

    def __init__(self) -> None:
        self._json = oslo_messaging.JsonPayloadSerializer()

    def serialize_entity(self, ctxt: object, entity: object) -> object:
        """Turn a value into plain JSON-able ones."""
        return self._json.serialize_entity(ctxt, entity)

    def serialize_context(
        self, ctxt: oslo_context.RequestContext
    ) -> dict[str, Any]:
        """Turn the context into a dict, without its token."""
        plain: dict[str, Any] = ctxt.to_dict()
        plain.pop("auth_token", None)
        return plain

    def deserialize_context(
        self, ctxt: dict[str, Any]
    ) -> oslo_context.RequestContext:
        """Make the context again."""
        return oslo_context.RequestContext.from_dict(ctxt)


def set_rabbit_defaults(conf: cfg.ConfigOpts) -> None:
    """Give the RabbitMQ driver's options aacloud's defaults in ``conf``."""
    for group, options in messaging_opts.list_opts():
        if str(group) == RABBIT_GROUP:
            conf.register_opts(options, group=RABBIT_GROUP)
            for name, value in RABBIT_DEFAULTS.items():
                conf.set_default(name, value, group=RABBIT_GROUP)


def init(conf: cfg.ConfigOpts) -> RPCTransport:
    """Make the RPC transport of this process; nothing is connected yet.

    Call it after forking.

    :raises errors.ConfigurationError: transport_url cannot be used
    """
    set_rabbit_defaults(conf)
    try:
        return oslo_messaging.get_rpc_transport(conf)
    except _UNUSABLE as error:
        raise _refusal("[DEFAULT]", error) from error


def init_notifications(
    conf: cfg.ConfigOpts,
) -> NotificationTransport:
    """Make the transport for notifications; nothing is connected yet.

    :raises errors.ConfigurationError: transport_url cannot be used
    """
    set_rabbit_defaults(conf)
    try:
        return oslo_messaging.get_notification_transport(conf)
    except _UNUSABLE as error:
        place = "[oslo_messaging_notifications] or [DEFAULT]"
        raise _refusal(place, error) from error


def listening_transport(
    conf: cfg.ConfigOpts, *, durable: bool
) -> NotificationTransport:
    """Make a transport to hear what another service tells.

    That service declares the exchange too, and RabbitMQ takes no second
    declaration that differs. So this transport has its own answer to
    ``amqp_durable_queues``, whatever aacloud's is; else it is set up like
    that of :func:`init_notifications`.

    :param durable: whether exchange and queues outlive RabbitMQ
    """
    own = cfg.ConfigOpts()
    own([], project=conf.project, prog=conf.prog,
        default_config_files=list(conf.config_file or ()),
        default_config_dirs=list(conf.config_dir or ()))
    set_rabbit_defaults(own)
    own.set_override("amqp_durable_queues", durable, group=RABBIT_GROUP)
    # Nothing but the durability is ours to say about their exchange.
    own.set_override("rabbit_quorum_queue", False, group=RABBIT_GROUP)
    url = conf.oslo_messaging_notifications.transport_url
    return oslo_messaging.get_notification_transport(
        own, url=url or conf.transport_url)


def _refusal(place: str, error: Exception) -> errors.ConfigurationError:
    # The driver's own text may show the URL, and with it the password.
    problem = (
        f"{place} transport_url cannot be used ({type(error).__name__}): it "
        "should look like rabbit://user:password@host:5672/"
    )
    return errors.ConfigurationError([problem])


def get_client(
    transport: RPCTransport,
    target: oslo_messaging.Target,
    *,
    timeout: float,
) -> oslo_messaging.RPCClient:
    """Return a client whose calls end, also when messaging is down.

    A call or cast fails at once when there is no connection and none can be
    made; the caller decides when to try again.

    :param timeout: seconds to wait for the answer of a call
    """
    return oslo_messaging.get_rpc_client(
        transport,
        target,
        serializer=ContextSerializer(),
        timeout=timeout,
        retry=0,
    )


def get_server(
    transport: RPCTransport,
    target: oslo_messaging.Target,
    endpoints: Sequence[object],
) -> oslo_messaging.MessageHandlingServer:
    """Return a server; it listens once it is started."""
    return oslo_messaging.get_rpc_server(
        transport,
        target,
        list(endpoints),
        serializer=ContextSerializer(),
        access_policy=oslo_messaging.ExplicitRPCAccessPolicy,
    )


class BackgroundServer:
    """A server that is started and stopped without waiting for the bus.

    While messaging is down, starting an oslo.messaging server blocks, and so
    may stopping it. Neither may hold up a daemon.

    :param name: shown in logs
    :param make: makes the server, called in a thread of its own
    :param workers: threads that handle messages; with 1 they are handled in
        the order in which they came
    :param failed: is told why it could not be started; True: another try
        makes sense at once
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], oslo_messaging.MessageHandlingServer],
        workers: int = 1,
        failed: Callable[[Exception], bool] = lambda error: False,
    ) -> None:
        self._name = name
        self._make = make
        self._workers = workers
        self._failed = failed
        self._stopping = threading.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"{name}-listener", daemon=True
        )

    @property
    def listening(self) -> bool:
        """Whether the server listens (or did, and reconnects by itself)."""
        return self._listening.is_set()

    def start(self) -> None:
        """Begin to listen, as soon as messaging can be reached."""
        self._thread.start()

    def wait_listening(self, timeout: float) -> bool:
        """Wait until it listens; False when ``timeout`` seconds passed."""
        return self._listening.wait(timeout)

    def stop(self, timeout: float = 5.0) -> None:
        """Stop to listen; gives up waiting after ``timeout`` seconds."""
        self._stopping.set()
        if self._thread.ident is None:
            return
        self._thread.join(timeout)
        if self._thread.is_alive():
            LOG.warning(
                "The listener %s did not end within %.1f s, probably "
                "because messaging is down; it is left behind",
                self._name,
                timeout,
            )

    def _run(self) -> None:
        pause = 1.0
        while not self._stopping.is_set():
            try:
                server = self._make()
                server.start(override_pool_size=self._workers)
            except Exception as error:  # noqa: BLE001 (any driver error)
                if self._failed(error):
                    continue
                LOG.error(
                    "Cannot listen for %s: %s. Trying again in %.0f s; %s",
                    self._name,
                    error,
                    pause,
                    "RabbitMQ has it with other properties: set "
                    "[oslo_messaging_rabbit] alike everywhere, or delete it"
                    if _DIFFERS in str(error)
                    else "check transport_url and that RabbitMQ runs",
                )
                self._stopping.wait(pause)
                pause = min(pause * 2, 5.0)
                continue
            self._listening.set()
            LOG.info("Listening for %s", self._name)
            self._stopping.wait()
            self._listening.clear()
            try:
                server.stop()
                server.wait()
            except Exception:
                LOG.exception("The listener %s did not end well", self._name)
