# SPDX-License-Identifier: Apache-2.0
"""The lab's compute driver: every guest is a process, every disk a file.

A host keeps the definitions of its guests as files, as libvirt does. So a
nova-compute that is started again finds its guests, a host that died comes
back with definitions but without running guests, and what a guest's disk is
can be told from the identity written into it when it was made.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import pathlib
import secrets
import shutil
import signal
from typing import Any

from nova import exception
from nova.compute import power_state
from nova.virt import fake
from oslo_log import log as logging

from tests.lab import process

LOG = logging.getLogger(__name__)
SHARED = pathlib.Path(os.environ["AALAB_SHARED"])
LOCAL = pathlib.Path(os.environ["AALAB_LOCAL"])
NODE = os.environ[process.NODE]
LAB = os.environ[process.LAB]


class Guest:
    """A guest defined on this host; it runs when its process does."""

    def __init__(self, uuid: str, name: str, pid: int | None = None) -> None:
        self.uuid = uuid
        self.name = name
        self._pid = pid

    def __getitem__(self, key: str) -> Any:
        return getattr(self, key)

    def _process(self) -> process.Proc | None:
        if self._pid is None:
            return None
        found = process.look(self._pid)
        if found is None or found.guest != self.uuid or found.node != NODE:
            return None
        return found

    @property
    def state(self) -> int:
        running = self._process()
        if running is None:
            return power_state.SHUTDOWN
        if running.paused:
            return power_state.PAUSED
        return power_state.RUNNING

    @state.setter
    def state(self, wanted: int) -> None:
        running = self._process()
        if wanted == power_state.RUNNING and running is None:
            self._pid = process.spawn(
                # Its name tells host and server, as qemu's command line does.
                ["bash", "-c", 'exec -a "$0" sleep infinity',
                 f"guest/{NODE}/{self.uuid}"],
                env={
                    **process.clean_environment(),
                    **process.tags(LAB, NODE, process.GUEST_SERVICE),
                    process.GUEST: self.uuid,
                },
                log=pathlib.Path("/dev/null"),
            )
        elif wanted != power_state.RUNNING and running is not None:
            process.kill([running])
            self._pid = None


class LabDriver(fake.FakeDriverWithoutFakeNodes):
    """Nova's fake driver with guests that live, die and can be seen."""

    vcpus = int(os.environ["AALAB_VCPUS"])
    memory_mb = int(os.environ["AALAB_MEMORY_MB"])
    local_gb = int(os.environ["AALAB_DISK_GB"])

    def init_host(self, host: str) -> None:
        super().init_host(host)
        running = {
            proc.guest: proc.pid
            for proc in process.scan(LAB)
            if proc.guest and proc.node == NODE
        }
        for file in sorted(self._definitions.glob("*.json")):
            known = json.loads(file.read_text())
            self.instances[known["uuid"]] = Guest(
                known["uuid"], known["name"], running.pop(known["uuid"], None)
            )
            self.resources.claim(*known["claim"])
        if running:
            LOG.error(
                "Guests without a definition run on this host: %s",
                ", ".join(sorted(running)),
            )

    def get_host_uptime(self) -> str:
        with open("/proc/uptime") as stream:
            seconds = int(float(stream.read().split()[0]))
        days, rest = divmod(seconds, 86400)
        return (
            f"up {days} days, {rest // 3600}:{rest % 3600 // 60:02d}, "
            "0 users, load average: 0.00, 0.00, 0.00"
        )

    # -- definitions and disks -------------------------------------------
    @property
    def _definitions(self) -> pathlib.Path:
        folder = LOCAL.parent / "definitions"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _define(self, instance: Any, power_on: bool) -> None:
        flavor = instance.flavor
        file = self._definitions / f"{instance.uuid}.json"
        file.write_text(
            json.dumps(
                {
                    "uuid": instance.uuid,
                    "name": instance.name,
                    "claim": [
                        flavor.vcpus, flavor.memory_mb, flavor.root_gb,
                    ],
                }
            )
        )  # fmt: skip
        guest = Guest(instance.uuid, instance.name)
        self.instances[instance.uuid] = guest
        if power_on:
            guest.state = power_state.RUNNING

    @staticmethod
    def _is_local(instance: Any) -> bool:
        specs = instance.flavor.extra_specs or {}
        return specs.get("aacloud:instance_disks") == "local"

    def _folder(self, instance: Any, host: str = NODE) -> pathlib.Path:
        if self._is_local(instance):
            return LOCAL.parents[1] / host / "instances" / instance.uuid
        return SHARED / instance.uuid

    def _make_disk(self, instance: Any) -> None:
        disk = self._folder(instance) / "disk"
        disk.parent.mkdir(parents=True, exist_ok=True)
        made = datetime.datetime.now(datetime.timezone.utc)
        identity = {
            "server": instance.uuid,
            "identity": secrets.token_hex(8),
            "image": instance.image_ref,
            "made_on": NODE,
            "made_at": made.isoformat(),
        }
        # A disk that is there already is kept, whoever made it.
        with contextlib.suppress(FileExistsError), open(disk, "x") as stream:
            stream.write(json.dumps(identity) + "\n")

    def _remove_disk(self, instance: Any) -> None:
        shutil.rmtree(self._folder(instance), ignore_errors=True)

    def _copy_disk(self, instance: Any, source: str) -> None:
        if not self._is_local(instance) or source == NODE:
            return
        shutil.copytree(
            self._folder(instance, source),
            self._folder(instance),
            dirs_exist_ok=True,
        )

    def instance_on_disk(self, instance: Any) -> bool:
        return (self._folder(instance) / "disk").exists()

    def check_instance_shared_storage_local(
        self, context: Any, instance: Any
    ) -> dict[str, str] | None:
        folder = self._folder(instance)
        if not folder.is_dir():
            return None
        token = folder / f"shared-{secrets.token_hex(4)}"
        token.touch()
        return {"filename": str(token)}

    def check_instance_shared_storage_remote(
        self, context: Any, data: dict[str, str]
    ) -> bool:
        # Local folders of other hosts are on the same machine here, but
        # this host must not see them.
        file = pathlib.Path(data["filename"])
        return file.is_relative_to(SHARED) and file.exists()

    def check_instance_shared_storage_cleanup(
        self, context: Any, data: dict[str, str]
    ) -> None:
        pathlib.Path(data["filename"]).unlink(missing_ok=True)

    # -- life ------------------------------------------------------------
    def spawn(
        self, context, instance, image_meta, injected_files, admin_password,
        allocations, network_info=None, block_device_info=None,
        power_on=True, accel_info=None,
    ):  # fmt: skip
        self._make_disk(instance)
        super().spawn(
            context, instance, image_meta, injected_files, admin_password,
            allocations, network_info, block_device_info, power_on,
            accel_info,
        )  # fmt: skip
        self._define(instance, power_on)

    def destroy(
        self, context, instance, network_info, block_device_info=None,
        destroy_disks=True, destroy_secrets=True,
    ):  # fmt: skip
        guest = self.instances.get(instance.uuid)
        if guest is not None:
            guest.state = power_state.SHUTDOWN
        super().destroy(
            context, instance, network_info, block_device_info,
            destroy_disks, destroy_secrets,
        )  # fmt: skip
        file = self._definitions / f"{instance.uuid}.json"
        file.unlink(missing_ok=True)
        if destroy_disks:
            self._remove_disk(instance)

    def cleanup(
        self, context, instance, network_info, block_device_info=None,
        destroy_disks=True, migrate_data=None, destroy_vifs=True,
        destroy_secrets=True,
    ):  # fmt: skip
        super().cleanup(context, instance, network_info, block_device_info)
        if destroy_disks:
            self._remove_disk(instance)

    def resume_state_on_host_boot(
        self, context, instance, network_info, share_info,
        block_device_info=None,
    ):  # fmt: skip
        self._running(instance)

    def _running(self, instance: Any) -> None:
        if instance.uuid in self.instances:
            self.instances[instance.uuid].state = power_state.RUNNING
        else:
            self._make_disk(instance)
            self._define(instance, power_on=True)

    def pause(self, instance):
        self._signal(instance, signal.SIGSTOP)

    def unpause(self, instance):
        self._signal(instance, signal.SIGCONT)

    def suspend(self, context, instance):
        self._signal(instance, signal.SIGSTOP)

    def resume(
        self, context, instance, network_info, block_device_info=None,
        share_info=None,
    ):  # fmt: skip
        self._signal(instance, signal.SIGCONT)

    def _signal(self, instance: Any, number: signal.Signals) -> None:
        guest = self.instances.get(instance.uuid)
        running = guest and guest._process()
        if not running:
            raise exception.InstanceNotRunning(instance_id=instance.uuid)
        process.send([running], number)

    # -- cold migration --------------------------------------------------
    def migrate_disk_and_power_off(
        self, context, instance, dest, flavor, network_info,
        block_device_info=None, timeout=0, retry_interval=0,
    ):  # fmt: skip
        self.power_off(instance)

    def finish_migration(
        self, context, migration, instance, disk_info, network_info,
        image_meta, resize_instance, allocations, block_device_info=None,
        power_on=True, share_info=None,
    ):  # fmt: skip
        self._copy_disk(instance, migration.source_compute)
        super().finish_migration(
            context, migration, instance, disk_info, network_info,
            image_meta, resize_instance, allocations, block_device_info,
            power_on, share_info,
        )  # fmt: skip

    def confirm_migration(self, context, migration, instance, network_info):
        if migration.source_compute != migration.dest_compute:
            self.destroy(
                context, instance, network_info,
                destroy_disks=self._is_local(instance),
            )  # fmt: skip

    def finish_revert_migration(
        self, context, instance, network_info, migration,
        block_device_info=None, power_on=True, share_info=None,
    ):  # fmt: skip
        self._define(instance, power_on)

    # -- live migration --------------------------------------------------
    def check_can_live_migrate_destination(
        self, context, instance, src_compute_info, dst_compute_info,
        block_migration=False, disk_over_commit=False,
    ):  # fmt: skip
        data = super().check_can_live_migrate_destination(
            context, instance, src_compute_info, dst_compute_info,
            block_migration, disk_over_commit,
        )  # fmt: skip
        local = self._is_local(instance)
        if block_migration is None:
            data.block_migration = local
        data.is_shared_block_storage = not local
        data.is_shared_instance_path = not local
        return data

    def pre_live_migration(
        self, context, instance, block_device_info, network_info, disk_info,
        migrate_data,
    ):  # fmt: skip
        self._copy_disk(instance, instance.host)
        return migrate_data

    def live_migration(
        self, context, instance, dest, post_method, recover_method,
        block_migration=False, migrate_data=None,
    ):  # fmt: skip
        # The guest stops here before it starts there: never two at once.
        self.instances[instance.uuid].state = power_state.SHUTDOWN
        post_method(context, instance, dest, block_migration, migrate_data)

    def post_live_migration(
        self, context, instance, block_device_info, migrate_data=None
    ):
        self.destroy(
            context, instance, None, block_device_info, destroy_disks=False
        )

    def rollback_live_migration_at_destination(
        self, context, instance, network_info, block_device_info,
        destroy_disks=True, migrate_data=None,
    ):  # fmt: skip
        if self._is_local(instance):
            self._remove_disk(instance)
