# SPDX-License-Identifier: Apache-2.0
"""aacloud itself: agents, engines, API, and the operator's files."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import pathlib

from tests.lab import network
from tests.lab import process
from tests.lab.plan import Kind
from tests.lab.plan import NETWORK_NAMES
from tests.lab.plan import Node
from tests.lab.plan import PORTS
from tests.lab.rest import RestError
from tests.lab.services.base import ini
from tests.lab.services.base import run
from tests.lab.services.base import Service
from tests.lab.services.infra import CONTROL
from tests.lab.services.infra import database_url
from tests.lab.services.infra import etcd_url
from tests.lab.services.openstack import admin
from tests.lab.services.openstack import auth
from tests.lab.services.openstack import authtoken
from tests.lab.services.openstack import common
from tests.lab.services.openstack import control_url
from tests.lab.services.openstack import REGION
from tests.lab.services.openstack import Sections
from tests.lab.state import State
from tests.lab.state import write

BMC_USER = "admin"


def configure(state: State) -> None:
    """Write the configuration of every aacloud daemon."""
    for node in state.plan.nodes:
        if node.kind is Kind.HOST:
            sections = _agent(state, node)
        elif node.kind is Kind.ENGINE:
            sections = _engine(state, node)
            write(_config(state, f"{node.name}-groups"),
                  ini(_groups(state, node)), mode=0o600)
        elif node.name == CONTROL:
            sections = _api(state, node)
        else:
            continue
        write(_config(state, node.name), ini(sections), mode=0o600)
    digest = hashlib.sha256(f"probe {state.secret}".encode()).digest()
    write(
        state.etc("aacloud", "probe.keys"),
        f"lab: {base64.b64encode(digest).decode()}\n",
        mode=0o600,
    )
    write(state.etc("aacloud", "fencing.yaml"), _fencing(state), mode=0o600)
    write(state.etc("aacloud", "topology.yaml"), _topology(state))
    write(state.etc("clouds.yaml"), _clouds(state), mode=0o600)


def _config(state: State, node: str) -> pathlib.Path:
    return state.etc("aacloud", f"{node}.conf")


def _base(state: State, node: Node) -> Sections:
    sections = common(state, "aacloud")
    del sections["DEFAULT"]["log_options"]
    # aacloud's own defaults find a RabbitMQ that is back sooner.
    del sections["oslo_messaging_rabbit"]
    return sections | {
        "aacloud_service": {
            "health_host": node.mgmt,
            "health_port": PORTS["aacloud-health"],
        },
    }


def _agent(state: State, node: Node) -> Sections:
    own = state.dir / "hosts" / node.name / "aacloud"
    own.mkdir(parents=True, exist_ok=True)
    # Without namespaces one kernel answers for all hosts, dead ones too.
    refused = {"refused_probe": "ignore"} if state.plan.loopback else {}
    return _base(state, node) | {
        "aacloud_agent": {
            "host": node.name,
            **{
                f"{name}_address": node.addresses[interface]
                for name, interface in NETWORK_NAMES.items()
            },
            "key_file": state.etc("aacloud", "probe.keys"),
            # All hosts of the lab share one process table.
            "compute_process": f"nova-compute/{node.name}/",
            "guest_process": rf"^guest/{node.name}/([0-9a-f-]{{36}}) ",
            "state_path": own,
            **refused,
        }
    }


def _engine(state: State, node: Node) -> Sections:
    return _base(state, node) | {
        "database": {"connection": database_url(state, "aacloud")},
        "aacloud_failover": {
            "key_file": state.etc("aacloud", "probe.keys"),
            # The computes of the lab report to Nova every 5 s.
            "nova_fresh": 8,
        },
        "aacloud_fencing": {
            "inventory_file": state.etc("aacloud", "fencing.yaml"),
            # The BMCs of the lab answer at once, or not at all.
            "timeout": 5,
            "power_off_timeout": 10,
        },
        "aacloud_coordination": {
            "backend_url": "etcd3+" + etcd_url(state, f"{node.dc}-ctl"),
            "member_id": node.name,
        },
        "aacloud_keystone": auth(state, "aacloud"),
    }


def _groups(state: State, node: Node) -> Sections:
    sections = _engine(state, node)
    del sections["aacloud_failover"], sections["aacloud_fencing"]
    sections["aacloud_service"] = {
        "health_host": node.mgmt,
        "health_port": PORTS["aacloud-groups-health"],
    }
    return sections | {
        "aacloud_groups": {
            # A small cloud is looked through in no time.
            "reconcile_interval": 30,
            "inspect_interval": 10,
            # The days of the lab are short, and each test repairs.
            "max_moves_per_window": 100000,
            "max_replans": 1000,
        },
    }


def _api(state: State, node: Node) -> Sections:
    # aacloud-manage runs here too, hence the sections of the engine.
    return _engine(state, node) | {
        "keystone_authtoken": authtoken(state, "aacloud"),
        "aacloud_api": {
            "bind_host": node.mgmt,
            "bind_port": PORTS["aacloud-api"],
        },
    }


def _fencing(state: State) -> str:
    lines = ["hosts:"]
    for node in state.plan.hosts:
        address = state.plan.bmc_address(node.name)
        lines += [
            f"  {node.name}:",
            "    driver: redfish",
            f"    address: http://{address}:{PORTS['bmc']}",
            f"    username: {BMC_USER}",
            f"    password: {json.dumps(state.secret)}",
        ]
    return "\n".join(lines) + "\n"


def _topology(state: State) -> str:
    lines = ["dcs:"]
    seen: set[str | None] = set()
    for node in state.plan.hosts:
        if node.dc not in seen:
            lines += [f"  {node.dc}:", "    racks:"]
        if node.rack not in seen:
            lines += [
                f"      {node.rack}:",
                # The instances folder of all hosts is one and the same.
                "        instance_disks: shared",
                "        hosts:",
            ]
        seen |= {node.dc, node.rack}
        lines.append(f"          - {node.name}")
    return "\n".join(lines) + "\n"


def _clouds(state: State) -> str:
    return "\n".join(
        [
            "clouds:",
            "  lab:",
            f"    region_name: {REGION}",
            "    auth:",
            f"      auth_url: {control_url(state, 'keystone')}/v3",
            "      username: admin",
            f"      password: {json.dumps(state.secret)}",
            "      project_name: admin",
            "      user_domain_name: Default",
            "      project_domain_name: Default",
            "",
        ]
    )


# -- processes -----------------------------------------------------------
def services(state: State) -> list[Service]:
    found = [api(state)]
    for node in state.plan.nodes:
        if node.kind is Kind.ENGINE:
            found += [engine(state, node), groups(state, node)]
        elif node.kind is Kind.HOST:
            found.append(agent(state, node))
    return found


def api(state: State) -> Service:
    return Service(
        name="aacloud-api",
        node=CONTROL,
        argv=(
            state.bin("aacloud-api"),
            "--config-file", str(_config(state, CONTROL)),
        ),
        after=("mariadb",),
        before=functools.partial(sync_database, state),
        address=(state.plan.node(CONTROL).mgmt, PORTS["aacloud-api"]),
        path="/",
        ready=functools.partial(_warm, state),
    )  # fmt: skip


def _warm(state: State, since: float) -> bool:
    try:
        admin(state).get("aacloud-api", "/topology")
    except RestError:
        return False
    return True


def engine(state: State, node: Node) -> Service:
    return Service(
        name="aacloud-failover",
        node=node.name,
        argv=(
            state.bin("aacloud-failover"),
            "--config-file", str(_config(state, node.name)),
        ),
        # A new engine reads the topology at once, and again half a minute
        # later: it shall find it.
        after=("aacloud-api", "rabbitmq", "etcd", "keystone", "topology"),
        address=(node.mgmt, PORTS["aacloud-health"]),
    )  # fmt: skip


def groups(state: State, node: Node) -> Service:
    return Service(
        name="aacloud-groups",
        node=node.name,
        argv=(
            state.bin("aacloud-groups"),
            "--config-file", str(_config(state, f"{node.name}-groups")),
        ),
        after=("aacloud-api", "rabbitmq", "etcd", "keystone", "topology"),
        address=(node.mgmt, PORTS["aacloud-groups-health"]),
    )  # fmt: skip


def agent(state: State, node: Node) -> Service:
    return Service(
        name="aacloud-agent",
        node=node.name,
        argv=(
            state.bin("aacloud-agent"),
            "--config-file", str(_config(state, node.name)),
        ),
        # An agent asks an engine whom to probe, and less and less often
        # while none answers: it starts with the engines, not before.
        after=("rabbitmq", "topology"),
        address=(node.mgmt, PORTS["aacloud-health"]),
    )  # fmt: skip


# -- aacloud-manage ------------------------------------------------------
def manage(state: State, *arguments: str) -> str:
    """Run aacloud-manage on the control node; what it printed."""
    return run(
        [
            *network.prefix(state.namespace(CONTROL)),
            state.bin("aacloud-manage"),
            "--config-file", str(_config(state, CONTROL)),
            *arguments,
        ],
        env={
            **process.clean_environment(),
            **process.tags(str(state.dir), CONTROL, "aacloud-manage"),
        },
        timeout=120,
    )  # fmt: skip


def sync_database(state: State) -> None:
    manage(state, "db", "sync")


def apply_topology(state: State) -> None:
    manage(
        state, "topology", "apply",
        str(state.etc("aacloud", "topology.yaml")), "--yes",
    )  # fmt: skip
