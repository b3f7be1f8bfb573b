# SPDX-License-Identifier: Apache-2.0
"""Why a server cannot be moved to another host as it runs."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

from aacloud.core import adoption
from aacloud.core import adoption_live
from aacloud.core import recovery
from aacloud.core import rules
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


def not_asked(
    groups: Iterable[rules.Group], mended: Collection[str], usual: str | None
) -> Mapping[str, str]:
    """Server -> why it does not make way for those of the mended groups.

    The owners of its groups did not ask for moves, or not in the window of
    the mended ones. A plan is carried out in that at some time; which other
    windows are open by then is not known.

    :param mended: ids of groups; their members are moved whatever other
        groups they are in
    :param usual: the window of groups without one of their own
    """
    groups = tuple(groups)
    windows = {None} | {
        group.window or usual or None
        for group in groups if group.id in mended}
    found: dict[str, str] = {}
    for group in groups:
        if group.mode is not rules.GroupMode.REPAIR:
            reason = "it is in another group, which is not repaired"
        elif (group.window or usual or None) not in windows:
            reason = "it is in another group, which has another window"
        else:
            continue
        found.update(dict.fromkeys(group.members, reason))
    for group in groups:
        if group.id in mended:
            for member in group.members:
                found.pop(member, None)
    return found


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
