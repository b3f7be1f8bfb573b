# SPDX-License-Identifier: Apache-2.0
"""Keystone, Placement, Glance, Neutron and Nova, as real as they come."""

from __future__ import annotations

from collections.abc import Mapping
import functools
import pathlib
import threading
import time

from tests.lab.plan import Node
from tests.lab.plan import PORTS
from tests.lab.rest import Cloud
from tests.lab.rest import RestError
from tests.lab.services.base import CommandFailed
from tests.lab.services.base import ini
from tests.lab.services.base import Service
from tests.lab.services.infra import CONTROL
from tests.lab.services.infra import database_url
from tests.lab.services.infra import sql
from tests.lab.services.infra import transport_url
from tests.lab.state import CHECKOUT
from tests.lab.state import State
from tests.lab.state import write

RUNTIME = CHECKOUT / "tests" / "lab" / "runtime"
REGION = "RegionOne"
#: One server costs 1 vCPU and 64 MB; every host can take them all.
VCPUS = 200
MEMORY_MB = 65536
DISK_GB = 4000

_UNLIMITED = (
    "instances",
    "cores",
    "ram",
    "metadata_items",
    "server_groups",
    "server_group_members",
    "key_pairs",
)

Sections = dict[str, dict[str, object]]

#: Those that Nova enables by itself; ours comes after them.
_FILTERS = (
    "ComputeFilter", "ComputeCapabilitiesFilter", "ImagePropertiesFilter",
    "ServerGroupAntiAffinityFilter", "ServerGroupAffinityFilter",
)  # fmt: skip

#: name, module of the WSGI application, threads
APIS = (
    ("keystone", "keystone.wsgi.api", 16),
    ("placement", "placement.wsgi.api", 16),
    ("glance", "glance.wsgi.api", 8),
    ("neutron", "neutron.wsgi.api", 16),
    ("nova-api", "nova.wsgi.osapi_compute", 32),
)
#: What is asked of each API before anybody else may use it. Several of them
#: set themselves up at the first request, and not safely for two at once
#: (Keystone refuses tokens, Neutron lacks attributes of its ports).
_WARM = {
    "placement": ("/", "/resource_providers"),
    "glance": ("/", "/images"),
    "neutron": ("/", "/networks"),
    "nova-api": ("/v2.1/", "/flavors"),
}


def control_url(state: State, service: str) -> str:
    return f"http://{state.plan.node(CONTROL).mgmt}:{PORTS[service]}"


def auth(state: State, user: str) -> dict[str, object]:
    """Options of keystoneauth for a service user."""
    return {
        "auth_type": "password",
        "auth_url": control_url(state, "keystone") + "/v3",
        "username": user,
        "password": state.secret,
        "user_domain_name": "Default",
        "project_name": "service",
        "project_domain_name": "Default",
        "region_name": REGION,
    }


def authtoken(state: State, user: str) -> dict[str, object]:
    """The section [keystone_authtoken] of a service."""
    return {
        "www_authenticate_uri": control_url(state, "keystone") + "/v3",
        "service_token_roles_required": True,
        "service_token_roles": "service",
        **auth(state, user),
    }


def common(state: State, service: str) -> Sections:
    """What all of OpenStack's services share."""
    locks = state.data("locks", service)
    locks.mkdir(parents=True, exist_ok=True)
    return {
        "DEFAULT": {
            "transport_url": transport_url(state),
            "debug": False,
            "use_stderr": True,
            "log_options": False,
        },
        "oslo_concurrency": {"lock_path": locks},
        "oslo_messaging_rabbit": {
            # As clouds have it, with these or with quorum queues: what is
            # sent while a service is away is kept for it.
            "amqp_durable_queues": True,
            "heartbeat_timeout_threshold": 30,
            "kombu_reconnect_delay": 1,
            "rabbit_retry_backoff": 1,
            "rabbit_interval_max": 5,
        },
    }


