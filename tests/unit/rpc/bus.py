# SPDX-License-Identifier: Apache-2.0
"""An in-process message bus for tests."""

from collections.abc import Iterator
import contextlib

from oslo_config import cfg
import oslo_messaging
from oslo_messaging import conffixture

from aacloud.rpc import messaging


def conf() -> cfg.ConfigOpts:
    """Options for the in-process bus; all of a process share it."""
    made = cfg.ConfigOpts()
    made([], project="aacloud", default_config_files=[])
    # In a daemon these are registered with the global options only.
    conffixture.ConfFixture(made)
    return made


@contextlib.contextmanager
def transport() -> Iterator[messaging.RPCTransport]:
    """A transport over fake:// that is closed at the end."""
    options = conf()
    made = oslo_messaging.get_rpc_transport(options, url="fake://")
    try:
        yield made
    finally:
        made.cleanup()
