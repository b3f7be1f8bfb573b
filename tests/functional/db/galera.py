# SPDX-License-Identifier: Apache-2.0
"""A Galera cluster of two nodes, as if there was one in each DC."""

from __future__ import annotations

import pathlib
import time

from aacloud.db import engine
from tests import ports
from tests.functional.db import mariadb
from tests.unit.db import worlds

PROVIDERS = (
    "/usr/lib/galera/libgalera_smm.so",
    "/usr/lib64/galera-4/libgalera_smm.so",
    "/usr/lib64/galera/libgalera_smm.so",
    "/usr/lib/libgalera_smm.so",
)


def _provider() -> str | None:
    for name in PROVIDERS:
        if pathlib.Path(name).exists():
            return name
    return None


def missing() -> str | None:
    """Why there can be no cluster here, or None."""
    reason = mariadb.missing()
    if reason is not None:
        return reason
    if _provider() is None:
        return "Galera is not installed (Debian package galera-4)"
    if not mariadb.find("rsync") or not mariadb.find("ss", "lsof"):
        return "a node joins with rsync and ss or lsof, which are missing"
    if mariadb.server_user() == "root":
        return "a node cannot join as root, and there is no user mysql"
    return None


def open_database(url: str, *, sync_wait: int) -> engine.Database:
    """At ``sync_wait`` 1 a read waits for what other nodes committed."""
    conf = worlds.configuration()
    conf.set_override("mysql_wsrep_sync_wait", sync_wait, "database")
    return engine.Database(conf, connection=url)


class Cluster:
    """Two nodes on loopback; what is committed on one is on the other."""

    def __init__(self, directory: pathlib.Path) -> None:
        group = [[ports.free_port() for _use in range(3)] for _node in "12"]
        members = ",".join(f"127.0.0.1:{own[0]}" for own in group)
        self.nodes = []
        for number, (talk, state, increment) in enumerate(group, start=1):
            home = directory / f"dc{number}"
            home.mkdir()
            options = (
                f"gmcast.listen_addr=tcp://127.0.0.1:{talk};"
                f"ist.recv_addr=127.0.0.1:{increment};gcache.size=16M"
            )
            self.nodes.append(
                mariadb.MariaDB(
                    home,
                    (
                        "--binlog-format=ROW",
                        "--innodb-autoinc-lock-mode=2",
                        "--wsrep-on=ON",
                        f"--wsrep-provider={_provider()}",
                        "--wsrep-cluster-name=aacloud-test",
                        f"--wsrep-cluster-address=gcomm://{members}",
                        f"--wsrep-node-name=dc{number}",
                        f"--wsrep-node-address=127.0.0.1:{talk}",
                        "--wsrep-sst-method=rsync",
                        f"--wsrep-sst-receive-address=127.0.0.1:{state}",
                        f"--wsrep-provider-options={options}",
                    ),
                )
            )

    def start(self) -> None:
        first, second = self.nodes
        for node in self.nodes:
            node.install()
        first.start("--wsrep-new-cluster")
        second.start()
        deadline = time.monotonic() + mariadb.START_TIMEOUT
        while any(
            self.state(node) != ("Synced", "2") for node in (first, second)
        ):
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"the second node did not join: {second.log.read_text()}"
                )
            time.sleep(0.1)

    def state(self, node: mariadb.MariaDB) -> tuple[str, str]:
        """What the node says of itself, and how many it sees."""
        found: dict[str, str] = dict(
            node.execute("SHOW STATUS LIKE 'wsrep_%'")
        )
        return (
            found.get("wsrep_local_state_comment", ""),
            found.get("wsrep_cluster_size", ""),
        )

    def conflicts(self) -> int:
        """Transactions that lost against one of the other node."""
        return sum(
            int(value)
            for node in self.nodes
            for name, value in node.execute("SHOW STATUS LIKE 'wsrep_local%'")
            if name in ("wsrep_local_cert_failures", "wsrep_local_bf_aborts")
        )

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()
