# SPDX-License-Identifier: Apache-2.0
"""MariaDB, RabbitMQ and the three members of etcd."""

from __future__ import annotations

import os
import shutil

from tests.lab.plan import PORTS
from tests.lab.plan import WITNESS
from tests.lab.services.base import run
from tests.lab.services.base import Service
from tests.lab.state import State
from tests.lab.state import write

CONTROL = "dc1-ctl"
ETCD_NODES = ("dc1-ctl", "dc2-ctl", WITNESS)
DATABASES = (
    "keystone", "placement", "glance", "neutron",
    "nova_api", "nova_cell0", "nova", "aacloud",
)  # fmt: skip


def database_url(state: State, name: str) -> str:
    host = state.plan.node(CONTROL).mgmt
    return (
        f"mysql+pymysql://lab:{state.secret}@{host}:{PORTS['mariadb']}"
        f"/{name}?charset=utf8mb4"
    )


def transport_url(state: State) -> str:
    host = state.plan.node(CONTROL).mgmt
    return f"rabbit://lab:{state.secret}@{host}:{PORTS['rabbitmq']}/"


def configure(state: State) -> None:
    """Write the configuration of the three."""
    _configure_mariadb(state)
    _configure_rabbitmq(state)


def services(state: State) -> list[Service]:
    return [mariadb(state), rabbitmq(state), *etcd(state)]


# -- MariaDB -------------------------------------------------------------
def _configure_mariadb(state: State) -> None:
    data = state.data("mysql")
    write(
        state.etc("mariadb.cnf"),
        "[mysqld]\n"
        f"datadir = {data}\n"
        f"socket = {data}/mysql.sock\n"
        f"pid-file = {data}/mysql.pid\n"
        f"tmpdir = {data}\n"
        f"bind-address = {state.plan.node(CONTROL).mgmt}\n"
        f"port = {PORTS['mariadb']}\n"
        "user = mysql\n"
        "skip-name-resolve\n"
        "max_connections = 2000\n"
        "character-set-server = utf8mb4\n"
        "collation-server = utf8mb4_general_ci\n"
        "innodb_buffer_pool_size = 256M\n"
        "innodb_log_file_size = 48M\n"
        # A lab may lose its last second when the machine itself dies.
        "innodb_flush_log_at_trx_commit = 0\n"
        "innodb_doublewrite = 0\n"
        "performance_schema = off\n",
    )


def make_database(state: State) -> None:
    """An empty data directory with the databases and the lab's user."""
    data = state.data("mysql")
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    shutil.chown(data, "mysql", "mysql")
    run(
        [
            "mariadb-install-db",
            f"--defaults-file={state.etc('mariadb.cnf')}",
            "--auth-root-authentication-method=socket",
            "--skip-test-db",
            "--user=mysql",
        ]
    )


def grant(state: State) -> None:
    """Make the databases and their user; needs MariaDB to be up."""
    lines = [
        f"CREATE USER IF NOT EXISTS 'lab'@'%' IDENTIFIED BY '{state.secret}';"
    ]
    for name in DATABASES:
        lines.append(f"CREATE DATABASE IF NOT EXISTS {name};")
        lines.append(f"GRANT ALL ON {name}.* TO 'lab'@'%';")
    sql(state, "\n".join(lines))


def sql(state: State, statements: str) -> str:
    """Run SQL as root through the socket; what it prints."""
    return run(
        ["mariadb", f"--socket={state.data('mysql')}/mysql.sock", "-N"],
        feed=statements,
    )


def mariadb(state: State) -> Service:
    return Service(
        name="mariadb",
        node=CONTROL,
        argv=("mariadbd", f"--defaults-file={state.etc('mariadb.cnf')}"),
        address=(state.plan.node(CONTROL).mgmt, PORTS["mariadb"]),
    )


# -- RabbitMQ ------------------------------------------------------------
def _configure_rabbitmq(state: State) -> None:
    host = state.plan.node(CONTROL).mgmt
    write(
        state.etc("rabbitmq", "rabbitmq.conf"),
        f"listeners.tcp.default = {host}:{PORTS['rabbitmq']}\n"
        "default_user = lab\n"
        f"default_pass = {state.secret}\n"
        "loopback_users = none\n"
        "log.console = true\n"
        "log.console.level = warning\n"
        "log.file = false\n"
        "disk_free_limit.absolute = 50MB\n"
        "vm_memory_high_watermark.absolute = 1GB\n",
    )
    write(state.etc("rabbitmq", "enabled_plugins"), "[].\n")


def rabbitmq(state: State) -> Service:
    data = state.data("rabbitmq")
    data.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(data, "rabbitmq", "rabbitmq")
    node = state.plan.node(CONTROL)
    return Service(
        name="rabbitmq",
        node=CONTROL,
        argv=("/usr/lib/rabbitmq/bin/rabbitmq-server",),
        env={
            "HOME": str(data),
            "RABBITMQ_NODENAME": "rabbit@localhost",
            "RABBITMQ_CONFIG_FILE": str(
                state.etc("rabbitmq", "rabbitmq.conf")
            ),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(
                state.etc("rabbitmq", "enabled_plugins")
            ),
            "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
            "RABBITMQ_LOG_BASE": str(data / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_GENERATED_CONFIG_DIR": str(data / "config"),
            "RABBITMQ_PID_FILE": str(data / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none "
            "+sbwtdcpu none +sbwtdio none "
            "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_DIST_PORT": "25672",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": "14369",
        },
        user="rabbitmq",
        address=(node.mgmt, PORTS["rabbitmq"]),
    )


# -- etcd ----------------------------------------------------------------
def etcd_url(state: State, node: str) -> str:
    return f"http://{state.plan.node(node).mgmt}:{PORTS['etcd']}"


def etcd(state: State) -> list[Service]:
    def peer(node: str) -> str:
        return f"http://{state.plan.node(node).mgmt}:{PORTS['etcd-peer']}"

    cluster = ",".join(f"{node}={peer(node)}" for node in ETCD_NODES)
    found = []
    for node in ETCD_NODES:
        client = etcd_url(state, node)
        found.append(
            Service(
                name="etcd",
                node=node,
                argv=(
                    "etcd",
                    "--name", node,
                    "--data-dir", str(state.data(f"etcd-{node}")),
                    "--listen-client-urls", client,
                    "--advertise-client-urls", client,
                    "--listen-peer-urls", peer(node),
                    "--initial-advertise-peer-urls", peer(node),
                    "--initial-cluster", cluster,
                    "--initial-cluster-state", "new",
                    "--initial-cluster-token", "aalab",
                    # Two cores carry the whole cloud: be patient with it.
                    "--heartbeat-interval", "250",
                    "--election-timeout", "2500",
                    "--auto-compaction-retention", "1h",
                    "--log-level", "warn",
                ),
                address=(state.plan.node(node).mgmt, PORTS["etcd"]),
                path="/health",
            )
        )  # fmt: skip
    return found
