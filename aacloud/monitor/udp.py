# SPDX-License-Identifier: Apache-2.0
"""The ``udp`` probe: sockets and one thread around prober and responder.

There is one socket a network, bound to the own address on it: what is sent
through it comes from that address, so an answer proves that very network. One
thread sends, receives and answers; it never waits for anything but packets.

When refused probes are looked for, the kernel tells of each datagram that did
not arrive, by failing a later call on the same socket. That says nothing of
the later call, which is made again then.
"""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
import threading

from oslo_config import cfg

from aacloud.monitor import metrics
from aacloud.monitor import probe
from aacloud.monitor import prober
from aacloud.monitor import refusals
from aacloud.monitor import responder
from aacloud.monitor import wire
from aacloud.rpc import rates
from aacloud.rpc import schema

LOG = logging.getLogger(__name__)

#: Datagrams taken from one socket before the clock is looked at again, so
#: that a flood cannot keep the own probes from being sent.
BATCH = 200

#: Seconds between two tries to bind an address that is not there (yet).
REBIND_EVERY = 5.0

_IDLE = 0.5
_BUFFER = wire.MAX_PACKET + 1
_SEND_TRIES = 3
_NOTHING_LEFT = (errno.EAGAIN, errno.EWOULDBLOCK)


def pace_of(conf: cfg.ConfigOpts) -> prober.Pace:
    """Return the pace that is configured."""
    section = conf.aacloud_agent
    return prober.Pace(
        interval=section.probe_interval,
        timeout=section.probe_timeout,
        misses_down=section.misses_down,
    )