def configure(state: State) -> None:
    """Write the configuration of every service."""
    _keystone(state)
    _placement(state)
    _glance(state)
    _neutron(state)
    _nova(state)
    for node in state.plan.hosts:
        _compute(state, node)


def _save(state: State, service: str, name: str, sections: Sections) -> None:
    write(state.etc(service, name), ini(sections), mode=0o600)


def _keystone(state: State) -> None:
    _save(
        state,
        "keystone",
        "keystone.conf",
        common(state, "keystone")
        | {
            "database": {"connection": database_url(state, "keystone")},
            "token": {"provider": "fernet", "expiration": 86400},
            "fernet_tokens": {
                "key_repository": state.data("keystone", "fernet-keys")
            },
            "credential": {
                "key_repository": state.data("keystone", "credential-keys")
            },
            # Each login costs a hash: the cheapest one will do in a lab.
            "identity": {
                "password_hash_rounds": 4,
                "max_password_length": 72,
            },
            "cache": {"enabled": True, "backend": "oslo_cache.dict"},
        },
    )


def _placement(state: State) -> None:
    _save(
        state,
        "placement",
        "placement.conf",
        common(state, "placement")
        | {
            "placement_database": {
                "connection": database_url(state, "placement"),
                # A request may hold two; the library's own limit is 15, and
                # one that waits for a connection ends with 500 after 30 s.
                "max_pool_size": 20,
                "max_overflow": 40,
            },
            "api": {"auth_strategy": "keystone"},
            "keystone_authtoken": authtoken(state, "placement"),
        },
    )


def _glance(state: State) -> None:
    sections = common(state, "glance")
    sections["DEFAULT"]["enabled_backends"] = "files:file"
    _save(
        state,
        "glance",
        "glance-api.conf",
        sections
        | {
            "database": {"connection": database_url(state, "glance")},
            "glance_store": {"default_backend": "files"},
            "files": {"filesystem_store_datadir": state.data("glance")},
            "os_glance_staging_store": {
                "filesystem_store_datadir": state.data("glance-staging")
            },
            "os_glance_tasks_store": {
                "filesystem_store_datadir": state.data("glance-tasks")
            },
            "paste_deploy": {
                "flavor": "keystone",
                "config_file": state.venv / "etc/glance/glance-api-paste.ini",
            },
            "keystone_authtoken": authtoken(state, "glance"),
        },
    )


def _neutron(state: State) -> None:
    sections = common(state, "neutron")
    sections["DEFAULT"] |= {
        "core_plugin": "ml2",
        "service_plugins": "",
        "auth_strategy": "keystone",
        "api_paste_config": state.venv / "etc/neutron/api-paste.ini",
        "state_path": state.data("neutron"),
        "notify_nova_on_port_status_changes": False,
        "notify_nova_on_port_data_changes": False,
    }
    _save(
        state,
        "neutron",
        "neutron.conf",
        sections
        | {
            "database": {"connection": database_url(state, "neutron")},
            "keystone_authtoken": authtoken(state, "neutron"),
            "ml2": {"mechanism_drivers": "", "type_drivers": "local",
                    "tenant_network_types": "local"},
        },
    )  # fmt: skip


def _nova(state: State) -> None:
    _save(state, "nova", "nova.conf", nova_sections(state))
    paste = (state.venv / "etc/nova/api-paste.ini").read_text()
    write(state.etc("nova", "api-paste.ini"), paste)


