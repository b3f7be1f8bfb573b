# SPDX-License-Identifier: Apache-2.0
"""The records as the JSON objects of the schemas."""

from collections.abc import Iterable
from collections.abc import Mapping
import datetime
import enum
from typing import Any

from aacloud.core import brakes
from aacloud.core import hosts as core_hosts
from aacloud.core import incidents as core_incidents
from aacloud.core import timeline
from aacloud.core import topology as core_topology
from aacloud.db import api as db_api

JSON = dict[str, Any]


def moment(when: datetime.datetime | None) -> str | None:
    """Return a time as text, always with microseconds, in UTC."""
    if when is None:
        return None
    utc = when.astimezone(datetime.timezone.utc)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain(value: Any) -> Any:
    """Return free details with nothing in them that JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): plain(content) for key, content in value.items()}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime.datetime):
        return moment(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(content) for content in value]
    return value


class Domains:
    """The topology with the modes, as far as one request sees them.

    :param hosts: all hosts of the topology
    :param settings: what operators set
    """

    def __init__(
        self,
        hosts: Iterable[core_hosts.HostRecord],
        settings: Iterable[db_api.ModeSetting],
    ) -> None:
        self.topology = core_topology.Topology(
            hosts={
                host.name: core_topology.Host(
                    name=host.name,
                    rack=host.rack,
                    dc=host.dc,
                    instance_disks=host.instance_disks,
                )
                for host in hosts
            }
        )
        self._settings = {
            (setting.level, setting.name): setting.mode
            for setting in settings
        }

    def verdict(self, host: str) -> brakes.ModeVerdict:
        """Return what the settings together mean for a host."""
        return brakes.effective_mode(self._settings, self.topology, host)

    def effective(self, hosts: Iterable[str]) -> list[JSON]:
        """Return the modes of hosts, sorted by name."""
        found = []
        for name in sorted(hosts):
            host = self.topology.hosts[name]
            verdict = self.verdict(name)
            found.append(
                {
                    "host": name,
                    "rack": host.rack,
                    "dc": host.dc,
                    "mode": verdict.mode.value,
                    "reasons": list(verdict.reasons),
                }
            )
        return found


def host(
    record: core_hosts.HostRecord,
    verdict: brakes.ModeVerdict,
    incident_id: str | None,
) -> JSON:
    """Return a host."""
    return {
        "name": record.name,
        "dc": record.dc,
        "rack": record.rack,
        "instance_disks": record.instance_disks,
        "addresses": dict(record.addresses),
        "boot_id": record.boot_id,
        "agent_seen_at": moment(record.agent_seen_at),
        "state": record.state.value,
        "networks": plain(record.networks),
        "reasons": list(record.reasons),
        "nova": plain(record.nova),
        "mode": verdict.mode.value,
        "mode_reasons": list(verdict.reasons),
        "incident_id": incident_id,
        "updated_at": moment(record.updated_at),
    }


def incident(record: core_incidents.Incident) -> JSON:
    """Return an incident."""
    return {
        "id": record.id,
        "host": record.host,
        "kind": record.kind,
        "state": record.state.value,
        "mode": record.mode.value,
        "version": record.version,
        "epoch": record.epoch,
        "opened_at": moment(record.opened_at),
        "updated_at": moment(record.updated_at),
        "detected_at": moment(record.detected_at),
        "closed_at": moment(record.closed_at),
        "verdict": plain(record.verdict),
        "proof": None if record.proof is None else plain(record.proof),
        "waiting": record.waiting,
        "commands": [
            {
                "command": command.command.value,
                "by": command.by,
                "reason": command.reason,
                "at": moment(command.at),
            }
            for command in record.commands
        ],
        "summary": plain(record.summary),
        "request_id": record.request_id,
    }


def server(record: core_incidents.ServerRecord) -> JSON:
    """Return a server of an incident."""
    return {
        "id": record.server,
        "name": record.name,
        "project_id": record.project_id,
        "state": record.state.value,
        "version": record.version,
        "wave": record.wave,
        "source": record.source,
        "destination": record.destination,
        "spares": list(record.spares),
        "tries": record.tries,
        "intent_at": moment(record.intent_at),
        "requested_at": moment(record.requested_at),
        "request_id": record.request_id,
        "migration_id": record.migration_id,
        "past_migrations": list(record.past_migrations),
        "landed_at": moment(record.landed_at),
        "verified_at": moment(record.verified_at),
        "down_since": moment(record.down_since),
        "not_before": moment(record.not_before),
        "reason_code": record.reason_code,
        "reason": record.reason,
        "downtime_s": timeline.downtime(record),
        "snapshot": plain(record.snapshot),
    }


def event(record: core_incidents.Event) -> JSON:
    """Return an event of an incident."""
    return {
        "id": record.id,
        "at": moment(record.at),
        "kind": record.kind,
        "server_id": record.server,
        "text": record.text,
        "detail": plain(record.detail),
    }


def mode(setting: db_api.ModeSetting) -> JSON:
    """Return what an operator set for a domain."""
    return {
        "level": setting.level.value,
        "name": setting.name,
        "mode": setting.mode.value,
        "reason": setting.reason,
        "set_by": setting.set_by,
        "set_at": moment(setting.set_at),
    }
