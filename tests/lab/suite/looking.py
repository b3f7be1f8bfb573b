# SPDX-License-Identifier: Apache-2.0
"""What Nova, aacloud's API and its daemons say of the lab's cloud."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import datetime
import re
from typing import Any

from prometheus_client import parser

from tests.lab import rest
from tests.lab.control import Lab
from tests.lab.plan import DCS
from tests.lab.plan import PORTS
from tests.lab.services import infra

JSON = dict[str, Any]

#: The newest version of aacloud's API.
_NEWEST = {"OpenStack-API-Version": "aacloud latest"}
FAILOVER_PORT = PORTS["aacloud-health"]
GROUPS_PORT = PORTS["aacloud-groups-health"]

_REASON = re.compile(r"<LI>(.*?)</LI>|<TD>(.*?)</TD>", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Leader:
    """Who leads, as the database has it; ``taken_at`` is Unix time."""

    dc: str
    epoch: int
    taken_at: float


class Metrics:
    """The numbers of one daemon at one moment."""

    def __init__(self, text: str) -> None:
        self._samples = [
            sample
            for family in parser.text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name with these labels."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def answered(question: Callable[[], Any]) -> Any:
    """What was answered; None while a service cannot answer."""
    try:
        return question()
    except rest.RestError as error:
        if 0 < error.status < 500:
            raise
        return None


class Look:
    """Reads only, and asks anew each time."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._cloud = lab.cloud

    # -- aacloud ---------------------------------------------------------
    def incidents(self, **filters: str) -> list[JSON]:
        """Incidents, the newest first."""
        query = "&".join(f"{key}={value}" for key, value in filters.items())
        return self._cloud.get("aacloud-api", f"/incidents?{query}")[
            "incidents"]

    def incident(self, incident: str) -> JSON:
        return self._cloud.get("aacloud-api", f"/incidents/{incident}")[
            "incident"]

    def records(self, incident: str) -> dict[str, JSON]:
        """Server id -> how far its move has come."""
        answer = self._cloud.get(
            "aacloud-api", f"/incidents/{incident}/servers")
        return {server["id"]: server for server in answer["servers"]}

    def events(self, incident: str) -> list[JSON]:
        return self._cloud.get(
            "aacloud-api", f"/incidents/{incident}/events?limit=1000")[
            "events"]

    def hosts(self) -> dict[str, JSON]:
        answer = self._cloud.get("aacloud-api", "/hosts")
        return {host["name"]: host for host in answer["hosts"]}

    def modes(self) -> list[JSON]:
        """What is set for domains."""
        return self._cloud.get("aacloud-api", "/failover/modes")["modes"]

    def set_mode(self, level: str, name: str, mode: str) -> None:
        self._cloud.put(
            "aacloud-api", f"/failover/modes/{level}/{name}",
            {"mode": mode, "reason": "a test of the lab"})

    def unset_mode(self, level: str, name: str) -> None:
        self._cloud.delete(
            "aacloud-api", f"/failover/modes/{level}/{name}")

    # -- server groups ---------------------------------------------------
    def groups(self) -> list[JSON]:
        """The groups of all projects."""
        return self._groups("/groups?all_projects=true&limit=1000")["groups"]

    def group(self, group: str) -> JSON:
        """A group with its members, and as it was found last."""
        return self._groups(f"/groups/{group}")

    def plans(self, **filters: str) -> list[JSON]:
        """Repair plans, the newest first."""
        query = "&".join(f"{key}={value}" for key, value in filters.items())
        return self._groups(f"/plans?{query}")["plans"]

    def plan(self, plan: str) -> JSON:
        """A plan with its steps."""
        return self._groups(f"/plans/{plan}")

    def plan_events(self, plan: str) -> list[JSON]:
        return self._groups(f"/plans/{plan}/events?limit=1000")["events"]

    def _groups(self, path: str) -> JSON:
        return self._cloud.get("aacloud-api", path, headers=_NEWEST)

    def tell(self, path: str, body: JSON, timeout: float = 60.0) -> JSON:
        """Ask something of the API of groups and plans that changes them."""
        return self._cloud.post(
            "aacloud-api", path, body, headers=_NEWEST, timeout=timeout)

    def remove_group(self, group: str) -> None:
        self._cloud.delete(
            "aacloud-api", f"/groups/{group}", headers=_NEWEST)

    def stop_plan(self, plan: str) -> None:
        self.tell(f"/plans/{plan}/stop", {"reason": "a test of the lab"})

    def schedulers(self) -> dict[str, float]:
        """Scheduler -> seconds since it said which groups it knows."""
        told = infra.sql(
            self.lab.state,
            "SELECT scheduler, TIMESTAMPDIFF(SECOND, seen_at, "
            "UTC_TIMESTAMP()) FROM aacloud.scheduler_acks")
        lines = [line.split("\t") for line in told.splitlines()]
        return {name: float(age) for name, age in lines}

    # -- daemons ---------------------------------------------------------
    def leader(self, name: str = "failover") -> Leader:
        """Asked of the database itself, so that no engine has to answer.

        :param name: of the leadership; that of server groups is ``groups``
        """
        holder, epoch, taken_at = infra.sql(
            self.lab.state,
            "SELECT holder, epoch, taken_at FROM aacloud.leaderships "
            f"WHERE name = '{name}'",
        ).strip().split("\t")
        when = datetime.datetime.fromisoformat(taken_at).replace(
            tzinfo=datetime.timezone.utc)
        return Leader(
            holder.partition("-")[0], int(epoch), when.timestamp())

    def leads(self, dc: str) -> bool:
        """Whether the engine of a DC takes itself for the leader."""
        return self.metrics(f"{dc}-ha").value("aacloud_failover_leads") == 1

    def leaders(self) -> list[str]:
        """The DCs whose engine takes itself for the leader."""
        return [dc for dc in DCS if answered(lambda dc=dc: self.leads(dc))]

    def group_leaders(self) -> list[str]:
        """The same for server groups."""
        return [
            dc for dc in DCS
            if answered(lambda dc=dc: self.group_metrics(dc).value(
                "aacloud_groups_leads")) == 1]

    def group_metrics(self, dc: str) -> Metrics:
        return self.metrics(f"{dc}-ha", GROUPS_PORT)

    def metrics(self, node: str, port: int = FAILOVER_PORT) -> Metrics:
        """The metrics of the aacloud daemon of a node, asked on the node."""
        status, text = self._daemon(node, "/metrics", port)
        if status != 200:
            raise rest.RestError(status, f"/metrics of {node}: {status}")
        return Metrics(text)

    def health(
        self, node: str, port: int = FAILOVER_PORT
    ) -> tuple[bool, str]:
        """Whether the aacloud daemon of a node is well, and what ails it."""
        status, text = self._daemon(node, "/healthcheck", port)
        found = [
            " ".join((item or cell).split())
            for item, cell in _REASON.findall(text)
        ]
        return status == 200, "; ".join(found) or text

    def _daemon(self, node: str, path: str, port: int) -> tuple[int, str]:
        address = self.lab.plan.node(node).mgmt
        status, text, _headers = rest.request(
            self.lab.state.namespace(node), "GET",
            f"http://{address}:{port}{path}",
            headers={"Accept": "text/plain"}, timeout=10)
        return status, text if isinstance(text, str) else str(text)

    # -- Nova ------------------------------------------------------------
    def computes(self) -> dict[str, JSON]:
        """Host -> its nova-compute service."""
        answer = self._cloud.get(
            "nova-api", "/os-services?binary=nova-compute")
        return {service["host"]: service for service in answer["services"]}

    def evacuations(self) -> dict[int, JSON]:
        """Migration id -> every evacuation that Nova knows of."""
        answer = self._cloud.get(
            "nova-api",
            "/os-migrations?migration_type=evacuation&limit=1000")
        return {one["id"]: one for one in answer["migrations"]}

    def evacuations_of(self, server: str) -> list[JSON]:
        answer = self._cloud.get(
            "nova-api", "/os-migrations?migration_type=evacuation"
            f"&instance_uuid={server}")
        return answer["migrations"]

    def live_migrations(self, server: str) -> list[JSON]:
        """All that Nova ever began for a server."""
        answer = self._cloud.get(
            "nova-api", "/os-migrations?migration_type=live-migration"
            f"&instance_uuid={server}")
        return answer["migrations"]

    def aggregates(self) -> Mapping[str, JSON]:
        """Name -> what matters of each host aggregate."""
        answer = self._cloud.get("nova-api", "/os-aggregates")
        return {
            one["name"]: {
                "hosts": sorted(one["hosts"]),
                "metadata": one["metadata"],
                "updated_at": one["updated_at"],
            }
            for one in answer["aggregates"]
        }
