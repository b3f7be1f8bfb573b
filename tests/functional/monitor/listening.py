# SPDX-License-Identifier: Apache-2.0
"""An engine's listener as a process of its own, so that it can be killed.

Usage: ``listening.py URL SECONDS``. It says ``listening``, with queues that
live SECONDS longer than their consumer, and ends when its input does.
"""

import sys

from aacloud.rpc import messaging
from aacloud.rpc import observations
from tests.unit.rpc import bus
from tests.unit.rpc import keys


def main(url: str, seconds: str) -> None:
    conf = bus.conf()
    conf.set_override("transport_url", url)
    transport = messaging.init(conf)
    conf.set_override(
        "rabbit_transient_queues_ttl",
        int(seconds),
        group=messaging.RABBIT_GROUP,
    )
    server = observations.ObservationServer(
        transport, keys.ring(), lambda _heartbeat: None, name="doomed"
    )
    server.start()
    if server.wait_listening(60):
        print("listening", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
