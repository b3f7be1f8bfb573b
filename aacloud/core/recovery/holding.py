# SPDX-License-Identifier: Apache-2.0
"""Which servers are left where they are, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping

from aacloud.core.recovery.storage import storage_verdict
from aacloud.core.recovery.views import EVACUABLE
from aacloud.core.recovery.views import HeldServer
from aacloud.core.recovery.views import RecoveryPolicy
from aacloud.core.recovery.views import ServerView
from aacloud.core.topology import Host

#: Server metadata: what to do with it when its host dies.
HA_KEY = "aacloud:ha"
#: Server metadata: its wave, 0 (first) to 3 (last).
PRIORITY_KEY = "aacloud:ha_priority"
PRIORITIES = range(4)
DEFAULT_PRIORITY = 2

_IN_TRANSIT = frozenset({
    "migrating", "resize_prep", "resize_migrating", "resize_migrated",
    "resize_finish", "resize_reverting", "resize_confirming"})


def hold_reason(
    server: ServerView, host: Host | None, policy: RecoveryPolicy,
    repeats: Mapping[str, int],
) -> HeldServer | None:
    """Why a server must not be evacuated at all; None if it may be.

    :param repeats: server uuid -> evacuations of it in the last 24 hours
    """
    for code, reason in (
            _wish(server), _states(server), _cannot(server)):
        if code:
            return HeldServer(server, code, reason)
    storage = storage_verdict(server, host)
    if not storage.safe:
        return HeldServer(
            server, storage.reason_code or "disk-unknown",
            "; ".join(storage.reasons))
    done = repeats.get(server.uuid, 0)
    if done >= policy.repeats_per_server_24h:
        return HeldServer(server, "repeated", (
            f"it was evacuated {done} times within 24 hours: it may be what "
            f"brings its hosts down. Look at it before you evacuate it by "
            f"hand"))
    return None


def priority(server: ServerView) -> tuple[int, tuple[str, ...]]:
    """The server's wave, and a word if what is set cannot be used."""
    text = server.metadata.get(PRIORITY_KEY)
    if text is None:
        return DEFAULT_PRIORITY, ()
    for known in PRIORITIES:
        if text.strip() == str(known):
            return known, ()
    return DEFAULT_PRIORITY, (
        (f"its {PRIORITY_KEY} is {text!r}, not one of "
         f"{', '.join(map(str, PRIORITIES))}: taken as {DEFAULT_PRIORITY}"),)


_NOTHING = ("", "")


def _wish(server: ServerView) -> tuple[str, str]:
    wish = server.metadata.get(HA_KEY, "").strip().lower()
    if wish == "off":
        return "ha-off", f"its metadata says {HA_KEY}=off"
    if wish == "hold":
        return "ha-hold", (
            f"its metadata says {HA_KEY}=hold: evacuate it by hand, or wait "
            f"for its host")
    if wish == "delegate":
        return "delegated", (
            f"its metadata says {HA_KEY}=delegate: the service that made it "
            f"replaces it")
    return _NOTHING


def _states(server: ServerView) -> tuple[str, str]:
    if server.vm_state == "deleted" or server.task_state == "deleting":
        return "deleting", (
            "it is being deleted; if that does not end, delete it again")
    if server.task_state in _IN_TRANSIT:
        return "in-transit", (
            f"it was on its way ({server.task_state}) when the host died: "
            f"the guest may run at the other end. Look for it there; if it "
            f"does not run, reset its state and evacuate it by hand")
    if server.vm_state not in EVACUABLE:
        return "vm-state", (
            f"Nova does not evacuate a server that is {server.vm_state}: "
            f"wait for the host to return, or 'openstack server set --state "
            f"active' it and evacuate it by hand")
    return _NOTHING


def _cannot(server: ServerView) -> tuple[str, str]:
    if "hw:tpm_version" in server.flavor.extra_specs:
        return "vtpm", (
            "it has a virtual TPM, whose state is on its host: Nova does "
            "not evacuate it; it comes back with the host")
    return _NOTHING
