# SPDX-License-Identifier: Apache-2.0
"""What a living kernel says of a probe that no agent takes.

A host on which the agent does not run answers a probe with ICMP *port
unreachable*. Linux keeps such messages in the error queue of the socket that
sent the probe, when it is asked to (``IP_RECVERR`` in ip(7), ipv6(7)).

Nobody signs an ICMP message. It quotes the probe, with its nonce, so it is
from somebody who saw that probe; more is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import errno
import socket
import struct

# From linux/in.h, linux/in6.h and linux/errqueue.h; Python's socket has no
# names for them.
IP_RECVERR = 11
IPV6_RECVERR = 25

_ICMP, _ICMP6 = 2, 3
_PORT_UNREACHABLE = {_ICMP: (3, 3), _ICMP6: (1, 4)}

#: struct sock_extended_err: errno, origin, type, code, padding, info, data.
_ERROR = struct.Struct("=IBBBBII")
_ERROR_LEVELS = {
    socket.IPPROTO_IP: IP_RECVERR,
    socket.IPPROTO_IPV6: IPV6_RECVERR,
}
_ANCILLARY = socket.CMSG_SPACE(_ERROR.size + 28)
_QUOTED = 2048

#: What a call on such a socket may fail with because of a datagram that was
#: sent earlier, to anybody (icmp_err_convert in Linux' net/ipv4/icmp.c).
OF_OTHERS = frozenset({
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.ENONET,
    errno.ENOPROTOOPT,
    errno.EOPNOTSUPP,
    errno.EPROTO,
    errno.EACCES,
    errno.EMSGSIZE,
})


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """A port that is closed.

    :ivar offender: the address of the host that says so
    :ivar quoted: the beginning of the datagram that it refuses
    """

    offender: str
    quoted: bytes


def enable(bound: socket.socket) -> None:
    """Ask the kernel to keep the errors of this socket.

    :raises OSError: it cannot
    """
    if bound.family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        bound.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def drain(bound: socket.socket, most: int) -> Iterator[Refusal]:
    """Empty the error queue of a socket that does not block.

    Other errors than refusals are taken out and dropped: a host that cannot
    be reached is a host that does not answer.

    :param most: take no more errors than this
    """
    for _ in range(most):
        try:
            quoted, ancillary, _flags, _target = bound.recvmsg(
                _QUOTED, _ANCILLARY, socket.MSG_ERRQUEUE
            )
        except OSError:
            # Empty; what else is wrong, the next recvfrom tells.
            return
        offender = offender_of(ancillary)
        if offender is not None:
            yield Refusal(offender, quoted)


def offender_of(
    ancillary: Iterable[tuple[int, int, bytes]],
) -> str | None:
    """Return who refuses, None when it is no port unreachable."""
    for level, kind, data in ancillary:
        if _ERROR_LEVELS.get(level) != kind or len(data) < _ERROR.size:
            continue
        number, origin, icmp_type, code, *_ = _ERROR.unpack_from(data)
        if (
            number == errno.ECONNREFUSED
            and _PORT_UNREACHABLE.get(origin) == (icmp_type, code)
        ):
            return _address(data[_ERROR.size:])
    return None


def _address(data: bytes) -> str | None:
    """Return the address in a struct sockaddr_in or sockaddr_in6."""
    if len(data) < 2:
        return None
    (family,) = struct.unpack_from("=H", data)
    at, size = {
        socket.AF_INET: (4, 4),
        socket.AF_INET6: (8, 16),
    }.get(family, (0, 0))
    raw = data[at:at + size]
    if not raw or len(raw) != size:
        return None
    return socket.inet_ntop(family, raw)
