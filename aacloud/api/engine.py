# SPDX-License-Identifier: Apache-2.0
"""The engine of server groups, as the API asks it."""

from collections.abc import Callable
import os
import threading

from oslo_config import cfg
from oslo_log import log

from aacloud.api import errors
from aacloud.conf import errors as conf_errors
from aacloud.rpc import group_messages
from aacloud.rpc import groups
from aacloud.rpc import messaging

LOG = log.getLogger(__name__)

Unavailable = groups.EngineUnavailable

#: How long a request waits for the schedulers when it was asked to, in
#: seconds.
WAIT_S = 5.0


def _connect(conf: cfg.ConfigOpts) -> groups.GroupsClient:
    try:
        return groups.GroupsClient(messaging.init(conf))
    except conf_errors.ConfigurationError as problem:
        LOG.error("The engine of server groups cannot be asked: %s", problem)
        raise Unavailable(
            "messaging is not configured for the API; see its log"
        ) from problem


class Engine:
    """Connects at the first question, in whichever process asks it.

    :param conf: has transport_url
    :param connect: makes the client
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        *,
        connect: Callable[
            [cfg.ConfigOpts], groups.GroupsClient
        ] = _connect,
    ) -> None:
        self._conf = conf
        self._connect = connect
        self._lock = threading.Lock()
        self._pid = 0
        self._made: groups.GroupsClient | None = None

    @property
    def client(self) -> groups.GroupsClient:
        """The client of this process.

        :raises Unavailable: messaging is not configured
        """
        with self._lock:
            # A WSGI server may fork after a first request.
            if self._made is None or self._pid != os.getpid():
                self._made = self._connect(self._conf)
                self._pid = os.getpid()
            return self._made

    def wait(self, revision: int) -> tuple[list[group_messages.Ack], str]:
        """Return which revisions schedulers have, after a wait for one.

        :returns: and the reason why it is not known, or nothing
        """
        try:
            return self.client.wait_acked(revision, WAIT_S), ""
        except (Unavailable, groups.EngineRefused) as problem:
            return [], str(problem)

    def announce(self, revision: int) -> None:
        """Tell all schedulers and engines of a new revision."""
        try:
            self.client.changed(revision)
        except Unavailable as problem:
            LOG.warning(
                "Revision %d of the groups is not announced: %s",
                revision,
                problem,
            )


def unavailable(
    problem: groups.EngineUnavailable, what: str
) -> errors.Unavailable:
    """Return the refusal of a request that needs the engine.

    :param problem: why the engine gives no answer
    :param what: what cannot be done now, and what can be done about it
    """
    return errors.Unavailable(
        f"the engine of server groups gives no answer: {problem}; {what}"
    )