def nova_sections(state: State) -> Sections:
    """nova.conf as the API, the conductor and the scheduler read it."""
    sections = common(state, "nova")
    sections["DEFAULT"] |= {
        "host": CONTROL,
        "my_ip": state.plan.node(CONTROL).mgmt,
        "state_path": state.data("nova"),
        # A dead compute is seen after 30 s, so that its deaths are seen in
        # a demo; the rest of the times are Nova's own.
        "report_interval": 5,
        "service_down_time": 30,
        "rpc_response_timeout": 60,
        # New hosts are looked for at once and not after a random minute.
        "periodic_fuzzy_delay": 0,
    }
    service = auth(state, "nova")
    return sections | {
        "api": {"auth_strategy": "keystone"},
        "api_database": {
            "connection": database_url(state, "nova_api"),
            "max_pool_size": 20,
        },
        "database": {
            "connection": database_url(state, "nova"),
            "max_pool_size": 20,
        },
        "keystone_authtoken": authtoken(state, "nova"),
        "service_user": {"send_service_user_token": True, **service},
        "placement": dict(service),
        "neutron": dict(service),
        "glance": dict(service),
        "upgrade_levels": {"compute": "auto"},
        # The group engine learns of births and moves from these.
        "notifications": {"notification_format": "versioned"},
        "oslo_messaging_notifications": {"driver": "messagingv2"},
        "filter_scheduler": {
            "available_filters": (
                "nova.scheduler.filters.all_filters",
                "aacloud.scheduler.nova.filter.HAGroupFilter",
            ),
            "enabled_filters": ",".join((*_FILTERS, "HAGroupFilter")),
            "weight_classes": "nova.scheduler.weights.all_weighers,"
            "aacloud.scheduler.nova.weigher.HAGroupWeigher",
        },
        "conductor": {"workers": 1},
        "scheduler": {
            "workers": 1,
            "discover_hosts_in_cells_interval": 2,
            "max_placement_results": 1000,
        },
        "quota": dict.fromkeys(_UNLIMITED, -1),
        "vnc": {"enabled": False},
        "spice": {"enabled": False},
    }  # fmt: skip


def _compute(state: State, node: Node) -> None:
    sections = nova_sections(state)
    # A compute node knows no database.
    del sections["api_database"], sections["database"]
    own = state.data(f"nova-{node.name}")
    own.mkdir(parents=True, exist_ok=True)
    sections["DEFAULT"] |= {
        "host": node.name,
        "my_ip": node.mgmt,
        "state_path": own,
        "instances_path": state.dir / "shared" / "instances",
        "compute_driver": "aalab.LabDriver",
        # A host that comes back starts the guests that are still its own.
        "resume_guests_state_on_host_boot": True,
        "reserved_host_memory_mb": 0,
        "initial_cpu_allocation_ratio": 1.0,
        "initial_ram_allocation_ratio": 1.0,
    }
    _save(state, f"nova-compute/{node.name}", "nova.conf", sections)


class Heartbeats:
    """When each of Nova's daemons last reported, from Nova's database."""

    QUERY = (
        "SELECT host, topic, TIMESTAMPDIFF(SECOND, "
        "COALESCE(updated_at, created_at), UTC_TIMESTAMP()) "
        "FROM nova.services WHERE deleted = 0;"
    )

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._asked = -1.0
        self._ages: dict[tuple[str, str], float] = {}

    def fresh(self, host: str, topic: str, since: float) -> bool:
        """Whether it reported since its start, or of late."""
        with self._lock:
            if time.monotonic() - self._asked > 0.4:
                self._ages = self._read()
                self._asked = time.monotonic()
            age = self._ages.get((host, topic))
        if age is None:
            return False
        return age <= (max(time.time() - since, 1.0) if since else 20.0)

    def _read(self) -> dict[tuple[str, str], float]:
        try:
            rows = sql(self._state, self.QUERY).splitlines()
        except CommandFailed:
            return {}
        return {
            (host, topic): float(age)
            for host, topic, age in (row.split("\t") for row in rows)
        }


@functools.lru_cache(maxsize=4)
def heartbeats(state: State) -> Heartbeats:
    return Heartbeats(state)


