# SPDX-License-Identifier: Apache-2.0
"""Ports of loopback for the servers that tests start, stop and start again.

They lie below those that the kernel gives to outgoing connections: otherwise
a client that keeps calling a server which is down may be given the very port
that it calls, is then connected with itself, and the server can no longer
start.
"""

from __future__ import annotations

import os
import pathlib
import random
import socket

#: Above the ports of well-known services and of the lab.
_LOWEST = 20000
_RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")

#: Never twice in one process, and seldom in two that run at once.
_CHOICE = random.Random(f"{os.getpid()} {os.urandom(8).hex()}")
_GIVEN: set[int] = set()


def _highest() -> int:
    try:
        first = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        first = 32768
    # Where the whole range is given out, there is nothing to stay below.
    return first if first > _LOWEST + 1000 else 60000


def free_port(
    kind: socket.SocketKind = socket.SOCK_STREAM, address: str = "127.0.0.1"
) -> int:
    """Return a port that nobody listens on, never the same one twice.

    :raises OSError: there is none
    """
    highest = _highest()
    for _attempt in range(1000):
        port = _CHOICE.randrange(_LOWEST, highest)
        if port in _GIVEN:
            continue
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        _GIVEN.add(port)
        return port
    raise OSError(
        f"no free port of {address} between {_LOWEST} and {highest}")
