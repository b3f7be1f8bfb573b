# SPDX-License-Identifier: Apache-2.0
"""The way to the engines, beside Nova's own messaging.

It has options of its own, read from the same files: aacloud wants a driver
that notices a broken connection within seconds, and Nova's shall stay as the
operator set it up.
"""

from __future__ import annotations

from typing import Any

from oslo_config import cfg
import oslo_messaging

from aacloud.conf import scheduler as conf_scheduler
from aacloud.rpc import messaging
from aacloud.scheduler.nova import snapshot_client


def connect(conf: cfg.ConfigOpts) -> snapshot_client.MessagingBus:
    """Make it, in the process that uses it; nothing is connected yet.

    :param conf: the options of nova-scheduler
    """
    return snapshot_client.MessagingBus(lambda: _transport(conf))


class _Beside(cfg.ConfigOpts):
    """Options of the same files; those only the others know are theirs."""

    def __init__(self, others: cfg.ConfigOpts) -> None:
        super().__init__()
        self._others = others

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except cfg.NoSuchOptError:
            # oslo.messaging registers some of its options with the global
            # object alone, and reads them of whatever it is given.
            return getattr(self._others, name)


def _transport(conf: cfg.ConfigOpts) -> messaging.RPCTransport:
    own = _Beside(conf)
    own(
        [],
        project=conf.project,
        prog=conf.prog,
        default_config_files=list(conf.config_file or ()),
        default_config_dirs=list(conf.config_dir or ()),
    )
    conf_scheduler.register_opts(own)
    messaging.set_rabbit_defaults(own)
    options = getattr(own, conf_scheduler.GROUP)
    # Nova's may be others: who declares an exchange otherwise than it is
    # already is refused by RabbitMQ.
    for name in ("amqp_durable_queues", "rabbit_quorum_queue"):
        own.set_override(
            name, getattr(options, name), group=messaging.RABBIT_GROUP)
    url = options.transport_url
    return oslo_messaging.get_rpc_transport(own, url=url)
