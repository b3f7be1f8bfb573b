# SPDX-License-Identifier: Apache-2.0
"""Somebody on the networks of the cloud who listens and lies.

He records real probes and reports, and sends them again, as they are or
changed. He holds no key.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import contextlib
import dataclasses
import json
import select
import socket
import struct
import time
from typing import Any

import amqp

from aacloud.monitor import wire
from aacloud.rpc import observations
from tests.lab import network
from tests.lab.control import Lab
from tests.lab.plan import NETWORKS
from tests.lab.plan import PORTS
from tests.lab.services.infra import CONTROL

PROBE_PORT = 8781
_ETH_P_ALL = 0x0003
_ETHERNET = 14
_UDP_PROTOCOL = 17


@dataclasses.dataclass(frozen=True)
class Frame:
    """A probe as it went over the wire.

    :ivar net: the network it was on
    :ivar raw: the whole Ethernet frame
    :ivar at: where the datagram's content begins
    """

    net: str
    raw: bytes
    at: int

    @property
    def packet(self) -> wire.Packet:
        return wire.decode(self.raw[self.at:]).packet

    def saying(self, payload: bytes) -> Frame:
        """The same frame with other content of the same length."""
        assert len(payload) == len(self.raw) - self.at
        raw = bytearray(self.raw[: self.at] + payload)
        # No checksum: it was left to the network card when it was recorded.
        raw[self.at - 2 : self.at] = b"\0\0"
        return Frame(self.net, bytes(raw), self.at)


def parse(net: str, raw: bytes) -> Frame | None:
    """The frame, if it is a probe."""
    if len(raw) < _ETHERNET + 28 or raw[12:14] != b"\x08\x00":
        return None
    ip = (raw[_ETHERNET] & 0x0F) * 4
    if raw[_ETHERNET + 9] != _UDP_PROTOCOL:
        return None
    udp = _ETHERNET + ip
    source, target, length = struct.unpack_from(">HHH", raw, udp)
    at = udp + 8
    frame = Frame(net, raw[: udp + length], at)
    if PROBE_PORT not in (source, target):
        return None
    try:
        wire.decode(frame.raw[at:])
    except wire.WireError:
        return None
    return frame.saying(frame.raw[at:])


class Tap:
    """Hears all that a node sends and gets on its networks."""

    def __init__(self, lab: Lab, node: str) -> None:
        space = lab.state.namespace(node)

        def listen() -> dict[socket.socket, str]:
            found = {}
            for net in NETWORKS:
                one = socket.socket(
                    socket.AF_PACKET, socket.SOCK_RAW,
                    socket.htons(_ETH_P_ALL))
                one.bind((net, 0))
                found[one] = net
            return found

        self._sockets = network.inside(space, listen)

    def record(
        self, enough: Callable[[list[Frame]], bool], seconds: float
    ) -> list[Frame]:
        """Record until it is enough.

        :raises TimeoutError: it was not within so many seconds
        """
        frames: list[Frame] = []
        until = time.monotonic() + seconds
        while not enough(frames):
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(
                    f"not enough probes within {seconds:.0f} s: "
                    f"{len(frames)}")
            for one in select.select(list(self._sockets), [], [], left)[0]:
                frame = parse(self._sockets[one], one.recv(65535))
                if frame is not None:
                    frames.append(frame)
        return frames

    def close(self) -> None:
        for one in self._sockets:
            one.close()


class Rogue:
    """A machine plugged into the switch of a rack."""

    def __init__(self, lab: Lab, dc: str, rack: str) -> None:
        def plug_in() -> dict[str, socket.socket]:
            found = {}
            for net in NETWORKS:
                one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
                one.bind((f"br-{rack}-{net}", 0))
                found[net] = one
            return found

        self._sockets = network.inside(lab.plan.fabric(dc), plug_in)

    def send(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            # A full queue: what is lost is sent again in the next round.
            with contextlib.suppress(BlockingIOError, OSError):
                self._sockets[frame.net].send(frame.raw)

    def close(self) -> None:
        for one in self._sockets.values():
            one.close()


class Bus:
    """A connection to the message bus, with a password that leaked."""

    EXCHANGE = f"{observations.TOPIC}_fanout"
    #: What the numbers of his own messages begin with.
    MARK = "rogue-"

    def __init__(self, lab: Lab) -> None:
        state = lab.state
        address = f"{lab.plan.node(CONTROL).mgmt}:{PORTS['rabbitmq']}"

        def connect() -> amqp.Connection:
            connection = amqp.Connection(
                address, userid="lab", password=state.secret,
                connect_timeout=10, read_timeout=10, write_timeout=10)
            connection.connect()
            return connection

        self._connection = network.inside(
            state.namespace(CONTROL), connect)
        self._channel = self._connection.channel()
        self._numbers = 0
        self.heard: list[dict[str, Any]] = []

    def listen(self) -> None:
        """Get a copy of each report from now on."""
        queue = self._channel.queue_declare("", exclusive=True).queue
        self._channel.queue_bind(queue, self.EXCHANGE)
        self._channel.basic_consume(
            queue, no_ack=True, callback=self._hear)

    def _hear(self, message: amqp.Message) -> None:
        # His own nonsense comes back to him, too.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            heard = json.loads(json.loads(message.body)["oslo.message"])
            if not heard["_unique_id"].startswith(self.MARK):
                json.loads(heard["args"]["message"]["body"])
                self.heard.append(heard)

    def drain(self) -> None:
        """Take in what has come."""
        while True:
            try:
                self._connection.drain_events(timeout=0.01)
            except TimeoutError:
                return

    def reports(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """What was heard: (the message of the bus, the report's body)."""
        return [
            (one, json.loads(one["args"]["message"]["body"]))
            for one in self.heard if one.get("method") == "report"
        ]

    def replay(self, message: dict[str, Any]) -> None:
        """Send a recorded message again.

        It gets a number of its own, else the messaging library drops it
        before anybody has looked at it.
        """
        self._numbers += 1
        self.send(json.dumps({
            "oslo.version": "2.0",
            "oslo.message": json.dumps(
                {**message, "_unique_id": f"{self.MARK}{self._numbers}"}),
        }))

    def envelope(self, like: dict[str, Any], envelope: object) -> None:
        """Send a report in an envelope of one's own making."""
        self.replay(
            {**like, "args": {**like["args"], "message": envelope}})

    def send(self, body: str) -> None:
        """Send anything at all."""
        self._channel.basic_publish(
            amqp.Message(
                body, content_type="application/json",
                content_encoding="utf-8"),
            exchange=self.EXCHANGE)

    def purge(self, queue: str) -> int:
        """Take all messages away that wait in a queue; how many."""
        return int(self._channel.queue_purge(queue))

    def close(self) -> None:
        with contextlib.suppress(OSError, amqp.AMQPError):
            self._connection.close()