# -- processes -----------------------------------------------------------
def api(state: State, name: str, module: str, threads: int) -> Service:
    """An API under gunicorn, in one worker with many threads."""
    family = name.partition("-")[0]
    etc = str(state.etc(family))
    address = (state.plan.node(CONTROL).mgmt, PORTS[name])
    return Service(
        name=name,
        node=CONTROL,
        argv=(
            state.bin("gunicorn"),
            "--config", str(RUNTIME / "gunicorn_conf.py"),
            "tests.lab.runtime.wsgi:application",
        ),
        env={
            "AALAB_APPLICATION": f"{module}:application",
            "AALAB_BIND": f"{address[0]}:{address[1]}",
            "AALAB_THREADS": str(threads),
            "OS_KEYSTONE_CONFIG_DIR": etc,
            "OS_PLACEMENT_CONFIG_DIR": etc,
            "OS_GLANCE_CONFIG_DIR": etc,
            "OS_NOVA_CONFIG_DIR": etc,
            "OS_NEUTRON_CONFIG_DIR": etc,
            "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
        },
        after=("mariadb",),
        address=address,
        path=_WARM[name][0] if name in _WARM else "/v3",
        ready=functools.partial(_warm, state, name),
    )  # fmt: skip


@functools.lru_cache(maxsize=4)
def admin(state: State) -> Cloud:
    return Cloud(state)


def _warm(state: State, name: str, since: float) -> bool:
    """Ask the API one question as the admin."""
    try:
        if name == "keystone":
            admin(state).check_token()
        else:
            admin(state).get(name, _WARM[name][1])
    except RestError:
        return False
    return True


def services(state: State) -> list[Service]:
    found = [api(state, *one) for one in APIS]
    beats = heartbeats(state)
    for name in ("nova-conductor", "nova-scheduler"):
        found.append(
            Service(
                name=name,
                ready=functools.partial(
                    beats.fresh, CONTROL, name.partition("-")[2]
                ),
                node=CONTROL,
                argv=(
                    state.bin("python"), "-m", "tests.lab.runtime.daemon",
                    name.replace("nova-", "nova.cmd.") + ":main",
                    "--config-file", str(state.etc("nova", "nova.conf")),
                ),
                after=("mariadb", "rabbitmq"),
            )
        )  # fmt: skip
    # Cinder's API, scheduler and volume services will stand here.
    found.extend(compute(state, node) for node in state.plan.hosts)
    return found


def compute(state: State, node: Node) -> Service:
    config = state.etc("nova-compute", node.name, "nova.conf")
    listens = state.run("ready", f"nova-compute@{node.name}")
    return Service(
        name="nova-compute",
        node=node.name,
        argv=(
            state.bin("python"), "-m", "tests.lab.runtime.compute",
            "--config-file", str(config),
        ),
        env={**guest_places(state, node), "AALAB_READY": str(listens)},
        after=("nova-conductor", "keystone", "placement"),
        ready=functools.partial(_compute_ready, state, node, listens),
    )  # fmt: skip


def _compute_ready(
    state: State, node: Node, listens: pathlib.Path, since: float
) -> bool:
    """Whether a compute listens since its start, or is heard of late.

    Its record in the database is no sign: it is written before the compute
    listens, and a call that is sent in between is lost and takes a minute
    to fail.
    """
    try:
        touched = listens.stat().st_mtime
    except FileNotFoundError:
        return False
    if since:
        return touched >= since
    return heartbeats(state).fresh(node.name, "compute", since)


def guest_places(state: State, node: Node) -> Mapping[str, str]:
    """Where the driver keeps disks, and what a host has to offer."""
    places: dict[str, pathlib.Path] = {
        "AALAB_SHARED": state.dir / "shared" / "instances",
        "AALAB_LOCAL": state.dir / "hosts" / node.name / "instances",
    }
    return {
        **{name: str(place) for name, place in places.items()},
        "AALAB_VCPUS": str(VCPUS),
        "AALAB_MEMORY_MB": str(MEMORY_MB),
        "AALAB_DISK_GB": str(DISK_GB),
    }
