# SPDX-License-Identifier: Apache-2.0
"""A daemon that does nothing but tell how it is, for the harness's tests."""

import os
import sys
import threading

from oslo_config import cfg

from aacloud import conf as aacloud_conf
from aacloud.cmd import daemons
from aacloud.telemetry import health


class Ticker:
    """Behaves as ``[aacloud_agent] host`` says."""

    name = "ticker"

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._behaviour = conf.aacloud_agent.host
        self._ended = threading.Event()
        self._reloads = 0
        if self._behaviour == "refuses":
            raise aacloud_conf.ConfigurationError(["no key in the file"])

    def start(self) -> None:
        if self._behaviour == "cannot-start":
            raise RuntimeError("the stars are wrong")
        if self._behaviour == "ends":
            self._ended.set()

    def stop(self) -> None:
        print("stopped", flush=True)
        self._ended.set()

    def wait(self) -> None:
        self._ended.wait()

    def reload(self) -> None:
        if self._behaviour == "cannot-reload":
            raise RuntimeError("the stars have moved")
        self._reloads += 1

    def checks(self) -> health.Checks:
        tick = self._conf.aacloud_failover.tick
        return {
            "ticker": (
                False,
                f"pid={os.getpid()} tick={tick} reloads={self._reloads}",
            )
        }


if __name__ == "__main__":
    sys.exit(daemons.run("aacloud-ticker", lambda: Ticker, None))
