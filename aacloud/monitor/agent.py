# SPDX-License-Identifier: Apache-2.0
"""The node agent as a daemon: it wires probes, reports and peers."""

from __future__ import annotations

from collections.abc import Mapping
import logging
import threading
import time

from oslo_config import cfg

from aacloud.monitor import identity
from aacloud.monitor import peers as peer_book
from aacloud.monitor import probe
from aacloud.monitor import reporter
from aacloud.monitor import state
from aacloud.rpc import messaging
from aacloud.rpc import observations
from aacloud.rpc import peers
from aacloud.rpc import schema
from aacloud.rpc import signing

LOG = logging.getLogger(__name__)


def uptime() -> float:
    """Seconds of a clock that also runs while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class AgentDaemon:
    """Probes the peers of this host and reports to the engines.

    Probing, reporting and asking for peers have a thread each, and none
    waits for another: with messaging down, probing goes on with the peers
    that are known, and the host still answers the probes of others.

    Make it in the process that runs it, after forking.

    :param conf: options with section ``[aacloud_agent]``
    :raises aacloud.conf.errors.ConfigurationError: the host's name or
        addresses, the key file or a probe cannot be used
    """

    name = "aacloud-agent"

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        section = conf.aacloud_agent
        self._host = identity.own_name(conf)
        self._addresses = identity.own_addresses(conf)
        self._keys = signing.KeyRing.from_file(section.key_file)
        self._boot_id = identity.new_boot_id(
            section.state_path, self._host, time.time()
        )
        self._probes = probe.load(
            section.probes,
            probe.ProbeContext(
                conf=conf,
                host=self._host,
                boot_id=self._boot_id,
                addresses=self._addresses,
                keys=self._keys,
                clock=time.monotonic,
            ),
        )
        self._transport: messaging.RPCTransport = messaging.init(conf)
        self._reporter = reporter.Reporter(
            host=self._host,
            boot_id=self._boot_id,
            addresses=self._addresses,
            probes=self._probes,
            send=observations.ObservationClient(
                self._transport, self._keys
            ).report,
            interval=self._report_interval,
            clock=time.monotonic,
            uptime=uptime,
            utc=time.time,
        )
        asker = peers.PeersClient(
            self._transport,
            self._keys,
            host=self._host,
            boot_id=self._boot_id,
        )
        self._peers = peer_book.PeerBook(
            ask=lambda: asker.peers(self._addresses),
            use=self._retarget,
            cache=state.StateFile(section.state_path, "peers", self._host),
            clock=time.monotonic,
        )
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to probe, answer and report."""
        LOG.info(
            "The agent of %s starts (boot %s), with probes %s on %s",
            self._host,
            self._boot_id,
            ", ".join(self._probes),
            ", ".join(f"{net} {ip}" for net, ip in self._addresses.items()),
        )
        for running in self._probes.values():
            running.start()
        self._peers.start()
        self._reporter.start()

    def stop(self) -> None:
        """End all threads; it takes a few seconds at most."""
        self._reporter.stop()
        self._peers.stop()
        for name, running in self._probes.items():
            try:
                running.stop()
            except Exception:
                LOG.exception("The probe %s did not end well", name)
        closer = threading.Thread(
            target=self._close, name="transport-closer", daemon=True
        )
        closer.start()
        # While messaging is down the driver may hold its lock for long.
        closer.join(2.0)
        self._stopped.set()

    def wait(self) -> None:
        """Return once it was stopped."""
        self._stopped.wait()

    def reload(self) -> None:
        """Take keys and mutable options anew; wrong keys change nothing."""
        try:
            self._keys.reload()
        except signing.KeyFileError as error:
            LOG.error("The old keys stay in use. %s", error)
        for name, running in self._probes.items():
            try:
                running.reload()
            except Exception:
                LOG.exception("The probe %s did not reload", name)

    def checks(self) -> Mapping[str, tuple[bool, str]]:
        """Return what is well and what is not, for /healthcheck."""
        found = {
            f"probe-{name}": running.health()
            for name, running in self._probes.items()
        }
        found["reports"] = self._reporter.health()
        found["peers"] = self._peers.health()
        return found

    def _report_interval(self) -> float:
        return float(self._conf.aacloud_agent.report_interval)

    def _retarget(self, assignment: schema.Assignment) -> None:
        for name, running in self._probes.items():
            try:
                running.retarget(assignment)
            except Exception:
                LOG.exception("The probe %s refuses its peers", name)

    def _close(self) -> None:
        try:
            self._transport.cleanup()
        except Exception:
            LOG.exception("The connection to messaging did not end well")
