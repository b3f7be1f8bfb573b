# SPDX-License-Identifier: Apache-2.0
"""Why a server cannot be moved to another host as it runs."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

from aacloud.core import adoption
from aacloud.core import adoption_live
from aacloud.core import recovery
from aacloud.groups import surroundings as around

#: Extra specs of a flavor that tie the guest to its host's hardware.
_TIED = {
    "pci_passthrough:alias": "it has a PCI device of its host",
    "hw:tpm_version": "it has a virtual TPM",
}


def why_not(
    server: recovery.ServerView, here: around.Surroundings
) -> str | None:
    """What keeps a server where it is, until somebody does something.

    What passes by itself, such as a task under way, is no such thing.
    """
    if not server.host:
        return "it is on no host"
    found = adoption_live.unfit(server, 0.0)
    if isinstance(found, adoption.Manual):
        return found.reason
    for key, reason in _TIED.items():
        if server.flavor.extra_specs.get(key):
            return f"{reason} (flavor extra spec {key})"
    host = here.hosts.get(server.host)
    if host is not None and not host.up:
        return f"nova-compute on {server.host} is down"
    return None


def blocked(
    servers: Iterable[recovery.ServerView], here: around.Surroundings
) -> Mapping[str, Sequence[str]]:
    """Server -> why it cannot be moved, of those that cannot."""
    found: dict[str, Sequence[str]] = {}
    for server in servers:
        reason = why_not(server, here)
        if reason is not None:
            found[server.uuid] = (reason,)
    return found
