# SPDX-License-Identifier: Apache-2.0
"""Who this agent is: its host's name and addresses, and its boot id."""

from __future__ import annotations

from oslo_config import cfg

from aacloud.conf import errors
from aacloud.core import observations
from aacloud.monitor import state
from aacloud.rpc import envelope
from aacloud.rpc import replay


def own_addresses(conf: cfg.ConfigOpts) -> dict[str, str]:
    """Return network to own address, as configured.

    :raises errors.ConfigurationError: there is none, or one stands twice
    """
    found: dict[str, str] = {}
    problems = []
    for network in observations.NETWORKS:
        address = conf.aacloud_agent[f"{network}_address"]
        if not address:
            continue
        for other, taken in found.items():
            if taken == str(address):
                problems.append(
                    f"[aacloud_agent] {network}_address and {other}_address "
                    f"are both {address}: an answer would not tell which "
                    "network works"
                )
        found[network] = str(address)
    if not found:
        problems.append(
            "[aacloud_agent] management_address, tenant_address and "
            "storage_address are not set: there is nothing to probe from"
        )
    if problems:
        raise errors.ConfigurationError(problems)
    return envelope.addresses_of({"addresses": found}, "addresses")


def own_name(conf: cfg.ConfigOpts) -> str:
    """Return the name of this host, as configured.

    :raises errors.ConfigurationError: it cannot be a host's name
    """
    name: str = conf.aacloud_agent.host
    if not name.isprintable() or not 0 < len(name.encode()) <= 255:
        raise errors.ConfigurationError([
            "[aacloud_agent] host must have 1 to 255 printable characters"
        ])
    return name


def new_boot_id(state_path: str, host: str, utc: float) -> str:
    """Name this life of the agent, later than all lives before.

    The stamp of the last one is kept on disk, so that a clock that went back
    does not make a new life look older than the last one.

    :param utc: wall clock, seconds
    """
    kept = state.StateFile(state_path, "boot", host)
    last = (kept.load() or {}).get("stamp_ms")
    stamp = int(utc * 1000)
    if isinstance(last, int) and 0 <= last < 2**47:
        stamp = max(stamp, last + 1)
    kept.save({"stamp_ms": stamp})
    return replay.make_boot_id(stamp)