class UdpProbe:
    """Probes peers and answers their probes, on each network."""

    def __init__(self, context: probe.ProbeContext) -> None:
        self._context = context
        self._clock = context.clock
        self._port: int = context.conf.aacloud_agent.probe_port
        self._mind_refusals: bool = (
            context.conf.aacloud_agent.refused_probe == "hold"
        )
        # Errors are taken while sending too, when it is held already.
        self._lock = threading.RLock()
        self._prober = prober.Prober(
            context.host,
            context.boot_id,
            context.keys,
            pace_of(context.conf),
            self._clock(),
        )
        self._responder = responder.Responder(
            context.host, context.boot_id, context.keys
        )
        self._sockets: dict[str, socket.socket] = {}
        self._trouble: dict[str, str] = {}
        self._rebind_at = self._clock()
        self._pace = rates.LogPace(clock=self._clock)
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="udp-probe", daemon=True
        )

    def start(self) -> None:
        """Bind what can be bound, and begin to probe and answer."""
        self._bind_missing(self._clock())
        self._thread.start()

    def stop(self) -> None:
        """End and close the sockets; a second time does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(2.0)
            if self._thread.is_alive():
                LOG.warning("The udp probe did not end; it is left behind")
                return
        self._selector.close()
        for handle in (self._wake_read, self._wake_write):
            os.close(handle)
        for bound in self._sockets.values():
            bound.close()

    def retarget(self, assignment: schema.Assignment) -> None:
        """Probe these peers from now on."""
        with self._lock:
            self._prober.retarget(
                assignment.targets, self._context.addresses, self._clock()
            )
            metrics.PATHS.set(self._prober.paths)
        self._wake()

    def reload(self) -> None:
        """Take interval, time-out and misses anew."""
        with self._lock:
            self._prober.set_pace(pace_of(self._context.conf))

    def collect(self) -> probe.Findings:
        """Return what is known of all paths."""
        with self._lock:
            return probe.Findings(
                observations=self._prober.observations(self._clock())
            )

    def health(self) -> tuple[bool, str]:
        """Return whether all networks are bound."""
        if not self._thread.is_alive():
            return False, "it does not run"
        trouble = "; ".join(list(self._trouble.values()))
        if trouble:
            return False, trouble
        return True, f"{self._prober.paths} paths probed"

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"x")
        except OSError:
            # Full means that a wake-up is under way already.
            LOG.debug("The probe thread was woken before")

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except Exception:
                LOG.exception("The udp probe met an error and goes on")
                self._stopping.wait(_IDLE)

    def _turn(self) -> None:
        """Wait for packets or the next probe, and handle both."""
        with self._lock:
            due = self._prober.next_due()
        now = self._clock()
        wait = _IDLE if due is None else min(_IDLE, max(0.0, due - now))
        for key, _events in self._selector.select(wait):
            if key.data is None:
                os.read(self._wake_read, 4096)
            else:
                self._drain(key.data)
        now = self._clock()
        if now >= self._rebind_at:
            self._bind_missing(now)
        with self._lock:
            missed = self._prober.tick(now)
            for request in self._prober.due(now):
                self._send(request)
        if missed:
            metrics.PROBES_MISSED.inc(missed)

    def _send(self, request: prober.Request) -> None:
        bound = self._sockets.get(request.network)
        try:
            if bound is None:
                raise OSError(errno.EADDRNOTAVAIL, "no address is bound")
            self._transmit(
                request.network,
                bound,
                request.data,
                (request.address, self._port),
            )
        except OSError as error:
            self._prober.not_sent(request.nonce)
            metrics.DROPS.labels(request.network, wire.Drop.NOT_SENT).inc()
            held_back = self._pace.due((request.network, error.errno))
            if held_back is not None:
                LOG.warning(
                    "Cannot send probes to %s on the %s network: %s%s",
                    request.address,
                    request.network,
                    error.strerror or error,
                    self._pace.text(held_back),
                )
            return
        metrics.PROBES_SENT.labels(request.network).inc()

    def _transmit(
        self,
        network: str,
        bound: socket.socket,
        data: bytes,
        target: tuple[str, int],
    ) -> None:
        """Send, whatever became of earlier datagrams.

        :raises OSError: this very datagram cannot be sent
        """
        for left in reversed(range(_SEND_TRIES)):
            try:
                bound.sendto(data, target)
                return
            except OSError as error:
                if not left or not self._is_of_others(error):
                    raise
            if left == _SEND_TRIES - 1:
                self._take_errors(network, bound)

    def _is_of_others(self, error: OSError) -> bool:
        return self._mind_refusals and error.errno in refusals.OF_OTHERS

    def _take_errors(self, network: str, bound: socket.socket) -> None:
        """Note the probes that were refused."""
        if not self._mind_refusals:
            return
        for refusal in refusals.drain(bound, BATCH):
            nonce = wire.nonce_asked(refusal.quoted)
            if nonce is None:
                continue
            with self._lock:
                ours = self._prober.refused(
                    nonce, network, refusal.offender, self._clock()
                )
            if ours:
                metrics.PROBES_REFUSED.labels(network).inc()

    def _drain(self, network: str) -> None:
        bound = self._sockets[network]
        self._take_errors(network, bound)
        for _ in range(BATCH):
            try:
                data, sender = bound.recvfrom(_BUFFER)
            except OSError as error:
                if self._is_of_others(error):
                    continue
                if error.errno not in _NOTHING_LEFT:
                    self._note_receive(network, error)
                return
            try:
                self._take(network, bound, data, sender)
            except wire.WireError as error:
                self._dropped(network, error, sender[0])

    def _take(
        self,
        network: str,
        bound: socket.socket,
        data: bytes,
        sender: tuple[str, int],
    ) -> None:
        signed = wire.decode(data)
        now = self._clock()
        if signed.packet.kind is wire.Kind.REPLY:
            with self._lock:
                seconds = self._prober.reply(signed, network, sender[0], now)
            metrics.PROBES_ANSWERED.labels(network).inc()
            if seconds is not None:
                metrics.PROBE_SECONDS.labels(network).observe(seconds)
            return
        answer = self._responder.answer(signed, network, now)
        try:
            self._transmit(network, bound, answer, sender)
        except OSError as error:
            raise wire.WireError(
                wire.Drop.NOT_SENT,
                f"the answer cannot be sent: {error.strerror or error}",
            ) from error
        metrics.ANSWERS_SENT.labels(network).inc()

    def _dropped(
        self, network: str, error: wire.WireError, sender: str
    ) -> None:
        metrics.DROPS.labels(network, error.drop.value).inc()
        # Late answers to an earlier life of this agent are no news.
        level = (
            logging.DEBUG
            if error.drop is wire.Drop.NOT_ASKED
            else logging.WARNING
        )
        held_back = self._pace.due((network, error.drop))
        if held_back is not None:
            LOG.log(
                level,
                "Dropped a probe from %s on the %s network (%s): %s%s",
                sender,
                network,
                error.drop.value,
                error,
                self._pace.text(held_back),
            )

    def _note_receive(self, network: str, error: OSError) -> None:
        if self._pace.due((network, "receive", error.errno)) is not None:
            LOG.warning(
                "Cannot receive on the %s network: %s",
                network,
                error.strerror or error,
            )

    def _bind_missing(self, now: float) -> None:
        self._rebind_at = now + REBIND_EVERY
        for network, address in self._context.addresses.items():
            if network not in self._sockets:
                self._bind(network, address)

    def _watch_errors(self, network: str, fresh: socket.socket) -> None:
        if not self._mind_refusals:
            return
        try:
            refusals.enable(fresh)
        except OSError as error:
            # Probes and answers matter more.
            if self._pace.due((network, "errors", error.errno)) is not None:
                LOG.warning(
                    "Refused probes are not seen on the %s network (%s): a "
                    "host whose agent and nova-compute are both stopped "
                    "looks dead from here. Set [aacloud_agent] refused_probe "
                    "to ignore if that is meant",
                    network,
                    error.strerror or error,
                )

    def _bind(self, network: str, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        fresh = socket.socket(family, socket.SOCK_DGRAM)
        try:
            fresh.setblocking(False)
            self._watch_errors(network, fresh)
            fresh.bind((address, self._port))
        except OSError as error:
            fresh.close()
            text = (
                f"cannot use {address} port {self._port} for the {network} "
                f"network: {error.strerror or error}"
            )
            if self._trouble.get(network) != text:
                LOG.error(
                    "The agent %s; peers will see this host as silent there. "
                    "Check [aacloud_agent] %s_address and probe_port; trying "
                    "again each %.0f s",
                    text,
                    network,
                    REBIND_EVERY,
                )
            self._trouble[network] = text
            return
        self._sockets[network] = fresh
        self._selector.register(fresh, selectors.EVENT_READ, network)
        if self._trouble.pop(network, None):
            LOG.info("Probing the %s network from %s", network, address)
