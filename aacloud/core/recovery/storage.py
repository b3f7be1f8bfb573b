# SPDX-License-Identifier: Apache-2.0
"""Whether a server's disks outlive its host.

Nova rebuilds a server from its image when it does not find its disk on the
destination: silently, and all that was written is lost. So a server whose
disks are not known to be shared is never evacuated.
"""

from __future__ import annotations

from aacloud.core.recovery.views import ServerView
from aacloud.core.recovery.views import StorageVerdict
from aacloud.core.topology import Host

#: A flavor's word on where its servers' disks are; it wins over the host's.
DISKS_SPEC = "aacloud:instance_disks"


def storage_verdict(
    server: ServerView, host: Host | None,
) -> StorageVerdict:
    """Whether evacuating a server keeps all its data.

    :param host: the host it is on; None when the topology lacks it
    """
    flavor = server.flavor
    on_host = [
        what for what, there in (
            ("its root disk", server.image_ref is not None),
            ("an ephemeral disk", flavor.ephemeral_gb > 0),
            ("a swap disk", flavor.swap_mb > 0)) if there]
    if server.image_ref is None and not server.volumes:
        return StorageVerdict(False, (
            ("neither an image nor a volume is known for it: where its root "
             "disk is cannot be told; look at 'openstack server show'"),),
            "disk-unknown")
    if not on_host:
        return StorageVerdict(
            True, ("it boots from a volume and has no disk on its host",))
    where, who = _where(server, host)
    disks = " and ".join(on_host)
    if where == "shared":
        return StorageVerdict(
            True, (f"{disks} is on shared storage ({who})",))
    if where == "local":
        return StorageVerdict(False, (
            (f"{disks} is local to its host ({who}): evacuating would rebuild "
             f"it empty. It comes back with the host; if it may be lost, "
             f"evacuate it by hand"),), "local-disk")
    return StorageVerdict(False, (
        (f"nobody says whether {disks} is shared: evacuating might rebuild "
         f"it empty. If the disks are shared, set instance_disks: shared in "
         f"the topology or {DISKS_SPEC}=shared on the flavor"),),
        "disk-unknown")


def _where(server: ServerView, host: Host | None) -> tuple[str, str]:
    spec = server.flavor.extra_specs.get(DISKS_SPEC)
    if spec is not None:
        return spec.strip().lower(), f"flavor says {DISKS_SPEC}={spec}"
    if host is None:
        return "unknown", "its host is not in the topology"
    return host.instance_disks, f"topology, host {host.name}"
