# SPDX-License-Identifier: Apache-2.0
"""Whom to probe: agents ask any engine, on topic ``aacloud.failover``.

Question and answer are signed, and the answer repeats the nonce of the
question: a wrong assignment would make a healthy host look silent.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import logging
import os
import time
from typing import Any

from oslo_context import context as oslo_context
import oslo_messaging

from aacloud.rpc import envelope
from aacloud.rpc import messaging
from aacloud.rpc import metrics
from aacloud.rpc import rates
from aacloud.rpc import schema
from aacloud.rpc import signing

LOG = logging.getLogger(__name__)

TOPIC = "aacloud.failover"
VERSION = "1.0"

Assign = Callable[[schema.PeersRequest], schema.Assignment]


class AssignmentUnavailable(Exception):
    """There is no assignment now; the text says why."""


class PeersClient:
    """The agent's end.

    :param timeout: seconds to wait for the answer
    """

    def __init__(
        self,
        transport: messaging.RPCTransport,
        keys: signing.KeyRing,
        *,
        host: str,
        boot_id: str,
        timeout: float = 5.0,
    ) -> None:
        self._keys = keys
        self._host = host
        self._boot_id = boot_id
        self._client = messaging.get_client(
            transport,
            oslo_messaging.Target(topic=TOPIC, version=VERSION),
            timeout=timeout,
        )

    def peers(self, addresses: Mapping[str, str]) -> schema.Assignment:
        """Ask for the targets of this host.

        :param addresses: network to the own address
        :raises AssignmentUnavailable: the engine has none now
        :raises envelope.MessageError: the answer is refused
        :raises oslo_messaging.MessagingException: no engine answered, or the
            bus cannot be reached
        """
        request = schema.PeersRequest(
            host=self._host,
            addresses=addresses,
            boot_id=self._boot_id,
            nonce=os.urandom(16).hex(),
        )
        message = envelope.seal(
            schema.peers_request_body(request),
            self._keys,
            signing.Purpose.PEERS,
        )
        answer = self._client.call(
            oslo_context.RequestContext(overwrite=False),
            "peers",
            message=message,
        )
        if not answer:
            raise envelope.MessageError(
                "refused",
                "the engine refused the question, its log says why; most "
                "likely the key files of both differ",
            )
        body = envelope.unseal(answer, self._keys, signing.Purpose.ASSIGNMENT)
        if (body.get("nonce"), body.get("host")) != (
            request.nonce,
            request.host,
        ):
            raise envelope.MessageError(
                "replayed", "the assignment answers another question"
            )
        if "unavailable" in body:
            raise AssignmentUnavailable(envelope.text_of(body, "unavailable"))
        return schema.parse_assignment(body)


class PeersEndpoint:
    """The engine's end of the call; register it with a server.

    :param assign: answers a question; raises :class:`AssignmentUnavailable`
        when it cannot now. Who asks is known, but a question can be replayed:
        take the addresses of hosts from their reports, which cannot.
    """

    target = oslo_messaging.Target(version=VERSION)

    def __init__(
        self,
        keys: signing.KeyRing,
        assign: Assign,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._assign = assign
        self._pace = rates.LogPace(clock=clock)

    @oslo_messaging.expose
    def peers(
        self, context: oslo_context.RequestContext, message: object
    ) -> dict[str, Any]:
        """Answer one question; unsigned ones get an empty answer."""
        try:
            request = schema.parse_peers_request(
                envelope.unseal(message, self._keys, signing.Purpose.PEERS)
            )
        except envelope.MessageError as error:
            self._note(error.reason, f"refused: {error}")
            return {}
        try:
            assignment = self._assign(request)
            body = schema.assignment_body(assignment)
            metrics.PEERS_ANSWERED.labels("answered").inc()
        except AssignmentUnavailable as error:
            text = str(error)[: envelope.MAX_NAME] or "not known yet"
            body = {"kind": "assignment", "unavailable": text}
            self._note("unavailable", f"of {request.host}: {error}")
        except Exception:
            LOG.exception(
                "The question of %s for its peers failed", request.host
            )
            metrics.PEERS_ANSWERED.labels("failed").inc()
            body = {
                "kind": "assignment",
                "unavailable": "the engine failed; its log says why",
            }
        return envelope.seal(
            {**body, "nonce": request.nonce, "host": request.host},
            self._keys,
            signing.Purpose.ASSIGNMENT,
        )

    def _note(self, outcome: str, text: str) -> None:
        metrics.PEERS_ANSWERED.labels(outcome).inc()
        held_back = self._pace.due(outcome)
        if held_back is not None:
            LOG.warning(
                "A question for peers was not answered, %s%s",
                text,
                self._pace.text(held_back),
            )


def peers_server(
    transport: messaging.RPCTransport,
    endpoint: PeersEndpoint,
    *,
    name: str,
) -> messaging.BackgroundServer:
    """Return the engine's server for questions; start and stop it.

    :param name: names this engine on the bus; unique
    """
    target = oslo_messaging.Target(topic=TOPIC, server=name)
    return messaging.BackgroundServer(
        TOPIC,
        lambda: messaging.get_server(transport, target, [endpoint]),
        workers=2,
    )
