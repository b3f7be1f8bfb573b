# SPDX-License-Identifier: Apache-2.0
"""Answers probes. Pure: datagram and clock in, datagram or reason out."""

from __future__ import annotations

from aacloud.monitor import wire
from aacloud.rpc import rates
from aacloud.rpc import replay
from aacloud.rpc import signing

#: Senders (host and network) remembered for replays and for their allowance.
MAX_SENDERS = 8192

#: Answers a second to one sender on one network, and at once. The shortest
#: probe interval that can be configured makes 10 a second.
ANSWER_RATE = 20.0
ANSWER_BURST = 40.0


class Responder:
    """Answers requests for this host. One thread only.

    Who cannot prove to hold a key of the cloud gets no answer at all.

    :param host: name of this host
    :param boot_id: the life of this agent, told in each answer
    """

    def __init__(
        self, host: str, boot_id: str, keys: signing.KeyRing
    ) -> None:
        self._host = host
        self._boot_id = boot_id
        self._keys = keys
        self._seen = replay.ReplayTable(MAX_SENDERS)
        self._allowance = rates.Allowance(
            ANSWER_RATE, ANSWER_BURST, MAX_SENDERS
        )

    def answer(
        self, signed: wire.Signed, network: str, now: float
    ) -> bytes:
        """Answer a request.

        :param signed: a datagram of kind REQUEST
        :param network: the network whose own address it came to
        :param now: monotonic seconds
        :returns: the datagram to send back
        :raises wire.WireError: it must not be answered
        """
        packet = wire.authenticate(signed, self._keys)
        if packet.target != self._host:
            raise wire.WireError(
                wire.Drop.WRONG_TARGET,
                f"{packet.source} asks for {packet.target} at an address of "
                f"{self._host}: compare the addresses that the agents of "
                "these hosts are configured with",
            )
        if packet.network != network:
            raise wire.WireError(
                wire.Drop.WRONG_NETWORK,
                f"{packet.source} probes the {packet.network} network at "
                f"our {network} address: compare the addresses that the "
                "agents of these hosts are configured with",
            )
        if packet.source == self._host:
            raise wire.WireError(
                wire.Drop.OWN_NAME,
                f"another agent calls itself {self._host} too: see [aacloud_"
                "agent] host on all hosts",
            )
        sender = (packet.source, network)
        seen = self._seen.see(sender, packet.boot_id, packet.seq)
        if seen is not replay.Seen.NEW:
            raise wire.WireError(
                wire.Drop(seen.value),
                f"request {packet.seq} of {packet.source} (boot "
                f"{packet.boot_id}) is refused: {seen.value}",
            )
        if not self._allowance.take(sender, now):
            raise wire.WireError(
                wire.Drop.TOO_MANY, f"{packet.source} asks too often"
            )
        return wire.encode(
            wire.Packet(
                kind=wire.Kind.REPLY,
                network=network,
                source=self._host,
                target=packet.source,
                boot_id=self._boot_id,
                seq=packet.seq,
                nonce=packet.nonce,
            ),
            self._keys,
        )
